//! A sender whose receiver is gone looks for the next one, and goes on with it (SPEC.md, section 21).

use super::{Mailbox, State};
use crate::{
    clock::Deadline,
    error::{BindError, OpenError},
    link::{Geometry, Outbox, Owner, process_id},
    name::QueueName,
    random,
};
use lamq_protocol::{SessionId, endpoint::Connect};
use std::{io, time::Duration};

/// How often a sender looks whether a receiver has appeared: the one thing that cannot be waited for.
pub(crate) const APPEAR_TICK: Duration = Duration::from_millis(10);

/// How often a sender that waits for an answer looks whether the receiver is still there.
pub(crate) const GREETING_TICK: Duration = Duration::from_millis(100);

/// What it takes to go on.
#[derive(Debug)]
pub(crate) struct Seeker {
    /// Where the next one will receive.
    receiver: QueueName,
    /// How long to wait for it.
    patience: Duration,
    /// How the last one was greeted.
    connect: Connect,
    /// Whose inbox, and of which shape, to be made anew: the name of the old one is gone (POS-10). `None` if it is shared, and has it
    /// still.
    own: Option<(Owner, Geometry)>,
    /// Until when to wait, if the receiver is lost.
    until: Option<Deadline>,
    next_look: Deadline,
    /// How often another one was found.
    found: u64,
}

impl Seeker {
    pub(crate) fn new(
        receiver: QueueName,
        patience: Duration,
        connect: Connect,
        own: Option<(Owner, Geometry)>,
    ) -> Self {
        Self { receiver, patience, connect, own, until: None, next_look: Deadline::Now, found: 0 }
    }
}

impl State {
    /// The session goes on with the next receiver when this one is gone.
    pub(crate) fn seek_when_lost(&mut self, session: SessionId, seeker: Seeker) {
        self.seekers.insert(session, seeker);
    }

    /// Whose the inbox is, and its shape.
    pub(crate) fn inbox_identity(&self) -> (Owner, Geometry) {
        (Owner::new(process_id(), self.core.epoch()), self.mailbox.geometry())
    }

    /// How often the session has gone on with another receiver.
    pub(crate) fn times_resumed(&self, session: SessionId) -> u64 {
        self.seekers.get(&session).map_or(0, |seeker| seeker.found)
    }

    /// Looks for receivers where one is lost. Returns whether something happened.
    pub(super) fn seek(&mut self) -> bool {
        let mut happened = false;
        if self.seekers.is_empty() {
            return happened;
        }
        let lost =
            |session: &SessionId| self.core.outbound(*session).is_some_and(|outbound| outbound.seeks().is_some());
        let concerned = self.seekers.iter().filter(|(session, seeker)| seeker.until.is_some() || lost(session));
        for session in concerned.map(|(session, _)| *session).collect::<Vec<_>>() {
            happened |= self.seek_for(session);
        }
        happened
    }

    /// When to look next.
    pub(super) fn next_seek(&self) -> Option<Deadline> {
        self.seekers.values().filter(|seeker| seeker.until.is_some()).map(|seeker| seeker.next_look).min()
    }

    /// Whether a receiver that is lost is looked for, or would be if it were.
    pub(super) fn may_seek(&self) -> bool {
        !self.seekers.is_empty() && (self.next_seek().is_some() || self.core.frames_kept() > 0)
    }

    fn seek_for(&mut self, session: SessionId) -> bool {
        let (Some(seeker), Some(outbound)) = (self.seekers.get_mut(&session), self.core.outbound(session)) else {
            return false;
        };
        if outbound.seeks().is_none() {
            self.stop_seeking(session);
            return true;
        }
        let is_lost = outbound.is_lost();
        let until = *seeker.until.get_or_insert_with(|| Deadline::after(seeker.patience));
        // An inbox that is shared cannot be had anew: nobody could answer there.
        let is_deaf = is_lost && seeker.own.is_none() && !self.mailbox.is_named();
        if until.has_passed() || is_deaf {
            self.core.give_up(session); // RSM-3
            self.remove_peer(session);
            return true;
        }
        if !seeker.next_look.has_passed() {
            return false;
        }
        let tick = if is_lost { APPEAR_TICK } else { GREETING_TICK };
        seeker.next_look = Deadline::after(tick).min(until);
        if !is_lost {
            let is_gone = self.is_gone(session);
            if is_gone {
                self.bury(session);
            }
            return is_gone;
        }
        let name = seeker.receiver.clone();
        match self.link.open(&name) {
            Ok(outbox) => match self.greet_next(session, outbox) {
                Ok(()) => return true,
                Err(error) => {
                    self.reports.add(move || {
                        tracing::warn!(target: "lamq", %name, %error, "the next receiver cannot be greeted, it is tried again");
                    });
                }
            },
            Err(OpenError::Absent) => {}
            Err(OpenError::Limit(limit)) => {
                self.reports.add(move || {
                    tracing::warn!(target: "lamq", %name, %limit, "the next receiver cannot be greeted, it is tried again");
                });
            }
            Err(error) => self.reports.add(move || tracing::debug!(target: "lamq", %name, %error, "no receiver yet")),
        }
        false
    }

    fn greet_next(&mut self, session: SessionId, outbox: Box<dyn Outbox>) -> Result<(), BindError> {
        let Some(seeker) = self.seekers.get(&session) else { return Ok(()) };
        let (name, own, mut connect) = (seeker.receiver.clone(), seeker.own, seeker.connect.clone());
        let system = |source: io::Error| BindError::system(&name, source);
        let reply_session = random::session().map_err(system)?;
        if let Some((owner, geometry)) = own.filter(|_| !self.mailbox.is_named()) {
            self.mailbox = Mailbox::bind_own(&*self.link, owner, geometry)?;
        }
        self.assure_name();
        let destination = outbox.destination();
        (connect.settings.frame_size, connect.uid) = (destination.geometry().frame_size, destination.user());
        connect.to = destination.owner().epoch_low;
        connect.inbox = self.mailbox.name().as_str().as_bytes().to_vec();
        let pid = destination.owner().pid;
        let receiver = name.clone();
        self.reports.add(move || tracing::debug!(target: "lamq", name = %receiver, pid, "greets the next receiver"));
        self.add_peer(session, outbox).map_err(system)?;
        self.core.resume(session, reply_session, connect);
        Ok(())
    }

    /// The next receiver has welcomed us, or it is all over.
    fn stop_seeking(&mut self, session: SessionId) {
        let is_over = self.core.outbound(session).is_none_or(|outbound| outbound.ended().is_some());
        let Some(seeker) = self.seekers.get_mut(&session) else { return };
        (seeker.until, seeker.next_look) = (None, Deadline::Now);
        if !is_over {
            seeker.found += 1;
            let name = seeker.receiver.clone();
            self.reports.add(move || tracing::info!(target: "lamq", %name, "goes on with the next receiver"));
        }
        // POS-10
        if seeker.own.is_some()
            && self.mailbox.is_named()
            && let Err(error) = self.mailbox.unlink()
        {
            self.reports.add(move || {
                tracing::warn!(target: "lamq", %error, "cannot remove the queue");
            });
        }
    }
}

//! Inboxes whose name was removed by somebody else: who has them open goes on, and newcomers find another one.

use super::{Mailbox, Part, State};
use crate::{
    clock::Deadline,
    error::{BindError, OpenError},
    name::QueueName,
};
use lamq_protocol::SessionId;
use nix::sys::epoll::{EpollEvent, EpollFlags};
use std::{collections::BTreeSet, time::Duration};

/// Mark of these inboxes among the sessions in the epoll. There is nothing to do for it: each step reads them.
pub(super) const ORPHAN: u64 = u64::MAX - 1;

/// How often to try to have the name again: somebody else may have it, or a limit may be hit.
const NAME_TICK: Duration = Duration::from_secs(1);

/// How many there may be at a time; each takes of the bytes of the user.
const MAX_ORPHANS: usize = 4;

/// An inbox without a name.
#[derive(Debug)]
pub(super) struct Orphan {
    pub(super) mailbox: Mailbox,
    /// Those who send to it.
    pub(super) sessions: BTreeSet<SessionId>,
}

impl State {
    /// Makes the inbox anew if its name is gone. Returns whether it did.
    pub(super) fn recover_name(&mut self) -> bool {
        // What is closed gives its name up, also if it could not remove it.
        let is_wanted = self.part != Part::Closed && self.mailbox.is_named();
        let is_lost = is_wanted && self.mailbox.with_inbox(|inbox| inbox.is_lost()).unwrap_or(false);
        if !is_lost {
            self.next_name = None;
            return false;
        }
        if self.next_name.is_some_and(|at| !at.has_passed()) {
            return false;
        }
        let is_first = self.next_name.replace(Deadline::after(NAME_TICK)).is_none();
        let name = self.mailbox.name().clone();
        if self.orphans.len() == MAX_ORPHANS {
            if is_first {
                self.reports.add(move || {
                    tracing::warn!(target: "lamq", %name, "the queue was removed too often; no more senders can come until some have left");
                });
            }
            return false;
        }
        match self.bind_again(&name).and_then(|mailbox| self.replace_inbox(mailbox)) {
            Ok(()) => {
                self.reports.add(move || {
                    tracing::warn!(target: "lamq", %name, "somebody removed the queue; there is a new one for newcomers");
                });
                true
            }
            Err(error) => {
                if is_first {
                    self.reports.add(move || {
                        tracing::warn!(target: "lamq", %name, %error, "somebody removed the queue, and no new one can be made; it is tried again");
                    });
                }
                false
            }
        }
    }

    /// Makes an inbox of this name. To bind is to wait a while for one that somebody holds whose process cannot be seen: that would be under
    /// the lock, so it is looked for before.
    fn bind_again(&self, name: &QueueName) -> Result<Mailbox, BindError> {
        let name = name.clone();
        match self.link.open(&name) {
            Ok(other) => return Err(BindError::InUse { name, pid: other.destination().owner().pid }),
            Err(OpenError::Invisible { pid }) => return Err(BindError::HeldByChild { name, pid }),
            Err(OpenError::Untrusted(why)) => return Err(BindError::Untrusted { name, why }),
            Err(OpenError::Absent | OpenError::Limit(_) | OpenError::System(_)) => {}
        }
        let (owner, geometry) = self.inbox_identity();
        let inbox = self.link.bind(&name, owner, geometry)?;
        Mailbox::new(name, inbox)
    }

    /// Takes another inbox for newcomers (POS-13), and keeps this one for the sessions that there are (POS-12).
    fn replace_inbox(&mut self, mailbox: Mailbox) -> Result<(), BindError> {
        let added = self.epoll.add(&**self.mailbox.entrance(), EpollEvent::new(EpollFlags::EPOLLIN, ORPHAN));
        added.map_err(|error| BindError::system(mailbox.name(), error.into()))?;
        self.next_name = None;
        let mailbox = std::mem::replace(&mut self.mailbox, mailbox);
        self.keep_name();
        // Those who had found one before this send there.
        let elsewhere = |session: &&SessionId| self.orphans.iter().any(|orphan| orphan.sessions.contains(session));
        let sessions = self.peers.keys().filter(|session| !elsewhere(session)).copied().collect();
        self.orphans.push(Orphan { mailbox, sessions });
        Ok(())
    }

    /// A session is over.
    pub(super) fn leave_orphans(&mut self, session: SessionId) {
        for orphan in &mut self.orphans {
            orphan.sessions.remove(&session);
        }
    }

    /// Gives up those that nobody sends to any more. A greeting that lies there is of somebody who will see that its owner is gone.
    pub(super) fn end_orphans(&mut self) {
        if self.unanswered.iter().any(|(_, is_orphans)| *is_orphans) {
            return; // they are still to be told that they may send there
        }
        if self.orphans.iter().any(|orphan| orphan.sessions.is_empty()) {
            self.drain();
            let epoll = &self.epoll;
            self.orphans.retain(|orphan| {
                let is_used = !orphan.sessions.is_empty();
                if !is_used {
                    _ = epoll.delete(&**orphan.mailbox.entrance());
                }
                is_used
            });
        }
    }
}

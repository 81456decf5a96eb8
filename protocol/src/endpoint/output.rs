//! What the endpoint has to say.

use super::{Endpoint, incoming::Incoming};
use crate::{
    number::{Number, SessionId},
    recv::Pace,
    session::LinkFn,
    wire::Priority,
};
use std::collections::VecDeque;

impl<B: AsRef<[u8]> + Clone + From<Vec<u8>>> Endpoint<B> {
    /// Offers all frames that are due to `link`, which returns `false` when there is no room for one now. With `idle` an
    /// acknowledgement is due as soon as it says anything new: the application finds nothing more to read (ACK-3), or
    /// does not call in (CAL-6). Returns the sessions whose link had no room.
    pub fn transmit(&mut self, idle: bool, link: &mut dyn FnMut(SessionId, Priority, &[u8]) -> bool) -> Vec<SessionId> {
        let mut blocked = Vec::new();
        self.grant_large();
        self.share = match self.inbound.len() {
            0 => 0,
            1 => self.share_of(1),
            _ => self.share_of(self.active_sessions()),
        };
        self.fresh = false;
        let mut place = 0;
        while let Some(session) = self.touched.at(place) {
            let (left, stays) = self.transmit_in(session, idle, &mut |priority, frame| link(session, priority, frame));
            if !left {
                blocked.push(session);
            }
            if left && !stays {
                self.touched.remove(session);
            } else {
                place += 1;
            }
        }
        blocked
    }

    /// Offers what is due in one session. Returns whether all of that has left, and whether there is more to say when idle.
    fn transmit_in(&mut self, session: SessionId, idle: bool, link: &mut LinkFn<'_>) -> (bool, bool) {
        let Self { inbound, outbound, clock, handed, ended, share, .. } = self;
        let (incoming, mut outgoing) = (inbound.get_mut(&session), outbound.get_mut(&session));
        let (mut left, mut stays, mut receives, mut is_over) = (true, false, false, false);
        if let Some(incoming) = incoming {
            let mut due = incoming.session.due(*share);
            if let (Some(news), Some(outgoing)) = (due, &mut outgoing)
                && incoming.session.can_be_carried()
                && outgoing.transmit_with(&news.acknowledgement, clock, link)
            {
                incoming.session.window_mut().told(news.acknowledgement); // ACK-11
                due = None;
            }
            let now = due.and_then(|due| due.at(pace(session, incoming, handed, idle)));
            left = incoming.session.transmit(clock, now, link);
            is_over = incoming.session.is_finished();
            receives = !is_over;
            stays = receives && due.is_some() && now.is_none();
            if is_over {
                inbound.remove(&session);
            }
        }
        if let Some(outgoing) = outgoing {
            if left {
                left = outgoing.transmit(clock, link); // DPX-4: behind the welcome
            }
            is_over = !receives && outgoing.tell_end();
        }
        if is_over {
            ended.push_back(session);
        }
        (left, stays)
    }

    /// The application waits for something other than a message, and will send nothing back before that has come: what was to go with it does
    /// not wait (ACK-12).
    pub fn expect_no_answer(&mut self) {
        let Self { handed, inbound, touched, fresh, .. } = self;
        for (session, ..) in &*handed {
            if let Some(incoming) = inbound.get_mut(session).filter(|incoming| incoming.expects_answer()) {
                incoming.answers = false;
                touched.insert(*session);
                *fresh = true;
            }
        }
    }

    /// A frame of this session came, or was read to its end. Most often that makes nothing due, and a transmit would cost more than to
    /// know it.
    pub(super) fn touch_if_urgent(&mut self, session: SessionId) {
        self.touched.insert(session);
        let Some(incoming) = self.inbound.get(&session) else { return };
        let pace = || pace(session, incoming, &self.handed, false);
        // LRG-2: what was read may have made room for what others have asked for.
        self.fresh = self.fresh || !self.asking.is_empty() || incoming.session.is_urgent(self.share, pace());
    }

    /// The link of this session has room again.
    pub fn retry(&mut self, session: SessionId) {
        self.touch(session);
    }

    /// Whether something happened since the last [`transmit`](Self::transmit) that may have made a frame due.
    pub const fn wants_transmit(&self) -> bool {
        self.fresh
    }

    /// Whether a transmit while idle may have something to offer.
    pub fn wants_idle_transmit(&self) -> bool {
        !self.touched.is_empty()
    }

    /// A session that needs its link no more. One in which we received is gone; one in which we sent is kept, so that its
    /// end can be asked for, until [`forget`](Self::forget).
    pub fn poll_ended(&mut self) -> Option<SessionId> {
        self.ended.pop_front()
    }
}

/// What the application is about, as this session sees it.
pub(super) fn pace<B: AsRef<[u8]> + Clone + From<Vec<u8>>>(
    session: SessionId,
    incoming: &Incoming<B>,
    handed: &VecDeque<(SessionId, Number, Number)>,
    idle: bool,
) -> Pace {
    if idle {
        Pace::Idle
    } else if incoming.expects_answer() && handed.iter().any(|(of, ..)| *of == session) {
        Pace::Answering
    } else {
        Pace::Reading
    }
}

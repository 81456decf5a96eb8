//! What the endpoint has to say.

use super::{Endpoint, incoming::Incoming};
use crate::{number::SessionId, recv::Pace, session::LinkFn, wire::Priority};
use core::ops::Bound;

impl<B: AsRef<[u8]> + Clone + From<Vec<u8>>> Endpoint<B> {
    /// Offers all frames that are due to `link`, which returns `false` when there is no room for one now. With `idle` an
    /// acknowledgement is due as soon as it says anything new: the application finds nothing more to read (ACK-3), or
    /// does not call in (CAL-6). Returns the sessions whose link had no room.
    pub fn transmit(&mut self, idle: bool, link: &mut dyn FnMut(SessionId, Priority, &[u8]) -> bool) -> Vec<SessionId> {
        let mut blocked = Vec::new();
        self.grant_large();
        let share = if self.inbound.is_empty() { 0 } else { self.share(self.active_sessions()) };
        self.fresh = false;
        let mut from = Bound::Unbounded;
        // One by one: a set that is taken as a whole needs new memory for the next session that is touched.
        while let Some(&session) = self.touched.range((from, Bound::Unbounded)).next() {
            from = Bound::Excluded(session);
            let (left, stays) =
                self.transmit_in(session, share, idle, &mut |priority, frame| link(session, priority, frame));
            if !left {
                blocked.push(session);
            } else if !stays {
                self.touched.remove(&session);
            }
        }
        blocked
    }

    /// Offers what is due in one session. Returns whether all of that has left, and whether there is more to say when idle.
    fn transmit_in(&mut self, session: SessionId, share: u64, idle: bool, link: &mut LinkFn<'_>) -> (bool, bool) {
        let pace = self.pace(session, idle);
        self.carry(session, share, link);
        let (mut left, mut stays, mut is_over) = (true, false, false);
        if let Some(Incoming { session: inbound, .. }) = self.inbound.get_mut(&session) {
            left = inbound.transmit(&self.clock, share, pace, link);
            is_over = inbound.is_finished();
            stays = !is_over && inbound.due(share, Pace::Idle).is_some();
        }
        if is_over {
            self.inbound.remove(&session);
        }
        if let Some(outbound) = self.outbound.get_mut(&session) {
            if left {
                left = outbound.transmit(&self.clock, link); // DPX-4: behind the welcome
            }
            is_over = !self.inbound.contains_key(&session) && outbound.tell_end();
        }
        if is_over {
            self.ended.push_back(session);
        }
        (left, stays)
    }

    /// What is to be acknowledged travels with the next data frame, if one is about to leave (ACK-11).
    fn carry(&mut self, session: SessionId, share: u64, link: &mut LinkFn<'_>) {
        let (Some(incoming), Some(outbound)) = (self.inbound.get_mut(&session), self.outbound.get_mut(&session)) else {
            return;
        };
        if outbound.is_open()
            && outbound.window().has_waiting()
            && let Some(acknowledgement) = incoming.session.portable(&self.clock, share)
            && outbound.transmit_with(&acknowledgement.frame, &mut self.carrier, link)
        {
            incoming.session.carried(&acknowledgement);
        }
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

    /// What the application is about, as this session sees it.
    fn pace(&self, session: SessionId, idle: bool) -> Pace {
        let answers = || {
            let is_at_work = self.handed.iter().any(|(of, ..)| *of == session);
            is_at_work && self.inbound.get(&session).is_some_and(Incoming::expects_answer)
        };
        if idle {
            Pace::Idle
        } else if answers() {
            Pace::Answering
        } else {
            Pace::Reading
        }
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

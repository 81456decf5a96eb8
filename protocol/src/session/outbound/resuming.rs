//! Going on with the next incarnation of the receiver.

use super::{Ended, Outbound, SendState};
use crate::wire::Greeting;

impl Outbound {
    /// Whether the receiver is gone and the next one has not been found.
    pub const fn is_lost(&self) -> bool {
        matches!(self.state, SendState::Lost { .. })
    }

    /// Why the receiver was lost, as long as no other has welcomed us.
    pub const fn seeks(&self) -> Option<Ended> {
        if self.ended().is_some() { None } else { self.lost }
    }

    /// The next receiver was found, and is to be greeted (RSM-1).
    pub(crate) fn resume(&mut self, mut greeting: Greeting, frame_size: usize, uid: u32) {
        let SendState::Lost { closing } = self.state else { return };
        greeting.first = self.window.settled_for_good().next();
        greeting.exposed = self.window.exposed();
        self.greeting = Some(greeting);
        self.uid = uid;
        self.window.refit(frame_size);
        self.state = if closing {
            SendState::Closing { queued: false, greeted: false }
        } else {
            SendState::Greeting { sent: false }
        };
        self.end_told = false;
    }

    /// No other receiver has welcomed us (RSM-3).
    pub(crate) fn give_up(&mut self) {
        if let Some(why) = self.seeks() {
            self.state = SendState::Ended(why);
        }
    }

    /// Nobody will look for another receiver, now or later.
    pub(crate) fn stop_resuming(&mut self) {
        self.window.stop_resuming();
        self.give_up();
    }

    /// Whether nothing is left to say but that it is over.
    pub(super) fn is_done(&self) -> bool {
        self.window.settled() == self.window.accepted() && !self.window.owes_gap()
    }

    /// The receiver is gone. Returns whether the session can go on with another (RSM-4).
    pub(super) fn lose(&mut self, why: Ended) -> bool {
        let closing = matches!(self.state, SendState::Closing { .. });
        if !self.window.resumes() || self.receiver.is_none() || self.ended().is_some() {
            return false;
        }
        if closing && self.is_done() {
            return false; // there is nothing to go on with
        }
        self.lost = self.lost.or(Some(why));
        if !self.is_lost() {
            self.window.rewind();
            self.data_session = None;
            self.state = SendState::Lost { closing };
        }
        true
    }
}

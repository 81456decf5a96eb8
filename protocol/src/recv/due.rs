//! When to acknowledge, and what to grant.

use super::RecvWindow;
use crate::{
    number::{FrameNumber, Level, Number},
    wire::Acknowledgement,
};

/// What the application is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pace {
    /// It has got a message, and sends something back before it asks for another, as a rule (ACK-12).
    Answering,
    /// It reads.
    Reading,
    /// It finds nothing more to read (ACK-3), or does not call in (CAL-6).
    Idle,
}

/// An acknowledgement that says something new, and how long that can wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// All there is to say.
    pub acknowledgement: Acknowledgement,
    /// The first pace, in their order, at which it is not put off.
    pub pace: Pace,
}

impl Due {
    /// What is to be said at this pace.
    pub fn at(self, pace: Pace) -> Option<Acknowledgement> {
        (self.pace <= pace).then_some(self.acknowledgement)
    }
}

impl RecvWindow {
    /// The acknowledgement that is due, if any, where `share` is this session's part of the inbox (CRD-3).
    pub fn due(&self, share: u64) -> Option<Due> {
        let new = self.current(share);
        let pace = if self.is_urgent(share, Pace::Answering) {
            Pace::Answering
        } else if self.owes_answer() {
            Pace::Reading // ACK-4
        } else if self.is_news(&new) {
            Pace::Idle
        } else {
            return None;
        };
        Some(Due { acknowledgement: new, pace })
    }

    /// Whether one is due that is not put off at a pace, short of [`Pace::Idle`].
    pub fn is_urgent(&self, share: u64, pace: Pace) -> bool {
        let half = |window: u64| (window / 2).max(1);
        // ACK-2
        let used = self.frames_received - self.used_when_told.0 >= half(share)
            || self.bytes_received - self.used_when_told.1 >= half(self.window);
        let given_back = self.frame_credit(share) - self.told.frame_credit >= half(share)
            || self.byte_credit() - self.told.byte_credit >= half(self.window);
        // LRG-4
        let asked = self.question > self.told.answered || self.granted > self.told.byte_credit;
        let owes = if pace == Pace::Answering { self.owes_delivery() } else { self.owes_answer() }; // ACK-12
        owes || self.early_news || asked || used || given_back
    }

    /// Whether it says what the sender waits for or can use (ACK-3): not if all that is new is a level that it did not ask for.
    fn is_news(&self, new: &Acknowledgement) -> bool {
        let processed = if self.level == Level::Processed { new.processed } else { self.told.processed };
        Acknowledgement { processed, ..*new } != self.told
    }

    /// Whether a number that the sender asked about has come to the session's level (ACK-4) or was delivered while it waits for
    /// that (ACK-8), and the sender was not told.
    pub fn owes_answer(&self) -> bool {
        let come = match self.level {
            Level::Received => self.received,
            Level::Delivered => self.delivered,
            Level::Processed => self.processed(),
        };
        is_owed(self.solicited, come) || self.owes_delivery()
    }

    /// Whether a number was delivered while the sender waits for that, and it was not told (ACK-8).
    fn owes_delivery(&self) -> bool {
        is_owed(self.awaited, self.delivered)
    }

    /// The acknowledgement that says all there is to say (ACK-1).
    pub fn current(&self, share: u64) -> Acknowledgement {
        Acknowledgement {
            frames: FrameNumber::new(self.frames_received),
            early: self.early,
            answered: self.question,
            received: self.received,
            delivered: self.delivered,
            processed: self.processed(),
            frame_credit: self.frame_credit(share),
            byte_credit: self.byte_credit(),
        }
    }

    /// Grants are absolute and never taken back (CRD-3).
    fn frame_credit(&self, share: u64) -> u64 {
        // LIM-2: what the messages lack in bytes they must not make up in frames.
        let unread = self.frames_delivered.saturating_add(self.unread_frames);
        self.frames_received.min(unread).saturating_add(share).max(self.told.frame_credit)
    }

    /// The same in bytes (CRD-4).
    fn byte_credit(&self) -> u64 {
        self.bytes_delivered.saturating_add(self.window).max(self.granted).max(self.told.byte_credit)
    }

    /// The link took this acknowledgement (or the welcome with this credit).
    pub fn told(&mut self, acknowledgement: Acknowledgement) {
        self.told = acknowledgement;
        self.used_when_told = (self.frames_received, self.bytes_received);
        self.early_news = false;
        self.solicited.0 = self.solicited.0.max(acknowledgement.at(self.level).next());
        self.awaited.0 = self.awaited.0.max(acknowledgement.delivered.next());
    }
}

/// Whether one of these numbers has come.
fn is_owed((first, last): (Number, Number), come: Number) -> bool {
    first <= last && come >= first
}

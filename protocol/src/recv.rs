//! The receiving side of a stream: what was received, delivered and processed, and what to grant.
//!
//! Version 1 runs over links that neither lose nor reorder, so there is nothing to reorder here: a frame is the next one,
//! a duplicate, or a violation (DAT-3, DAT-4).

use crate::{
    number::{Level, Number},
    wire::{Acknowledgement, DataFrame, EndReason},
};

/// What is to be done with a data frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The next one: deliver its records.
    Deliver,
    /// Seen before: drop it (DAT-3).
    Duplicate,
}

/// Counts what came, and decides when to acknowledge and how much to grant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecvWindow {
    level: Level,
    /// The byte window (CRD-4), which bounds what is held for the session (LIM-2).
    window: u64,
    /// What the sender was told last.
    told: Acknowledgement,
    received: Number,
    delivered: Number,
    processed: Number,
    frames_received: u64,
    bytes_received: u64,
    bytes_delivered: u64,
    /// Frames of which every record was handed to the application.
    frames_delivered: u64,
    /// `frames_received` and `bytes_received` when the sender was told last (ACK-2).
    used_when_told: (u64, u64),
    /// The first and the last number that the sender asks about and was not told of (ACK-4); none if the first is larger.
    /// Of three questions the middle one is forgotten, and every number in between counts as asked about.
    solicited: (Number, Number),
    /// The same for deliveries that the sender waits for (ACK-8).
    awaited: (Number, Number),
}

/// How many bytes of the byte window stand for one frame that is held, however short it is (LIM-2).
const BYTES_FOR_A_FRAME: u64 = 512;

/// No number is asked about.
const NOTHING: (Number, Number) = (Number::NONE.next(), Number::NONE);

/// Asks about one more number.
fn ask(about: &mut (Number, Number), number: Number) {
    let (first, last) = *about;
    *about = (if first > last { number } else { first }, number);
}

impl RecvWindow {
    /// A window that has granted nothing yet.
    pub fn new(level: Level, window: u64) -> Self {
        Self {
            level,
            window,
            told: Acknowledgement::default(),
            received: Number::NONE,
            delivered: Number::NONE,
            processed: Number::NONE,
            frames_received: 0,
            bytes_received: 0,
            bytes_delivered: 0,
            frames_delivered: 0,
            used_when_told: (0, 0),
            solicited: NOTHING,
            awaited: NOTHING,
        }
    }

    /// A data frame arrived.
    ///
    /// # Errors
    /// The violation that ends the session (DAT-4, CRD-5).
    pub fn receive<B: AsRef<[u8]>>(&mut self, frame: &DataFrame<B>) -> Result<Verdict, EndReason> {
        if frame.last() <= self.received {
            return Ok(Verdict::Duplicate);
        }
        if frame.first() != self.received.next() {
            return Err(EndReason::Gap);
        }
        let frames = self.frames_received + 1;
        let bytes = self.bytes_received + u64::from(frame.body_bytes());
        if frames > self.told.frame_credit || bytes > self.told.byte_credit {
            return Err(EndReason::Credit);
        }
        self.frames_received = frames;
        self.bytes_received = bytes;
        self.received = frame.last();
        if frame.solicits() {
            ask(&mut self.solicited, frame.last());
        }
        if frame.awaits() {
            ask(&mut self.awaited, frame.last());
        }
        Ok(Verdict::Deliver)
    }

    /// The next message, of `length` bytes, is handed to the application.
    pub fn deliver(&mut self, length: u64) {
        self.delivered = self.delivered.next();
        self.bytes_delivered += length;
        debug_assert!(self.delivered <= self.received, "ACK-1");
    }

    /// Every record of the oldest frame was handed to the application: the frame is no longer held.
    pub fn release_frame(&mut self) {
        self.frames_delivered += 1;
    }

    /// The application is done with all it was handed.
    pub fn process(&mut self) {
        self.processed = self.delivered;
    }

    /// The last number received.
    pub const fn received(&self) -> Number {
        self.received
    }

    /// The last number handed to the application.
    pub const fn delivered(&self) -> Number {
        self.delivered
    }

    /// Whether the application is done with all that was received.
    pub fn is_drained(&self) -> bool {
        self.processed == self.received
    }

    /// Whether the sender knows all there is to know, new credit aside.
    pub fn is_settled(&self) -> bool {
        let Acknowledgement { received, delivered, processed, .. } = self.told;
        (received, delivered, processed) == (self.received, self.delivered, self.processed) && self.is_drained()
    }

    /// The acknowledgement that is due now, if any, where `share` is this session's part of the inbox (CRD-3) and `idle`
    /// says that there is nothing more to deliver (ACK-3).
    pub fn due(&self, share: u64, idle: bool) -> Option<Acknowledgement> {
        let new = self.current(share);
        let half = |window: u64| (window / 2).max(1);
        // ACK-2
        let used = self.frames_received - self.used_when_told.0 >= half(share)
            || self.bytes_received - self.used_when_told.1 >= half(self.window);
        let given_back = new.frame_credit - self.told.frame_credit >= half(share)
            || new.byte_credit - self.told.byte_credit >= half(self.window);
        let news = new != self.told;
        (self.owes_answer() || used || given_back || (idle && news)).then_some(new)
    }

    /// Whether a number that the sender asked about has come to the session's level (ACK-4) or was delivered while it waits for
    /// that (ACK-8), and the sender was not told.
    pub fn owes_answer(&self) -> bool {
        let owed = |(first, last), come| first <= last && come >= first;
        owed(self.solicited, self.current(0).at(self.level)) || owed(self.awaited, self.delivered)
    }

    /// The acknowledgement that says all there is to say (ACK-1). Grants are absolute and never taken back (CRD-3, CRD-4).
    pub fn current(&self, share: u64) -> Acknowledgement {
        // LIM-2: what the messages lack in bytes they must not make up in frames.
        let unread = self.frames_delivered.saturating_add(self.window / BYTES_FOR_A_FRAME);
        let frames = self.frames_received.min(unread).saturating_add(share);
        Acknowledgement {
            received: self.received,
            delivered: self.delivered,
            processed: self.processed,
            frame_credit: self.told.frame_credit.max(frames),
            byte_credit: self.told.byte_credit.max(self.bytes_delivered.saturating_add(self.window)),
        }
    }

    /// The link took this acknowledgement (or the welcome with this credit).
    pub fn told(&mut self, acknowledgement: Acknowledgement) {
        self.told = acknowledgement;
        self.used_when_told = (self.frames_received, self.bytes_received);
        self.solicited.0 = self.solicited.0.max(acknowledgement.at(self.level).next());
        self.awaited.0 = self.awaited.0.max(acknowledgement.delivered.next());
    }
}

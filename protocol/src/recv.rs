//! The receiving side of a stream: what was received, delivered and processed, and what to grant.
//!
//! A frame is the next one, or came before, or is early: then it waits, elsewhere, until those before it have come.

use crate::{
    number::{FrameNumber, Level, Number},
    wire::{Acknowledgement, Ask, DataFrame, EARLY_FRAMES, EndReason},
};

mod due;
mod unprocessed;

pub use due::{Due, Pace};
use unprocessed::Unprocessed;

/// What is to be done with a data frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The next one: it is to be taken by [`RecvWindow::take`] or [`RecvWindow::take_close`].
    Next,
    /// Others are missing before it: keep it (RTX-3).
    Early,
    /// Seen before: drop it (DAT-3).
    Duplicate,
    /// More frames are missing before it than can be told: drop it, it will come again.
    TooEarly,
}

/// Counts what came, and decides when to acknowledge and how much to grant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecvWindow {
    level: Level,
    /// The byte window (CRD-4), which bounds what is held for the session (LIM-2).
    window: u64,
    /// How many frames may be held of which the application has not got everything.
    unread_frames: u64,
    /// What the sender was told last.
    told: Acknowledgement,
    received: Number,
    delivered: Number,
    unprocessed: Unprocessed,
    /// Whether the last frame ended within the message after `received`.
    inside: bool,
    /// How many messages were received and not handed out.
    unread: u64,
    frames_received: u64,
    /// Early frames, as in an acknowledgement, and whether one came since the sender was told.
    early: u64,
    early_news: bool,
    /// The close has been taken: no further frame follows.
    closed: bool,
    /// The latest question.
    question: u64,
    /// How much credit the sender has given back unused; it counts as delivered.
    given_back: u64,
    /// The byte credit that the sender asked for, and what of it was granted beyond the window.
    wanted: u64,
    granted: u64,
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
            unread_frames: window / BYTES_FOR_A_FRAME,
            told: Acknowledgement::default(),
            received: Number::NONE,
            delivered: Number::NONE,
            unprocessed: Unprocessed::default(),
            inside: false,
            unread: 0,
            frames_received: 0,
            early: 0,
            early_news: false,
            closed: false,
            question: 0,
            given_back: 0,
            wanted: 0,
            granted: 0,
            bytes_received: 0,
            bytes_delivered: 0,
            frames_delivered: 0,
            used_when_told: (0, 0),
            solicited: NOTHING,
            awaited: NOTHING,
        }
    }

    /// The same without capacity: nothing may be held (RDV-1).
    #[must_use]
    pub fn without_capacity(self) -> Self {
        Self { unread_frames: 0, ..self }
    }

    /// The stream begins at this number: all before is settled (RSM-2).
    pub fn start_at(&mut self, first: Number) {
        let base = first.before();
        (self.received, self.delivered) = (base, base);
        self.told = Acknowledgement { received: base, delivered: base, processed: base, ..self.told };
    }

    /// A frame that has a place among the others arrived, a data frame or a close.
    ///
    /// # Errors
    /// The violation that ends the session (CRD-5).
    pub fn arrive(&mut self, frame: FrameNumber, is_close: bool) -> Result<Verdict, EndReason> {
        let Some(ahead) = frame.get().checked_sub(self.frames_received + 1) else { return Ok(Verdict::Duplicate) };
        if !is_close && frame.get() > self.told.frame_credit {
            return Err(EndReason::Credit);
        }
        if ahead == 0 {
            return Ok(Verdict::Next);
        }
        if ahead > EARLY_FRAMES {
            return Ok(Verdict::TooEarly);
        }
        let bit = 1 << (ahead - 1);
        if self.early & bit != 0 {
            return Ok(Verdict::Duplicate);
        }
        self.early |= bit;
        self.early_news = true; // RTX-3
        Ok(Verdict::Early)
    }

    /// Whether this data frame is the next one, and there is credit for it.
    pub(crate) const fn expects(&self, frame: FrameNumber) -> bool {
        frame.get() == self.frames_received + 1 && frame.get() <= self.told.frame_credit
    }

    /// Takes the data frame that is next.
    ///
    /// # Errors
    /// The violation that ends the session (DAT-4, CRD-5).
    pub fn take<B: AsRef<[u8]>>(&mut self, frame: &DataFrame<B>) -> Result<(), EndReason> {
        if self.closed || frame.starts_inside() != self.inside || frame.first() != self.received.next() {
            return Err(EndReason::Sequence);
        }
        let bytes = self.bytes_received + u64::from(frame.body_bytes());
        if bytes > self.told.byte_credit {
            return Err(EndReason::Credit);
        }
        self.advance();
        self.bytes_received = bytes;
        self.received = frame.last_whole();
        self.inside = frame.ends_inside();
        self.unread += u64::from(frame.messages());
        if frame.solicits() {
            ask(&mut self.solicited, frame.last());
        }
        if frame.awaits() {
            ask(&mut self.awaited, frame.last());
        }
        Ok(())
    }

    /// Takes the close that is next, behind message `last`.
    ///
    /// # Errors
    /// The violation that it is (CLO-3).
    pub fn take_close(&mut self, last: Number) -> Result<(), EndReason> {
        if self.closed || self.inside || last != self.received {
            return Err(EndReason::Final);
        }
        self.advance();
        self.closed = true;
        Ok(())
    }

    fn advance(&mut self) {
        self.frames_received += 1;
        self.early >>= 1;
    }

    /// The number of the frame that is next.
    pub const fn expected(&self) -> FrameNumber {
        FrameNumber::new(self.frames_received + 1)
    }

    /// The sender asks where we stand, and perhaps for credit, or gives some back. Returns whether this is the latest question so far.
    /// An honest sender wants no more than it was granted and one message of at most `max_message` bytes; for more, those who
    /// ask after it would wait for ever.
    ///
    /// # Errors
    /// The violation that it is to give back more than was granted (LRG-6).
    pub fn handle_ask(&mut self, ask: Ask, max_message: u64) -> Result<bool, EndReason> {
        if ask.question <= self.question {
            return Ok(false);
        }
        let more = ask.given_back.checked_sub(self.given_back).ok_or(EndReason::Credit)?;
        let received = self.bytes_received.saturating_add(more);
        if received > self.told.byte_credit {
            return Err(EndReason::Credit);
        }
        (self.bytes_received, self.bytes_delivered) = (received, self.bytes_delivered + more);
        (self.question, self.given_back) = (ask.question, ask.given_back);
        self.wanted = ask.bytes.min(self.told.byte_credit.saturating_add(max_message));
        Ok(true)
    }

    /// How many bytes more than the window would have to be held to grant what the sender asked for, where no message is longer
    /// than `max_message`. `None` if it asked for nothing, or for more than can be granted before the application reads on.
    pub fn excess_wanted(&self, max_message: u64) -> Option<u64> {
        let excess = self.wanted.saturating_sub(self.bytes_delivered.saturating_add(self.window));
        (self.wants() && excess <= max_message).then_some(excess)
    }

    /// Whether the sender has asked for credit that it was not granted.
    pub fn wants(&self) -> bool {
        self.wanted > self.told.byte_credit.max(self.granted)
    }

    /// How many bytes more than the window may have to be held because they were granted.
    pub fn excess_granted(&self) -> u64 {
        self.granted.saturating_sub(self.bytes_delivered.saturating_add(self.window))
    }

    /// Grants what the sender asked for, `excess` bytes beyond its window (LRG-2).
    pub fn grant(&mut self, excess: u64) {
        self.granted = self.granted.max(self.bytes_delivered.saturating_add(self.window).saturating_add(excess));
    }

    /// No further frame will be taken, and `lost` bytes of those received will never be handed out: what was granted beyond the
    /// others is there for somebody else (LRG-2).
    pub fn end_grant(&mut self, lost: u64) {
        self.granted = self.granted.min(self.bytes_received - lost);
    }

    /// Message `number`, of `length` bytes, is handed to the application.
    pub fn deliver(&mut self, number: Number, length: u64) {
        self.skip(number);
        self.unprocessed.push(number, number);
        self.unread -= 1;
        self.bytes_delivered += length;
    }

    /// So many messages up to `last`, of `bytes` together, were handed to the application, which is done with all before
    /// `unprocessed`.
    pub fn deliver_run(&mut self, unprocessed: Number, last: Number, messages: u64, bytes: u64) {
        self.skip(last);
        self.unprocessed.push(unprocessed, last);
        self.unread -= messages;
        self.bytes_delivered += bytes;
    }

    /// The application is told that there is no message up to `number`, or handed one.
    pub fn skip(&mut self, number: Number) {
        debug_assert!(self.delivered < number && number <= self.received, "ACK-1");
        self.delivered = number;
    }

    /// How many messages were received and not handed out; gaps are none.
    pub const fn unread(&self) -> u64 {
        self.unread
    }

    /// Every record of the oldest frame was handed to the application: the frame is no longer held.
    pub fn release_frame(&mut self) {
        self.frames_delivered += 1;
    }

    /// The application is done with all it was handed.
    pub fn process_all(&mut self) {
        self.unprocessed.clear();
    }

    /// The application is done with these messages, whatever it does with those before.
    pub fn process(&mut self, first: Number, last: Number) {
        self.unprocessed.remove(first, last);
    }

    /// The last number up to which the application is done with every message (ACK-9).
    pub fn processed(&self) -> Number {
        self.unprocessed.first().map_or(self.delivered, Number::before)
    }

    /// How many bytes may still come without a further grant.
    pub const fn granted_bytes(&self) -> u64 {
        self.told.byte_credit.saturating_sub(self.bytes_received)
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
        self.processed() == self.received
    }

    /// Whether the sender knows that all is received, and has come to its level.
    pub fn is_settled(&self) -> bool {
        self.told.received == self.received && self.told.at(self.level) == self.received
    }
}

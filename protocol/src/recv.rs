//! The receiving side of a stream: what was received, delivered and processed, and what to grant.
//!
//! A frame is the next one, or came before, or is early: then it waits, elsewhere, until those before it have come.

use crate::{
    number::{FrameNumber, Level, Number},
    wire::{Acknowledgement, Ask, DataFrame, EARLY_FRAMES, EndReason},
};

mod unprocessed;

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

/// An acknowledgement that says something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// All there is to say.
    pub acknowledgement: Acknowledgement,
    /// The fastest pace at which it is not put off.
    pub pace: Pace,
}

impl Due {
    /// What is to be said at this pace.
    pub fn at(self, pace: Pace) -> Option<Acknowledgement> {
        (self.pace <= pace).then_some(self.acknowledgement)
    }
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

/// Whether one of these numbers has come.
fn is_owed((first, last): (Number, Number), come: Number) -> bool {
    first <= last && come >= first
}

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

    /// The acknowledgement that is due, if any, where `share` is this session's part of the inbox (CRD-3).
    pub fn due(&self, share: u64) -> Option<Due> {
        let new = self.current(share);
        let pace = if self.is_urgent(share, Pace::Answering) {
            Pace::Answering
        } else if self.is_urgent(share, Pace::Reading) {
            Pace::Reading
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

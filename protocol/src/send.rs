//! The sending side of a stream: numbers, the open frame, the window of unacknowledged frames, credit.

use crate::{
    aside::Aside,
    lamport::Clock,
    number::{Level, Number, SessionId},
    wire::{Acknowledgement, EndReason, OpenFrame, record_limit},
};
use std::collections::VecDeque;

/// What a [`SendWindow`] is made for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SendSettings {
    /// Message size of the receiver's inbox.
    pub frame_size: usize,
    /// At which level a frame is released (ACK-7).
    pub level: Level,
    /// The most bytes of unacknowledged frames to keep, give or take a record's entry in its frame (CRD-6).
    pub retain: usize,
}

/// Why a message was not accepted; it has no number then (NUM-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// No credit or no memory left at present: try again after an acknowledgement.
    #[error("no credit")]
    Credit,
    /// Longer than any frame to this receiver can carry (LIM-1).
    #[error("message of {length} bytes, the limit is {limit}")]
    TooLong {
        /// Length of the message.
        length: usize,
        /// The longest that fits.
        limit: usize,
    },
}

/// A finished frame, kept until it is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sealed {
    last: Number,
    bytes: Vec<u8>,
}

/// Numbers, packs and keeps messages; spends credit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SendWindow {
    settings: SendSettings,
    session: Option<SessionId>,
    /// The staged frame.
    open: Option<OpenFrame>,
    /// Oldest first. The last `waiting` of them have not been transmitted yet.
    sealed: VecDeque<Sealed>,
    waiting: usize,
    /// The last number given.
    accepted: Number,
    transmitted: Number,
    known: Acknowledgement,
    frames_begun: u64,
    bytes_accepted: u64,
    /// Length of all sealed frames together.
    bytes_sealed: usize,
    spare: Aside<Vec<Vec<u8>>>,
}

impl SendWindow {
    /// A window without credit.
    pub fn new(settings: SendSettings) -> Self {
        Self {
            settings,
            session: None,
            open: None,
            sealed: VecDeque::new(),
            waiting: 0,
            accepted: Number::NONE,
            transmitted: Number::NONE,
            known: Acknowledgement::default(),
            frames_begun: 0,
            bytes_accepted: 0,
            bytes_sealed: 0,
            spare: Aside(Vec::new()),
        }
    }

    /// The receiver opened the session: frames go under this id, with this credit.
    pub fn open(&mut self, session: SessionId, frame_credit: u64, byte_credit: u64) {
        self.session = Some(session);
        // An acknowledgement travels at a higher priority than the welcome, and may have brought more already.
        self.known.frame_credit = self.known.frame_credit.max(frame_credit);
        self.known.byte_credit = self.known.byte_credit.max(byte_credit);
    }

    /// Accepts a message: numbers and stamps it, spends credit, packs it (NUM-1, LAM-1, CRD-1, CRD-2).
    ///
    /// # Errors
    /// [`NoRoom`]; nothing has changed then.
    pub fn push(&mut self, body: &[u8], clock: &mut Clock) -> Result<Number, NoRoom> {
        self.accept(body, clock, false)
    }

    /// As [`push`](Self::push), for a message whose delivery is waited for: it is not staged (ACK-8).
    ///
    /// # Errors
    /// [`NoRoom`]; nothing has changed then.
    pub fn push_awaited(&mut self, body: &[u8], clock: &mut Clock) -> Result<Number, NoRoom> {
        self.accept(body, clock, true)
    }

    fn accept(&mut self, body: &[u8], clock: &mut Clock, awaited: bool) -> Result<Number, NoRoom> {
        let limit = record_limit(self.settings.frame_size);
        if body.len() > limit {
            return Err(NoRoom::TooLong { length: body.len(), limit });
        }
        let fits_open = self.open.as_ref().is_some_and(|open| open.fits(body.len(), clock.now().next()));
        if !self.has_credit(body.len(), fits_open) {
            return Err(NoRoom::Credit);
        }
        if !fits_open {
            self.seal(false);
        }
        let number = self.accepted.next();
        let open = self.open.get_or_insert_with(|| {
            self.frames_begun += 1;
            OpenFrame::new(self.spare.pop().unwrap_or_default(), self.settings.frame_size, number)
        });
        let stamp = clock.tick();
        open.push(body, stamp);
        if awaited {
            open.await_delivery();
        }
        let full = !open.fits(0, stamp.next());
        self.accepted = number;
        self.bytes_accepted += body.len() as u64;
        // DAT-5: nothing to wait behind. DAT-6: full.
        if awaited || full || !self.is_behind() {
            // DAT-7: what comes next is staged until this one is known to be received.
            self.seal(!full && !awaited);
        }
        Ok(number)
    }

    /// Closes the staged frame (DAT-6); `solicit` asks for its acknowledgement (ACK-4).
    pub fn seal(&mut self, solicit: bool) {
        if let (Some(session), Some(open)) = (self.session, self.open.take()) {
            let (last, bytes) = (open.last(), open.seal(session, solicit));
            self.bytes_sealed += bytes.len();
            self.sealed.push_back(Sealed { last, bytes });
            self.waiting += 1;
        }
    }

    /// Offers the frames that wait to `link`, in order, until it takes no more. Returns whether all have left.
    pub fn transmit(&mut self, link: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        while self.waiting > 0 {
            let frame = &self.sealed[self.sealed.len() - self.waiting];
            if !link(&frame.bytes) {
                return false;
            }
            self.transmitted = frame.last;
            self.waiting -= 1;
        }
        true
    }

    /// Takes an acknowledgement: releases frames, raises credit. Returns whether it brought anything new (ACK-5).
    ///
    /// # Errors
    /// [`EndReason::Acknowledgement`] when it is impossible (ACK-6).
    pub fn acknowledge(&mut self, new: &Acknowledgement) -> Result<bool, EndReason> {
        let pairs = || new.values().into_iter().zip(self.known.values());
        if pairs().all(|(new, known)| new <= known) {
            return Ok(false);
        }
        let falls = pairs().any(|(new, known)| new < known);
        let ordered = new.processed <= new.delivered && new.delivered <= new.received;
        if falls || !ordered || new.received > self.transmitted {
            return Err(EndReason::Acknowledgement);
        }
        self.known = *new;
        while let Some(front) = self.sealed.front() {
            // ACK-7, and never a frame that the link has not taken: its number is past all that was acknowledged.
            if front.last > new.at(self.settings.level) {
                break;
            }
            self.release();
        }
        if !self.is_behind() {
            self.seal(true); // DAT-7
        }
        Ok(true)
    }

    /// What the receiver last acknowledged.
    pub const fn acknowledged(&self) -> &Acknowledgement {
        &self.known
    }

    /// The last number acknowledged at the session's level.
    pub const fn settled(&self) -> Number {
        self.known.at(self.settings.level)
    }

    /// The last number given.
    pub const fn accepted(&self) -> Number {
        self.accepted
    }

    /// The last number that the link has taken.
    pub const fn transmitted(&self) -> Number {
        self.transmitted
    }

    /// The first number of the staged frame.
    pub fn staged(&self) -> Option<Number> {
        self.open.as_ref().map(OpenFrame::first)
    }

    /// Length of all frames that are not acknowledged (CRD-6).
    pub fn bytes_kept(&self) -> usize {
        self.bytes_sealed + self.open.as_ref().map_or(0, OpenFrame::frame_bytes)
    }

    /// How many frames are not acknowledged, the staged one apart.
    pub fn frames_kept(&self) -> usize {
        self.sealed.len()
    }

    /// Whether frames wait for the link.
    pub const fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Whether a message of `length` bytes would be accepted now, were it not too long.
    pub fn has_room(&self, length: usize, clock: &Clock) -> bool {
        let fits = self.open.as_ref().is_some_and(|open| open.fits(length, clock.now().next()));
        self.has_credit(length, fits)
    }

    fn has_credit(&self, length: usize, fits_open: bool) -> bool {
        // WEL-1. CRD-1: what is staged has been paid for. CRD-2.
        let welcomed = self.session.is_some();
        let frame = fits_open || self.frames_begun < self.known.frame_credit;
        let bytes = self.bytes_accepted.saturating_add(length as u64) <= self.known.byte_credit;
        // CRD-6: whole frames count, or messages without bytes would be free. One message always has room: the bound may
        // be set below the length of a message.
        let kept = self.bytes_kept();
        let memory = kept == 0 || kept.saturating_add(length) <= self.settings.retain;
        welcomed && frame && bytes && memory
    }

    /// Whether a frame before the open one is not known to have been received.
    fn is_behind(&self) -> bool {
        self.sealed.back().is_some_and(|frame| frame.last > self.known.received)
    }

    fn release(&mut self) {
        const SPARE_FRAMES: usize = 8;
        if let Some(frame) = self.sealed.pop_front() {
            self.bytes_sealed -= frame.bytes.len();
            if self.spare.len() < SPARE_FRAMES {
                self.spare.push(frame.bytes);
            }
        }
    }
}

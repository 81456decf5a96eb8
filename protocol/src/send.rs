//! The sending side of a stream: numbers, the open frame, the window of unacknowledged frames, credit.

use crate::{
    lamport::{Clock, Stamp},
    number::{Level, Number, SessionId},
    wire::{Acknowledgement, Close, EndReason, OpenFrame, Shape, Terms},
};
use flight::{Flight, Kept};
use long::Unfinished;
use std::collections::VecDeque;

mod backlog;
mod credit;
mod flight;
mod long;
mod output;
mod stage;
mod types;

pub use backlog::Parcel;
use credit::Spent;
pub use credit::{NoRoom, Reservation};
pub use stage::Stage;
pub use types::{Manner, SendSettings};

/// Numbers, packs and keeps messages; spends credit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SendWindow {
    settings: SendSettings,
    session: Option<SessionId>,
    /// The longest message that the receiver takes.
    max_message: usize,
    /// The byte window of the receiver: the credit at the beginning.
    window: u64,
    /// Whether the channel has no capacity (RDV-1).
    rendezvous: bool,
    /// The staged frame.
    open: Option<OpenFrame>,
    /// The message that is being packed.
    unfinished: Option<Unfinished>,
    flight: Flight,
    /// To be sent again before all else, to the next incarnation of the receiver.
    backlog: VecDeque<Parcel>,
    /// The last number that an earlier incarnation may have got, and that one was handed.
    exposed: Number,
    delivered_before: Number,
    /// The last number given.
    accepted: Number,
    /// How many numbers were given to dropped messages since the last record.
    dropped: u64,
    known: Acknowledgement,
    spent: Spent,
    /// The latest question that was asked.
    question: u64,
    /// How many transmissions there had been when it left.
    asked_after: u64,
    /// Whether a question is to be asked.
    asks: bool,
}

impl SendWindow {
    /// A window without credit.
    pub fn new(settings: SendSettings) -> Self {
        Self {
            settings,
            session: None,
            max_message: 0,
            window: 0,
            rendezvous: false,
            open: None,
            unfinished: None,
            flight: Flight::default(),
            backlog: VecDeque::new(),
            exposed: Number::NONE,
            delivered_before: Number::NONE,
            accepted: Number::NONE,
            dropped: 0,
            known: Acknowledgement::default(),
            spent: Spent::default(),
            question: 0,
            asked_after: 0,
            asks: false,
        }
    }

    /// The receiver opened the session: frames go under this id, on these terms.
    pub fn open(&mut self, session: SessionId, terms: &Terms) {
        let Terms { frame_credit, byte_credit, max_message, rendezvous } = *terms;
        self.session = Some(session);
        self.rendezvous = rendezvous;
        self.max_message = max_message as usize;
        self.window = byte_credit;
        // An acknowledgement travels at a higher priority than the welcome, and may have brought more already.
        self.known.frame_credit = self.known.frame_credit.max(frame_credit);
        self.known.byte_credit = self.known.byte_credit.max(byte_credit);
        self.feed();
    }

    /// Accepts a message: numbers and stamps it, spends credit, packs it (NUM-1, LAM-1, CRD-1, CRD-2).
    ///
    /// # Errors
    /// [`NoRoom`]; nothing has changed then, but a reservation that came along is used up.
    pub fn push(&mut self, body: &[u8], clock: &mut Clock, manner: Manner) -> Result<Number, NoRoom> {
        let number = self.begin(body, clock, manner)?;
        while self.pack_on(body) {}
        Ok(number)
    }

    /// As [`push`](Self::push), but a message longer than a frame is not packed: [`pack_on`](Self::pack_on) does that.
    pub(crate) fn begin(&mut self, body: &[u8], clock: &mut Clock, manner: Manner) -> Result<Number, NoRoom> {
        let behind = self.flight.is_behind();
        let paid = self.redeem(manner.reserved, body.len())?;
        let stamp = clock.now().next();
        let shape = Shape { gap: self.dropped, ..Shape::default() };
        let fits = self.open.as_ref().is_some_and(|open| open.fits(shape, body.len(), stamp));
        self.check_room(body.len(), fits, paid, manner.awaited)?;
        clock.tick();
        self.accepted = self.accepted.next();
        self.dropped = 0;
        if self.is_long(body) {
            self.spend(body.len() as u64);
            let message = Unfinished::new(self.accepted, stamp, shape).sent(manner.awaited, behind);
            self.make_room_for_pieces(&message);
            self.unfinished = Some(message);
        } else if let Some(session) = self.session
            && self.open.is_none()
            && self.leaves_at_once(manner.awaited, behind)
        {
            self.pack_alone(session, shape, body, stamp, manner.awaited);
        } else {
            self.pack(self.accepted, shape, body, stamp, fits);
            self.finish_message(manner.awaited, behind, stamp);
        }
        Ok(self.accepted)
    }

    /// Whether the next message leaves in a frame of its own, so that it need not be staged (DAT-5).
    const fn leaves_at_once(&self, awaited: bool, behind: bool) -> bool {
        awaited || (!behind && self.spent.frames < self.known.frame_credit)
    }

    /// Puts a message into a frame of its own, and spends its bytes.
    fn pack_alone(&mut self, session: SessionId, shape: Shape, body: &[u8], stamp: Stamp, awaited: bool) {
        self.spend(body.len() as u64);
        let mut open = self.new_frame(self.accepted, shape);
        open.push(shape, body, stamp);
        if awaited {
            open.await_delivery();
        }
        let full = !open.fits(Shape::default(), 0, stamp.next());
        self.close_frame(session, open, !full && !awaited);
    }

    /// The last of a message is in the staged frame.
    fn finish_message(&mut self, awaited: bool, behind: bool, stamp: Stamp) {
        if awaited && let Some(open) = &mut self.open {
            open.await_delivery();
        }
        self.leave_if_due(awaited, behind, stamp.next());
    }

    /// Puts a message into frames, the staged one if it `fits` there, and spends its bytes.
    fn pack(&mut self, number: Number, shape: Shape, body: &[u8], stamp: Stamp, fits: bool) {
        self.spend(body.len() as u64);
        if self.is_long(body) {
            return self.pack_pieces(Unfinished::new(number, stamp, shape), body);
        }
        if !fits {
            self.seal(false);
        }
        self.open_frame(number, shape).push(shape, body, stamp);
    }

    /// Gives the next number to a message that is dropped for want of room (DRP-1). The receiver learns of it with the next
    /// message, or as soon as there is credit to tell it.
    pub const fn drop_message(&mut self) -> Number {
        self.accepted = self.accepted.next();
        self.dropped += 1;
        self.accepted
    }

    /// Tells what was dropped behind the last message, if there is credit for it (DRP-2).
    pub fn announce(&mut self, clock: &mut Clock) {
        let shape = Shape { gap: self.dropped.saturating_sub(1), void: true, ..Shape::default() };
        let stamp = clock.now().next();
        let fits = self.open.as_ref().is_some_and(|open| open.fits(shape, 0, stamp));
        if self.dropped == 0 || !self.backlog.is_empty() || !self.has_frame(fits) {
            return;
        }
        clock.tick();
        if !fits {
            self.seal(false);
        }
        let behind = self.flight.is_behind();
        let number = self.accepted;
        self.open_frame(number, shape).push(shape, &[], stamp);
        self.dropped = 0;
        self.leave_if_due(false, behind, stamp.next());
    }

    /// The staged frame, or a new one if there is none, for record `number` of this shape.
    fn open_frame(&mut self, number: Number, shape: Shape) -> &mut OpenFrame {
        if self.open.is_none() {
            self.open = Some(self.new_frame(number, shape));
        }
        self.open.as_mut().expect("it was made if there was none")
    }

    /// A new frame, for record `number` of this shape.
    fn new_frame(&mut self, number: Number, shape: Shape) -> OpenFrame {
        self.spent.frames += 1;
        let (buffer, index) = self.flight.buffers();
        let next = Number::new(number.get() - shape.gap);
        OpenFrame::new(buffer, self.settings.frame_size, next).with_index(index)
    }

    /// DAT-5: nothing to wait behind. DAT-6: full.
    fn leave_if_due(&mut self, awaited: bool, behind: bool, next: Stamp) {
        let full = self.open.as_ref().is_some_and(|open| !open.fits(Shape::default(), 0, next));
        if awaited || full || !(behind || self.waits_for_credit()) {
            // DAT-7: what comes next is staged until this one is known to be received.
            self.seal(!full && !awaited);
        }
    }

    /// Closes the staged frame (DAT-6); `solicit` asks for its acknowledgement (ACK-4).
    pub fn seal(&mut self, solicit: bool) {
        // The look before is not for nothing: what is taken is copied, be it there or not.
        if let Some(session) = self.session.filter(|_| self.open.is_some())
            && let Some(open) = self.open.take()
        {
            self.close_frame(session, open, solicit);
        }
    }

    fn close_frame(&mut self, session: SessionId, open: OpenFrame, solicit: bool) {
        let (last, whole) = (open.last(), open.last_whole());
        let (bytes, index) = open.finish(session, self.flight.next(), solicit);
        self.flight.reuse_index(index);
        self.flight.add(Kept::new(bytes, last, whole, false));
    }

    /// Puts a close behind all of it (CLO-1). False if that is not possible yet.
    pub fn finish(&mut self, stamp: Stamp) -> bool {
        let Some(session) = self.session.filter(|_| self.dropped == 0 && self.backlog.is_empty()) else { return false };
        self.seal(true);
        let close = Close { last: self.accepted, reason: EndReason::Finished, frame: self.flight.next() };
        self.flight.add(Kept::new(close.encode(session, stamp), self.accepted, self.accepted, true));
        true
    }

    /// Takes an acknowledgement: releases frames, raises credit, finds what was lost. Returns whether it brought anything new
    /// (ACK-5).
    ///
    /// # Errors
    /// [`EndReason::Acknowledgement`] when it is impossible (ACK-6).
    pub fn acknowledge(&mut self, new: &Acknowledgement) -> Result<bool, EndReason> {
        let (rises, falls) = (new.exceeds(&self.known), self.known.exceeds(new));
        let ordered = new.processed <= new.delivered && new.delivered <= new.received;
        let taken = self.flight.transmitted_frames();
        let invented = new.frames > taken
            || new.early_frames().any(|frame| frame > taken)
            || !self.flight.agrees(&self.known, new)
            || new.answered > self.question;
        if rises && (falls || !ordered) || invented {
            return Err(EndReason::Acknowledgement);
        }
        let mut news = self.flight.arrive(self.known.frames, new);
        if rises {
            let answered = new.answered == self.question && self.known.answered < new.answered;
            self.known = *new;
            if answered {
                self.flight.find_lost(self.asked_after); // RTX-2
            }
            news = true;
        }
        if new.early != 0 {
            self.flight.find_overtaken(); // RTX-1
        }
        self.flight.release(&self.known, self.kept_until());
        self.feed();
        self.give_back_unwanted();
        if self.is_staging() && !self.flight.is_behind() && self.may_leave() {
            self.seal(true); // DAT-7
        }
        Ok(news)
    }

    /// The receiver has left, and says that it delivered the messages up to this one: the acknowledgement of that may be lost (CLO-6).
    pub(crate) fn take_final(&mut self, delivered: Number) {
        if delivered <= self.transmitted() {
            self.known.received = self.known.received.max(delivered);
            self.known.delivered = self.known.delivered.max(delivered);
        }
    }

    /// Whether the session goes on with the next incarnation of a receiver that is gone.
    pub const fn resumes(&self) -> bool {
        self.settings.resumes
    }

    pub(crate) const fn stop_resuming(&mut self) {
        self.settings.resumes = false;
    }

    /// At which level a frame need not be kept (ACK-7): to be sent to the next receiver it is kept until it is delivered.
    fn kept_until(&self) -> Level {
        let SendSettings { level, resumes, .. } = self.settings;
        if resumes { level.max(Level::Delivered) } else { level }
    }

    /// What the receiver last acknowledged.
    pub const fn acknowledged(&self) -> &Acknowledgement {
        &self.known
    }

    /// The last number that is known to have been delivered, by whichever receiver.
    pub fn delivered(&self) -> Number {
        self.known.delivered.max(self.delivered_before)
    }

    /// The last number acknowledged at the session's level.
    pub const fn settled(&self) -> Number {
        self.known.at(self.settings.level)
    }

    /// Whether all that was transmitted has been acknowledged as far as it matters, the close among it.
    pub fn is_settled(&self) -> bool {
        let frames = !self.settings.lossy || self.known.frames == self.flight.last();
        self.settled() == self.accepted && !self.flight.has_waiting() && frames
    }

    /// The last number given.
    pub const fn accepted(&self) -> Number {
        self.accepted
    }

    /// The last number whose message the link has taken as a whole.
    pub const fn transmitted(&self) -> Number {
        self.flight.transmitted()
    }

    /// Whether the channel has no capacity: the receiving application takes each message while its sender waits (RDV-2).
    pub const fn is_rendezvous(&self) -> bool {
        self.rendezvous
    }

    /// The longest message that can be sent.
    pub const fn max_message(&self) -> usize {
        self.max_message
    }

    /// Whether a gap is not told yet, for want of credit (DRP-2).
    pub const fn owes_gap(&self) -> bool {
        self.dropped > 0
    }

    /// Length of all frames that are not acknowledged (CRD-6).
    pub fn bytes_kept(&self) -> usize {
        let backlog: usize = self.backlog.iter().map(|parcel| parcel.body.len()).sum();
        backlog + self.flight.bytes() + self.open.as_ref().map_or(0, OpenFrame::frame_bytes)
    }

    /// How many frames are not acknowledged, the staged one apart.
    pub fn frames_kept(&self) -> usize {
        self.flight.len()
    }

    /// Whether frames wait for the link.
    pub const fn has_waiting(&self) -> bool {
        self.flight.has_waiting()
    }

    /// Whether something is owed to us, so that it is worth to ask once more on a link that may have lost it.
    pub fn awaits_answer(&self) -> bool {
        // Credit for a next message comes with the word that all before it was delivered.
        let undelivered = self.known.delivered < self.accepted || self.settled() < self.accepted;
        let asks = self.spent.wanted > self.known.byte_credit || self.question > self.known.answered;
        undelivered || self.is_starving() || asks || self.flight.is_doubtful()
    }

    /// An answer has not come for a while: asks (RTX-2).
    pub const fn handle_timeout(&mut self) {
        self.asks = true;
    }

    /// All is acknowledged, and nothing will be sent again.
    pub(crate) fn forget_frames(&mut self) {
        self.flight.forget();
    }
}

//! What a sender may use up: the receiver's credit and its own memory.

use super::SendWindow;
use crate::{lamport::Clock, wire::OpenFrame, wire::Shape, wire::record_limit};

/// Why a message was not accepted; it has no number then (NUM-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// No credit or no memory left at present: try again after an acknowledgement.
    #[error("no credit")]
    Credit,
    /// Longer than the receiver takes (LIM-1).
    #[error("message of {length} bytes, the limit is {limit}")]
    TooLong {
        /// Length of the message.
        length: usize,
        /// The longest that it takes.
        limit: usize,
    },
}

/// Room that was set aside for a message; it has no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what is set aside nobody else can use until it is given back"]
pub struct Reservation {
    length: usize,
    /// Which receiver granted it: with another one it is worth nothing (RSM-6).
    receiver: u64,
}

impl Reservation {
    /// For how long a message.
    pub const fn length(&self) -> usize {
        self.length
    }
}

/// What was used of the credit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Spent {
    pub(super) frames: u64,
    pub(super) bytes: u64,
    /// How many receivers there were before this one.
    receiver: u64,
    /// Frames and bytes that are set aside.
    reserved: (u64, u64),
    /// The byte credit that was asked for, and is needed still; 0 for none.
    pub(super) wanted: u64,
    /// The highest byte credit that was ever asked for: what goes beyond that was granted for other reasons.
    asked: u64,
    /// How much was given back unused.
    pub(super) given_back: u64,
    /// The frame credit when it last did not suffice.
    lacked: Option<u64>,
    /// Somebody waits for room for a message of this length, whose delivery is awaited or not, and nobody else may take it.
    waiter: Option<(usize, bool)>,
}

impl Spent {
    /// A new receiver has granted nothing yet; what was set aside was the old one's.
    pub(super) fn restart(&mut self) {
        *self = Self { receiver: self.receiver + 1, waiter: self.waiter, ..Self::default() };
    }

    /// Whether it was worth something.
    pub(super) const fn give_back(&mut self, Reservation { length, receiver }: Reservation) -> bool {
        if receiver != self.receiver {
            return false;
        }
        self.reserved.0 -= 1;
        self.reserved.1 -= length as u64;
        true
    }
}

impl SendWindow {
    /// Whether a message of `length` bytes would be accepted now, were it not too long.
    pub fn has_room(&self, length: usize, clock: &Clock) -> bool {
        let shape = Shape { gap: self.dropped, ..Shape::default() };
        let fits = self.open.as_ref().is_some_and(|open| open.fits(shape, length, clock.now().next()));
        self.has_credit(length, fits, false, false)
    }

    /// Sets room aside for a message of up to `length` bytes.
    ///
    /// # Errors
    /// [`NoRoom`]
    pub fn reserve(&mut self, length: usize) -> Result<Reservation, NoRoom> {
        self.check_room(length, false, false, false)?;
        self.spent.reserved.0 += 1;
        self.spent.reserved.1 += length as u64;
        self.spend(0);
        Ok(Reservation { length, receiver: self.spent.receiver })
    }

    /// Room that was set aside is not needed.
    pub fn give_back(&mut self, reservation: Reservation) {
        self.spent.give_back(reservation);
        self.give_back_unwanted();
    }

    /// Somebody waits for room for a message of this length. While it is longer than a frame no shorter one takes the credit
    /// that comes, or the long one would wait for ever (LRG-3); nor while its delivery is `awaited`, for which no frame is begun
    /// ahead of the credit (CRD-8). Returns whether that is so; then [`end_wait`](Self::end_wait) must follow.
    pub fn await_room(&mut self, length: usize, awaited: bool) -> bool {
        let overtaken = length > record_limit(self.settings.frame_size) || (awaited && self.ahead() > 0);
        if self.spent.waiter.is_none() && overtaken {
            self.spent.waiter = Some((length, awaited));
        }
        self.spent.waiter == Some((length, awaited))
    }

    /// Whoever waited for room for a message of this length has got it, or gives up.
    pub fn end_wait(&mut self, length: usize) {
        if self.spent.waiter.take_if(|(waiter, _)| *waiter == length).is_some() {
            self.end_want();
        }
    }

    /// The byte credit that was asked for, if nobody waits for it: somebody may come back for it, or not. Then
    /// [`end_want`](Self::end_want) must follow.
    pub fn wants_idly(&self) -> Option<u64> {
        // What is to be sent again waits without a call.
        let waits = self.spent.waiter.is_some() || !self.backlog.is_empty();
        (self.spent.wanted > 0 && !waits).then_some(self.spent.wanted)
    }

    /// Nobody needs the credit that was asked for (LRG-5): others wait for what it takes.
    pub fn end_want(&mut self) {
        if std::mem::take(&mut self.spent.wanted) > 0 {
            self.asks = true;
            self.give_back_unwanted();
        }
    }

    /// LRG-5: what exceeds the window was granted for one message.
    pub(super) fn give_back_unwanted(&mut self) {
        let used = self.spent.bytes.saturating_add(self.spent.reserved.1);
        let granted = self.known.byte_credit.min(self.spent.asked);
        let excess = granted.saturating_sub(used).saturating_sub(self.window);
        if self.spent.wanted == 0 && excess > 0 {
            self.spent.bytes += excess;
            self.spent.given_back += excess;
            self.asks = true;
        }
    }

    /// So many bytes are used up.
    pub(super) fn spend(&mut self, bytes: u64) {
        self.spent.bytes += bytes;
        if self.spent.bytes.saturating_add(self.spent.reserved.1) >= self.spent.wanted {
            self.spent.wanted = 0;
        }
    }

    /// Takes a reservation for a message of `length` bytes; whether there was one.
    pub(super) fn redeem(&mut self, reserved: Option<Reservation>, length: usize) -> Result<bool, NoRoom> {
        let Some(reservation) = reserved else { return Ok(false) };
        let paid = self.spent.give_back(reservation);
        if length > reservation.length {
            return Err(NoRoom::TooLong { length, limit: reservation.length });
        }
        Ok(paid)
    }

    pub(super) fn check_room(&mut self, length: usize, fits: bool, paid: bool, awaited: bool) -> Result<(), NoRoom> {
        if self.session.is_some() && length > self.max_message {
            return Err(NoRoom::TooLong { length, limit: self.max_message });
        }
        if self.has_credit(length, fits, paid, awaited) {
            return Ok(());
        }
        if self.backlog.is_empty() {
            self.lack(length);
        }
        Err(NoRoom::Credit)
    }

    /// Whether somebody wants to send for whom only the receiver's application can make room, by asking for a message (RDV-1).
    pub(super) fn is_starving(&self) -> bool {
        self.spent.lacked == Some(self.known.frame_credit)
    }

    /// LRG-2: a message that the window will never have room for is asked for. No other is: credit for it comes by itself.
    fn ask_for(&mut self, length: usize) {
        let wanted = |spent: &Spent| spent.bytes.saturating_add(spent.reserved.1).saturating_add(length as u64);
        if length as u64 > self.window && wanted(&self.spent) > self.known.byte_credit.max(self.spent.wanted) {
            // Not to wait for more while others wait for what is not enough.
            self.spent.wanted = 0;
            self.give_back_unwanted();
            let wanted = wanted(&self.spent);
            (self.spent.wanted, self.spent.asked) = (wanted, self.spent.asked.max(wanted));
            self.asks = true;
        }
    }

    fn has_credit(&self, length: usize, fits: bool, paid: bool, awaited: bool) -> bool {
        // WEL-1. CRD-1: what is staged has been paid for. CRD-2.
        let welcomed = self.session.is_some();
        let bytes = self.spent.bytes.saturating_add(self.spent.reserved.1).saturating_add(length as u64);
        // CRD-6: whole frames count, or messages without bytes would be free. One message always has room: the bound may
        // be set below the length of a message.
        let kept = self.bytes_kept().saturating_add(usize::try_from(self.spent.reserved.1).unwrap_or(usize::MAX));
        let memory = kept == 0 || kept.saturating_add(length) <= self.settings.retain;
        let first = paid || self.spent.waiter.is_none_or(|waiter| waiter == (length, awaited)); // LRG-3, CRD-8
        let turn = self.backlog.is_empty(); // what is to be sent again comes first
        let frame = if awaited { self.has_frame(fits) } else { self.can_stage(fits) };
        welcomed && turn && first && bytes <= self.known.byte_credit && (paid || (memory && frame))
    }

    /// How many bytes can be spent before there is no credit (CRD-2) or no memory (CRD-6), if a frame is kept.
    pub(super) fn spendable(&self) -> usize {
        let credit = self.known.byte_credit.saturating_sub(self.spent.bytes.saturating_add(self.spent.reserved.1));
        let reserved = usize::try_from(self.spent.reserved.1).unwrap_or(usize::MAX);
        let memory = self.settings.retain.saturating_sub(self.bytes_kept().saturating_add(reserved));
        memory.min(usize::try_from(credit).unwrap_or(usize::MAX))
    }

    /// Whether somebody waits for room, and nobody else may take it (LRG-3, CRD-8).
    pub(super) const fn has_waiter(&self) -> bool {
        self.spent.waiter.is_some()
    }

    /// Whether a message that was accepted before can be sent again; if it never can before it is asked for, it is.
    pub(super) fn has_credit_again(&mut self, length: usize, fits: bool) -> bool {
        let bytes = self.spent.bytes.saturating_add(self.spent.reserved.1).saturating_add(length as u64);
        let has_credit = self.session.is_some() && bytes <= self.known.byte_credit && self.has_frame(fits);
        if !has_credit {
            self.lack(length);
        }
        has_credit
    }

    fn lack(&mut self, length: usize) {
        self.spent.lacked = self.rendezvous.then_some(self.known.frame_credit);
        self.ask_for(length);
    }

    /// Whether there is credit for the frame that the next record goes into, the staged one if it `fits` there.
    pub(super) const fn has_frame(&self, fits: bool) -> bool {
        if fits { self.may_leave() } else { self.has_frames(0) }
    }

    /// Whether the next record can be staged: one frame may be begun ahead of the credit, to be full when it comes (CRD-7).
    const fn can_stage(&self, fits: bool) -> bool {
        // The end of a long message may lie further ahead, and what would go behind it is another message.
        if fits { self.is_within(self.ahead()) } else { self.has_frames(self.ahead()) }
    }

    /// Whether a frame can be begun with so many frames more than were granted.
    const fn has_frames(&self, more: u64) -> bool {
        let begun = self.spent.frames + self.spent.reserved.0;
        self.session.is_some() && begun < self.known.frame_credit.saturating_add(more)
    }

    /// How many frames may be begun ahead of the credit. What a receiver without capacity has not asked for is not accepted.
    const fn ahead(&self) -> u64 {
        if self.rendezvous { 0 } else { 1 }
    }

    /// Whether there is credit for the staged frame, the last that was begun (CRD-1).
    pub(super) const fn may_leave(&self) -> bool {
        self.is_within(0)
    }

    /// Whether the staged frame was begun ahead of the credit, and can as well become fuller (CRD-7): not if it is the end of a long message.
    pub(super) fn waits_for_credit(&self) -> bool {
        !self.may_leave() && !self.open.as_ref().is_some_and(OpenFrame::starts_inside)
    }

    /// Whether there would be, with so many frames more than were granted.
    const fn is_within(&self, more: u64) -> bool {
        self.spent.frames <= self.known.frame_credit.saturating_add(more)
    }
}

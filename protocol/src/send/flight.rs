//! Finished frames, kept until they are acknowledged, and transmitted again when they were lost.

use crate::{
    aside::Aside,
    lamport::Stamp,
    number::{FrameNumber, Level, Number},
    wire::{Acknowledgement, carry, data},
};
use std::collections::{BTreeSet, VecDeque};

/// A finished frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kept {
    pub(super) bytes: Vec<u8>,
    /// Number of its last record.
    pub(super) last: Number,
    /// Number of the last message that ends in it or before it.
    pub(super) last_whole: Number,
    /// It carries no data, and needs no credit.
    pub(super) is_close: bool,
    /// Whether it has its check: one that leaves with an acknowledgement gets one there, and needs none here.
    is_sealed: bool,
    /// Its place in the order of transmissions, 0 before the first.
    sent: u64,
    /// Whether the receiver has taken it from the link.
    arrived: bool,
}

impl Kept {
    pub(super) const fn new(bytes: Vec<u8>, last: Number, last_whole: Number, is_close: bool) -> Self {
        Self { bytes, last, last_whole, is_close, is_sealed: is_close, sent: 0, arrived: false }
    }

    /// Offers it to `link`. Returns whether it has left.
    fn offer(&mut self, link: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        if !std::mem::replace(&mut self.is_sealed, true) {
            data::seal(&mut self.bytes);
        }
        link(&self.bytes)
    }

    /// As [`offer`](Self::offer), with this acknowledgement behind it, if it can carry one where no more than `limit` bytes can be sent at once.
    pub(super) fn offer_with(
        &mut self,
        acknowledgement: &Acknowledgement,
        stamp: Stamp,
        limit: usize,
        link: &mut dyn FnMut(&[u8]) -> bool,
    ) -> bool {
        if !carry::can(&self.bytes, limit) {
            return false;
        }
        carry::load(&mut self.bytes, acknowledgement, stamp);
        let left = link(&self.bytes);
        carry::unload(&mut self.bytes);
        self.is_sealed = false;
        left
    }
}

/// The frames of a session that may have to be transmitted, oldest first; their numbers are consecutive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    frames: VecDeque<Kept>,
    /// Number of the last frame.
    last: FrameNumber,
    /// The last so many have not been transmitted yet.
    waiting: usize,
    /// To be transmitted again.
    lost: BTreeSet<FrameNumber>,
    /// How many transmissions there were.
    transmissions: u64,
    /// The latest transmission of which it is known that it arrived.
    newest_arrival: u64,
    /// The last number whose message has left as a whole.
    transmitted: Number,
    /// The last number of which a piece has left.
    exposed: Number,
    /// Length of all frames together.
    bytes: usize,
    spare: Aside<Vec<Vec<u8>>>,
    spare_index: Aside<Vec<u8>>,
}

/// How many buffers are kept for frames to come: as many frames of 8 KiB as the receiver lets wait in a window of 256 KiB, so that a busy
/// session finds one for each.
const SPARE_FRAMES: usize = 32;

impl Flight {
    /// The number of the frame that is added next.
    pub(super) const fn next(&self) -> FrameNumber {
        self.last.next()
    }

    pub(super) const fn last(&self) -> FrameNumber {
        self.last
    }

    pub(super) fn add(&mut self, frame: Kept) {
        self.bytes += frame.bytes.len();
        self.last = self.last.next();
        self.waiting += 1;
        self.frames.push_back(frame);
    }

    /// Buffers for a frame and its index, used before if possible.
    pub(super) fn buffers(&mut self) -> (Vec<u8>, Vec<u8>) {
        (self.spare.pop().unwrap_or_default(), std::mem::take(&mut self.spare_index))
    }

    /// The index of a frame is done with its buffer.
    pub(super) fn reuse_index(&mut self, buffer: Vec<u8>) {
        self.spare_index = Aside(buffer);
    }

    /// Offers to `link` what was lost, then what was not transmitted yet as far as the credit goes. Returns whether the link
    /// took all of that.
    pub(super) fn transmit(&mut self, frame_credit: u64, link: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        while let Some(&number) = self.lost.first() {
            let Some(place) = self.place(number) else {
                self.lost.remove(&number);
                continue;
            };
            if !self.send(place, |frame| frame.offer(link)) {
                return false;
            }
            self.lost.remove(&number);
        }
        while self.has_sendable(frame_credit) {
            if !self.transmit_next(frame_credit, |frame| frame.offer(link)) {
                return false;
            }
        }
        true
    }

    /// Whether a frame is to be transmitted, or transmitted again, and may be.
    pub(super) fn has_output(&self, frame_credit: u64) -> bool {
        !self.lost.is_empty() || self.has_sendable(frame_credit)
    }

    /// Whether a frame waits that was not transmitted yet, and may be (CRD-1).
    fn has_sendable(&self, frame_credit: u64) -> bool {
        let next = self.frames.len() - self.waiting;
        self.waiting > 0 && (self.transmitted_frames().get() < frame_credit || self.frames[next].is_close)
    }

    /// Transmits the next of those by `offer`. Returns whether it has left.
    pub(super) fn transmit_next(&mut self, frame_credit: u64, offer: impl FnOnce(&mut Kept) -> bool) -> bool {
        let place = self.frames.len() - self.waiting;
        if !self.has_sendable(frame_credit) {
            return false;
        }
        if !self.send(place, offer) {
            return false;
        }
        self.transmitted = self.frames[place].last_whole;
        self.exposed = self.frames[place].last;
        self.waiting -= 1;
        true
    }

    fn send(&mut self, place: usize, offer: impl FnOnce(&mut Kept) -> bool) -> bool {
        let frame = &mut self.frames[place];
        let left = offer(frame);
        if left {
            self.transmissions += 1;
            frame.sent = self.transmissions;
        }
        left
    }

    /// The number of the last frame that the link has taken.
    pub(super) const fn transmitted_frames(&self) -> FrameNumber {
        FrameNumber::new(self.last.get() - self.waiting as u64)
    }

    /// Number of the last message that the link has taken as a whole.
    pub(super) const fn transmitted(&self) -> Number {
        self.transmitted
    }

    /// The last number of which the link has taken anything.
    pub(super) const fn exposed(&self) -> Number {
        self.exposed
    }

    /// The frames, oldest first.
    pub(super) fn bytes_of_frames(&self) -> impl Iterator<Item = &[u8]> {
        self.frames.iter().map(|frame| &*frame.bytes)
    }

    /// How many transmissions there were.
    pub(super) const fn transmissions(&self) -> u64 {
        self.transmissions
    }

    pub(super) const fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the last frame is not known to have been received.
    pub(super) fn is_behind(&self) -> bool {
        self.frames.back().is_some_and(|frame| !frame.arrived)
    }

    /// Whether a frame was transmitted that is not known to have been received.
    pub(super) fn is_doubtful(&self) -> bool {
        self.frames.iter().take(self.frames.len() - self.waiting).any(|frame| !frame.arrived)
    }

    /// Whether the message said to be received is the last one in the frames said to be received.
    pub(super) fn agrees(&self, known: &Acknowledgement, new: &Acknowledgement) -> bool {
        if new.frames == known.frames {
            return new.received == known.received;
        }
        let received = self.place(new.frames).map(|place| self.frames[place].last_whole);
        received.is_none_or(|received| received == new.received)
    }

    /// Frames up to `from` were known to have arrived; now an acknowledgement says more. Returns whether it was news.
    pub(super) fn arrive(&mut self, from: FrameNumber, new: &Acknowledgement) -> bool {
        let mut news = false;
        for number in from.get() + 1..=new.frames.get() {
            news |= self.mark(FrameNumber::new(number));
        }
        for number in new.early_frames() {
            news |= self.mark(number);
        }
        news
    }

    fn mark(&mut self, number: FrameNumber) -> bool {
        let Some(place) = self.place(number) else { return false };
        let frame = &mut self.frames[place];
        self.newest_arrival = self.newest_arrival.max(frame.sent);
        self.lost.remove(&number);
        !std::mem::replace(&mut frame.arrived, true)
    }

    /// RTX-1: what was last transmitted before something that has arrived, and has not, is lost.
    pub(super) fn find_overtaken(&mut self) {
        self.find_lost(self.newest_arrival.saturating_sub(1));
    }

    /// What was last transmitted up to this transmission, and has not arrived, is lost.
    pub(super) fn find_lost(&mut self, up_to: u64) {
        let first = self.first();
        for (place, frame) in self.frames.iter().take(self.frames.len() - self.waiting).enumerate() {
            if !frame.arrived && frame.sent <= up_to {
                self.lost.insert(FrameNumber::new(first + place as u64));
            }
        }
    }

    /// Lets go what is acknowledged at `level` (ACK-7).
    pub(super) fn release(&mut self, known: &Acknowledgement, level: Level) {
        while self.frames.front().is_some_and(|frame| frame.arrived && frame.last <= known.at(level))
            && let Some(frame) = self.frames.pop_front()
        {
            self.bytes -= frame.bytes.len();
            if self.spare.len() < SPARE_FRAMES {
                self.spare.push(frame.bytes);
            }
        }
    }

    /// No frame will be needed any more.
    pub(super) fn forget(&mut self) {
        *self = Self { last: self.last, transmitted: self.transmitted, exposed: self.exposed, ..Self::default() };
    }

    /// Number of the oldest frame, if there is one.
    fn first(&self) -> u64 {
        self.last.get() + 1 - self.frames.len() as u64
    }

    fn place(&self, number: FrameNumber) -> Option<usize> {
        let place = number.get().checked_sub(self.first())?;
        usize::try_from(place).ok().filter(|place| *place < self.frames.len())
    }
}

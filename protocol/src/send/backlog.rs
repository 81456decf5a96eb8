//! What is not acknowledged, message by message: to be sent to the next incarnation of the receiver, or to be handed back.

use super::{Flight, SendWindow};
use crate::{
    lamport::Stamp,
    number::{FrameNumber, Level, Number},
    wire::{self, Acknowledgement, Item, Shape},
};

/// A message that is not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Parcel {
    /// Its number.
    pub number: Number,
    /// Its bytes.
    pub body: Vec<u8>,
    pub(super) stamp: Stamp,
    /// How many numbers right before it were dropped.
    pub(super) gap: u64,
}

impl SendWindow {
    /// The last number that no next incarnation of the receiver need be sent (RSM-1): at least delivered, or this session's promise
    /// that it was would not hold.
    pub(crate) fn settled_for_good(&self) -> Number {
        self.known.at(self.settings.level.max(Level::Delivered))
    }

    /// All that is not acknowledged, in order, and how many numbers behind it were dropped.
    fn unacknowledged_and_gap(&self, beyond: Number) -> (Vec<Parcel>, u64) {
        let staged = self.session.zip(self.open.clone());
        let staged = staged.map(|(session, open)| open.finish(session, FrameNumber::NONE.next(), false).0);
        let frames = self.flight.bytes_of_frames().chain(staged.as_deref());
        let (mut parcels, gap) = unpack(frames, beyond);
        parcels.extend(self.backlog.iter().cloned());
        (parcels, gap)
    }

    /// All that is not acknowledged at the session's level, in order (RSM-5).
    pub fn unacknowledged(&self) -> Vec<Parcel> {
        self.unacknowledged_and_gap(self.settled()).0
    }

    /// The last number of which it is not known that no receiver got it (RSM-5).
    pub fn exposed(&self) -> Number {
        self.exposed.max(self.flight.exposed())
    }

    /// The receiver is gone. All that it may not have delivered is to be sent again, to the next one (RSM-1).
    pub(crate) fn rewind(&mut self) {
        self.abandon();
        let base = self.settled_for_good();
        let (parcels, gap) = self.unacknowledged_and_gap(base);
        self.exposed = self.exposed();
        self.delivered_before = self.delivered();
        self.backlog = parcels.into();
        self.dropped += gap;
        self.flight = Flight::default();
        (self.open, self.session) = (None, None);
        self.known = Acknowledgement { received: base, delivered: base, processed: base, ..Acknowledgement::default() };
        self.spent.restart();
        (self.question, self.asked_after, self.asks) = (0, 0, false);
    }

    /// The next receiver's inbox takes frames of this size.
    pub(crate) const fn refit(&mut self, frame_size: usize) {
        self.settings.frame_size = frame_size;
    }

    /// The longest message that is to be sent again.
    pub(crate) fn longest_in_backlog(&self) -> usize {
        self.backlog.iter().map(|parcel| parcel.body.len()).max().unwrap_or(0)
    }

    /// Packs what is to be sent again, as far as the credit goes.
    pub(super) fn feed(&mut self) {
        while let Some(parcel) = self.backlog.front() {
            let (length, stamp) = (parcel.body.len(), parcel.stamp);
            let shape = Shape { gap: parcel.gap, ..Shape::default() };
            let fits = self.open.as_ref().is_some_and(|open| open.fits(shape, length, stamp));
            if !self.has_credit_again(length, fits) {
                return;
            }
            let Some(parcel) = self.backlog.pop_front() else { return };
            let behind = self.flight.is_behind();
            self.pack(parcel.number, shape, &parcel.body, stamp, fits);
            self.leave_if_due(false, behind, stamp.next());
        }
    }
}

/// The messages in these frames behind the number `beyond`, and how many numbers behind the last of them were dropped.
fn unpack<'a>(frames: impl Iterator<Item = &'a [u8]>, beyond: Number) -> (Vec<Parcel>, u64) {
    let (mut parcels, mut pieces, mut gap) = (Vec::new(), Vec::new(), 0);
    let mut take = |number, stamp, body, gap: &mut u64| {
        if number > beyond {
            parcels.push(Parcel { number, body, stamp, gap: std::mem::take(gap) });
        }
    };
    for bytes in frames {
        let Some(data) = wire::reread(bytes) else { continue }; // a close
        let mut cursor = data.cursor();
        while let Some(item) = data.next_item(&mut cursor) {
            match item {
                Item::Gap(first, last) => gap += last.get().saturating_sub(first.before().max(beyond).get()),
                Item::Message(record) => take(record.number, record.stamp, bytes[record.body].to_vec(), &mut gap),
                Item::Piece { record, more, .. } => {
                    pieces.extend_from_slice(&bytes[record.body]);
                    if !more {
                        take(record.number, record.stamp, std::mem::take(&mut pieces), &mut gap);
                    }
                }
            }
        }
    }
    (parcels, gap)
}

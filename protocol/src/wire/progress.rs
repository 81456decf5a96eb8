//! How far a session has come: acknowledgement, ask, close.

use super::{
    Fault, Priority,
    control::{exactly, finish, zero},
    header::{self, Kind, put, u16_at, u64_at},
};
use crate::{
    lamport::Stamp,
    number::{FrameNumber, Level, Number, SessionId},
};
use core::ops::Range;

/// How many frames behind the first missing one an acknowledgement can name.
pub const EARLY_FRAMES: u64 = 64;

/// How far the receiver has come, and how much more may come (section 10). All values are absolute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Acknowledgement {
    /// Cumulative: frames taken from the link, the close among them.
    pub frames: FrameNumber,
    /// Frames behind the first missing one that came all the same: bit i stands for frame `frames` + 2 + i.
    pub early: u64,
    /// The latest question that is hereby answered, 0 for none.
    pub answered: u64,
    /// Cumulative: taken from the link.
    pub received: Number,
    /// Cumulative: handed to the application.
    pub delivered: Number,
    /// Cumulative: the application is done with it.
    pub processed: Number,
    /// How many data frames the sender may transmit in total.
    pub frame_credit: u64,
    /// How many body bytes the sender may transmit in total.
    pub byte_credit: u64,
}

/// The session is over (section 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Close {
    /// From the sender: the last number it gave. From the receiver: the last number it delivered.
    pub last: Number,
    /// Why.
    pub reason: EndReason,
    /// Its place behind the data frames of a sender that is finished; none in any other, which counts at once.
    pub frame: FrameNumber,
}

/// Asks where the receiver stands, and for credit (section 11). Byte counts are absolute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ask {
    /// Number of the question, from 1.
    pub question: u64,
    /// The byte credit that the sender needs for its next message.
    pub bytes: u64,
    /// How many bytes of credit the sender has given back unused, all in all (LRG-5).
    pub given_back: u64,
}

/// Why a side closed the session; all but the first name a violation by the other side (SES-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[repr(u16)]
pub enum EndReason {
    /// Regular end.
    #[error("finished")]
    Finished = 0,
    /// The messages of a data frame do not follow those of the frame before (DAT-4).
    #[error("the messages of a data frame do not follow those of the frame before it")]
    Sequence = 1,
    /// Data without credit (CRD-5).
    #[error("data beyond the granted credit")]
    Credit = 2,
    /// An impossible acknowledgement (ACK-6).
    #[error("an acknowledgement that contradicts what was sent or acknowledged before")]
    Acknowledgement = 3,
    /// A Lamport stamp too far ahead (LAM-4).
    #[error("a Lamport stamp more than 2^48 ahead")]
    Stamp = 4,
    /// A close whose final number is not the last number received (CLO-3).
    #[error("a close whose final number is not the last number received")]
    Final = 5,
    /// A message longer than the receiver takes (LRG-1).
    #[error("a message longer than the receiver takes")]
    TooLong = 6,
}

impl Acknowledgement {
    /// Length of the frame.
    pub const LENGTH: usize = header::LENGTH + Self::FIELDS;
    /// Length of all that stands behind the header, from where the ranges count.
    pub(super) const FIELDS: usize = 64;
    const FRAMES: Range<usize> = 0..8;
    const EARLY: Range<usize> = 8..16;
    const ANSWERED: Range<usize> = 16..24;
    const RECEIVED: Range<usize> = 24..32;
    const DELIVERED: Range<usize> = 32..40;
    const PROCESSED: Range<usize> = 40..48;
    const FRAME_CREDIT: Range<usize> = 48..56;
    const BYTE_CREDIT: Range<usize> = 56..64;

    /// Acknowledgements may overtake (POS-9).
    pub const PRIORITY: Priority = Priority::Urgent;

    /// What is acknowledged at a level.
    pub const fn at(&self, level: Level) -> Number {
        match level {
            Level::Received => self.received,
            Level::Delivered => self.delivered,
            Level::Processed => self.processed,
        }
    }

    /// Whether one of the values that never fall is higher here.
    pub(crate) fn exceeds(&self, other: &Self) -> bool {
        let Self { frames, early: _, answered, received, delivered, processed, frame_credit, byte_credit } = *self;
        frames > other.frames
            || answered > other.answered
            || received > other.received
            || delivered > other.delivered
            || processed > other.processed
            || frame_credit > other.frame_credit
            || byte_credit > other.byte_credit
    }

    /// The frames that are named one by one.
    pub fn early_frames(&self) -> impl Iterator<Item = FrameNumber> + use<> {
        let (frames, mut left) = (self.frames.get(), self.early);
        core::iter::from_fn(move || {
            let bit = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            (bit < u64::BITS).then(|| FrameNumber::new(frames.saturating_add(2 + u64::from(bit))))
        })
    }

    /// The frame, for the sender's session id, at the receiver's clock.
    pub fn encode(&self, session: SessionId, stamp: Stamp) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[header::LENGTH..].copy_from_slice(&self.fields());
        finish(&mut bytes, Kind::Acknowledgement, Some(session), stamp);
        bytes
    }

    /// What stands behind the header.
    pub(super) fn fields(&self) -> [u8; Self::FIELDS] {
        let mut bytes = [0; Self::FIELDS];
        put(&mut bytes, Self::FRAMES, self.frames.get().to_le_bytes());
        put(&mut bytes, Self::EARLY, self.early.to_le_bytes());
        put(&mut bytes, Self::ANSWERED, self.answered.to_le_bytes());
        put(&mut bytes, Self::RECEIVED, self.received.get().to_le_bytes());
        put(&mut bytes, Self::DELIVERED, self.delivered.get().to_le_bytes());
        put(&mut bytes, Self::PROCESSED, self.processed.get().to_le_bytes());
        put(&mut bytes, Self::FRAME_CREDIT, self.frame_credit.to_le_bytes());
        put(&mut bytes, Self::BYTE_CREDIT, self.byte_credit.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        exactly(bytes, Self::LENGTH)?;
        bytes.last_chunk().map(Self::of_fields).ok_or(Fault::Length)
    }

    /// What [`fields`](Self::fields) wrote.
    pub(super) fn of_fields(bytes: &[u8; Self::FIELDS]) -> Self {
        Self {
            frames: FrameNumber::new(u64_at(bytes, Self::FRAMES)),
            early: u64_at(bytes, Self::EARLY),
            answered: u64_at(bytes, Self::ANSWERED),
            received: Number::new(u64_at(bytes, Self::RECEIVED)),
            delivered: Number::new(u64_at(bytes, Self::DELIVERED)),
            processed: Number::new(u64_at(bytes, Self::PROCESSED)),
            frame_credit: u64_at(bytes, Self::FRAME_CREDIT),
            byte_credit: u64_at(bytes, Self::BYTE_CREDIT),
        }
    }
}

impl Ask {
    const LENGTH: usize = 48;
    const QUESTION: Range<usize> = 24..32;
    const BYTES: Range<usize> = 32..40;
    const GIVEN_BACK: Range<usize> = 40..48;

    /// The frame, for the receiver's session id, at the sender's clock.
    pub fn encode(&self, session: SessionId, stamp: Stamp) -> Vec<u8> {
        let mut bytes = vec![0; Self::LENGTH];
        put(&mut bytes, Self::QUESTION, self.question.to_le_bytes());
        put(&mut bytes, Self::BYTES, self.bytes.to_le_bytes());
        put(&mut bytes, Self::GIVEN_BACK, self.given_back.to_le_bytes());
        finish(&mut bytes, Kind::Ask, Some(session), stamp);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        exactly(bytes, Self::LENGTH)?;
        let question = u64_at(bytes, Self::QUESTION);
        if question == 0 {
            return Err(Fault::Field);
        }
        let (bytes, given_back) = (u64_at(bytes, Self::BYTES), u64_at(bytes, Self::GIVEN_BACK));
        Ok(Self { question, bytes, given_back })
    }
}

impl Close {
    const LENGTH: usize = 48;
    const LAST: Range<usize> = 24..32;
    const REASON: Range<usize> = 32..34;
    const RESERVED: Range<usize> = 34..40;
    const FRAME: Range<usize> = 40..48;

    /// The frame, for the other side's session id, at our clock.
    pub fn encode(&self, session: SessionId, stamp: Stamp) -> Vec<u8> {
        let mut bytes = vec![0; Self::LENGTH];
        put(&mut bytes, Self::LAST, self.last.get().to_le_bytes());
        put(&mut bytes, Self::REASON, (self.reason as u16).to_le_bytes());
        put(&mut bytes, Self::FRAME, self.frame.get().to_le_bytes());
        finish(&mut bytes, Kind::Close, Some(session), stamp);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        exactly(bytes, Self::LENGTH)?;
        zero(&bytes[Self::RESERVED])?;
        let reason = match u16_at(bytes, Self::REASON) {
            0 => EndReason::Finished,
            1 => EndReason::Sequence,
            2 => EndReason::Credit,
            3 => EndReason::Acknowledgement,
            4 => EndReason::Stamp,
            5 => EndReason::Final,
            6 => EndReason::TooLong,
            _ => return Err(Fault::Field),
        };
        let frame = FrameNumber::new(u64_at(bytes, Self::FRAME));
        if reason != EndReason::Finished && frame != FrameNumber::NONE {
            return Err(Fault::Field);
        }
        Ok(Self { last: Number::new(u64_at(bytes, Self::LAST)), reason, frame })
    }
}

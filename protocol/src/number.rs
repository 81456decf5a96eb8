//! Numbers and identities.

use core::{fmt, num::NonZeroU64};

/// Position of a message in its stream: the first is 1, and [`Number::NONE`] (0) means *none yet* (NUM-1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(u64);

impl Number {
    /// Before the first message.
    pub const NONE: Self = Self(0);

    /// The number `value`.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The bare value.
    #[inline]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number after this one. 2^64 messages take centuries; the counter saturates rather than wraps.
    #[must_use]
    #[inline]
    pub const fn next(self) -> Self {
        self.after(1)
    }

    /// The number `count` after this one.
    #[must_use]
    #[inline]
    pub const fn after(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// The number before this one; before the first is [`Number::NONE`].
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Position of a frame among the frames of a session that arrive in order, from 1; [`FrameNumber::NONE`] (0) means *none yet*.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameNumber(u64);

impl FrameNumber {
    /// Before the first frame.
    pub const NONE: Self = Self(0);

    /// The frame number `value`.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The bare value.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The number before this one; before the first is [`FrameNumber::NONE`].
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for FrameNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The incarnation of an endpoint: random, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(NonZeroU64);

impl Epoch {
    /// `None` for 0, and for a value whose low 40 bits, the part that an owner lock can carry (POS-3), are 0.
    pub const fn new(value: u64) -> Option<Self> {
        match NonZeroU64::new(value) {
            Some(epoch) if value & Self::LOCK_MASK != 0 => Some(Self(epoch)),
            _ => None,
        }
    }

    /// The bare value.
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The low 40 bits, as carried by an owner lock (POS-3).
    pub const fn low_bits(self) -> u64 {
        self.0.get() & Self::LOCK_MASK
    }

    const LOCK_MASK: u64 = (1 << 40) - 1;
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Id of a session on the wire: random, chosen by the side that receives frames under it (SES-1), never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(NonZeroU64);

impl SessionId {
    /// `None` for 0.
    pub const fn new(value: u64) -> Option<Self> {
        match NonZeroU64::new(value) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The bare value.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The numbered messages of one sender to one receiver: stable across receiver incarnations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Incarnation of the sender.
    pub epoch: Epoch,
    /// Which of the sender's streams.
    pub index: u32,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.index)
    }
}

/// How far a message has come, in rising order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Taken from the link by the receiving process: it no longer depends on the kernel's queue, but on that process.
    Received,
    /// Handed to the receiving application.
    #[default]
    Delivered,
    /// The receiving application is done with it: it asked for the next message, or said so.
    Processed,
}

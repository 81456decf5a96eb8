//! What a receiver gets.

use crate::raw::Counted;
use lamq_protocol::{
    Number, SessionId, Stamp, StreamId,
    session::{Departure, Peer},
};
use std::{
    fmt,
    ops::{Deref, Range},
};

/// A received message: its bytes (it dereferences to them) and where they come from.
///
/// It shares the buffer of the frame it came in. To keep a few messages of many for long, copy them (`to_vec()`).
#[derive(Clone)]
pub struct Message {
    /// The buffer of its frame.
    pub(crate) bytes: Counted<Vec<u8>>,
    pub(crate) body: Range<usize>,
    pub(crate) number: Number,
    pub(crate) stamp: Stamp,
    pub(crate) peer: Peer,
    pub(crate) session: SessionId,
    pub(crate) may_repeat: bool,
}

/// What a message is known by, at both ends and for ever: the sender's incarnation, its stream, and the number in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    /// The stream.
    pub stream: StreamId,
    /// The number in it, from 1 (NUM-1).
    pub number: u64,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.stream, self.number)
    }
}

impl Message {
    /// What it is known by.
    pub fn id(&self) -> MessageId {
        MessageId { stream: self.peer.stream, number: self.number() }
    }

    /// Its number in the sender's stream, from 1 (NUM-1).
    pub fn number(&self) -> u64 {
        self.number.get()
    }

    /// Whether an earlier receiver on the name may have been handed it too, before it died or left: the sender
    /// [resumed](crate::SenderBuilder::resume), and did not know (RSM-2). It has the same [id](Self::id) then.
    pub fn may_repeat(&self) -> bool {
        self.may_repeat
    }

    /// Its Lamport stamp (LAM-1).
    pub fn lamport(&self) -> u64 {
        self.stamp.get()
    }

    /// Who sent it.
    pub fn peer(&self) -> Peer {
        self.peer
    }
}

impl Deref for Message {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[self.body.clone()]
    }
}

impl AsRef<[u8]> for Message {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("peer", &self.peer)
            .field("number", &self.number)
            .field("stamp", &self.stamp)
            .field("length", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What a receiver sees, in order. `M` is the message: bytes, unless the receiver is [typed](crate::typed).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<M = Message> {
    /// A message.
    Message(M),
    /// The sender dropped messages for want of room; nothing else is missing (DRP-1).
    Gap {
        /// Who.
        peer: Peer,
        /// Number of the first one dropped.
        first: u64,
        /// Number of the last one.
        last: u64,
    },
    /// A sender was welcomed.
    Joined(Peer),
    /// A sender is gone; every message that was received from it came before (CLO-2).
    Departed {
        /// Who.
        peer: Peer,
        /// How: it left, died, or broke the protocol.
        departure: Departure,
        /// The last number received from it (DTH-4).
        last: u64,
    },
}

//! Streams of messages, by their two ends.

use super::{events::Place, scenario::RECEIVER, trace::name};
use std::{
    fmt,
    ops::{Index, IndexMut},
};

/// A stream of messages: that of a sender, or the one back to it (DPX-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Lane {
    pub(super) sender: Place,
    pub(super) is_back: bool,
}

impl Lane {
    pub(super) const fn of(sender: Place) -> Self {
        Self { sender, is_back: false }
    }

    pub(super) const fn back_to(sender: Place) -> Self {
        Self { sender, is_back: true }
    }

    /// What `place` sends to `peer`.
    pub(super) const fn between(place: Place, peer: Place) -> Self {
        if place == RECEIVER { Self::back_to(peer) } else { Self::of(place) }
    }

    /// The other one of the same session.
    pub(super) const fn opposite(self) -> Self {
        Self { is_back: !self.is_back, ..self }
    }

    pub(super) const fn writer(self) -> Place {
        if self.is_back { RECEIVER } else { self.sender }
    }

    pub(super) const fn reader(self) -> Place {
        self.opposite().writer()
    }

    const fn index(self) -> usize {
        2 * self.sender + self.is_back as usize
    }
}

/// By whoever is at the end that sends.
impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sender = name(self.sender);
        if self.is_back { write!(f, "the stream back to {sender}") } else { f.write_str(&sender) }
    }
}

/// Something for each stream; also for those of the receiver with itself, which never exist.
#[derive(Debug)]
pub(super) struct Lanes<T>(Vec<T>);

impl<T: Default> Lanes<T> {
    pub(super) fn new(senders: usize) -> Self {
        Self(std::iter::repeat_with(T::default).take(2 * (senders + 1)).collect())
    }
}

impl<T> Lanes<T> {
    /// All streams, that of each sender right before the one back to it.
    pub(super) fn all(&self) -> impl Iterator<Item = Lane> + use<T> {
        (1..self.0.len() / 2).flat_map(|sender| [Lane::of(sender), Lane::back_to(sender)])
    }
}

impl<T> Index<Lane> for Lanes<T> {
    type Output = T;

    fn index(&self, lane: Lane) -> &T {
        &self.0[lane.index()]
    }
}

impl<T> IndexMut<Lane> for Lanes<T> {
    fn index_mut(&mut self, lane: Lane) -> &mut T {
        &mut self.0[lane.index()]
    }
}

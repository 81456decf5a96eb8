//! What a window is made for, and how a message is accepted.

use super::Reservation;
use crate::number::Level;

/// What a [`SendWindow`](super::SendWindow) is made for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SendSettings {
    /// Message size of the receiver's inbox.
    pub frame_size: usize,
    /// At which level a frame is released (ACK-7).
    pub level: Level,
    /// The most bytes of unacknowledged frames to keep, give or take a record's entry in its frame (CRD-6).
    pub retain: usize,
    /// Whether the link may lose frames: then nothing counts as said until it is acknowledged.
    pub lossy: bool,
    /// Whether the session goes on with the next incarnation of a receiver that is gone (RSM-1).
    pub resumes: bool,
}

/// How a message is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// Its delivery is waited for: it is not staged, and the receiver tells of it at once (ACK-8).
    pub awaited: bool,
    /// What it uses up was set aside for it before.
    pub reserved: Option<Reservation>,
}

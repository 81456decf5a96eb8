//! The settings of a net.

use lamq_protocol::{Level, endpoint::CODEC_RAW};

/// What kind of channel it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Plain,
    /// The receiver has no capacity.
    WithoutCapacity,
    /// Senders ask for streams back.
    BothWays,
}

/// How a net is made.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Nets of different worlds share no epoch and no session.
    pub(crate) world: u64,
    pub(crate) senders: usize,
    pub(crate) level: Level,
    pub(crate) auto_process: bool,
    /// Slots of the receiver's inbox.
    pub(crate) slots: u64,
    /// Slots of a sender's inbox.
    pub(crate) sender_slots: usize,
    pub(crate) window: u64,
    pub(crate) max_sessions: u32,
    pub(crate) frame_size: usize,
    pub(crate) retain: usize,
    /// The longest message that the receiver takes.
    pub(crate) max_message: u32,
    pub(crate) large_memory: u64,
    /// Whether the links may lose frames; whether they do is up to the [fates](super::Fate) of an inbox.
    pub(crate) lossy: bool,
    /// Of the receiver and of its senders.
    pub(crate) codec: u8,
    pub(crate) channel: Channel,
    /// Whether senders go on with the next receiver.
    pub(crate) resumes: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            world: 1,
            senders: 1,
            level: Level::Delivered,
            auto_process: true,
            slots: 10,
            sender_slots: 10,
            window: 256 << 10,
            max_sessions: 1024,
            frame_size: 512,
            retain: 1 << 20,
            max_message: 16 << 20,
            large_memory: 64 << 20,
            lossy: false,
            codec: CODEC_RAW,
            channel: Channel::Plain,
            resumes: false,
        }
    }
}

//! How large the world is, and what may go wrong in it.

use lamq_protocol::Level;

/// What is searched.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) senders: usize,
    /// How many of them are welcomed before the search begins; these do not die.
    pub(crate) residents: usize,
    /// The most messages that each of them sends.
    pub(crate) messages: u64,
    /// The level that the senders wait for.
    pub(crate) level: Level,
    /// Whether the receiver says by asking for the next message that it is done with the one before.
    pub(crate) auto_process: bool,
    /// Slots of the receiver's inbox, by which it grants credit.
    pub(crate) slots: u64,
    /// What each inbox really holds: less than `slots` when others fill it.
    pub(crate) room: usize,
    /// The receiver's byte window; every message has one byte.
    pub(crate) window: u64,
    /// What may happen to a process at any moment, or not.
    pub(crate) exits: &'static [Exit],
    /// A fault of the link, which happens once or not at all.
    pub(crate) disturbance: Option<Disturbance>,
    /// Whether the endpoints know that the link may lose frames: then any frame can be disturbed, and they ask again.
    pub(crate) lossy: bool,
    pub(crate) channel: Channel,
    /// What the shell does wrong.
    pub(crate) bug: Option<Bug>,
}

impl Setup {
    /// One sender, 3 messages, no faults. There are 2 slots for data, which is less than 3 messages may need, and a
    /// window that a frame of two messages and one more exhaust.
    pub(crate) const SMALL: Self = Self {
        senders: 1,
        residents: 0,
        messages: 3,
        level: Level::Delivered,
        auto_process: true,
        slots: 4,
        room: 4,
        window: 3,
        exits: &[],
        disturbance: None,
        lossy: false,
        channel: Channel::Plain,
        bug: None,
    };

    /// The same with more credit than 3 messages can need, so that nothing but idleness makes the receiver acknowledge.
    pub(crate) const WIDE: Self = Self { slots: 10, room: 10, window: 4096, ..Self::SMALL };
}

/// What is special about the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Plain,
    /// The receiver has no capacity.
    WithoutCapacity,
    /// Another receiver may follow on one that died, and the senders go on with it.
    Resuming,
}

/// How a process can come to its end before its work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Exit {
    SenderDies,
    ReceiverDies,
    ReceiverLeaves,
}

/// What a link may do to one frame. One that says it loses nothing must not; then it hits a data frame, read by somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Disturbance {
    /// A frame arrives twice.
    Double,
    /// A frame is gone.
    Drop,
    /// A frame and the one behind it change places.
    Swap,
    /// Something that takes itself for the receiver acknowledges what was never sent.
    Forge,
}

/// What a shell must never do; the model has to notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bug {
    /// Tells the core of a death while frames of the dead one are in the inbox (against DTH-2).
    DeathFirst,
    /// Takes messages from the core before the application asks for them (against ACK-1).
    Prefetch,
    /// Waits without telling the core that it is idle (against ACK-3).
    SilentWait,
    /// Takes a full inbox for one that has taken the frame.
    DropWhenFull,
}

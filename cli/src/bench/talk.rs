//! What the bench and its processes say to each other.

use crate::crew::Word;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// There, and back.
pub(super) const WAYS: usize = 2;

/// What a process of the bench is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Duty {
    /// The process that started it, with which it ends.
    pub(super) parent: u32,
    pub(super) medium: Medium,
    pub(super) work: Work,
    pub(super) role: Role,
    /// The only core that it may use.
    pub(super) core: usize,
    /// How long lamq looks before it sleeps; `None` is its default.
    pub(super) spin: Option<Duration>,
    /// How the other side is found, on the way there and on the way back.
    pub(super) ways: [String; WAYS],
}

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Medium {
    Lamq,
    /// Values instead of bytes.
    LamqTyped,
    /// `mq_send` and `mq_receive`, which wait.
    Queue,
    /// The same calls, again and again until they need not wait.
    QueueSpinning,
    /// Messages packed by hand into full frames, a call a frame.
    Packed,
    Pipe,
    /// A Unix socket that keeps the borders of messages.
    SeqPacket,
    SystemV,
    /// By its place among the guests.
    Guest(usize),
}

impl Medium {
    /// As readers know it. A guest brings a name of its own.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lamq => "lamq",
            Self::LamqTyped => "lamq, typed",
            Self::Queue => "raw queue",
            Self::QueueSpinning => "raw queue, spinning",
            Self::Packed => "packed by hand",
            Self::Pipe => "pipe",
            Self::SeqPacket => "seqpacket socket",
            Self::SystemV => "System V queue",
            Self::Guest(_) => "guest",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    Receiver,
    /// From 0.
    Sender(u64),
    /// The only sender too, in a thread of its own, which may use this core.
    Both {
        sender_core: usize,
    },
}

/// What there is to do for one sender, or many, and the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Work {
    /// So many messages of so many bytes.
    OneWay { length: usize, count: u64 },
    /// So many messages, each answered before the next.
    RoundTrip { count: u64 },
    /// So many messages, each handed over before the next.
    Rendezvous { count: u64 },
    /// As many messages as go through in the time.
    FanIn { senders: u64, time: Duration },
    /// So many messages, one each period.
    Paced { period: Duration, count: u64 },
    /// One message, long nothing, another one.
    Idle,
}

/// Of all messages but those of one-way runs.
pub(super) const SHORT: usize = 64;

impl Work {
    pub(super) fn length(self) -> usize {
        if let Self::OneWay { length, .. } = self { length } else { SHORT }
    }

    pub(super) fn senders(self) -> u64 {
        if let Self::FanIn { senders, .. } = self { senders } else { 1 }
    }

    pub(super) fn is_answered(self) -> bool {
        matches!(self, Self::RoundTrip { .. })
    }

    /// The same with another count, where there is one to choose.
    pub(super) fn with_count(self, count: u64) -> Self {
        match self {
            Self::OneWay { length, .. } => Self::OneWay { length, count },
            Self::RoundTrip { .. } => Self::RoundTrip { count },
            Self::Rendezvous { .. } => Self::Rendezvous { count },
            fixed => fixed,
        }
    }

    /// How many messages, where they are counted and not timed.
    pub(super) fn count(self) -> Option<u64> {
        match self {
            Self::OneWay { count, .. } | Self::RoundTrip { count } | Self::Rendezvous { count } => Some(count),
            _ => None,
        }
    }
}

/// From a process to the bench.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Told {
    /// The receiver is there; a sender is connected.
    Ready,
    /// What was to be done before the long nothing is done.
    Settled,
    /// What it measured, in each of its roles: the receiver's first.
    Done(Vec<Measured>),
    /// It could not do its duty.
    Failed(String),
}

impl Word for Told {
    fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }

    fn failure(&self) -> Option<&str> {
        if let Self::Failed(what) = self { Some(what) } else { None }
    }
}

/// From the bench to a process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum Asked {
    /// All are there: begin at this time of the monotonic clock, in nanoseconds.
    Begin { at: u64 },
    /// The long nothing is over.
    GoOn,
}

/// What a process measured of itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Measured {
    /// The receiver: from the first message to the last. A sender: from its first call to the end of its last.
    pub(super) seconds: f64,
    pub(super) messages: u64,
    /// Of the processor, in the process and for it in the kernel, since the beginning.
    pub(super) cpu_seconds: f64,
    /// The most memory it ever had.
    pub(super) peak_kib: u64,
    /// Nanoseconds, and how often: of round trips and hand-overs the sender's, of paced messages the receiver's.
    pub(super) latencies: Vec<(u64, u64)>,
}

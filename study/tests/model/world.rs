//! A world of a few senders and one receiver: the shipping cores, the queues between them, and what their applications
//! saw.

use lamq_protocol::{
    Endpoint, Epoch, Event, Level, Number, SessionId,
    endpoint::{Connect, Settings},
    send::SendSettings,
    session::{Departure, Ended},
    wire::{Frame, Greeting, Priority, decode},
};
use lamq_study::{Claims, Oracle, Verdict};
use std::collections::VecDeque;

pub(crate) type Core = Endpoint<Vec<u8>>;

/// What is searched: how large the world is, and what may go wrong in it.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) senders: usize,
    /// The most messages that each of them sends.
    pub(crate) messages: u64,
    /// The level that the senders wait for.
    pub(crate) level: Level,
    /// Whether the receiver says by asking for the next message that it is done with the one before.
    pub(crate) auto_process: bool,
    /// Slots of the receiver's inbox, by which it grants credit.
    pub(crate) slots: u64,
    /// What each queue really holds: fewer than `slots` when others fill it.
    pub(crate) room: usize,
    /// The receiver's byte window; every message has one byte.
    pub(crate) window: u64,
    /// Frame size towards the receiver: 50 bytes hold two of the messages, 45 one.
    pub(crate) frame_size: usize,
    pub(crate) sender_may_die: bool,
    pub(crate) receiver_may_die: bool,
    pub(crate) receiver_may_leave: bool,
    /// A fault of the link, which happens once.
    pub(crate) disturbance: Option<Disturbance>,
    /// What the shell does wrong.
    pub(crate) bug: Option<Bug>,
}

/// What a link must never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Disturbance {
    /// A frame arrives twice.
    Double,
    /// A data frame is gone: somebody else read the inbox.
    Drop,
    /// A data frame and the one behind it change places.
    Swap,
    /// Something that claims to be the receiver acknowledges what was never sent.
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
    /// Takes a full queue for one that has taken the frame.
    DropWhenFull,
}

/// Frames between two processes, as the kernel keeps them: the urgent overtake, each priority is in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Queue {
    pub(crate) urgent: VecDeque<Vec<u8>>,
    pub(crate) ordered: VecDeque<Vec<u8>>,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.urgent.len() + self.ordered.len()
    }

    pub(crate) fn pop(&mut self) -> Option<Vec<u8>> {
        self.urgent.pop_front().or_else(|| self.ordered.pop_front())
    }

    pub(crate) fn push(&mut self, priority: Priority, frame: &[u8]) {
        match priority {
            Priority::Urgent => self.urgent.push_back(frame.to_vec()),
            Priority::Ordered => self.ordered.push_back(frame.to_vec()),
        }
    }
}

/// What the kernel knows of a process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    /// `None` once it is dead.
    pub(crate) core: Option<Core>,
    pub(crate) inbox: Queue,
    /// Taken from the inbox and not handled yet: dies with the process.
    pub(crate) hand: Option<Vec<u8>>,
}

impl Process {
    fn new(core: Core) -> Self {
        Self { core: Some(core), inbox: Queue::default(), hand: None }
    }

    /// Whether nothing is left to be handled.
    pub(crate) fn is_drained(&self) -> bool {
        self.hand.is_none() && self.inbox.len() == 0
    }

    /// Its state is gone. So is its inbox: what is put there from now on is never read.
    pub(crate) fn die(&mut self) {
        *self = Self { core: None, inbox: Queue::default(), hand: None };
    }
}

/// A sender, and what its application knows; that outlives it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sender {
    pub(crate) process: Process,
    pub(crate) accepted: Number,
    pub(crate) transmitted: Number,
    /// As delivered.
    pub(crate) acknowledged: Number,
    /// What of it was delivered when it died.
    pub(crate) delivered_at_death: Option<Number>,
    /// Whether the receiver's core has been told of its death.
    pub(crate) mourned: bool,
}

impl Sender {
    /// Why its session is over, if it lives and the session is.
    pub(crate) fn ended(&self, index: usize) -> Option<Ended> {
        self.process.core.as_ref()?.outbound(reply_session(index))?.ended()
    }
}

/// What the receiving application saw of a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Guest {
    Unknown,
    Joined,
    Departed(Departure, Number),
}

/// All there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) senders: Vec<Sender>,
    pub(crate) receiver: Process,
    /// Found by the receiver's core, and not accepted yet.
    pub(crate) greeting: Option<Greeting>,
    /// Whether the receiving application has said that it leaves: it asks for nothing more.
    pub(crate) has_left: bool,
    pub(crate) oracle: Oracle<usize>,
    pub(crate) guests: Vec<Guest>,
    /// What [`Bug::Prefetch`] keeps from the application.
    pub(crate) prefetched: Option<Event<Vec<u8>>>,
    pub(crate) disturbed: bool,
}

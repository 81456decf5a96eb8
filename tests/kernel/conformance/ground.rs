//! What a row stands on: a link and names on it.

use super::WATCHDOG;
use lamq::{
    BindError, Departure, Endpoint, Event, Message, OpenError, QueueName, Receiver, ReceiverBuilder, RecvTimeoutError,
    Sender, SenderBuilder,
    link::{Faults, Faulty, Geometry, Inbox, Link, Memory, Outbox, Owner, Posix},
};
use std::{env, sync::Arc, time::Duration};

/// How long a row gives to what must not happen.
pub(super) const BRIEF: Duration = Duration::from_millis(3);

/// What is behind the name of a row's second queue.
pub(super) const SECOND: &str = "-second";

/// Enough to lose every kind of frame now and then, and to come to an end.
const FAULTS: Faults = Faults { lose: 0.05, double: 0.05, swap: 0.05, seed: 7 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    FaultyMemory,
    Kernel,
    FaultyKernel,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Memory, Self::FaultyMemory, Self::Kernel, Self::FaultyKernel];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::FaultyMemory => "faulty-memory",
            Self::Kernel => "kernel",
            Self::FaultyKernel => "faulty-kernel",
        }
    }

    pub(super) fn of_word(word: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.word() == word).expect("a kind of link")
    }

    fn link(self, seed: u64) -> AnyLink {
        let faults = Faults { seed, ..FAULTS };
        AnyLink(match self {
            Self::Memory => Arc::new(Memory::new()),
            Self::FaultyMemory => Arc::new(Faulty::new(Memory::new(), faults)),
            Self::Kernel => Arc::new(Posix),
            Self::FaultyKernel => Arc::new(Faulty::new(Posix, faults)),
        })
    }
}

/// The same link for all that a side makes.
#[derive(Clone, Debug)]
struct AnyLink(Arc<dyn Link>);

impl Link for AnyLink {
    fn bind(&self, name: &QueueName, owner: Owner, geometry: Geometry) -> Result<Box<dyn Inbox>, BindError> {
        self.0.bind(name, owner, geometry)
    }

    fn open(&self, name: &QueueName) -> Result<Box<dyn Outbox>, OpenError> {
        self.0.open(name)
    }

    fn is_lossy(&self) -> bool {
        self.0.is_lossy()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Ground {
    link: AnyLink,
    name: String,
}

impl Ground {
    /// For the test, and all that runs in its process.
    pub(super) fn new(kind: Kind, name: &str) -> Self {
        Self { link: kind.link(seed()), name: name.to_owned() }
    }

    /// For another process, whose faults are others.
    pub(super) fn elsewhere(kind: Kind, name: &str) -> Self {
        Self { link: kind.link(seed() + 4), name: name.to_owned() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Another name, for a row with two receivers.
    pub(super) fn second_name(&self) -> String {
        format!("{}{SECOND}", self.name)
    }

    pub(super) fn is_lossy(&self) -> bool {
        self.link.is_lossy()
    }

    pub(super) fn receiver(&self) -> ReceiverBuilder {
        Receiver::builder().link(self.link.clone()).slots(4).frame_size(512)
    }

    pub(super) fn sender(&self) -> SenderBuilder {
        Sender::builder().link(self.link.clone()).wait(WATCHDOG)
    }

    pub(super) fn connect(&self) -> Sender {
        self.sender().connect(self.name()).unwrap()
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint::on(self.link.clone()).unwrap()
    }
}

/// `LAMQ_SEED` sets it.
fn seed() -> u64 {
    env::var("LAMQ_SEED").map_or(FAULTS.seed, |seed| seed.parse().unwrap())
}

/// The next message; none when receiving has ended.
#[track_caller]
pub(super) fn next(receiver: &Receiver) -> Option<Message> {
    match receiver.recv_timeout(WATCHDOG) {
        Ok(message) => Some(message),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(error) => panic!("{error}"),
    }
}

/// The next message, which must come.
#[track_caller]
pub(super) fn take(receiver: &Receiver) -> Message {
    next(receiver).expect("a message")
}

/// Waits until a sender has left of its own will, before its next message. The last number received from it.
#[track_caller]
pub(super) fn departure(receiver: &Receiver) -> u64 {
    loop {
        match receiver.recv_event(Some(WATCHDOG)).unwrap() {
            Event::Departed { departure: Departure::Left, last, .. } => return last,
            Event::Joined(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

//! A world of a few senders and one receiver: the shipping cores, their inboxes, and what their applications saw.

use crate::{
    setup::{Channel, Disturbance, Setup},
    steps::{Step, Who},
};
use lamq_protocol::{
    Endpoint, Epoch, Event, Number, SessionId,
    endpoint::{BackSettings, CODEC_RAW, Connect, Greeter, Settings},
    send::SendSettings,
    session::{Departure, Inbound, Outbound},
    wire::{Frame, Greeting, Priority, decode},
};
use lamq_study::{Claims, Oracle, Verdict};
use std::collections::VecDeque;

pub(crate) type Core = Endpoint<Vec<u8>>;

/// Holds two messages of one byte; the first of a stream travels alone all the same, there is nothing to wait behind.
/// Nor is a third message possible, nor one that needs a stamp of its own.
const FRAME_SIZE: usize = 48 + (4 + 8) + 1;

/// What the link knows of every sender.
pub(crate) const GREETER: Greeter = Greeter { uid: 0, frame_size: FRAME_SIZE };

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
    /// Whether an application was told something that cannot follow on what it was told before.
    pub(crate) is_confused: bool,
    /// What [`Bug::Prefetch`](crate::setup::Bug) keeps from the application.
    pub(crate) prefetched: Option<Seen>,
    /// The sender whose session was disturbed.
    pub(crate) disturbed: Option<usize>,
    /// How often somebody has waited too long for an answer.
    pub(crate) timeouts: u8,
    /// Which receiver it is; there is one successor at most.
    pub(crate) incarnation: u64,
}

/// A process; by default a dead one, whose inbox is gone like all else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) core: Option<Core>,
    pub(crate) inbox: Inbox,
    /// Taken from the inbox and not handled yet: dies with the process.
    pub(crate) hand: Option<Vec<u8>>,
}

/// Frames as the kernel keeps them: the urgent overtake, each priority is in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Inbox {
    pub(crate) urgent: VecDeque<Vec<u8>>,
    pub(crate) ordered: VecDeque<Vec<u8>>,
}

/// A sender, what its application knows, and what the receiver's knows of it. All but the process outlives it.
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
    pub(crate) is_mourned: bool,
    /// Whether its core has been told of the receiver's death.
    pub(crate) mourns: bool,
    pub(crate) guest: Guest,
    /// Which receiver it has to do with.
    pub(crate) faces: u64,
    /// The last number that the first receiver's application was handed, once there is a second.
    pub(crate) handed_before: Number,
    /// Which receiver opened its session last, and the number before the first one that is sent in it.
    pub(crate) accepted_by: u64,
    pub(crate) base: Number,
}

/// What the receiving application was told of a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Guest {
    Unknown,
    Joined,
    Departed(Departure, Number),
}

/// What the receiving application is told now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    sender: usize,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    Joined,
    Message { number: Number, is_genuine: bool, may_repeat: bool },
    Departed(Departure, Number),
}

impl World {
    /// The beginning: only the residents have greeted, and were welcomed.
    pub(crate) fn new(setup: &Setup) -> Self {
        let mut world = Self::empty(setup);
        for index in 0..setup.residents {
            let greets = [Step::Transmit(Who::Sender(index)), Step::Take, Step::Handle];
            let is_welcomed = [Step::Accept, Step::Next, Step::Transmit(Who::Receiver), Step::Read(index)];
            for step in greets.into_iter().chain(is_welcomed) {
                setup.step(&mut world, step).expect("possible");
            }
        }
        world
    }

    /// Nobody has greeted yet.
    fn empty(setup: &Setup) -> Self {
        let sender = |index: usize| {
            let mut core = core(setup, FIRST_SENDER + u32::try_from(index).expect("small"), 0);
            core.connect(reply_session(index), target(setup, 0));
            Sender {
                process: Process { core: Some(core), ..Process::default() },
                accepted: Number::NONE,
                transmitted: Number::NONE,
                acknowledged: Number::NONE,
                delivered_at_death: None,
                is_mourned: false,
                mourns: false,
                guest: Guest::Unknown,
                faces: 0,
                handed_before: Number::NONE,
                accepted_by: 0,
                base: Number::NONE,
            }
        };
        Self {
            senders: (0..setup.senders).map(sender).collect(),
            receiver: Process { core: Some(core(setup, RECEIVER, 0)), ..Process::default() },
            greeting: None,
            has_left: false,
            oracle: Oracle::new(),
            is_confused: false,
            prefetched: None,
            disturbed: None,
            timeouts: 0,
            incarnation: 0,
        }
    }

    /// What the oracle says of a sender; `complete` if all it accepted must have been delivered by now.
    pub(crate) fn judge(&self, index: usize, complete: bool) -> Verdict {
        let Sender { accepted, acknowledged, base, .. } = &self.senders[index];
        let since = |number: &Number| number.get().saturating_sub(base.get());
        let claims = Claims { sent: since(accepted), acknowledged: since(acknowledged), complete };
        self.oracle.judge(&self.stream(index), claims)
    }

    /// What the oracle knows a sender by: each receiver has a history of its own.
    fn stream(&self, index: usize) -> usize {
        index + if self.senders[index].accepted_by == 0 { 0 } else { self.senders.len() }
    }

    /// Another receiver takes the place of the one that has died.
    pub(crate) fn succeed(&mut self, setup: &Setup) {
        for index in 0..self.senders.len() {
            self.senders[index].handed_before = self.delivered(index);
            self.senders[index].guest = Guest::Unknown;
        }
        self.incarnation += 1;
        self.receiver = Process { core: Some(core(setup, RECEIVER, self.incarnation)), ..Process::default() };
    }

    /// The present receiver is to get the messages behind `base`. All before must have been handed to the one before it (RSM-1).
    pub(crate) fn begin(&mut self, index: usize, base: Number) {
        let sender = &mut self.senders[index];
        (sender.accepted_by, sender.base) = (self.incarnation, base);
        self.is_confused |= base > sender.handed_before;
    }

    /// The last number handed to the application, as long as what it got is a prefix.
    pub(crate) fn delivered(&self, index: usize) -> Number {
        self.senders[index].base.after(self.judge(index, false).delivered)
    }

    /// The session as its receiver sees it, if both are there.
    pub(crate) fn inbound(&self, index: usize) -> Option<&Inbound> {
        let session = self.data_session(index);
        self.receiver.core.as_ref()?.senders().find_map(|(id, inbound)| (id == session).then_some(inbound))
    }

    /// The id of the session for frames from a sender to the present receiver.
    pub(crate) fn data_session(&self, index: usize) -> SessionId {
        SessionId::new(FIRST_DATA_SESSION + NEXT_RECEIVER * self.incarnation + index as u64).expect("not 0")
    }

    /// The session as its sender sees it, if that lives.
    pub(crate) fn outbound(&self, index: usize) -> Option<&Outbound> {
        self.senders[index].process.core.as_ref()?.outbound(reply_session(index))
    }

    /// The receiving application is told something.
    pub(crate) fn tell(&mut self, Seen { sender, what }: Seen) {
        let guest = &mut self.senders[sender].guest;
        match (*guest, what) {
            (Guest::Unknown, What::Joined) => *guest = Guest::Joined,
            (Guest::Joined, What::Departed(departure, last)) => *guest = Guest::Departed(departure, last),
            (Guest::Joined, What::Message { number, is_genuine, may_repeat }) => {
                let Sender { base, handed_before, .. } = self.senders[sender];
                let stream = self.stream(sender);
                self.oracle.delivered(stream, number.get().saturating_sub(base.get()));
                if !is_genuine {
                    self.oracle.corrupt(stream);
                }
                self.is_confused |= number <= handed_before && !may_repeat; // RSM-2
            }
            _ => self.is_confused = true,
        }
    }
}

impl From<Event<Vec<u8>>> for Seen {
    fn from(event: Event<Vec<u8>>) -> Self {
        let (peer, what) = match event {
            Event::Joined { peer } => (peer, What::Joined),
            Event::Gap { peer, last, .. } => {
                (peer, What::Message { number: last, is_genuine: false, may_repeat: false })
            } // nobody drops
            Event::Departed { peer, departure, last } => (peer, What::Departed(departure, last)),
            Event::Message { peer, number, may_repeat, frame, body: at, .. } => {
                let is_genuine = frame[at] == body(index_of(peer.pid), number);
                (peer, What::Message { number, is_genuine, may_repeat })
            }
        };
        Self { sender: index_of(peer.pid), what }
    }
}

impl Process {
    /// Whether it has handled all that came.
    pub(crate) fn is_drained(&self) -> bool {
        self.hand.is_none() && self.inbox.len() == 0
    }
}

impl Inbox {
    pub(crate) fn len(&self) -> usize {
        self.urgent.len() + self.ordered.len()
    }

    /// The frame at this place, counted as they will be taken.
    pub(crate) fn at(&self, at: usize) -> Option<&Vec<u8>> {
        self.urgent.iter().chain(&self.ordered).nth(at)
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

    /// Makes the frame at this place, counted as they will be taken, arrive twice, not at all, or behind the next one.
    pub(crate) fn disturb(&mut self, at: usize, how: Disturbance) -> Option<()> {
        let urgent = self.urgent.len();
        let (frames, at) = if at < urgent { (&mut self.urgent, at) } else { (&mut self.ordered, at - urgent) };
        match how {
            Disturbance::Double => frames.insert(at, frames.get(at)?.clone()),
            Disturbance::Drop => drop(frames.remove(at)?),
            Disturbance::Swap if at + 1 < frames.len() => frames.swap(at, at + 1),
            Disturbance::Swap | Disturbance::Forge => return None,
        }
        Some(())
    }
}

/// The core of a process.
fn core(setup: &Setup, pid: u32, incarnation: u64) -> Core {
    Core::new(Settings {
        epoch: epoch(pid, incarnation),
        pid,
        pid_namespace: 0,
        slots: setup.slots,
        window: setup.window,
        max_sessions: 8,
        max_message: 8,
        large_memory: 8,
        lossy: setup.lossy,
        auto_process: setup.auto_process,
        codec: CODEC_RAW,
        rendezvous: setup.channel == Channel::WithoutCapacity,
        back: BackSettings { level: setup.level, retain: 1 << 20 },
    })
}

fn epoch(pid: u32, incarnation: u64) -> Epoch {
    Epoch::new(u64::from(pid) + 100 * incarnation).expect("not 0")
}

/// How a sender greets that receiver.
pub(crate) fn target(setup: &Setup, incarnation: u64) -> Connect {
    let Setup { level, lossy, channel, .. } = *setup;
    let resumes = channel == Channel::Resuming;
    let settings = SendSettings { frame_size: FRAME_SIZE, level, retain: 1 << 20, lossy, resumes };
    Connect {
        stream: 0,
        codec: CODEC_RAW,
        settings,
        asks_only: false,
        inbox: b"/sender".to_vec(),
        wants_back: false,
        uid: GREETER.uid,
        to: epoch(RECEIVER, incarnation).low_bits(),
    }
}

const RECEIVER: u32 = 1;
const FIRST_SENDER: u32 = 2;
const FIRST_DATA_SESSION: u64 = 101;

/// How far the ids of one receiver's sessions are from those of the next, and those of the sessions with them at the senders.
const NEXT_RECEIVER: u64 = 50;

/// The sender behind a process id.
pub(crate) const fn index_of(pid: u32) -> usize {
    (pid - FIRST_SENDER) as usize
}

/// The id of the session for frames to a sender.
pub(crate) fn reply_session(index: usize) -> SessionId {
    SessionId::new(1 + index as u64).expect("not 0")
}

/// The id for frames of the second receiver to a sender.
pub(crate) fn next_reply_session(index: usize) -> SessionId {
    SessionId::new(NEXT_RECEIVER + 1 + index as u64).expect("not 0")
}

/// The sender behind an id given by [`World::data_session`].
pub(crate) fn sender_of(session: SessionId) -> usize {
    usize::try_from((session.get() - FIRST_DATA_SESSION) % NEXT_RECEIVER).expect("small")
}

/// The one byte of a message; it tells sender and number.
pub(crate) fn body(index: usize, number: Number) -> [u8; 1] {
    [u8::try_from(index as u64 * 16 + number.get()).expect("small")]
}

/// Sender of a data frame, and how many messages it carries.
pub(crate) fn data_of(frame: &[u8]) -> Option<(usize, u64)> {
    match decode(frame) {
        Ok((header, Frame::Data(data))) => {
            Some((sender_of(header.session?), data.last().get() - data.first().get() + 1))
        }
        _ => None,
    }
}

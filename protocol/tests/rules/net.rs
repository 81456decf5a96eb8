//! A net in memory: one receiver, some senders, and queues between them that behave as the kernel's.

mod node;
mod setup;

use lamq_protocol::{
    Epoch, Event, Level, Number, SessionId,
    endpoint::{BackSettings, Connect, Greeter, SendRefused, Settings},
    send::{Manner, SendSettings},
    session::{Departure, Ended, Inbound, Outbound},
    wire::{Priority, Refusal},
};
use node::Inbox;
pub(crate) use node::{Fate, Node, Sender};
pub(crate) use setup::{Channel, Setup};

/// What the link knows of every sender.
pub(crate) const GREETER: Greeter = Greeter { uid: 1000, frame_size: 512 };

/// How streams back are sent.
pub(crate) const BACK: BackSettings = BackSettings { level: Level::Delivered, retain: 1 << 20 };

/// What the receiving application sees; senders by their place in the net.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Joined(usize),
    Message(usize, u64, Vec<u8>),
    /// The first and the last number of messages that were dropped.
    Gap(usize, u64, u64),
    /// How, and the last number received.
    Departed(usize, Departure, u64),
}

/// One receiver and its senders.
#[derive(Clone, Debug)]
pub(crate) struct Net {
    pub(crate) setup: Setup,
    pub(crate) receiver: Node,
    pub(crate) senders: Vec<Sender>,
    /// Sessions of the receiver that need no link any more.
    pub(crate) ended: Vec<SessionId>,
    accepted: u64,
    replacements: u64,
    resumptions: u64,
}

/// Of all of them.
pub(crate) const PID_NAMESPACE: u64 = 7;

impl Net {
    /// Nobody has greeted yet.
    pub(crate) fn new(setup: Setup) -> Self {
        let settings = |pid: u32, auto_process| Self::settings_of(&setup, pid, auto_process);
        let session = |index| SessionId::new(setup.world << 32 | index as u64).expect("not 0");
        let sender = |index: usize| Sender {
            node: Node::new(settings(pid(index), true), setup.sender_slots),
            session: session(index),
            at_receiver: None,
            is_alive: true,
            ended: Vec::new(),
        };
        let receiver = Node::new(settings(1, setup.auto_process), usize::try_from(setup.slots).expect("a few slots"));
        let senders = (0..setup.senders).map(sender).collect();
        let (accepted, replacements, resumptions) = (0, 0, 0);
        Self { setup, receiver, senders, ended: Vec::new(), accepted, replacements, resumptions }
    }

    fn settings_of(setup: &Setup, pid: u32, auto_process: bool) -> Settings {
        Settings {
            epoch: Epoch::new(setup.world << 16 | u64::from(pid)).expect("not 0"),
            pid,
            pid_namespace: PID_NAMESPACE,
            slots: setup.slots,
            window: setup.window,
            max_sessions: setup.max_sessions,
            max_message: setup.max_message,
            large_memory: setup.large_memory,
            lossy: setup.lossy,
            auto_process,
            codec: setup.codec,
            rendezvous: setup.channel == Channel::WithoutCapacity,
            back: BACK,
        }
    }

    /// Every sender is welcomed, and the application has seen it join.
    pub(crate) fn greeted(setup: Setup) -> Self {
        let mut net = Self::new(setup);
        (0..net.senders.len()).for_each(|index| net.greet(index));
        assert_eq!(net.recv_all().len(), net.senders.len(), "all joined");
        net
    }

    /// One sender, welcomed.
    pub(crate) fn pair() -> Self {
        Self::greeted(Setup::default())
    }

    /// The session of a sender, as the receiver has it.
    pub(crate) fn inbound(&self, index: usize) -> Option<&Inbound> {
        let wanted = self.senders[index].at_receiver?;
        self.receiver.core.senders().find(|(session, _)| *session == wanted).map(|(_, inbound)| inbound)
    }

    // What applications do.

    /// A sender asks for a session.
    pub(crate) fn connect(&mut self, index: usize) {
        self.ask_for(index, false);
    }

    /// A sender asks, and wants no session.
    pub(crate) fn ask(&mut self, index: usize) {
        self.ask_for(index, true);
    }

    fn ask_for(&mut self, index: usize, asks_only: bool) {
        let connect = self.target(index, asks_only);
        let Sender { node, session, .. } = &mut self.senders[index];
        node.core.connect(*session, connect);
    }

    fn target(&self, index: usize, asks_only: bool) -> Connect {
        let Setup { frame_size, level, retain, lossy, .. } = self.setup;
        let settings = SendSettings { frame_size, level, retain, lossy, resumes: self.setup.resumes };
        let inbox = format!("/sender.{index}").into_bytes();
        let codec = self.setup.codec;
        Connect {
            stream: 0,
            codec,
            settings,
            asks_only,
            inbox,
            wants_back: self.setup.channel == Channel::BothWays,
            uid: GREETER.uid,
            to: self.receiver.core.epoch().low_bits(),
        }
    }

    /// A sender asks for a session, and frames go to and fro until it has one or not.
    pub(crate) fn greet(&mut self, index: usize) {
        self.connect(index);
        self.pump();
    }

    /// A sender sends a message, and what is due leaves it.
    pub(crate) fn send(&mut self, index: usize, body: impl AsRef<[u8]>) -> Result<u64, SendRefused> {
        self.send_as(index, body, Manner::default())
    }

    pub(crate) fn send_as(&mut self, index: usize, body: impl AsRef<[u8]>, manner: Manner) -> Result<u64, SendRefused> {
        let Sender { node, session, .. } = &mut self.senders[index];
        let number = node.core.send(*session, body.as_ref(), manner);
        self.transmit_from_sender(index); // also what asks for room
        number.map(Number::get)
    }

    /// A sender drops a message.
    pub(crate) fn drop_message(&mut self, index: usize) -> Result<u64, SendRefused> {
        let Sender { node, session, .. } = &mut self.senders[index];
        node.core.drop_message(*session).map(Number::get)
    }

    pub(crate) fn flush(&mut self, index: usize) {
        self.act(index, Outbound::flush);
    }

    pub(crate) fn stage_timeout(&mut self, index: usize) {
        self.act(index, Outbound::handle_stage_timeout);
    }

    pub(crate) fn close(&mut self, index: usize) {
        self.act(index, Outbound::close);
    }

    /// A sender has waited long enough for what it is owed, if anything.
    pub(crate) fn answer_timeout(&mut self, index: usize) {
        if self.senders[index].outbound().awaits_something() {
            self.act(index, Outbound::handle_answer_timeout);
        }
    }

    fn act(&mut self, index: usize, action: fn(&mut Outbound)) {
        let Sender { node, session, .. } = &mut self.senders[index];
        node.core.with_outbound(*session, action).expect("it has connected");
        self.transmit_from_sender(index);
    }

    /// The receiving application asks for what is next.
    pub(crate) fn recv(&mut self) -> Option<Seen> {
        self.receiver.core.next_event().map(seen)
    }

    /// The receiving application sends something back, and what is due leaves it.
    pub(crate) fn send_back(&mut self, index: usize, body: impl AsRef<[u8]>) -> Result<u64, SendRefused> {
        let session = self.senders[index].at_receiver.expect("accepted");
        let number = self.receiver.core.send(session, body.as_ref(), Manner::default());
        self.transmit_from_receiver(false);
        number.map(Number::get)
    }

    /// All that a sending application is sent back. It is always at the receiver's place in the net, which is none.
    pub(crate) fn recv_back(&mut self, index: usize) -> Vec<Seen> {
        let mut all = Vec::new();
        loop {
            self.pump();
            let before = all.len();
            all.extend(std::iter::from_fn(|| self.senders[index].node.core.next_event().map(seen)));
            self.transmit_idle_sender(index);
            self.pump();
            if all.len() == before {
                return all;
            }
        }
    }

    // What shells do.

    /// Frames go to and fro until none moves; the receiving application does not read meanwhile.
    pub(crate) fn pump(&mut self) {
        loop {
            (0..self.senders.len()).for_each(|index| self.transmit_from_sender(index));
            let mut moved = self.take_at_receiver(usize::MAX);
            self.transmit_from_receiver(false);
            for index in 0..self.senders.len() {
                moved += self.take_at_sender(index, usize::MAX);
            }
            if moved == 0 {
                return;
            }
        }
    }

    /// Frames go to and fro and the application reads, until there is nothing more to read and nothing to say.
    pub(crate) fn recv_all(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        loop {
            self.pump();
            while let Some(next) = self.recv() {
                seen.push(next);
                self.transmit_from_receiver(false);
            }
            self.transmit_from_receiver(true);
            let quiet =
                self.receiver.inbox.len() == 0 && self.senders.iter().all(|sender| sender.node.inbox.len() == 0);
            if quiet && !self.receiver.core.has_event() {
                return seen;
            }
        }
    }

    pub(crate) fn transmit_from_sender(&mut self, index: usize) {
        let Self { senders, receiver, .. } = self;
        let Sender { node, is_alive, ended, .. } = &mut senders[index];
        if *is_alive {
            node.core.transmit(false, &mut |_, priority, frame| receiver.inbox.put(priority, frame));
            ended.extend(std::iter::from_fn(|| node.core.poll_ended()));
        }
    }

    /// The same, of one that has nothing more to read.
    fn transmit_idle_sender(&mut self, index: usize) {
        let Self { senders, receiver, .. } = self;
        let Sender { node, ended, .. } = &mut senders[index];
        node.core.transmit(true, &mut |_, priority, frame| receiver.inbox.put(priority, frame));
        ended.extend(std::iter::from_fn(|| node.core.poll_ended()));
    }

    pub(crate) fn transmit_from_receiver(&mut self, idle: bool) {
        let Self { senders, receiver, ended, .. } = self;
        receiver.core.transmit(idle, &mut |session, priority, frame| {
            let sender = senders.iter_mut().find(|sender| sender.at_receiver == Some(session)).expect("accepted");
            !sender.is_alive || sender.node.inbox.put(priority, frame)
        });
        ended.extend(std::iter::from_fn(|| receiver.core.poll_ended()));
    }

    /// Returns how many frames were there to take.
    pub(crate) fn take_at_receiver(&mut self, most: usize) -> usize {
        let mut taken = 0;
        while taken < most
            && let Some(frame) = self.receiver.inbox.take()
        {
            self.give_receiver(frame);
            taken += 1;
        }
        taken
    }

    /// Returns how many frames were there to take.
    pub(crate) fn take_at_sender(&mut self, index: usize, most: usize) -> usize {
        let mut taken = 0;
        while taken < most
            && let Some(frame) = self.senders[index].node.inbox.take()
        {
            self.give_sender(index, frame);
            taken += 1;
        }
        taken
    }

    /// A sender handles a frame, wherever it is from.
    pub(crate) fn give_sender(&mut self, index: usize, frame: impl Into<Vec<u8>>) {
        let frame = frame.into();
        let node = &mut self.senders[index].node;
        if node.handle(frame).is_some() {
            node.core.distrust(); // nobody greets a sender
        }
    }

    /// The receiver handles a frame, wherever it is from, and answers a greeting if its sender can be reached.
    pub(crate) fn give_receiver(&mut self, frame: impl Into<Vec<u8>>) {
        let frame = frame.into();
        let Some(arrival) = self.receiver.handle(frame) else { return };
        let index = index_of(arrival.greeting.pid);
        let epoch = Epoch::new(self.setup.world << 16 | u64::from(arrival.greeting.pid));
        let greeter = self.senders.get_mut(index).filter(|sender| sender.can_be_opened());
        let Some(greeter) = greeter.filter(|_| epoch == Some(arrival.greeting.stream.epoch)) else {
            return self.receiver.core.distrust();
        };
        if let Some(refusal) = &arrival.refusal {
            let frame = Refusal::encode(refusal, arrival.greeting.reply_session, self.receiver.core.now());
            assert!(greeter.node.inbox.put(Priority::Ordered, &frame), "there is room: it waits for this");
            return;
        }
        self.accepted += 1;
        let session = SessionId::new(self.setup.world << 32 | 1 << 24 | self.accepted).expect("not 0");
        greeter.at_receiver = Some(session);
        self.receiver.core.accept(&arrival.greeting, GREETER, session);
    }

    // What befalls processes.

    /// The receiver is killed, with all that its inbox holds; those who send to it hear of it, and a new one takes its place.
    pub(crate) fn replace_receiver(&mut self) {
        self.replacements += 1;
        let mut settings = Self::settings_of(&self.setup, 1, self.setup.auto_process);
        settings.epoch = Epoch::new(settings.epoch.get() + (self.replacements << 8)).expect("not 0");
        self.receiver = Node::new(settings, usize::try_from(self.setup.slots).expect("a few slots"));
        for index in 0..self.senders.len() {
            self.take_at_sender(index, usize::MAX);
            let Sender { node, session, at_receiver, .. } = &mut self.senders[index];
            *at_receiver = None;
            node.core.handle_death(*session);
            self.transmit_from_sender(index);
        }
    }

    /// A sender that has lost its receiver greets the one that is there now.
    pub(crate) fn resume(&mut self, index: usize) {
        self.resumptions += 1;
        let reply = SessionId::new(self.setup.world << 32 | 1 << 25 | self.resumptions).expect("not 0");
        let target = self.target(index, false);
        let Sender { node, session, .. } = &mut self.senders[index];
        node.core.resume(*session, reply, target);
        self.pump();
    }

    /// A sender is killed: what it has put into the receiver's inbox stays there.
    pub(crate) fn kill(&mut self, index: usize) {
        self.senders[index].is_alive = false;
        self.senders[index].node.inbox = Inbox::default();
    }

    /// The receiver's shell notices that a sender is dead, and reads its inbox empty first (DTH-2).
    pub(crate) fn mourn(&mut self, index: usize) {
        self.take_at_receiver(usize::MAX);
        if let Some(session) = self.senders[index].at_receiver {
            self.receiver.core.handle_death(session);
        }
    }

    pub(crate) fn ended(&self, index: usize) -> Option<Ended> {
        self.senders[index].outbound().ended()
    }
}

pub(crate) fn seen(event: Event<Vec<u8>>) -> Seen {
    let index = index_of;
    match event {
        Event::Joined { peer } => Seen::Joined(index(peer.pid)),
        Event::Message { peer, number, frame, body, .. } => {
            Seen::Message(index(peer.pid), number.get(), frame[body].to_vec())
        }
        Event::Gap { peer, first, last } => Seen::Gap(index(peer.pid), first.get(), last.get()),
        Event::Departed { peer, departure, last } => Seen::Departed(index(peer.pid), departure, last.get()),
    }
}

/// The place in the net of a sender with this pid; behind all of them for a stranger.
pub(crate) fn index_of(pid: u32) -> usize {
    pid.checked_sub(100).map_or(usize::MAX, |index| index as usize)
}

pub(crate) fn pid(index: usize) -> u32 {
    100 + u32::try_from(index).expect("a few senders")
}

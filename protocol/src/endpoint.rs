//! One participant: finds the session of a frame, accepts and refuses, hands out messages in order of arrival.

use crate::{
    aside::Aside,
    lamport::{Clock, Stamp},
    number::{Epoch, Number, SessionId, StreamId},
    send::SendSettings,
    session::{Inbound, Outbound, Peer},
    wire::{Back, Greeting, Terms, Welcome},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

mod counters;
mod frames;
mod incoming;
mod lease;
mod output;
mod receiving;
mod replies;
mod sending;
mod through;
mod touched;
mod types;

pub use counters::Counters;
pub use frames::Handled;
use incoming::{Incoming, Ready};
pub use lease::Lease;
use touched::Touched;
pub use types::{Arrival, BackSettings, CODEC_RAW, Connect, Event, Greeter, SendRefused, Settings};

/// How many sessions are kept, on a link that loses frames, only for senders that may not know of their end (RTX-4).
const SPENT_SESSIONS: usize = 64;

/// How many data frames back a session counts as active (CRD-3).
const ACTIVE_FRAMES: u64 = 64;

/// The protocol core of one participant.
///
/// # Contract
/// - Every frame from the inbox goes to [`handle_frame`](Self::handle_frame), in order of arrival.
/// - Every death goes to [`handle_death`](Self::handle_death), after the inbox has been read empty (DTH-2).
/// - After any call that may have made something due, and before waiting, call [`transmit`](Self::transmit), with
///   `idle` when the application finds nothing more to read.
/// - A greeting that [`handle_frame`](Self::handle_frame) returns is answered before the next frame is handled.
/// - [`next_event`](Self::next_event) gives what the application is to see.
/// - [`poll_ended`](Self::poll_ended) names sessions that need no link any more.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint<B> {
    settings: Settings,
    clock: Clock,
    outbound: BTreeMap<SessionId, Outbound>,
    inbound: BTreeMap<SessionId, Incoming<B>>,
    ready: VecDeque<Ready<B>>,
    /// Sessions that go on with another receiver: by the id under which that one sends to us (RSM-1).
    resumed: BTreeMap<SessionId, SessionId>,
    /// Sessions that have something to say, at the latest when idle.
    touched: Touched,
    /// Whether one of them has been touched since the last transmit.
    fresh: bool,
    ended: VecDeque<SessionId>,
    /// What was handed out since the application last said, by asking for a message, that it is done with what it has: first and last number
    /// of each run.
    handed: VecDeque<(SessionId, Number, Number)>,
    /// Sessions that want more credit than their window, first come, first served (LRG-2).
    asking: VecDeque<SessionId>,
    frames_seen: u64,
    /// Each session's part of the inbox, when something was last transmitted.
    share: u64,
    /// How many streams there have been.
    streams: u32,
    /// The application has asked for a message and not got one since (RDV-1).
    hungry: bool,
    counters: Aside<Counters>,
}

impl<B: AsRef<[u8]> + Clone + From<Vec<u8>>> Endpoint<B> {
    /// An endpoint without sessions.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            clock: Clock::default(),
            outbound: BTreeMap::new(),
            inbound: BTreeMap::new(),
            ready: VecDeque::new(),
            resumed: BTreeMap::new(),
            touched: Touched::default(),
            fresh: false,
            ended: VecDeque::new(),
            handed: VecDeque::new(),
            asking: VecDeque::new(),
            frames_seen: 0,
            share: 0,
            streams: 0,
            hungry: false,
            counters: Aside::default(),
        }
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Our incarnation.
    pub const fn epoch(&self) -> Epoch {
        self.settings.epoch
    }

    /// Lamport time of the latest event.
    pub const fn now(&self) -> Stamp {
        self.clock.now()
    }

    /// The sessions in which we receive.
    pub fn senders(&self) -> impl ExactSizeIterator<Item = (SessionId, &Inbound)> {
        self.inbound.iter().map(|(id, incoming)| (*id, &incoming.session))
    }

    /// A session in which we send.
    pub fn outbound(&self, session: SessionId) -> Option<&Outbound> {
        self.outbound.get(&session)
    }

    // Frames and deaths.

    /// A peer died, and every frame it left has been handled (DTH-2).
    pub fn handle_death(&mut self, session: SessionId) {
        if let Some(outbound) = self.outbound.get_mut(&session) {
            outbound.handle_death();
        }
        if let Some(incoming) = self.inbound.get_mut(&session) {
            let was_open = incoming.session.is_open();
            incoming.session.handle_death();
            if was_open {
                self.depart(session);
            }
        }
        self.touch(session);
    }

    /// Opens a session for a greeting that was found to be true and wants one. `session` is random (SES-1).
    pub fn accept(&mut self, greeting: &Greeting, greeter: Greeter, session: SessionId) {
        let Some(level) = greeting.level else { return }; // GRT-7
        if let Some(known) = self.session_of(greeting.stream) {
            return self.handle_greeting_again(known); // GRT-3: it came twice before it was answered.
        }
        self.make_place();
        let Settings { lossy, back: BackSettings { level: back_level, retain }, .. } = self.settings;
        let settings =
            SendSettings { frame_size: greeter.frame_size, level: back_level, retain, lossy, resumes: false };
        let back = greeting.back.is_some().then(|| Back { level: back_level, index: self.next_stream() });
        if let Some(Back { index, .. }) = back {
            let stream = StreamId { epoch: self.settings.epoch, index };
            let outbound = Outbound::back(greeting, stream, settings, greeter.uid);
            self.outbound.extend(outbound.map(|outbound| (session, outbound)));
        }
        let (epoch, pid, terms) = (self.settings.epoch, self.settings.pid, self.terms());
        let welcome = Welcome { data_session: session, epoch, pid, terms, back };
        let peer = Peer { stream: greeting.stream, pid: greeting.pid, uid: greeter.uid };
        let inbound = Inbound::new(peer, greeting.reply_session, level, terms, self.settings.window, lossy);
        let inbound = inbound.going_on(greeting.first, greeting.exposed);
        self.receive_in(session, inbound.with_welcome(welcome));
    }

    /// RTX-4: of the sessions that are kept only for senders that may not know of their end the oldest goes when there are many.
    fn make_place(&mut self) {
        if !self.settings.lossy {
            return;
        }
        let spent = self.inbound.iter().filter(|(_, incoming)| incoming.session.is_spent());
        let by_age: BTreeSet<_> = spent.map(|(id, incoming)| (incoming.active, *id)).collect();
        if let Some((_, oldest)) = by_age.first().filter(|_| by_age.len() >= SPENT_SESSIONS) {
            self.inbound.remove(oldest);
            if !self.outbound.contains_key(oldest) {
                self.ended.push_back(*oldest);
            }
        }
    }

    /// A session in which we receive begins.
    fn receive_in(&mut self, session: SessionId, inbound: Inbound) {
        let active = self.frames_seen + ACTIVE_FRAMES;
        self.inbound.insert(session, Incoming::new(inbound, active, self.settings.max_message));
        self.ready.push_back(Ready::Joined(session));
        self.touch(session);
        self.counters.accepted += 1;
    }

    /// The shell found the inbox of a greeting missing or not to be trusted (GRT-4).
    pub fn distrust(&mut self) {
        self.counters.distrust();
    }

    /// The application says that it is done with all it was handed.
    pub fn process_all(&mut self) {
        self.handed.clear();
        self.inbound.values_mut().for_each(|incoming| incoming.session.process_all());
        self.touched.extend(self.inbound.keys().copied());
        self.fresh = true;
    }

    /// The application says that it is done with one message that it was handed (ACK-9). Returns whether its sender will learn of
    /// it: not if it is gone, or the session is over.
    pub fn process(&mut self, session: SessionId, number: Number) -> bool {
        let Some(incoming) = self.inbound.get_mut(&session) else { return false };
        incoming.session.window_mut().process(number, number);
        let is_heard = incoming.session.is_heard();
        self.touch(session);
        is_heard
    }

    /// The application leaves: every sender is told (CLO-5), and what was not handed out never will be. Of senders that come
    /// later, the same is to be said again.
    pub fn leave(&mut self) {
        self.ready.clear();
        self.asking.clear();
        self.handed.clear();
        self.inbound.values_mut().for_each(|incoming| incoming.session.close());
        self.touched.extend(self.inbound.keys().copied());
        self.fresh = true;
    }

    /// The application asks for the next message, and so is done with what it was handed.
    fn pass(&mut self) {
        while let Some((session, first, last)) = self.handed.pop_front() {
            let Some(incoming) = self.inbound.get_mut(&session) else { continue };
            incoming.answers = core::mem::take(&mut incoming.answered);
            let window = incoming.session.window_mut();
            window.process(first, last);
            if window.owes_answer() {
                self.touch(session); // ACK-4
            } else if window.is_drained() {
                self.touched.insert(session); // when there is time for it, and nothing more of this session to be handed out
            }
        }
    }

    /// These messages are handed out, and the application has not said yet that it is done with them (ACK-10).
    fn hand(&mut self, session: SessionId, first: Number, last: Number) {
        match self.handed.back_mut() {
            Some((of, _, before)) if *of == session && before.next() == first => *before = last,
            _ => self.handed.push_back((session, first, last)),
        }
    }

    /// One session's part of the inbox, of so many (CRD-3).
    fn share_of(&self, sessions: u64) -> u64 {
        if self.settings.rendezvous {
            u64::from(self.hungry) // RDV-1
        } else {
            let slots = self.settings.slots.saturating_sub(2);
            if sessions > 1 { (slots / sessions).max(1) } else { slots.max(1) } // a division would be a good part of a transmit
        }
    }

    /// How many frames each session could have on their way to us when something was last transmitted (CRD-3).
    pub const fn share(&self) -> u64 {
        self.share
    }

    /// On what terms a further session is received.
    fn terms(&self) -> Terms {
        let Settings { window, max_message, rendezvous, .. } = self.settings;
        let frame_credit = self.share_of(self.active_sessions() + 1);
        Terms { frame_credit, byte_credit: window, max_message, rendezvous }
    }

    fn touch(&mut self, session: SessionId) {
        self.touched.insert(session);
        self.fresh = true;
    }

    /// How many sessions are active, or as many as there are slots: with so many each has the least share.
    fn active_sessions(&self) -> u64 {
        let active = self.inbound.values().filter(|incoming| incoming.active > self.frames_seen);
        active.take(usize::try_from(self.settings.slots).unwrap_or(usize::MAX)).count() as u64
    }
}

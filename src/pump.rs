//! THE loop: link to core to link. Never waits; what to sleep on while waiting is in [`poller`], who waits in [`driver`].

use crate::{
    clock::Deadline,
    error::OpenError,
    link::{Link, Outbox, Owner, retry},
    name::QueueName,
    pool::{FrameBuffer, Pool},
    random,
    sync::{Arc, Upkeep},
};
use lamq_protocol::{
    Endpoint, FrameNumber, Number, SessionId,
    endpoint::{Arrival, Greeter, Settings},
    session::Outbound,
    wire::{Close, EndReason, Priority},
};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags, EpollTimeout};
use patience::Patience;
use poller::BLOCKED_TICK;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::fd::OwnedFd,
};

mod beacon;
mod driver;
mod mailbox;
mod patience;
mod poller;
mod seek;
mod spin;
mod want;

pub(crate) use driver::Driver;
pub(crate) use mailbox::Mailbox;
pub(crate) use poller::sleep_on;
pub(crate) use seek::{APPEAR_TICK, GREETING_TICK, Seeker};
pub(crate) use spin::Spin;

/// What the lock protects.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) core: Endpoint<FrameBuffer>,
    pub(crate) mailbox: Mailbox,
    link: Arc<dyn Link>,
    peers: BTreeMap<SessionId, Box<dyn Outbox>>,
    /// Those whose inbox has no room: registered in the epoll until it has.
    blocked: BTreeSet<SessionId>,
    /// When to look next whether they are still there.
    next_look: Deadline,
    pool: Pool,
    epoll: Arc<Epoll>,
    /// On a lossy link: the sessions in which an answer is awaited.
    patience: BTreeMap<SessionId, Patience>,
    /// A call of the system failed, which is to be tried again at the next tick.
    retry_soon: bool,
    /// Until when, and on which inbox, somebody sleeps at most.
    planned: Option<(Deadline, Arc<OwnedFd>)>,
    /// Frames that were staged at the keeper's last tick, by their first number.
    staged: Vec<(SessionId, Number)>,
    pub(crate) part: Part,
    /// Whether frames or deaths were taken that another thread may sleep for.
    pub(crate) progressed: bool,
    /// Whether the inbox was looked into.
    served: bool,
    /// Credit that was asked for and that no call waits for, and how long yet.
    wants: BTreeMap<SessionId, (u64, Deadline)>,
    /// Sessions that go on with the next receiver.
    seekers: BTreeMap<SessionId, Seeker>,
    /// Sessions in which somebody sends, or wants to, and will say when no more.
    held: BTreeSet<SessionId>,
}

/// What an endpoint is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// To send.
    Sender,
    /// To receive: greetings may come at any time.
    Receiver,
    /// To receive until at least one sender has come and all are gone again.
    Finite,
    /// To receive no more. Greetings may still come, from whoever had found the queue before.
    Closed,
}

/// How many frames one step takes from the inbox at most, so that a flood cannot outlast a deadline.
const FRAMES_PER_STEP: usize = 64;

/// How many frames a sender may have unacknowledged without watching its inbox, which has room for ten answers: one is
/// acknowledged twice at most, when it is delivered and when the receiver is idle.
const FRAMES_UNWATCHED: usize = 4;

/// How many such steps empty any inbox: `HARD_MSGMAX` of Linux is 65,536 frames.
const MAX_DRAIN: usize = (1 << 16) / FRAMES_PER_STEP;

impl State {
    fn new(link: Arc<dyn Link>, mailbox: Mailbox, settings: Settings, part: Part, epoll: Arc<Epoll>) -> Self {
        Self {
            pool: Pool::new(mailbox.geometry().frame_size),
            part,
            core: Endpoint::new(settings),
            mailbox,
            link,
            peers: BTreeMap::new(),
            blocked: BTreeSet::new(),
            next_look: Deadline::Now,
            epoll,
            patience: BTreeMap::new(),
            retry_soon: false,
            planned: None,
            staged: Vec::new(),
            progressed: false,
            served: false,
            wants: BTreeMap::new(),
            seekers: BTreeMap::new(),
            held: BTreeSet::new(),
        }
    }

    /// Registers the link of a session.
    pub(crate) fn add_peer(&mut self, session: SessionId, outbox: Box<dyn Outbox>) -> io::Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, session.get());
        retry(|| self.epoll.add(outbox.destination().bell(), event))?;
        self.peers.insert(session, outbox);
        Ok(())
    }

    /// Forgets the link of a session.
    pub(crate) fn remove_peer(&mut self, session: SessionId) {
        self.patience.remove(&session);
        if let Some(peer) = self.peers.remove(&session) {
            _ = self.epoll.delete(peer.destination().bell());
            if self.blocked.remove(&session) {
                _ = self.epoll.delete(peer.destination().writable());
            }
        }
    }

    /// Reads the inbox until the application has something to see, tells deaths, then transmits.
    pub(crate) fn step(&mut self) {
        // Acknowledgements of what we send must not wait behind messages that nobody reads. Credit bounds what is held.
        let (came, drained) = self.read(self.core.sends());
        let happened = self.look_around() | self.seek();
        self.progressed |= came || happened;
        self.ask_again();
        self.end_idle_wants();
        self.transmit(drained && !self.core.has_event());
    }

    /// Offers what is due to the links.
    pub(crate) fn transmit(&mut self, idle: bool) {
        if self.core.wants_transmit() || (idle && self.core.wants_idle_transmit()) {
            let Self { peers, retry_soon, .. } = self;
            let mut failed = None;
            let blocked = self.core.transmit(idle, &mut |session, priority, frame| {
                let Some(peer) = peers.get_mut(&session) else { return true };
                peer.try_send(priority, frame).unwrap_or_else(|error| {
                    tracing::warn!(target: "lamq", %session, %error, "a frame could not be sent, it is tried again");
                    *retry_soon = true;
                    failed = Some(session);
                    false
                })
            });
            // Not one that failed though there may be room: its descriptor would be ready again and again.
            for session in blocked.into_iter().filter(|session| Some(*session) != failed) {
                self.watch_room(session);
            }
        }
        while let Some(session) = self.core.poll_ended() {
            self.remove_peer(session);
            if !self.held.contains(&session) {
                self.core.forget(session);
            }
        }
    }

    /// Somebody sends in this session, and will ask what came of it.
    pub(crate) fn hold(&mut self, session: SessionId) {
        self.held.insert(session);
    }

    /// Nobody will ask for this session any more. What it has still to say is said.
    pub(crate) fn let_go(&mut self, session: SessionId) {
        self.seekers.remove(&session);
        self.core.stop_resuming(session);
        self.held.remove(&session);
        if self.core.outbound(session).is_some_and(|outbound| outbound.ended().is_some()) {
            self.core.forget(session);
        }
    }

    /// Gives a session up that the receiver has not answered.
    pub(crate) fn give_up(&mut self, session: SessionId) {
        self.held.remove(&session);
        self.core.forget(session);
        self.remove_peer(session);
    }

    /// Whether something is left to say that no call need say.
    fn is_unsaid(&self) -> bool {
        self.retry_soon || self.core.wants_idle_transmit() || self.core.staged().next().is_some()
    }

    /// Whether something may come that is to be served: a greeting, or more acknowledgements than the inbox has room for, so that
    /// the receiver could not say its last word.
    fn is_awaiting(&self) -> bool {
        self.part != Part::Sender
            || self.core.frames_kept() > FRAMES_UNWATCHED
            || self.core.owes_gap()
            || self.may_ask()
            || self.may_seek()
            || self.core.wants_idly().next().is_some()
    }

    /// What the keeper does at a tick (CAL-6). Only when `away` may it take frames: nobody sleeps for them then.
    fn upkeep(&mut self, away: bool) -> Upkeep {
        for (session, first) in std::mem::take(&mut self.staged) {
            if self.core.outbound(session).and_then(|outbound| outbound.window().staged()) == Some(first) {
                self.core.with_outbound(session, Outbound::handle_stage_timeout); // DAT-6
            }
        }
        if away {
            self.read(true);
            self.look_around();
            self.seek();
            self.served = false; // that was not a call
        }
        let again = std::mem::take(&mut self.retry_soon);
        self.ask_again();
        self.end_idle_wants();
        self.transmit(away || again);
        self.staged.extend(self.core.staged());
        if !self.staged.is_empty() || (self.retry_soon && !away) {
            Upkeep::Tick
        } else if away && (self.is_unsaid() || self.is_awaiting()) {
            Upkeep::Watch
        } else {
            Upkeep::Rest
        }
    }

    fn watch_room(&mut self, session: SessionId) {
        let Some(peer) = self.peers.get(&session).filter(|_| !self.blocked.contains(&session)) else { return };
        if self.blocked.is_empty() {
            self.next_look = Deadline::after(BLOCKED_TICK);
        }
        match self.epoll.add(peer.destination().writable(), EpollEvent::new(EpollFlags::EPOLLOUT, session.get())) {
            Ok(()) => _ = self.blocked.insert(session),
            Err(_) => self.retry_soon = true,
        }
    }

    /// Takes frames. Returns whether any came, and whether the inbox was found empty.
    fn read(&mut self, all: bool) -> (bool, bool) {
        let mut came = false;
        self.served = true;
        for _ in 0..FRAMES_PER_STEP {
            if !all && self.core.has_event() {
                return (came, false);
            }
            let mut buffer = self.pool.take();
            match self.mailbox.inbox.try_recv(&mut buffer) {
                Ok(Some(length)) => {
                    came = true;
                    let frame = self.pool.share(buffer, length);
                    if let Some(arrival) = self.core.handle_frame(frame) {
                        self.answer(&arrival);
                    }
                }
                Ok(None) => {
                    self.pool.put_back(buffer);
                    return (came, true);
                }
                Err(error) => {
                    tracing::warn!(target: "lamq", %error, "the inbox cannot be read, it is tried again");
                    self.pool.put_back(buffer);
                    self.retry_soon = true;
                    return (came, false);
                }
            }
        }
        (came, false)
    }

    /// Answers a greeting if what it says of its sender is true (GRT-4, POS-8).
    fn answer(&mut self, arrival: &Arrival) {
        let greeting = &arrival.greeting;
        let name = std::str::from_utf8(&greeting.inbox).ok().and_then(|name| QueueName::new(name).ok());
        let Some(mut outbox) = name.and_then(|name| self.open_to_answer(&name)) else { return self.core.distrust() };
        let destination = outbox.destination();
        let greeter = Greeter { uid: destination.user(), frame_size: destination.geometry().frame_size };
        if destination.owner() != Owner::new(greeting.pid, greeting.stream.epoch) {
            return self.core.distrust();
        }
        if let Some(refusal) = &arrival.refusal {
            let (session, now) = (greeting.reply_session, self.core.now());
            let frame = if greeting.level.is_none() && self.part == Part::Closed {
                Close { last: Number::NONE, reason: EndReason::Finished, frame: FrameNumber::NONE }.encode(session, now) // REF-2
            } else {
                refusal.encode(session, now)
            };
            if !outbox.try_send(Priority::Ordered, &frame).is_ok_and(|sent| sent) {
                self.core.distrust();
            }
            return;
        }
        match random::session() {
            Ok(session) if self.add_peer(session, outbox).is_ok() => self.core.accept(greeting, greeter, session),
            _ => return self.core.distrust(),
        }
        if self.part == Part::Closed {
            self.core.leave(); // whoever comes late is told so, and looks for the next owner of the name
        }
    }

    fn open_to_answer(&self, name: &QueueName) -> Option<Box<dyn Outbox>> {
        let opened = self.link.open(name);
        if let Err(OpenError::Limit(limit)) = &opened {
            tracing::warn!(target: "lamq", %name, %limit, "a sender that wants to join is not answered");
        }
        opened.ok()
    }

    /// Whether the peer of a session is known to be dead, or gone from its inbox.
    pub(crate) fn is_gone(&self, session: SessionId) -> bool {
        self.peers.get(&session).is_some_and(|peer| matches!(peer.destination().is_alive(), Ok(false)))
    }

    /// Reads the inbox empty. A full inbox is the most there can be, unless somebody goes on writing.
    pub(crate) fn drain(&mut self) {
        for _ in 0..MAX_DRAIN {
            if let (_, true) | (false, _) = self.read(true) {
                return;
            }
        }
    }

    /// As [`step`](Self::step), and reads the inbox empty.
    pub(crate) fn take_all(&mut self) {
        self.drain();
        self.step();
        self.progressed |= self.core.has_event();
    }

    /// Looks at everything rare without waiting: room in peers' inboxes, deaths. Returns whether something happened.
    pub(crate) fn look_around(&mut self) -> bool {
        let mut events = [EpollEvent::empty(); 16];
        let count = self.epoll.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
        let mut happened = self.look_after_blocked();
        for event in &events[..count] {
            let Some(session) = SessionId::new(event.data()) else { continue };
            let Some(peer) = self.peers.get(&session) else { continue };
            happened = true;
            if event.events().contains(EpollFlags::EPOLLOUT) && self.blocked.remove(&session) {
                _ = self.epoll.delete(peer.destination().writable());
                self.core.retry(session);
            } else if !peer.destination().is_alive().unwrap_or(false) {
                self.bury(session); // its bell has rung, whatever the lock may say
            }
        }
        happened
    }

    /// Looks now and then whether peers are still there that take nothing: the room may never come, and no bell rings when one
    /// leaves whose process lives on (DTH-1).
    fn look_after_blocked(&mut self) -> bool {
        if self.blocked.is_empty() || !self.next_look.has_passed() {
            return false;
        }
        self.next_look = Deadline::after(BLOCKED_TICK);
        let gone: Vec<_> = self.blocked.iter().copied().filter(|session| self.is_gone(*session)).collect();
        for session in &gone {
            self.bury(*session);
        }
        !gone.is_empty()
    }

    fn bury(&mut self, session: SessionId) {
        self.drain(); // DTH-2: what the dead one sent is in the inbox by now
        self.core.handle_death(session); // DTH-3: the waiting step that follows sees it
        self.remove_peer(session);
    }
}

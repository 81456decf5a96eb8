//! THE loop: link to core to link. Never waits; what to sleep on while waiting is [`Poller`].

use crate::{
    clock::Deadline,
    link::{Inbox, Link, Outbox, Owner, retry},
    name::QueueName,
    pool::{FrameBuffer, Pool},
    random,
    sync::{Arc, Role, World},
};
use lamq_protocol::{
    Endpoint, SessionId,
    endpoint::{Arrival, Settings},
    wire::Priority,
};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        eventfd::{EfdFlags, EventFd},
    },
};
use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

/// One endpoint: its state, and what its threads sleep on.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) role: Role<State>,
    pub(crate) poller: Poller,
}

/// What the lock protects.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) core: Endpoint<FrameBuffer>,
    pub(crate) inbox: Box<dyn Inbox>,
    link: Arc<dyn Link>,
    peers: BTreeMap<SessionId, Peer>,
    pool: Pool,
    epoll: Arc<Epoll>,
    /// A call of the system failed, which is to be tried again at the next tick.
    retry_soon: bool,
    /// Whether frames or deaths were taken that another thread may sleep for.
    pub(crate) progressed: bool,
    /// Messages that found no credit when they were to be sent.
    pub(crate) stalls: u64,
    /// Whether the application has closed its receiving end.
    pub(crate) closed: bool,
}

#[derive(Debug)]
struct Peer {
    outbox: Box<dyn Outbox>,
    /// Registered for room in the peer's inbox.
    blocked: bool,
}

/// Descriptors of an endpoint: its inbox, and one epoll with everything rare.
#[derive(Debug)]
pub(crate) struct Poller {
    inbox: OwnedFd,
    epoll: Arc<Epoll>,
    interrupt: EventFd,
}

/// How many frames one step takes from the inbox at most, so that a flood cannot outlast a deadline.
const FRAMES_PER_STEP: usize = 64;

/// When a call of the system failed for want of memory, say: how long until it is tried again.
const RETRY_TICK: Duration = Duration::from_millis(10);

/// Mark of the interrupt among the sessions in the epoll; no session has the id 0.
const INTERRUPT: u64 = 0;

impl Shared {
    pub(crate) fn new(link: Arc<dyn Link>, inbox: Box<dyn Inbox>, settings: Settings) -> io::Result<Arc<Self>> {
        let epoll = Arc::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
        let interrupt = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        epoll.add(&interrupt, EpollEvent::new(EpollFlags::EPOLLIN, INTERRUPT))?;
        let poller = Poller { inbox: inbox.readable().try_clone_to_owned()?, epoll: Arc::clone(&epoll), interrupt };
        let pool = Pool::new(inbox.geometry().frame_size);
        let core = Endpoint::new(settings);
        let peers = BTreeMap::new();
        let state = State {
            core,
            inbox,
            link,
            peers,
            pool,
            epoll,
            retry_soon: false,
            progressed: false,
            stalls: 0,
            closed: false,
        };
        Ok(Arc::new(Self { role: Role::new(state), poller }))
    }
}

impl State {
    /// Registers the link of a session.
    pub(crate) fn add_peer(&mut self, session: SessionId, outbox: Box<dyn Outbox>) -> io::Result<()> {
        self.epoll.add(outbox.bell(), EpollEvent::new(EpollFlags::EPOLLIN, session.get()))?;
        self.peers.insert(session, Peer { outbox, blocked: false });
        Ok(())
    }

    /// Forgets the link of a session.
    pub(crate) fn remove_peer(&mut self, session: SessionId) {
        if let Some(peer) = self.peers.remove(&session) {
            _ = self.epoll.delete(peer.outbox.bell());
            if peer.blocked {
                _ = self.epoll.delete(peer.outbox.writable());
            }
        }
    }

    /// Reads the inbox until the application has something to see, tells deaths, then transmits.
    pub(crate) fn step(&mut self) {
        let (came, drained) = self.read(false);
        let happened = self.look_around();
        self.progressed |= came || happened;
        self.transmit(drained);
    }

    /// Offers what is due to the links.
    pub(crate) fn transmit(&mut self, idle: bool) {
        if self.core.wants_transmit() || (idle && self.core.wants_idle_transmit()) {
            let Self { peers, retry_soon, .. } = self;
            let blocked = self.core.transmit(idle, &mut |session, priority, frame| {
                let Some(peer) = peers.get_mut(&session) else { return true };
                peer.outbox.try_send(priority, frame).unwrap_or_else(|error| {
                    tracing::warn!(target: "lamq", %session, %error, "a frame could not be sent, it is tried again");
                    *retry_soon = true;
                    false
                })
            });
            for session in blocked {
                self.watch_room(session);
            }
        }
        while let Some(session) = self.core.poll_ended() {
            self.remove_peer(session);
        }
    }

    fn watch_room(&mut self, session: SessionId) {
        let Some(peer) = self.peers.get_mut(&session).filter(|peer| !peer.blocked) else { return };
        let event = EpollEvent::new(EpollFlags::EPOLLOUT, session.get());
        match self.epoll.add(peer.outbox.writable(), event) {
            Ok(()) => peer.blocked = true,
            Err(_) => self.retry_soon = true,
        }
    }

    /// Takes frames. Returns whether any came, and whether the inbox was found empty.
    fn read(&mut self, all: bool) -> (bool, bool) {
        let mut came = false;
        for _ in 0..FRAMES_PER_STEP {
            if !all && self.core.has_event() {
                return (came, false);
            }
            let mut buffer = self.pool.take();
            match self.inbox.try_recv(&mut buffer) {
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
        let Some(mut outbox) = name.and_then(|name| self.link.open(&name).ok()) else { return self.core.distrust() };
        if outbox.owner() != Owner::new(greeting.pid, greeting.stream.epoch) {
            return self.core.distrust();
        }
        if let Some(refusal) = &arrival.refusal {
            let frame = refusal.encode(greeting.reply_session, self.core.now());
            if !outbox.try_send(Priority::Ordered, &frame).is_ok_and(|sent| sent) {
                self.core.distrust();
            }
            return;
        }
        match random::session() {
            Ok(session) if self.add_peer(session, outbox).is_ok() => self.core.accept(greeting, session),
            _ => self.core.distrust(),
        }
    }

    /// Looks at everything rare without waiting: room in peers' inboxes, deaths. Returns whether something happened.
    pub(crate) fn look_around(&mut self) -> bool {
        let mut events = [EpollEvent::empty(); 16];
        let Ok(count) = self.epoll.wait(&mut events, EpollTimeout::ZERO) else { return false };
        let mut happened = false;
        for event in &events[..count] {
            let Some(session) = SessionId::new(event.data()) else { continue };
            let Some(peer) = self.peers.get_mut(&session) else { continue };
            happened = true;
            if event.events().contains(EpollFlags::EPOLLOUT) && peer.blocked {
                _ = self.epoll.delete(peer.outbox.writable());
                peer.blocked = false;
                self.core.retry(session);
            } else if !peer.outbox.is_alive().unwrap_or(true) {
                // DTH-2: what the dead one sent is in the inbox by now; it is read before its death is told. A full inbox is
                // the most there can be.
                while let (true, false) = self.read(true) {}
                self.core.handle_death(session); // DTH-3: the waiting step that follows sees it
                self.remove_peer(session);
            }
        }
        happened
    }
}

impl World<State> for Poller {
    /// Whether something is to be tried again soon.
    type Plan = bool;

    fn plan(&self, state: &mut State) -> bool {
        std::mem::take(&mut state.retry_soon)
    }

    fn take_progress(&self, state: &mut State) -> bool {
        std::mem::take(&mut state.progressed)
    }

    fn sleep(&self, retry_soon: bool, deadline: Deadline) {
        let deadline = if retry_soon { deadline.at_most(RETRY_TICK) } else { deadline };
        let timeout = match deadline.remaining() {
            // Rounded up: waking before the deadline would only mean another round.
            Some(left) => PollTimeout::try_from(left + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX),
            None => PollTimeout::NONE,
        };
        let mut fds =
            [PollFd::new(self.inbox.as_fd(), PollFlags::POLLIN), PollFd::new(self.epoll.0.as_fd(), PollFlags::POLLIN)];
        // A signal ends the sleep early, and the step looks again.
        let _: Result<_, Errno> = poll(&mut fds, timeout);
        _ = self.interrupt.read();
    }

    fn interrupt(&self) {
        _ = retry(|| self.interrupt.write(1));
    }
}

//! What the threads of an endpoint sleep on: its inbox, and one epoll with everything rare.

use super::{State, beacon::Beacon, mailbox::Entrance, spin::Spin};
use crate::{
    clock::Deadline,
    link::retry,
    reports::Reports,
    sync::{
        Arc, AtomicBool, OnceLock, Ordering, Upkeep, World,
        checked::{is_barrier_wanted, seek_cheap_barrier},
    },
};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags},
        eventfd::{EfdFlags, EventFd},
    },
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    thread,
    time::Duration,
};

/// Descriptors of an endpoint.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: Arc<Epoll>,
    interrupt: EventFd,
    evict: EventFd,
    tick: Duration,
    spin: Spin,
    /// Whether something is in memory that can be handed out: a hint.
    has_event: AtomicBool,
    /// Lit when it is first asked for: until then it costs nothing.
    beacon: OnceLock<Beacon>,
    reports: Reports,
}

/// What to sleep on besides, and until when at most.
pub(super) struct Plan {
    /// When to look again, though nothing has happened.
    again: Deadline,
    /// The inbox as it is now: a sender that goes on with another receiver gets a new one.
    inbox: Arc<Entrance>,
}

/// When a call of the system failed for want of memory, say: how long until it is tried again.
const RETRY_TICK: Duration = Duration::from_millis(10);

/// How often to look whether a peer is still there whose inbox has no room: nothing rings when it leaves and its process lives on.
pub(super) const BLOCKED_TICK: Duration = Duration::from_millis(250);

/// How long a message may be staged, give or take as much again (DAT-6).
const STAGE_TICK: Duration = Duration::from_millis(1);

/// How long a receiving application may be silent until the keeper answers for it (CAL-6).
const ANSWER_TICK: Duration = Duration::from_millis(10);

/// Mark of the interrupt among the sessions in the epoll; no session has the id 0.
const INTERRUPT: u64 = 0;

/// Of so many looks before a sleep one is at all descriptors.
const LOOKS: u32 = 8;

impl Poller {
    pub(super) fn new(receives: bool, spin: Option<Duration>) -> io::Result<Self> {
        let epoll = Arc::new(retry(|| Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC))?);
        let eventfd = || retry(|| EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC));
        let (interrupt, evict) = (eventfd()?, eventfd()?);
        retry(|| epoll.add(&interrupt, EpollEvent::new(EpollFlags::EPOLLIN, INTERRUPT)))?;
        let tick = if receives { ANSWER_TICK } else { STAGE_TICK };
        Ok(Self {
            epoll,
            interrupt,
            evict,
            tick,
            spin: Spin::new(spin),
            has_event: AtomicBool::new(false),
            beacon: OnceLock::new(),
            reports: Reports::default(),
        })
    }

    pub(super) fn epoll(&self) -> Arc<Epoll> {
        Arc::clone(&self.epoll)
    }

    /// Whether something is in memory that can be handed out, unless another thread is about to change that.
    pub(super) fn has_event(&self) -> bool {
        self.has_event.load(Ordering::Relaxed)
    }

    pub(super) fn reports(&self) -> Reports {
        self.reports.clone()
    }

    /// Tells what was to be told, without the lock.
    pub(super) fn tell(&self) {
        self.reports.tell();
    }

    pub(super) const fn spin(&self) -> Duration {
        self.spin.time()
    }

    /// See [`Beacon`]. None before it was lit.
    pub(super) fn beacon(&self) -> Option<BorrowedFd<'_>> {
        self.beacon.get().map(Beacon::descriptor)
    }

    /// Makes it, in a call, at whose end it shows what there is.
    pub(super) fn light_beacon(&self, inbox: Arc<Entrance>) -> io::Result<BorrowedFd<'_>> {
        let beacon = Beacon::new(self, inbox)?;
        Ok(self.beacon.get_or_init(|| beacon).descriptor())
    }
}

/// Looks for a while, then sleeps until one of them is readable. A signal ends the sleep early, and whoever sleeps looks again.
pub(crate) fn sleep_on(fds: &mut [PollFd<'_>], spin: &Spin, deadline: Deadline) {
    if !spin.finds(deadline, || look_at(fds)) {
        sleep_at_once(fds, deadline);
    }
}

fn look_at(fds: &mut [PollFd<'_>]) -> bool {
    poll(fds, PollTimeout::ZERO) != Ok(0)
}

fn sleep_at_once(fds: &mut [PollFd<'_>], deadline: Deadline) {
    let timeout = match deadline.remaining() {
        // Rounded up: waking before the deadline would only mean another round.
        Some(left) => PollTimeout::try_from(left + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX),
        None => PollTimeout::NONE,
    };
    let _: Result<_, Errno> = poll(fds, timeout);
}

fn readable(descriptor: &impl AsFd) -> PollFd<'_> {
    PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)
}

impl World<State> for Poller {
    type Plan = Plan;

    fn plan(&self, state: &mut State) -> Plan {
        let retry = std::mem::take(&mut state.retry_soon).then(|| Deadline::after(RETRY_TICK));
        let again = state.next_look().min(retry.unwrap_or(Deadline::Never));
        let inbox = state.mailbox.lend_entrance();
        state.planned = Some((again, Arc::as_ptr(&inbox).addr()));
        Plan { again, inbox }
    }

    fn end(&self, Plan { again, .. }: &Plan, deadline: Deadline) -> Deadline {
        deadline.min(*again)
    }

    fn prefers_inbox(&self, state: &State) -> bool {
        self.spin.is_in_vain() && self.reports.is_empty() && state.can_sleep_in_inbox()
    }

    fn enter_inbox(&self, state: &mut State) {
        state.rest.begin();
    }

    fn sleep_in_inbox(&self, Plan { inbox, .. }: &Plan) {
        self.spin.count_sleep();
        inbox.inlet.await_ahead();
    }

    fn ring(&self, state: &mut State) -> bool {
        state.ring()
    }

    fn guard(&self, until: Deadline) -> bool {
        let mut fds = [readable(&self.epoll.0), readable(&self.evict)];
        sleep_at_once(&mut fds, until);
        fds[0].any().unwrap_or_default()
    }

    fn wake(&self, state: &mut State, Plan { inbox, .. }: Plan) {
        // Should the next one look for a while, it must not find what has lain there before.
        state.rest.end(inbox.inlet.has_ahead() && self.spin.is_in_vain());
        state.mailbox.take_back(inbox);
    }

    fn is_outdated(&self, state: &mut State) -> bool {
        let next = state.next_look();
        let Some((until, inbox)) = &state.planned else { return false };
        next < *until || *inbox != Arc::as_ptr(state.mailbox.entrance()).addr()
    }

    fn take_progress(&self, state: &mut State) -> bool {
        std::mem::take(&mut state.progressed)
    }

    fn sleep(&self, Plan { again, inbox }: &Plan, deadline: Deadline) {
        self.tell();
        let inlet = &inbox.inlet;
        let mut fds = [readable(&**inbox), readable(&self.epoll.0)];
        let until = deadline.min(*again);
        let mut looks = 0_u32;
        // What comes comes to the inbox, as a rule, and to take it is one call where to see and to take it are two.
        let look = || {
            looks = looks.wrapping_add(1);
            if looks.is_multiple_of(LOOKS) { look_at(&mut fds) } else { inlet.look_ahead() }
        };
        if !self.spin.finds(until, look) && !inlet.has_ahead() {
            sleep_at_once(&mut fds, until);
        }
    }

    fn interrupt(&self) {
        _ = retry(|| self.interrupt.write(1));
    }

    fn clear_interrupt(&self) {
        _ = self.interrupt.read();
    }

    fn show(&self, state: &State) {
        self.has_event.store(state.core.has_event(), Ordering::Relaxed);
        if let Some(beacon) = self.beacon.get() {
            beacon.show(state);
        }
    }

    fn is_unsaid(&self, state: &State) -> bool {
        state.is_unsaid()
    }

    fn is_awaiting(&self, state: &State) -> bool {
        state.is_awaiting()
    }

    fn take_served(&self, state: &mut State) -> bool {
        std::mem::take(&mut state.served)
    }

    fn upkeep(&self, state: &mut State, quiet: bool, away: bool) -> Upkeep {
        if is_barrier_wanted() {
            seek_barrier();
        }
        state.upkeep(quiet, away)
    }

    fn tick(&self) -> Duration {
        self.tick
    }

    fn watch(&self, Plan { again, inbox }: Plan) {
        self.tell();
        sleep_at_once(&mut [readable(&*inbox), readable(&self.epoll.0), readable(&self.evict)], again);
    }

    fn evict(&self) {
        _ = retry(|| self.evict.write(1));
    }

    fn clear_evict(&self) {
        _ = self.evict.read();
    }
}

/// In a thread of its own, as it takes longer than any tick. Without one there is no bias.
fn seek_barrier() {
    _ = thread::Builder::new().name("lamq-barrier".into()).spawn(seek_cheap_barrier);
}

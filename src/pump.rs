//! THE loop: link to core to link. Never waits; what to sleep on while waiting is in [`poller`], who waits in [`driver`].

use crate::{
    clock::Deadline,
    link::{Link, Outbox, retry},
    pool::{FrameBuffer, Pool},
    reports::Reports,
    sync::{Arc, Lender, Upkeep},
};
use handout::{Courtesy, Laid};
use lamq_protocol::{
    Endpoint, Number, SessionId,
    endpoint::{Arrival, Event, Settings},
    send::Stage,
    session::Outbound,
};
use looks::Looks;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use notice::Notices;
use orphan::Orphan;
use patience::Patience;
use poller::{BLOCKED_TICK, Poller};
use rest::Rest;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    time::Duration,
};

mod answer;
mod beacon;
mod driver;
mod handout;
mod inlet;
mod looks;
mod mailbox;
mod notice;
mod orphan;
mod patience;
mod poller;
mod rare;
mod reading;
mod rest;
mod seek;
mod spin;
mod staging;
mod want;

pub(crate) use driver::Driver;
pub(crate) use handout::Handout;
pub(crate) use mailbox::Mailbox;
pub(crate) use poller::sleep_on;
pub(crate) use reading::{Look, Reading};
pub(crate) use seek::{APPEAR_TICK, GREETING_TICK, Seeker};
pub(crate) use spin::Spin;
pub(crate) use staging::Staging;

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
    next_look_after_blocked: Deadline,
    pool: Pool,
    epoll: Arc<Epoll>,
    /// On a lossy link: the sessions in which an answer is awaited.
    patience: BTreeMap<SessionId, Patience>,
    /// A call of the system failed, which is to be tried again at the next tick.
    retry_soon: bool,
    /// Until when, and at the address of which entrance, somebody sleeps at most. Whoever does keeps that, so no other one has the address.
    planned: Option<(Deadline, usize)>,
    rest: Rest,
    /// Frames that were staged at the keeper's last tick, by their first number.
    staged: Vec<(SessionId, Number)>,
    /// The one that was lent last.
    lent_stage: Option<(SessionId, Number)>,
    courtesy: Courtesy,
    pub(crate) part: Part,
    /// Whether frames or deaths were taken that another thread may sleep for.
    pub(crate) progressed: bool,
    /// What was handed out as its frame came, for the call that has asked for it and takes it now.
    pub(crate) passed: Option<Event<FrameBuffer>>,
    /// Whether the inbox was looked into.
    served: bool,
    pub(crate) looks: Looks,
    /// Credit that was asked for and that no call waits for, and how long yet.
    wants: BTreeMap<SessionId, (u64, Deadline)>,
    /// Sessions that go on with the next receiver.
    seekers: BTreeMap<SessionId, Seeker>,
    /// Sessions in which somebody sends, or wants to, and will say when no more.
    held: BTreeSet<SessionId>,
    notices: Notices,
    /// Greetings that could not be answered for want of something, and whether they came to an inbox without a name.
    unanswered: VecDeque<(Arrival, bool)>,
    next_answer: Deadline,
    answer_wait: Duration,
    pub(crate) reports: Reports,
    handout: Lender<Laid>,
    staging: Lender<(SessionId, Stage)>,
    /// When to try again to have the name that somebody took away.
    next_name: Option<Deadline>,
    /// Inboxes of ours without a name.
    orphans: Vec<Orphan>,
    /// Which inbox is read first.
    turn: usize,
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

/// How many frames a sender may have unacknowledged without watching its inbox, which has room for ten answers: one is
/// acknowledged twice at most, when it is delivered and when the receiver is idle.
const FRAMES_UNWATCHED: usize = 4;

impl State {
    fn new(link: Arc<dyn Link>, mailbox: Mailbox, settings: Settings, part: Part, poller: &Poller) -> Self {
        let epoll = poller.epoll();
        Self {
            pool: Pool::new(mailbox.geometry().frame_size),
            part,
            core: Endpoint::new(settings),
            mailbox,
            link,
            peers: BTreeMap::new(),
            blocked: BTreeSet::new(),
            next_look_after_blocked: Deadline::Now,
            notices: Notices::default(),
            unanswered: VecDeque::new(),
            next_answer: Deadline::Now,
            answer_wait: Duration::ZERO,
            reports: poller.reports(),
            handout: Lender::default(),
            staging: Lender::default(),
            next_name: None,
            orphans: Vec::new(),
            turn: 0,
            epoll,
            patience: BTreeMap::new(),
            retry_soon: false,
            planned: None,
            rest: Rest::default(),
            staged: Vec::new(),
            lent_stage: None,
            courtesy: Courtesy::default(),
            progressed: false,
            passed: None,
            served: false,
            looks: Looks::default(),
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
        self.watch_peer(session);
        Ok(())
    }

    /// Forgets the link of a session.
    pub(crate) fn remove_peer(&mut self, session: SessionId) {
        self.patience.remove(&session);
        self.notices.remove_peer(session);
        self.leave_orphans(session);
        if let Some(peer) = self.peers.remove(&session) {
            _ = self.epoll.delete(peer.destination().bell());
            if self.blocked.remove(&session) {
                _ = self.epoll.delete(peer.destination().writable());
            }
        }
    }

    /// Looks, then transmits.
    pub(crate) fn step(&mut self) {
        let Look { drained, .. } = self.look(Reading::Ahead);
        self.transmit(drained && !self.core.has_event());
    }

    /// Reads the inbox until the application has something to see, and tells deaths. What that has made due is to be transmitted.
    pub(crate) fn look(&mut self, reading: Reading) -> Look {
        if self.rest.is_in_inbox() {
            return Look::NOTHING; // the same for deaths, before which the inbox is read empty
        }
        let look = self.read(reading);
        let came = look.came();
        let found = came && (self.passed.is_some() || self.core.has_message());
        let happened = (self.looks.is_due(found) && self.look_around()) | self.seek();
        self.progressed |= came || happened;
        self.ask_again();
        self.end_idle_wants();
        look
    }

    /// Offers what is due to the links.
    pub(crate) fn transmit(&mut self, idle: bool) {
        if self.core.wants_transmit() || (idle && self.core.wants_idle_transmit()) {
            self.offer(idle);
        }
        while let Some(session) = self.core.poll_ended() {
            self.remove_peer(session);
            if !self.held.contains(&session) {
                self.core.forget(session);
            }
        }
    }

    /// Whether something is left to say when there is nothing more to read. What is due anyway is said.
    pub(crate) fn has_more_to_say(&mut self) -> bool {
        self.core.wants_idle_transmit() && {
            self.offer(false);
            self.core.wants_idle_transmit()
        }
    }

    fn offer(&mut self, idle: bool) {
        let Self { peers, retry_soon, reports, .. } = self;
        let mut failed = None;
        let blocked = self.core.transmit(idle, &mut |session, priority, frame| {
            let Some(peer) = peers.get_mut(&session) else { return true };
            peer.try_send(priority, frame).unwrap_or_else(|error| {
                reports.add(move || {
                    tracing::warn!(target: "lamq", %session, %error, "a frame could not be sent, it is tried again");
                });
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
        self.retry_soon
            || self.handout.is_out()
            || self.staging.is_out()
            || self.core.wants_idle_transmit()
            || self.core.staged().next().is_some()
    }

    /// Whether something may come that is to be served: a greeting, credit for what is accepted, or more acknowledgements than the
    /// inbox has room for, so that the receiver could not say its last word.
    fn is_awaiting(&self) -> bool {
        self.part != Part::Sender
            || self.core.frames_kept() > FRAMES_UNWATCHED
            || self.core.owes_gap()
            || self.core.awaits_credit()
            || self.may_ask()
            || self.may_seek()
            || self.core.wants_idly().next().is_some()
    }

    /// What the keeper does at a tick (CAL-6). Only when `away` may it take frames: nobody sleeps for them then. But whoever waits may wait
    /// for something else than what the application has in hand, so it is enough that all are `quiet` to say what is unsaid (ACK-12).
    fn upkeep(&mut self, quiet: bool, away: bool) -> Upkeep {
        let is_served = !quiet && !self.retry_soon;
        if (is_served && self.is_staging_fresh()) || !self.settle_politely(quiet) {
            return Upkeep::Tick;
        }
        for (session, first) in std::mem::take(&mut self.staged) {
            if self.core.outbound(session).and_then(|outbound| outbound.window().staged()) == Some(first) {
                self.core.with_outbound(session, Outbound::handle_stage_timeout); // DAT-6
            }
        }
        if away {
            self.read(Reading::All);
            self.look_around();
            self.seek();
            self.served = false; // that was not a call
        }
        let again = std::mem::take(&mut self.retry_soon);
        self.ask_again();
        self.end_idle_wants();
        self.transmit(quiet || again);
        self.staged.extend(self.core.staged());
        if !self.staged.is_empty() || (self.retry_soon && !away) {
            Upkeep::Tick
        } else if away && (self.is_unsaid() || self.is_awaiting() || !self.reports.is_empty()) {
            Upkeep::Watch
        } else {
            Upkeep::Rest
        }
    }

    fn watch_room(&mut self, session: SessionId) {
        let Some(peer) = self.peers.get(&session).filter(|_| !self.blocked.contains(&session)) else { return };
        if self.blocked.is_empty() {
            self.next_look_after_blocked = Deadline::after(BLOCKED_TICK);
        }
        match self.epoll.add(peer.destination().writable(), EpollEvent::new(EpollFlags::EPOLLOUT, session.get())) {
            Ok(()) => _ = self.blocked.insert(session),
            Err(_) => self.retry_soon = true,
        }
    }

    /// As [`step`](Self::step), and reads the inbox empty.
    pub(crate) fn take_all(&mut self) {
        self.drain();
        self.step();
        self.progressed |= self.core.has_event();
    }
}

//! What inotify(7) tells of queues: that somebody has closed one that we send to, or removed the name of ours.
//!
//! These are bells only. What is so, say the lock (DTH-1) and the number of links (POS-12). A process that holds a watch takes some 15 ms
//! to end, or to give the watch back: the kernel waits until nobody can be in the middle of ringing. So whoever is there for
//! less than a second does without. After that all is watched; where no watch is to be had (a user has 128 instances by default)
//! we look once a second.

use super::State;
use crate::{clock::Deadline, link::retry};
use lamq_protocol::SessionId;
use nix::{
    libc,
    sys::{
        epoll::{Epoll, EpollEvent, EpollFlags},
        inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    time::Duration,
};

/// Mark of the watches among the sessions in the epoll; no session has been given it: their ids are random.
pub(super) const NOTICE: u64 = u64::MAX;

/// How long to do without watches, and how often to look at what cannot be watched.
const ROUND_TICK: Duration = Duration::from_secs(1);

/// When to look at a lock that is held still: a queue is closed a moment before its lock is free.
const DOUBTS: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(10)];

/// What is watched.
#[derive(Debug, Default)]
pub(super) struct Notices {
    /// Made for the first watch.
    inotify: Option<Inotify>,
    /// The inboxes of peers.
    peers: BTreeMap<SessionId, WatchDescriptor>,
    /// Those that are not watched, and are looked at in rounds.
    blind: BTreeSet<SessionId>,
    /// Whether the name of our inbox is to be there, and its watch.
    keeps_name: bool,
    own: Option<WatchDescriptor>,
    /// Sessions whose peers may be gone; how often they were looked at, and when to look next.
    doubts: BTreeMap<SessionId, (usize, Deadline)>,
    /// `None` until there is something to look at.
    next_round: Option<Deadline>,
}

impl Notices {
    fn watch(&mut self, epoll: &Epoll, queue: BorrowedFd<'_>, what: AddWatchFlags) -> Option<WatchDescriptor> {
        if self.inotify.is_none() {
            let inotify = retry(|| Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)).ok()?;
            retry(|| epoll.add(&inotify, EpollEvent::new(EpollFlags::EPOLLIN, NOTICE))).ok()?;
            self.inotify = Some(inotify);
        }
        // A second watch of one queue is the first one, which then tells more.
        let what = what | AddWatchFlags::from_bits_retain(libc::IN_MASK_ADD);
        let path = format!("/proc/self/fd/{}", queue.as_raw_fd());
        let inotify = self.inotify.as_ref()?;
        retry(|| inotify.add_watch(path.as_str(), what)).ok()
    }

    fn unwatch_name(&mut self) {
        if let Some(watch) = self.own.take() {
            self.unwatch(watch);
        }
    }

    fn unwatch(&self, watch: WatchDescriptor) {
        let is_shared = self.own == Some(watch) || self.peers.values().any(|peer| *peer == watch);
        if let Some(inotify) = self.inotify.as_ref().filter(|_| !is_shared) {
            _ = inotify.rm_watch(watch); // gone by itself, if its queue is
        }
    }

    /// Forgets a peer.
    pub(super) fn remove_peer(&mut self, session: SessionId) {
        self.doubts.remove(&session);
        self.blind.remove(&session);
        if let Some(watch) = self.peers.remove(&session) {
            self.unwatch(watch);
        }
    }

    /// Reads what has rung.
    fn read(&mut self) {
        let rang = self.inotify.as_ref().and_then(|inotify| retry(|| inotify.read_events()).ok()).unwrap_or_default();
        // If there were too many to be kept, any may have rung.
        let has_lost = rang.iter().any(|event| event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW));
        let is_concerned = |watch: &WatchDescriptor| has_lost || rang.iter().any(|event| event.wd == *watch);
        for (session, _) in self.peers.iter().filter(|(_, watch)| is_concerned(watch)) {
            self.doubts.insert(*session, (0, Deadline::Now));
        }
    }

    /// The name of our inbox may be removed without a bell.
    const fn is_name_unwatched(&self) -> bool {
        self.keeps_name && self.own.is_none()
    }

    /// There is something to look at in a while.
    fn begin_round(&mut self) {
        if !self.has_blind_spot() {
            self.next_round = Some(Deadline::after(ROUND_TICK));
        }
    }

    fn has_blind_spot(&self) -> bool {
        self.is_name_unwatched() || !self.blind.is_empty()
    }
}

impl State {
    /// The name of the inbox is to be there as long as the endpoint has not removed it (POS-13).
    pub(crate) fn keep_name(&mut self) {
        if !self.mailbox.with_inbox(|inbox| inbox.watchable().is_some()) {
            return;
        }
        self.notices.begin_round();
        self.notices.keeps_name = true;
        self.notices.unwatch_name(); // of the inbox before this one
    }

    /// Gives the name up: nobody comes any more.
    pub(crate) fn give_up_name(&mut self) {
        self.notices.keeps_name = false;
        self.notices.unwatch_name();
        if let Err(error) = self.mailbox.unlink() {
            self.reports.add(move || tracing::warn!(target: "lamq", %error, "cannot remove the queue"));
        }
    }

    /// Somebody is about to be told the name: it may have been removed, and nobody have noticed yet.
    pub(crate) fn assure_name(&mut self) {
        if self.notices.keeps_name {
            self.recover_name();
        }
    }

    /// The inbox of a peer is to be watched.
    pub(super) fn watch_peer(&mut self, session: SessionId) {
        if self.peers.get(&session).is_some_and(|peer| peer.destination().watchable().is_some()) {
            self.notices.begin_round();
            self.notices.blind.insert(session);
        }
    }

    /// Watches what is not watched yet, as far as it can be.
    fn arm(&mut self) {
        let notices = &mut self.notices;
        let had_none = notices.inotify.is_none();
        if notices.is_name_unwatched() {
            notices.own = self.mailbox.with_inbox(|inbox| {
                inbox.watchable().and_then(|queue| notices.watch(&self.epoll, queue, AddWatchFlags::IN_ATTRIB))
            });
        }
        for session in std::mem::take(&mut notices.blind) {
            let queue = self.peers.get(&session).and_then(|peer| peer.destination().watchable());
            match queue.and_then(|queue| notices.watch(&self.epoll, queue, AddWatchFlags::IN_CLOSE_WRITE)) {
                Some(watch) => _ = notices.peers.insert(session, watch),
                None => _ = notices.blind.insert(session),
            }
            // It may have been closed before.
            notices.doubts.insert(session, (DOUBTS.len(), Deadline::Now));
        }
        if let Some(inotify) = notices.inotify.as_ref().filter(|_| had_none) {
            self.mailbox.rise_above(inotify.as_fd());
        }
    }

    /// When to look next.
    pub(super) fn next_notice(&self) -> Option<Deadline> {
        let doubts = self.notices.doubts.values().map(|(_, at)| *at);
        let round = self.notices.next_round.filter(|_| self.notices.has_blind_spot());
        doubts.chain(round).chain(self.next_name).min()
    }

    /// Looks at what has rung, and at what cannot ring. Returns whether something happened.
    pub(super) fn take_notice(&mut self, rang: bool) -> bool {
        let mut may_be_lost = rang;
        if rang {
            self.notices.read();
        }
        if self.notices.has_blind_spot() && self.notices.next_round.is_some_and(Deadline::has_passed) {
            may_be_lost |= self.notices.is_name_unwatched();
            self.arm();
            self.notices.next_round = Some(Deadline::after(ROUND_TICK));
        }
        let renamed = (may_be_lost || self.next_name.is_some()) && self.recover_name();
        self.resolve_doubts() || renamed
    }

    /// Looks whether peers are there of whom that is doubtful.
    fn resolve_doubts(&mut self) -> bool {
        let mut happened = false;
        let due = self.notices.doubts.iter().filter(|(_, (_, at))| at.has_passed()).map(|(session, _)| *session);
        for session in due.collect::<Vec<_>>() {
            let Some((looks, _)) = self.notices.doubts.remove(&session) else { continue };
            if self.is_gone(session) {
                self.bury(session); // DTH-5
                happened = true;
            } else if let Some(tick) = DOUBTS.get(looks) {
                self.notices.doubts.insert(session, (looks + 1, Deadline::after(*tick)));
            }
        }
        happened
    }
}

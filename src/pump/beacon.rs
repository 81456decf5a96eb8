//! The descriptor of a receiver for sleepers outside: poll(2), epoll(7), event loops, [`Select`](crate::Select).

use super::{Part, State, mailbox::Entrance, poller::Poller};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags},
    eventfd::{EfdFlags, EventFd},
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

/// Readable while a call may find something: in the inbox, among the rare things, or (`ready`) in memory, where the kernel does not
/// see it.
#[derive(Debug)]
pub(super) struct Beacon {
    epoll: Epoll,
    ready: EventFd,
    /// Whether `ready` is readable. Changed under the lock only.
    shown: AtomicBool,
    /// The inbox as it was last: there is another one if somebody removes its name.
    inbox: Mutex<Arc<Entrance>>,
}

impl Beacon {
    pub(super) fn new(poller: &Poller, inbox: Arc<Entrance>) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let ready = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        for source in [inbox.as_fd(), poller.epoll().0.as_fd(), ready.as_fd()] {
            epoll.add(source, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        }
        Ok(Self { epoll, ready, shown: AtomicBool::new(false), inbox: Mutex::new(inbox) })
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }

    /// Says whether something is in memory (CAL-9), or no more (CAL-10).
    pub(super) fn show(&self, state: &State) {
        self.follow(state.mailbox.entrance());
        let ready = state.has_news();
        if self.shown.swap(ready, Ordering::Relaxed) != ready {
            // Its value is 0 or 1, so neither would have to wait.
            if ready {
                _ = self.ready.write(1);
            } else {
                _ = self.ready.read();
            }
        }
    }
}

impl Beacon {
    /// The old inbox is among the rare things from now on. Should there be no room for the new one, then the keeper looks.
    fn follow(&self, inbox: &Arc<Entrance>) {
        let mut watched = self.inbox.lock();
        if !Arc::ptr_eq(&watched, inbox) && self.epoll.add(&**inbox, EpollEvent::new(EpollFlags::EPOLLIN, 0)).is_ok() {
            _ = self.epoll.delete(&**watched);
            *watched = Arc::clone(inbox);
        }
    }
}

impl State {
    /// Whether receiving has ended: it was closed, or it was to end with its last sender and that one is gone.
    pub(crate) fn is_over(&self) -> bool {
        let counters = self.core.counters();
        match self.part {
            Part::Sender | Part::Receiver => false,
            Part::Finite => counters.accepted > 0 && counters.accepted == counters.departed && !self.core.has_event(),
            Part::Closed => true,
        }
    }

    /// Whether a call of the receiver would find something without looking into the inbox.
    pub(crate) fn has_news(&self) -> bool {
        self.core.has_event() || self.is_over()
    }
}

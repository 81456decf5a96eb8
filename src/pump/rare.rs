//! Everything rare: room in peers' inboxes, deaths, and what has a time.

use super::{State, notice::NOTICE, poller::BLOCKED_TICK};
use crate::clock::Deadline;
use lamq_protocol::SessionId;
use nix::sys::epoll::{EpollEvent, EpollFlags, EpollTimeout};

impl State {
    /// Whether the peer of a session is known to be dead, or gone from its inbox.
    pub(crate) fn is_gone(&self, session: SessionId) -> bool {
        self.peers.get(&session).is_some_and(|peer| matches!(peer.destination().is_alive(), Ok(false)))
    }

    /// Looks at everything rare without waiting: room in peers' inboxes, deaths. Returns whether something happened.
    pub(crate) fn look_around(&mut self) -> bool {
        let mut events = [EpollEvent::empty(); 16];
        let count = self.epoll.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
        let mut happened = self.look_after_blocked();
        happened |= self.take_notice(events[..count].iter().any(|event| event.data() == NOTICE));
        happened |= self.answer_again();
        self.end_orphans();
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

    /// When to look again though nothing has happened: the earliest of all that has a time. To be asked right before a sleep.
    pub(super) fn next_look(&mut self) -> Deadline {
        let look = (!self.blocked.is_empty()).then_some(self.next_look_after_blocked);
        let all =
            [look, self.next_ask(), self.next_seek(), self.next_end_of_want(), self.next_notice(), self.next_answer()];
        all.into_iter().flatten().min().unwrap_or(Deadline::Never)
    }

    /// Looks now and then whether peers are still there that take nothing: the room may never come, and no bell rings when one
    /// leaves whose process lives on (DTH-1).
    fn look_after_blocked(&mut self) -> bool {
        if self.blocked.is_empty() || !self.next_look_after_blocked.has_passed() {
            return false;
        }
        self.next_look_after_blocked = Deadline::after(BLOCKED_TICK);
        let gone: Vec<_> = self.blocked.iter().copied().filter(|session| self.is_gone(*session)).collect();
        for session in &gone {
            self.bury(*session);
        }
        !gone.is_empty()
    }

    pub(super) fn bury(&mut self, session: SessionId) {
        self.drain(); // DTH-2: what the dead one sent is in the inbox by now
        self.core.handle_death(session); // DTH-3: the waiting step that follows sees it
        self.remove_peer(session);
    }
}

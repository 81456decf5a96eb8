//! How long to wait for an answer on a link that may have lost it (RTX-2).

use super::State;
use crate::clock::Deadline;
use lamq_protocol::{SessionId, session::Outbound, wire::Acknowledgement};
use std::time::Duration;

/// The first wait, and the longest: each is twice the one before, until an answer comes.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The patience with one session.
#[derive(Debug)]
pub(super) struct Patience {
    wait: Duration,
    ends: Deadline,
    /// What was known when it began.
    known: (bool, Acknowledgement),
}

impl Patience {
    fn new(known: (bool, Acknowledgement)) -> Self {
        Self { wait: FIRST_WAIT, ends: Deadline::after(FIRST_WAIT), known }
    }
}

impl State {
    /// Asks again where no answer has come for a while.
    pub(super) fn look_for_answers(&mut self) {
        if !self.link.is_lossy() {
            return;
        }
        let sessions: Vec<SessionId> = self.peers.keys().copied().collect();
        for session in sessions {
            let Some(outbound) = self.core.outbound(session).filter(|outbound| outbound.awaits_something()) else {
                self.patience.remove(&session);
                continue;
            };
            let known = (outbound.is_open(), *outbound.window().acknowledged());
            let patience = self.patience.entry(session).or_insert_with(|| Patience::new(known));
            if patience.known != known {
                *patience = Patience::new(known);
            } else if patience.ends.has_passed() {
                patience.wait = (patience.wait * 2).min(LONGEST_WAIT);
                patience.ends = Deadline::after(patience.wait);
                self.core.with_outbound(session, Outbound::handle_answer_timeout);
            }
        }
    }

    /// Whether an answer is awaited that may have to be asked for.
    pub(super) fn may_ask(&self) -> bool {
        !self.patience.is_empty()
    }

    /// When to look for answers next.
    pub(super) fn next_ask(&self) -> Option<Duration> {
        self.patience.values().filter_map(|patience| patience.ends.remaining()).min()
    }
}

//! Credit that was asked for by a call that did not wait for it (LRG-5): others wait for the memory that it takes.

use super::State;
use crate::clock::Deadline;
use std::time::Duration;

/// How long whoever tried in vain may take to try again.
const PATIENCE: Duration = Duration::from_secs(1);

impl State {
    /// Gives back what nobody has come back for.
    pub(super) fn end_idle_wants(&mut self) {
        let Self { core, wants, .. } = self;
        if wants.is_empty() && core.wants_idly().next().is_none() {
            return;
        }
        // One that has asked for more since is not idle.
        wants.retain(|session, (credit, _)| core.wants_idly().any(|want| want == (*session, *credit)));
        for (session, credit) in core.wants_idly() {
            wants.entry(session).or_insert_with(|| (credit, Deadline::after(PATIENCE)));
        }
        let passed = |(session, (_, until)): (&_, &(u64, Deadline))| until.has_passed().then_some(*session);
        for session in wants.iter().filter_map(passed).collect::<Vec<_>>() {
            core.end_want(session);
        }
    }

    /// When to look next.
    pub(super) fn next_end_of_want(&self) -> Option<Deadline> {
        self.wants.values().map(|(_, until)| *until).min()
    }
}

//! The keeper stands guard: whoever waits can sleep in the inbox itself, in a call that returns with the next frame, while the keeper sleeps
//! in the kernel for all else that may happen, and rings when it does.
//!
//! To see that there is a frame and to take it are two calls; to sleep until there is one, and return with it, is one. But nothing else ends
//! that sleep: not a death, nor a time of the monotonic clock, nor another thread. So for all that such a sleep depends on the keeper: it has the
//! priority of the thread that started it.

use super::{Inner, Role, World, keeper::Place};
use crate::{clock::Deadline, sync::MutexGuard};
use std::time::Duration;

/// Whether somebody stands guard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Guard {
    /// Nobody need.
    #[default]
    Off,
    /// The keeper is to, when it sleeps next.
    Wanted,
    /// The keeper sleeps in the kernel, or tries to take the lock. `called`: it was evicted.
    Posted { called: bool },
}

/// So many ticks away the end of a sleep must be: the keeper sees it at the next one.
const TICKS: u32 = 2;

/// Whether a keeper on guard sees the end of a sleep that is so far away. One that is parked looks when it is called, and has not been told.
fn is_seen(keeper: Place, left: Option<Duration>, tick: Duration) -> bool {
    left.is_none_or(|left| keeper == Place::Ticking && left > tick * TICKS)
}

impl<S> Role<S> {
    /// Whether the keeper stands guard, so that one can sleep in the inbox until then. If not, it is asked to.
    pub(super) fn is_guarded(&self, inner: &mut Inner<S>, world: &impl World<S>, until: Deadline) -> bool {
        if inner.parked > 0 {
            return false; // who waits together wakes each other often, and each time it would take an empty frame
        }
        match inner.guard {
            Guard::Off => {
                inner.guard = Guard::Wanted;
                if inner.keeper == Place::Parked {
                    self.unpark_keeper(inner, world);
                }
                false
            }
            Guard::Wanted => false,
            Guard::Posted { .. } => is_seen(inner.keeper, until.remaining(), world.tick()),
        }
    }

    /// The keeper sleeps for a tick, or until it is called, and comes in.
    pub(super) fn nap<'a>(
        &'a self,
        mut inner: MutexGuard<'a, Inner<S>>,
        world: &impl World<S>,
        tick: Option<Duration>,
    ) -> MutexGuard<'a, Inner<S>> {
        if inner.guard == Guard::Off {
            drop(inner);
            self.bell.await_ring(tick);
            return self.come_in(false);
        }
        inner.guard = Guard::Posted { called: false };
        let tick = tick.map_or(Deadline::Never, Deadline::after);
        let until = inner.in_inbox.map_or(tick, |end| end.min(tick));
        drop(inner);
        let has_happened = world.guard(until);
        inner = self.come_in(has_happened);
        if inner.guard == (Guard::Posted { called: true }) {
            world.clear_evict();
        }
        // What has happened stays so until a step looks: the guard would not sleep.
        inner.guard = if has_happened { Guard::Off } else { Guard::Wanted };
        while inner.in_inbox.is_some_and(|end| has_happened || end.has_passed()) {
            if world.ring(&mut inner.state) {
                inner.in_inbox = Some(Deadline::Never); // once is enough
                break;
            }
            drop(inner);
            self.bell.await_ring(Some(world.tick()));
            inner = self.come_in(true);
        }
        inner
    }

    /// The keeper has something to do.
    pub(super) fn unpark_keeper(&self, inner: &mut Inner<S>, world: &impl World<S>) {
        inner.keeper = Place::Ticking;
        self.call_keeper(inner, world);
    }

    /// Ends the nap of the keeper.
    pub(super) fn call_keeper(&self, inner: &mut Inner<S>, world: &impl World<S>) {
        if inner.guard == (Guard::Posted { called: false }) {
            inner.guard = Guard::Posted { called: true };
            world.evict();
        }
        self.bell.ring();
    }
}

#[cfg(all(test, not(lamq_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_keeper_sees_no_end_that_it_does_not_know_or_that_comes_too_soon() {
        const TICK: Duration = Duration::from_millis(10);
        let seen = |keeper, left| is_seen(keeper, left, TICK);
        assert!(seen(Place::Parked, None) && seen(Place::Ticking, None));
        assert!(seen(Place::Ticking, Some(TICK * 3)) && !seen(Place::Ticking, Some(TICK)));
        assert!(!seen(Place::Parked, Some(TICK * 100)));
    }
}

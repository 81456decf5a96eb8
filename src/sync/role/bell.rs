//! How the keeper sleeps between its ticks, and comes in: without the lock of the endpoint, for which it does not queue either.
//!
//! Whoever has that lock is in a call, and may have lost the processor there. Were the keeper in the queue, it would be handed the lock as soon as the call
//! gives it back, and the next call would find it taken by a thread that does not run: so each call would end the turn of its thread, where
//! processors are few (a lock convoy; Blasgen et al., *The Convoy Phenomenon*, 1979).

use super::{Inner, Role};
use crate::{
    clock::Deadline,
    sync::{Condvar, Mutex, MutexGuard, Ordering},
};
use std::{iter, time::Duration};

/// Ends a nap of the keeper.
#[derive(Debug)]
pub(super) struct Bell {
    has_rung: Mutex<bool>,
    rings: Condvar,
}

impl Bell {
    pub(super) fn new() -> Self {
        Self { has_rung: Mutex::new(false), rings: Condvar::new() }
    }

    pub(super) fn ring(&self) {
        *self.has_rung.lock() = true;
        self.rings.notify_all();
    }

    /// Until it rings, or has rung before; no longer than `nap`.
    pub(super) fn await_ring(&self, nap: Option<Duration>) {
        let mut has_rung = self.has_rung.lock();
        match nap {
            Some(nap) if !*has_rung => has_rung = self.rings.wait_tick(&self.has_rung, has_rung, nap),
            Some(_) => {}
            None => {
                while !*has_rung {
                    has_rung = self.rings.wait(has_rung, Deadline::Never);
                }
            }
        }
        *has_rung = false;
    }

    fn silence(&self) {
        *self.has_rung.lock() = false;
    }
}

/// Long enough for a call whose thread runs: most of those that ring do so while they have the lock.
const MOMENT: Duration = Duration::from_micros(50);

/// How long to wait for any other.
const NAP: Duration = Duration::from_millis(1);

/// How often the lock may be found taken, each time by another call: their threads do run, and come first again and again.
const PATIENCE: u32 = if cfg!(lamq_loom) { 1 } else { 8 };

impl<S> Role<S> {
    /// For the keeper: takes the lock when it is free. It queues if it `must`, while somebody counts on it who sleeps in the inbox, and when its patience is
    /// at an end.
    pub(super) fn come_in(&self, must: bool) -> MutexGuard<'_, Inner<S>> {
        let mut naps = iter::once(MOMENT).chain(iter::repeat(NAP));
        let mut patience = if must { 0 } else { PATIENCE };
        let mut seen = None;
        let inner = loop {
            if patience == 0 || self.is_resting.load(Ordering::Relaxed) {
                break self.inner.lock();
            }
            if let Some(inner) = self.inner.try_lock() {
                break inner;
            }
            let turn = self.turn.load(Ordering::Relaxed);
            patience -= u32::from(seen.replace(turn) != Some(turn));
            self.bell.await_ring(naps.next());
        };
        self.bell.silence(); // what it has rung for can be seen now
        inner
    }

    /// A call has taken the lock.
    pub(super) fn count_turn(&self) {
        // Nobody else stores it meanwhile.
        self.turn.store(self.turn.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

#[cfg(all(test, not(lamq_loom)))]
mod tests {
    use super::*;
    use std::{thread, time::Instant};

    /// A call has the lock for a while, and `goes_on` meanwhile. Then it gives the lock to whoever is in the queue. Returns whether somebody was.
    fn is_queued(role: &Role<()>, must: bool, goes_on: impl Fn()) -> bool {
        thread::scope(|scope| {
            let call = role.inner.lock();
            let keeper = scope.spawn(|| drop(role.come_in(must)));
            let end = Instant::now() + Duration::from_millis(40);
            while Instant::now() < end {
                goes_on();
                thread::sleep(Duration::from_millis(1));
            }
            MutexGuard::unlock_fair(call);
            let next = role.inner.try_lock();
            let is_queued = next.is_none();
            drop(next);
            keeper.join().expect("it comes in");
            is_queued
        })
    }

    /// The keeper may take the lock between the two calls, and others may keep it from the processor.
    const TIMES: u32 = 20;

    #[test]
    fn a_keeper_is_in_nobodys_way_while_a_call_does_not_go_on() {
        let role = Role::new(());
        assert!((0..TIMES).any(|_| !is_queued(&role, false, || {})));
    }

    #[test]
    fn a_keeper_that_must_come_in_queues_and_so_does_one_that_calls_come_before_again_and_again() {
        let role = Role::new(());
        assert!((0..TIMES).any(|_| is_queued(&role, true, || {})));
        assert!((0..TIMES).any(|_| is_queued(&role, false, || role.count_turn())));
        role.is_resting.store(true, Ordering::Relaxed);
        assert!((0..TIMES).any(|_| is_queued(&role, false, || {})), "somebody counts on it");
    }

    #[test]
    fn a_bell_that_has_rung_ends_the_next_nap_and_no_other() {
        let bell = Bell::new();
        bell.ring();
        bell.await_ring(None);
        bell.ring();
        bell.silence();
        let start = Instant::now();
        bell.await_ring(Some(Duration::from_millis(20)));
        assert!(start.elapsed() >= Duration::from_millis(15));
    }
}

//! How the keeper sleeps between its ticks, and comes in: without the lock of the endpoint, for which it does not queue either.
//!
//! Whoever has that lock is in a call, and may have lost the processor there. Were the keeper in the queue, it would be handed the lock as soon as the call
//! gives it back, and the next call would find it taken by a thread that does not run: so each call would end the turn of its thread, where
//! processors are few (a lock convoy; Blasgen et al., *The Convoy Phenomenon*, 1979).

use super::{Inner, Role, World};
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

impl<S> Role<S> {
    /// Takes the lock when it is free, be it a tick later. While somebody counts on the keeper for the end of a sleep, it queues.
    pub(super) fn come_in(&self, world: &impl World<S>) -> MutexGuard<'_, Inner<S>> {
        let mut naps = iter::once(MOMENT).chain(iter::repeat(world.tick()));
        let inner = loop {
            if self.is_timed.load(Ordering::Relaxed) {
                break self.inner.lock();
            }
            match self.inner.try_lock() {
                Some(inner) => break inner,
                None => self.bell.await_ring(naps.next()),
            }
        };
        self.bell.silence(); // whoever has rung had the lock, so what for can be seen now
        inner
    }
}

//! Who waits, pumps: the role of the one thread that sleeps in the kernel on behalf of all threads of an endpoint.
//!
//! A thread that has to wait takes the role when it is free, and sleeps in [`World::sleep`] without the lock. Everybody
//! else who has to wait parks on the condition variable. Whoever wakes up first runs its own step again, which moves
//! frames and tests its own condition. No step runs user code.

use super::{Condvar, Mutex, MutexGuard};
use crate::clock::Deadline;
use std::ops::{Deref, DerefMut};

/// What the holder of the role sleeps on.
pub(crate) trait World<S> {
    /// What to sleep on, prepared under the lock.
    type Plan;

    /// Prepares a sleep.
    fn plan(&self, state: &mut S) -> Self::Plan;

    /// Whether steps took something that another thread may sleep for, since it was last asked.
    fn take_progress(&self, state: &mut S) -> bool;

    /// Sleeps until something happens, the deadline, or an [`interrupt`](Self::interrupt), also one that came before.
    fn sleep(&self, plan: Self::Plan, deadline: Deadline);

    /// Ends the sleep of the holder, now or the next one.
    fn interrupt(&self);
}

#[derive(Debug)]
struct Inner<S> {
    state: S,
    /// Whether a thread sleeps in the kernel at present.
    held: bool,
    /// Threads parked on `changed`.
    parked: usize,
}

/// State under a lock, and the role.
#[derive(Debug)]
pub(crate) struct Role<S> {
    inner: Mutex<Inner<S>>,
    changed: Condvar,
}

/// The locked state.
pub(crate) struct RoleGuard<'a, S>(MutexGuard<'a, Inner<S>>);

impl<S> Deref for RoleGuard<'_, S> {
    type Target = S;
    fn deref(&self) -> &S {
        &self.0.state
    }
}

impl<S> DerefMut for RoleGuard<'_, S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.0.state
    }
}

impl<S> Role<S> {
    pub(crate) fn new(state: S) -> Self {
        let inner = Inner { state, held: false, parked: 0 };
        Self { inner: Mutex::new(inner), changed: Condvar::new() }
    }

    /// The state, for a step that does not wait.
    pub(crate) fn lock(&self) -> RoleGuard<'_, S> {
        RoleGuard(self.inner.lock())
    }

    /// Ends a step that did not wait; if it took what others may sleep for, they look again.
    pub(crate) fn unlock(&self, RoleGuard(mut inner): RoleGuard<'_, S>, world: &impl World<S>) {
        if world.take_progress(&mut inner.state) {
            self.wake_others(&inner, world);
        }
    }

    /// Runs `step` until it returns something or the deadline has passed, and sleeps in between: as the holder of the role when it
    /// is free, else parked.
    pub(crate) fn wait<R>(
        &self,
        world: &impl World<S>,
        deadline: Deadline,
        mut step: impl FnMut(&mut S) -> Option<R>,
    ) -> Option<R> {
        let mut inner = self.inner.lock();
        loop {
            if let Some(result) = step(&mut inner.state) {
                // What the step did may be what others wait for.
                self.wake_others(&inner, world);
                return Some(result);
            }
            if deadline.has_passed() {
                self.wake_others(&inner, world);
                return None;
            }
            if inner.held {
                // Only for news: to interrupt the holder each time one parks would never end.
                if world.take_progress(&mut inner.state) {
                    self.wake_others(&inner, world);
                }
                inner.parked += 1;
                inner = self.changed.wait(inner, deadline);
                inner.parked -= 1;
            } else {
                inner.held = true;
                let plan = world.plan(&mut inner.state);
                drop(inner);
                world.sleep(plan, deadline);
                inner = self.inner.lock();
                inner.held = false;
                if inner.parked > 0 {
                    self.changed.notify_all();
                }
            }
        }
    }

    fn wake_others(&self, inner: &Inner<S>, world: &impl World<S>) {
        if inner.parked > 0 {
            self.changed.notify_all();
        }
        if inner.held {
            world.interrupt();
        }
    }
}

#[cfg(all(test, lamq_loom))]
mod loom_tests;

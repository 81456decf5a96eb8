//! The one place that names locks: `parking_lot`, or `loom` when its models are run (`--cfg lamq_loom`).

pub(crate) mod bias;
pub(crate) mod checked;
mod loan;
mod role;

pub(crate) use loan::{Lender, Loan};
pub(crate) use role::{Role, Upkeep, World};
pub(crate) use std::sync::{
    Arc, OnceLock, Weak,
    atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
};

#[cfg(not(lamq_loom))]
mod imp {
    use crate::clock::Deadline;
    use std::time::Duration;

    pub(crate) use parking_lot::MutexGuard;

    /// A mutual exclusion lock; not poisoned by a panic.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(parking_lot::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(parking_lot::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock()
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock()
        }
    }

    /// A condition variable.
    #[derive(Debug, Default)]
    pub(crate) struct Condvar(parking_lot::Condvar);

    impl Condvar {
        pub(crate) const fn new() -> Self {
            Self(parking_lot::Condvar::new())
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }

        /// Waits for a notification or the deadline.
        pub(crate) fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>, deadline: Deadline) -> MutexGuard<'a, T> {
            match deadline.instant() {
                Some(end) => _ = self.0.wait_until(&mut guard, end),
                None => self.0.wait(&mut guard),
            }
            guard
        }

        /// Waits for a notification, or as long as `tick`.
        pub(crate) fn wait_tick<'a, T>(
            &self,
            _: &'a Mutex<T>,
            guard: MutexGuard<'a, T>,
            tick: Duration,
        ) -> MutexGuard<'a, T> {
            self.wait(guard, Deadline::after(tick))
        }
    }
}

#[cfg(lamq_loom)]
mod imp {
    use crate::clock::Deadline;
    use std::time::Duration;

    pub(crate) use loom::sync::MutexGuard;

    /// See the other one.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("loom does not poison")
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }

    impl<T: Default> Default for Mutex<T> {
        fn default() -> Self {
            Self::new(T::default())
        }
    }

    /// See the other one.
    #[derive(Debug)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self(loom::sync::Condvar::new())
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }

        /// Waits for a notification: loom has no clock, so its models must not depend on a deadline.
        pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>, _: Deadline) -> MutexGuard<'a, T> {
            self.0.wait(guard).expect("loom does not poison")
        }

        /// A tick may pass before the others have done anything.
        pub(crate) fn wait_tick<'a, T>(
            &self,
            mutex: &'a Mutex<T>,
            guard: MutexGuard<'a, T>,
            _: Duration,
        ) -> MutexGuard<'a, T> {
            drop(guard);
            mutex.lock()
        }
    }
}

pub(crate) use imp::{Condvar, Mutex, MutexGuard};

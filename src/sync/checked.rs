//! What `crate::raw` is built of, in a form whose every step loom sees. All else takes the plain atomics: loom's cannot stand in statics.

#[cfg(not(lamq_loom))]
mod imp {
    use crate::clock;
    use std::{sync::atomic::Ordering, time::Duration};

    pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, fence};

    /// A cell whose owner knows when nobody else uses it.
    #[derive(Debug)]
    pub(crate) struct Cell<T>(std::cell::UnsafeCell<T>);

    impl<T> Cell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        #[inline]
        pub(crate) fn with_mut<R>(&self, action: impl FnOnce(*mut T) -> R) -> R {
            action(self.0.get())
        }
    }

    /// Whether it looks set, which costs others less than to try, and proves nothing.
    pub(crate) fn looks_set(flag: &AtomicBool) -> bool {
        flag.load(Ordering::Relaxed)
    }

    /// How often it is worth while to look again at once: some microseconds long.
    const LOOKS: u32 = 64;

    /// How long to sleep then.
    const NAP: Duration = Duration::from_micros(50);

    /// Lets others do something that takes them a moment, as a rule. `tries`: how often that was waited for.
    pub(crate) fn await_others(tries: u32) {
        if tries < LOOKS {
            std::hint::spin_loop();
        } else {
            clock::pause(NAP); // not only yields: that would starve one of lower real-time priority
        }
    }
}

#[cfg(lamq_loom)]
mod imp {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicUsize, fence};

    /// See the other one.
    #[derive(Debug)]
    pub(crate) struct Cell<T>(loom::cell::UnsafeCell<T>);

    impl<T> Cell<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::cell::UnsafeCell::new(value))
        }

        pub(crate) fn with_mut<R>(&self, action: impl FnOnce(*mut T) -> R) -> R {
            self.0.with_mut(action)
        }
    }

    /// Loom would let it look set for ever.
    pub(crate) const fn looks_set(_: &AtomicBool) -> bool {
        false
    }

    /// To look once more and wait again is nothing new: what can come of this is seen where the others come first. Else there is no end to it.
    pub(crate) fn await_others(_: u32) {
        loom::skip_branch();
        loom::thread::yield_now();
    }
}

pub(crate) use imp::{AtomicBool, AtomicUsize, Cell, await_others, fence, looks_set};

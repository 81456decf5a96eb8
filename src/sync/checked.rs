//! What `crate::raw` is built of, in a form whose every step loom sees. All else takes the plain atomics: loom's cannot stand in statics.

#[cfg(not(lamq_loom))]
mod imp {
    use crate::{clock, raw};
    use std::{
        cell,
        sync::atomic::{AtomicU8, Ordering, compiler_fence},
        time::Duration,
    };

    pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, fence};

    /// A cell whose owner knows when nobody else uses it.
    #[derive(Debug)]
    pub(crate) struct Cell<T>(cell::UnsafeCell<T>);

    impl<T> Cell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(cell::UnsafeCell::new(value))
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

    thread_local! {
        static ME: cell::Cell<usize> = const { cell::Cell::new(0) };
    }

    /// The number of this thread, which no other one has, nor has had; not 0.
    #[inline]
    pub(crate) fn thread_number() -> usize {
        ME.with(|me| if me.get() == 0 { number_thread(me) } else { me.get() })
    }

    #[cold]
    fn number_thread(me: &cell::Cell<usize>) -> usize {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        me.set(THREADS.fetch_add(1, Ordering::Relaxed).checked_add(1).expect("there are fewer threads than addresses"));
        me.get()
    }

    /// Whether a barrier in all threads can be had by a call of the system that does not wait.
    static BARRIER: AtomicU8 = AtomicU8::new(UNASKED);
    const UNASKED: u8 = 0;
    const WANTED: u8 = 1;
    /// Somebody finds out; or it is not to be had.
    const SOUGHT: u8 = 2;
    const GRANTED: u8 = 3;

    /// Whether [`barrier_in_all_threads`] is cheap. If nobody knows, it is to be found out.
    pub(crate) fn is_barrier_cheap() -> bool {
        let state = BARRIER.load(Ordering::Relaxed);
        if state == UNASKED {
            _ = BARRIER.compare_exchange(UNASKED, WANTED, Ordering::Relaxed, Ordering::Relaxed);
        }
        state == GRANTED
    }

    /// Whether somebody wants to know. Says so once.
    pub(crate) fn is_barrier_wanted() -> bool {
        BARRIER.load(Ordering::Relaxed) == WANTED
            && BARRIER.compare_exchange(WANTED, SOUGHT, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Finds out. That takes some milliseconds in a process with threads.
    pub(crate) fn seek_cheap_barrier() {
        let state = if raw::register_for_barriers() { GRANTED } else { SOUGHT };
        BARRIER.store(state, Ordering::Relaxed);
    }

    /// What the compiler does not move operations across. The processor may.
    #[inline]
    pub(crate) fn barrier_of_compiler() {
        compiler_fence(Ordering::SeqCst);
    }

    /// A barrier here, and at the same time one wherever each other thread of the process is.
    pub(crate) fn barrier_in_all_threads() {
        if !raw::barrier_in_all_threads() {
            // A filter of system calls has come since, or there is no memory. After the pause processors have long written out what they had stored; and nobody
            // is to need it again.
            BARRIER.store(SOUGHT, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            clock::pause(20 * NAP);
        }
    }
}

#[cfg(lamq_loom)]
mod imp {
    use std::sync::atomic::Ordering;

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

    /// How many threads there have been.
    static THREADS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

    loom::thread_local! {
        static ME: usize = THREADS.fetch_add(1, Ordering::Relaxed) + 1;
    }

    pub(crate) fn thread_number() -> usize {
        ME.with(|me| *me)
    }

    pub(crate) const fn is_barrier_cheap() -> bool {
        true
    }

    pub(crate) const fn is_barrier_wanted() -> bool {
        false
    }

    pub(crate) const fn seek_cheap_barrier() {}

    /// With the other one, it is as if both were barriers.
    pub(crate) fn barrier_of_compiler() {
        fence(Ordering::SeqCst);
    }

    pub(crate) fn barrier_in_all_threads() {
        fence(Ordering::SeqCst);
    }
}

pub(crate) use imp::{
    AtomicBool, AtomicUsize, Cell, await_others, barrier_in_all_threads, barrier_of_compiler, fence, is_barrier_cheap,
    is_barrier_wanted, looks_set, seek_cheap_barrier, thread_number,
};

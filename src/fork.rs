//! Forked children: they notice that they are one, and lose the inboxes of their parent (SPEC.md, section 22).

use crate::{
    clock, raw,
    sync::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    thread,
    time::Duration,
};

/// How many forks lie between the first process that used this library and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Whether the handler is there, at least once.
static IS_WATCHED: AtomicBool = AtomicBool::new(false);

/// The descriptors that a child must not have, a bit for each. A table that needs no lock: at a fork another thread may hold any, and in the
/// child nobody would release it. A process with more descriptors than this gives the rest to its children; the owner lock then lasts
/// until they end too.
static PRIVATE: [AtomicUsize; WORDS] = [const { AtomicUsize::new(0) }; WORDS];

const WORDS: usize = 2048;

/// Which process it is: another one in each forked child, so that what a child makes is its own (FRK-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u32);

/// What was to be used belongs to the process that forked this one (FRK-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it belongs to the process that forked this one; a child has to make its own")]
pub(crate) struct Forked;

impl From<Forked> for io::Error {
    fn from(forked: Forked) -> Self {
        Self::other(forked)
    }
}

impl Generation {
    /// Of this process, which from now on notices when it is forked.
    pub(crate) fn watched() -> io::Result<Self> {
        if !IS_WATCHED.load(Ordering::Acquire) {
            // That two threads may come here at once only makes the handlers run twice.
            raw::watch_forks(before_fork, after_fork, in_child)?;
            IS_WATCHED.store(true, Ordering::Release);
        }
        Ok(Self::now())
    }

    #[inline]
    fn now() -> Self {
        Self(FORKS.load(Ordering::Relaxed))
    }

    /// # Errors
    /// This is a child of that process, or a child of a child.
    #[inline]
    pub(crate) fn check(self) -> Result<(), Forked> {
        if self == Self::now() { Ok(()) } else { Err(Forked) }
    }
}

/// How many threads are about to fork, times [`FORK`], and how many open or close a descriptor that a child must not have.
static GATE: AtomicU32 = AtomicU32::new(0);

const FORK: u32 = 1 << 16;

/// How long either side waits for the other: a system call, as a rule. Not for ever, as it may be the same thread: one that forks in a
/// signal handler, or calls this library in a handler of its own for forks.
const WAITS: u32 = 1000;
const WAIT: Duration = Duration::from_micros(100);

/// Whether it was let through in time.
fn await_gate(is_open: impl Fn() -> bool) -> bool {
    (0..2 * WAITS).any(|wait| {
        let is_open = is_open();
        match is_open {
            false if wait < WAITS => thread::yield_now(),
            false => clock::pause(WAIT),
            true => {}
        }
        is_open
    })
}

fn change_gate(change: impl Fn(u32) -> Option<u32>) -> bool {
    GATE.fetch_update(Ordering::SeqCst, Ordering::SeqCst, change).is_ok()
}

/// While this is there, no other thread forks: from before a descriptor is opened until it is [kept](keep), and from before it is
/// [released](release) until it is closed.
pub(crate) struct Unforked(());

impl Unforked {
    pub(crate) fn begin() -> Self {
        // Should it fail, then whoever goes on with the descriptor hears of that.
        _ = Generation::watched();
        if !await_gate(|| change_gate(|gate| (gate < FORK).then_some(gate + 1))) {
            change_gate(|gate| Some(gate + 1));
        }
        Self(())
    }
}

impl Drop for Unforked {
    fn drop(&mut self) {
        // Nobody is there in a child, whose only thread may have been here.
        change_gate(|gate| (gate % FORK > 0).then(|| gate - 1));
    }
}

extern "C" fn before_fork() {
    GATE.fetch_add(FORK, Ordering::SeqCst);
    await_gate(|| GATE.load(Ordering::SeqCst).is_multiple_of(FORK));
}

extern "C" fn after_fork() {
    change_gate(|gate| gate.checked_sub(FORK));
}

/// The process that made something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Maker {
    generation: Generation,
    /// A child that was made past the C library has the same generation.
    process: u32,
}

impl Maker {
    /// This process.
    pub(crate) fn here() -> Self {
        Self { generation: Generation::now(), process: std::process::id() }
    }

    /// Whether that is this process. A child may have the id of its parent, in another pid namespace.
    pub(crate) fn is_here(self) -> bool {
        self.process == std::process::id() && self.generation.check().is_ok()
    }
}

/// From now on a forked child gets a blank in the place of this descriptor.
pub(crate) fn keep(descriptor: &impl AsFd) {
    if let Some((word, bit)) = place(descriptor.as_fd().as_raw_fd()) {
        word.fetch_or(bit, Ordering::Relaxed);
    }
}

/// To be called before it is closed: its number may be another one's then.
pub(crate) fn release(descriptor: &impl AsFd) {
    if let Some((word, bit)) = place(descriptor.as_fd().as_raw_fd()) {
        word.fetch_and(!bit, Ordering::Relaxed);
    }
}

fn place(descriptor: RawFd) -> Option<(&'static AtomicUsize, usize)> {
    let number = usize::try_from(descriptor).ok()?;
    let bits = usize::BITS as usize;
    Some((PRIVATE.get(number / bits)?, 1 << (number % bits)))
}

/// A descriptor that no forked child gets.
#[derive(Debug)]
pub(crate) struct Private(Option<OwnedFd>);

impl Private {
    pub(crate) fn open<E>(open: impl FnOnce() -> Result<OwnedFd, E>) -> Result<Self, E> {
        let _unforked = Unforked::begin();
        let descriptor = open()?;
        keep(&descriptor);
        Ok(Self(Some(descriptor)))
    }
}

impl AsFd for Private {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_ref().expect("taken in drop only").as_fd()
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if let Some(descriptor) = self.0.take() {
            let _unforked = Unforked::begin();
            release(&descriptor);
            drop(descriptor);
        }
    }
}

/// What the C library does in a child before `fork` returns in it. Other threads may have been anywhere: nothing but atomics and
/// system calls that are safe in a signal handler.
extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    GATE.store(0, Ordering::SeqCst);
    let bits = usize::BITS as usize;
    for (index, word) in PRIVATE.iter().enumerate() {
        let held = word.swap(0, Ordering::Relaxed);
        let numbers = (0..bits).filter(|bit| held >> bit & 1 == 1).map(|bit| index * bits + bit);
        numbers.filter_map(|number| RawFd::try_from(number).ok()).for_each(raw::blank); // FRK-2
    }
}

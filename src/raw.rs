//! The one file with `unsafe` code: what has no safe interface, or costs too much by one.
#![allow(unsafe_code)]

use crate::sync::{
    Ordering,
    bias::{Bias, Habit, ThreadNumber},
    checked::{AtomicBool, AtomicUsize, Cell, await_others, fence, is_barrier_cheap, looks_set, thread_number},
};
use nix::{errno::Errno, libc};
use std::{
    ffi::c_uint,
    fmt, io,
    marker::PhantomData,
    ops::Deref,
    os::fd::{AsRawFd, BorrowedFd, RawFd},
    process,
    ptr::{self, NonNull},
};

#[cfg(all(test, lamq_loom))]
mod loom_tests;
#[cfg(all(test, not(lamq_loom)))]
mod tests;

/// Has the C library call these before each fork of this process, and after it in the parent and in the child; once more for each call.
/// The last may do only what may be done in a signal handler: other threads may have been anywhere.
pub(crate) fn watch_forks(before: extern "C" fn(), parent: extern "C" fn(), child: extern "C" fn()) -> io::Result<()> {
    // SAFETY: the handlers have the type that is wanted, and are there as long as the process: this library is linked into the program, or
    // into a shared object that takes its handlers along when it is unloaded.
    let failure = unsafe { libc::pthread_atfork(Some(before), Some(parent), Some(child)) };
    if failure == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(failure)) }
}

/// Puts a descriptor that leads nowhere into the place of another one, which this library owns, and which it thereby closes. The place stays
/// taken, so that whoever closes it later closes nobody else's; unless the system has not even room for a blank.
pub(crate) fn blank(descriptor: RawFd) {
    // SAFETY: `eventfd`, `dup3` and `close` take no memory of ours, and are safe in a signal handler. The descriptor is open and owned by
    // this library, as the caller knows; it stays open under its number. The blank itself is nobody else's.
    unsafe {
        let mut blank = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
        if blank < 0 {
            // There is no room for one more. The lowest number that is free is taken next; if that is another one than this, so be it:
            // what matters is the lock.
            libc::close(descriptor);
            blank = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
        }
        if blank < 0 || blank == descriptor {
            return;
        }
        if libc::dup3(blank, descriptor, libc::O_CLOEXEC) < 0 {
            // The process may have fewer by now than when that one was opened. So nobody will be given its number.
            libc::close(descriptor);
        }
        libc::close(blank);
    }
}

// The two calls that each frame takes. Those of the C library are points at which a thread may be cancelled, as POSIX has it; to say so takes
// two atomic operations each time in a process with threads, and nobody cancels a thread of Rust.

/// As `mq_send(3)`.
pub(crate) fn mq_send(queue: BorrowedFd<'_>, frame: &[u8], priority: u32) -> Result<(), Errno> {
    send_until(queue, frame, priority, None)
}

/// As `mq_send(3)`, but does not wait, whatever the descriptor is like: it may wait until 1970 only. `ETIMEDOUT` when the queue is full.
pub(crate) fn mq_send_at_once(queue: BorrowedFd<'_>, frame: &[u8], priority: u32) -> Result<(), Errno> {
    send_until(queue, frame, priority, Some(&libc::timespec { tv_sec: 0, tv_nsec: 0 }))
}

#[inline]
fn send_until(queue: BorrowedFd<'_>, frame: &[u8], priority: u32, until: Option<&libc::timespec>) -> Result<(), Errno> {
    let until = until.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the kernel reads as many bytes as the slice has, from where it lies, and a time, if there is one. No time is where one may be.
    let result = unsafe {
        libc::syscall(libc::SYS_mq_timedsend, queue.as_raw_fd(), frame.as_ptr(), frame.len(), priority, until)
    };
    Errno::result(result).map(drop)
}

/// As `mq_receive(3)`, but for the priority. Returns the length of the frame.
pub(crate) fn mq_receive(queue: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    let (any, forever) = (ptr::null_mut::<c_uint>(), ptr::null::<libc::timespec>());
    // SAFETY: the kernel writes at most as many bytes as the slice has, to where it lies. No place is where a priority or a time may be.
    let result = unsafe {
        libc::syscall(libc::SYS_mq_timedreceive, queue.as_raw_fd(), buffer.as_mut_ptr(), buffer.len(), any, forever)
    };
    Errno::result(result).map(|length| usize::try_from(length).unwrap_or(0)) // which is not below 0, as -1 is an error
}

/// Asks for [`barrier_in_all_threads`]; false if the kernel does not have it. Takes some milliseconds in a process with threads.
#[cfg(not(lamq_loom))]
pub(crate) fn register_for_barriers() -> bool {
    membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
}

/// A memory barrier here, and one in each other thread of this process between what it did before and what it does after. False if it was not asked
/// for before, with success, or for want of memory, or when a filter of system calls has come since (`membarrier(2)`).
#[cfg(not(lamq_loom))]
pub(crate) fn barrier_in_all_threads() -> bool {
    membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED)
}

#[cfg(not(lamq_loom))]
fn membarrier(command: libc::c_int) -> bool {
    let (no_flags, no_processor): (c_uint, libc::c_int) = (0, 0);
    // SAFETY: it takes no memory of ours.
    unsafe { libc::syscall(libc::SYS_membarrier, command, no_flags, no_processor) == 0 }
}

/// A lock that is held for a moment only, some dozens of nanoseconds as a rule, or a few calls of the system that do not wait: whoever holds it
/// waits for nothing, but perhaps for memory.
/// So it costs one atomic operation that reads and writes, where one whose waiters are to be woken takes two; and none for the thread that has made a habit
/// of it ([`Bias`]). Not poisoned by a panic.
pub(crate) struct Brief<T> {
    bias: Bias,
    is_taken: AtomicBool,
    value: Cell<(Habit, T)>,
}

// SAFETY: only whoever holds the lock has access to the value, by a reference that is unique, and may move it out: so it must be `Send`.
unsafe impl<T: Send> Sync for Brief<T> {}

/// So many looks take longer than the lock is held as a rule.
const LOOKS: u32 = 16;

/// While this is there, the lock is held.
struct Held<'a>(&'a AtomicBool);

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        // What was done with the value comes before what the next one does with it. Nobody else stores anything while the lock is held.
        self.0.store(false, Ordering::Release);
    }
}

impl<T> Brief<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { bias: Bias::new(), is_taken: AtomicBool::new(false), value: Cell::new((Habit::new(), value)) }
    }

    /// Does something with the value, while nobody else does.
    #[inline]
    pub(crate) fn with<R>(&self, action: impl FnOnce(&mut T) -> R) -> R {
        let me = thread_number();
        let is_owner = self.bias.enter(me);
        let flag = if is_owner { self.bias.flag() } else { self.take_for(me) };
        let _held = Held(flag);
        self.value.with_mut(|value| {
            // SAFETY: the pointer is that of the cell, so it is valid. Either we are in by the bias, and whoever takes the lock waits for us. Or we have taken
            // the lock, while nobody owns the bias, which only we could give. Either lasts until `_held` is dropped, after `action` or while it panics. So
            // this is the only reference. What `action` returns cannot contain it.
            let (habit, value) = unsafe { &mut *value };
            habit.count_use(is_owner);
            action(value)
        })
    }

    /// Whether somebody is in, and stays there for longer than those do who run: it may have lost the processor.
    pub(crate) fn is_held_up(&self) -> bool {
        (0..LOOKS).all(|_| {
            let is_in_use = self.bias.is_in_use() || looks_set(&self.is_taken);
            if is_in_use {
                std::hint::spin_loop();
            }
            is_in_use
        })
    }

    /// Takes the lock, and perhaps the bias instead. Returns what is to be cleared to give it back.
    #[inline(never)]
    fn take_for(&self, me: ThreadNumber) -> &AtomicBool {
        if !self.take() {
            self.take_later();
        }
        let revoked = self.bias.revoke();
        let is_habit = self.value.with_mut(|value| {
            // SAFETY: as in `with`; nobody panics here.
            unsafe { &mut (*value).0 }.note(me, revoked, is_barrier_cheap)
        });
        if !is_habit {
            return &self.is_taken;
        }
        // Not both: a signal handler, say, would find that it owns the bias, and is not in.
        self.bias.give_entered(me);
        drop(Held(&self.is_taken));
        self.bias.flag()
    }

    #[inline]
    fn take(&self) -> bool {
        self.is_taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn take_later(&self) {
        let mut tries = 0;
        while looks_set(&self.is_taken) || !self.take() {
            await_others(tries);
            tries = tries.saturating_add(1);
        }
    }
}

impl<T> fmt::Debug for Brief<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Brief").finish_non_exhaustive()
    }
}

/// What those who share a value have in common.
struct Block<T> {
    references: AtomicUsize,
    value: T,
}

/// A value that is shared, as by `Arc`; but references can be paid for in advance, many by one atomic operation ([`prepay`](Self::prepay)).
pub(crate) struct Counted<T> {
    /// Made by a `Box`, which is there as long as one of its `references` is.
    block: NonNull<Block<T>>,
    owns: PhantomData<Block<T>>,
}

// SAFETY: whoever has a reference shares the value (`Sync`), and the last one drops it, or may change it, wherever it is then (`Send`).
unsafe impl<T: Send + Sync> Send for Counted<T> {}
// SAFETY: by a shared one others come to have references of their own; see above.
unsafe impl<T: Send + Sync> Sync for Counted<T> {}

/// The most references there may be. One more ends the process: there is room for as many again until it has ended.
const MOST: usize = isize::MAX as usize;

impl<T> Counted<T> {
    pub(crate) fn new(value: T) -> Self {
        let block = Box::new(Block { references: AtomicUsize::new(1), value });
        Self { block: NonNull::from(Box::leak(block)), owns: PhantomData }
    }

    #[inline]
    fn block(&self) -> &Block<T> {
        // SAFETY: we are one of the references, so the block is there as long as we are. That it is changed takes `get_mut`, see there.
        unsafe { self.block.as_ref() }
    }

    #[inline]
    fn add(&self, count: usize) {
        // Relaxed, as in `Arc`: whoever adds has one, and another thread gets the new ones in some way that orders them.
        if self.block().references.fetch_add(count, Ordering::Relaxed) > MOST {
            process::abort();
        }
    }

    /// Makes that many references, to be handed out one by one.
    pub(crate) fn prepay(&self, count: u16) -> Prepaid<T> {
        let left = usize::from(count);
        self.add(left);
        Prepaid { block: self.block, left, owns: PhantomData }
    }

    /// One more that shares the value, which nobody else does yet: that takes no atomic operation.
    ///
    /// # Panics
    /// When somebody does.
    pub(crate) fn share_first(&mut self) -> Self {
        assert!(self.get_mut().is_some(), "nobody else has it");
        // Relaxed, as in `add`. Ours is the only reference, and is borrowed: nobody else counts at the same time.
        self.block().references.store(2, Ordering::Relaxed);
        Self { block: self.block, owns: PhantomData }
    }

    /// To change the value; `None` while there are others who share it, or will.
    pub(crate) fn get_mut(&mut self) -> Option<&mut T> {
        // What the others did with it, before they gave their references back, comes before what is done now.
        if self.block().references.load(Ordering::Acquire) != 1 {
            return None;
        }
        // SAFETY: ours is the only reference, and is borrowed as long as what we return: nobody can make another one of it.
        Some(unsafe { &mut (*self.block.as_ptr()).value })
    }
}

impl<T> Clone for Counted<T> {
    #[inline]
    fn clone(&self) -> Self {
        self.add(1);
        Self { block: self.block, owns: PhantomData }
    }
}

impl<T> Deref for Counted<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.block().value
    }
}

impl<T> Drop for Counted<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: it is one reference, and is not used any more.
        unsafe { give_back(self.block, 1) }
    }
}

impl<T: fmt::Debug> fmt::Debug for Counted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// References to a value that are counted already. Those that are not handed out are given back together.
pub(crate) struct Prepaid<T> {
    /// There as long as one is left.
    block: NonNull<Block<T>>,
    left: usize,
    owns: PhantomData<Block<T>>,
}

// SAFETY: it is as good as `left` of them.
unsafe impl<T: Send + Sync> Send for Prepaid<T> {}
// SAFETY: a shared one can do nothing.
unsafe impl<T: Send + Sync> Sync for Prepaid<T> {}

impl<T> Prepaid<T> {
    /// One of them, if any is left.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Counted<T>> {
        self.left = self.left.checked_sub(1)?;
        Some(Counted { block: self.block, owns: PhantomData })
    }
}

impl<T> Drop for Prepaid<T> {
    fn drop(&mut self) {
        if self.left > 0 {
            // SAFETY: that many were counted and not handed out, and will not be.
            unsafe { give_back(self.block, self.left) }
        }
    }
}

impl<T> fmt::Debug for Prepaid<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepaid").field("left", &self.left).finish_non_exhaustive()
    }
}

/// Gives references back; the last one takes the value along.
///
/// # Safety
/// They are the caller's, and it does not use them again.
#[inline]
unsafe fn give_back<T>(block: NonNull<Block<T>>, count: usize) {
    // SAFETY: the block is there, as our references are. Nothing of it is touched once they are given back, unless they were the last.
    let before = unsafe { (*block.as_ptr()).references.fetch_sub(count, Ordering::Release) };
    if before == count {
        // SAFETY: there are no others, and nobody can make any.
        unsafe { free(block) }
    }
}

/// # Safety
/// There are no references any more.
#[cold]
unsafe fn free<T>(block: NonNull<Block<T>>) {
    // What others did with the value, before they gave their references back, comes before its end.
    fence(Ordering::Acquire);
    // SAFETY: it was made by a `Box`, and nobody else knows of it.
    drop(unsafe { Box::from_raw(block.as_ptr()) });
}

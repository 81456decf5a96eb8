//! The one file with `unsafe` code: what has no safe interface, or costs too much by one.
#![allow(unsafe_code)]

use nix::libc;
use std::{io, os::fd::RawFd};

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

//! Where frames come in: whoever spins, or sleeps in the inbox, takes the next one without the lock of the endpoint, and a call of the system less.

use crate::{
    link::{Blocking, Inbox},
    pool::Buffer,
    raw::Brief,
    sync::{AtomicBool, OnceLock, Ordering},
};
use std::io;

/// An inbox, and the frame that was taken out of it ahead, which is the next for whoever reads. Its lock is the last that is taken.
#[derive(Debug)]
pub(super) struct Inlet {
    inner: Brief<Inner>,
    /// A hint that costs less than the lock.
    has_ahead: AtomicBool,
    /// Somebody wants the lock, or has it. There are two at most: whoever spins, and whoever has the lock of the endpoint.
    is_wanted: AtomicBool,
    /// To wait in; opened when that is first wanted. `None` if it is not to be had.
    blocking: OnceLock<Option<Box<dyn Blocking>>>,
    /// Waiting there has failed, which is not tried again.
    has_failed: AtomicBool,
}

/// How often a look tries. The lock, and the clock that is read between two looks, take a good part of the time of a try.
const TRIES: u32 = 8;

#[derive(Debug)]
struct Inner {
    inbox: Box<dyn Inbox>,
    ahead: Option<(Buffer, usize)>,
    spare: Option<Buffer>,
}

impl Inlet {
    pub(super) fn new(inbox: Box<dyn Inbox>) -> Self {
        let inner = Brief::new(Inner { inbox, ahead: None, spare: None });
        Self {
            inner,
            has_ahead: AtomicBool::new(false),
            is_wanted: AtomicBool::new(false),
            blocking: OnceLock::new(),
            has_failed: AtomicBool::new(false),
        }
    }

    /// Takes the next frame, in `buffer`, or another one instead of it. Never waits.
    pub(super) fn try_recv(&self, buffer: &mut Buffer) -> io::Result<Option<usize>> {
        self.with(|inner| {
            if let Some((ahead, length)) = inner.ahead.take() {
                self.has_ahead.store(false, Ordering::Relaxed);
                inner.spare = Some(std::mem::replace(buffer, ahead));
                return Ok(Some(length));
            }
            inner.inbox.try_recv(buffer.bytes_mut())
        })
    }

    /// Takes the next frame ahead, if there is one. Returns whether there is one. The very next step must read it: nobody who sleeps elsewhere
    /// can see it. An error is none: the step meets it, when the descriptor says that there is something to read or it is time to try again.
    pub(super) fn look_ahead(&self) -> bool {
        let is_free = || !self.is_wanted.load(Ordering::Relaxed);
        if !is_free() {
            std::hint::spin_loop(); // we would have it again before the other one
            return false;
        }
        self.inner.with(|inner| {
            let found = (0..TRIES).take_while(|_| is_free()).any(|_| inner.look_ahead());
            if found {
                self.has_ahead.store(true, Ordering::Relaxed);
            }
            found
        })
    }

    /// Whether one can wait in it.
    pub(super) fn is_blocking(&self) -> bool {
        let blocking = || self.with_inbox(|inbox| inbox.blocking().ok().flatten());
        self.blocking.get_or_init(blocking).is_some() && !self.has_failed.load(Ordering::Relaxed)
    }

    /// Wakes whoever waits in it, by an empty frame. Returns whether there was room for one.
    pub(super) fn ring(&self) -> io::Result<bool> {
        let blocking = self.blocking.get().and_then(Option::as_ref);
        blocking.map_or(Err(io::ErrorKind::Unsupported.into()), |blocking| blocking.ring())
    }

    /// Waits for the next frame, and takes it ahead. Nobody else may read meanwhile: what comes after it could be read before it. A signal may
    /// end that early.
    pub(super) fn await_ahead(&self) {
        let Some(Some(blocking)) = self.blocking.get() else { return };
        let mut buffer = self.with(Inner::take_spare);
        let result = blocking.recv(buffer.bytes_mut());
        self.with(|inner| match result {
            Ok(length) => {
                debug_assert!(inner.ahead.is_none(), "it would be lost");
                inner.ahead = Some((buffer, length));
                self.has_ahead.store(true, Ordering::Relaxed);
            }
            Err(error) => {
                inner.spare = Some(buffer);
                self.has_failed.fetch_or(error.kind() != io::ErrorKind::Interrupted, Ordering::Relaxed);
            }
        });
    }

    /// Whether a frame was taken that nobody has read.
    pub(super) fn has_ahead(&self) -> bool {
        self.has_ahead.load(Ordering::Relaxed)
    }

    pub(super) fn with_inbox<R>(&self, action: impl FnOnce(&mut dyn Inbox) -> R) -> R {
        self.with(|inner| action(&mut *inner.inbox))
    }

    fn with<R>(&self, action: impl FnOnce(&mut Inner) -> R) -> R {
        self.is_wanted.store(true, Ordering::Relaxed);
        let result = self.inner.with(action);
        self.is_wanted.store(false, Ordering::Relaxed);
        result
    }
}

impl Inner {
    fn take_spare(&mut self) -> Buffer {
        self.spare.take().unwrap_or_else(|| Buffer::new(vec![0; self.inbox.geometry().frame_size]))
    }

    fn look_ahead(&mut self) -> bool {
        if self.ahead.is_some() {
            return true;
        }
        let mut buffer = self.take_spare();
        if let Ok(Some(length)) = self.inbox.try_recv(buffer.bytes_mut()) {
            self.ahead = Some((buffer, length));
            return true;
        }
        self.spare = Some(buffer);
        false
    }
}

#[cfg(all(test, not(lamq_loom)))]
mod tests {
    use super::*;
    use crate::link::{Geometry, Link, Memory, Owner};
    use lamq_protocol::{Epoch, wire::Priority};

    #[test]
    fn what_is_taken_ahead_comes_first_and_once() {
        let (space, name) = (Memory::new(), "/inlet".try_into().expect("a name"));
        let owner = Owner::new(1, Epoch::new(1).expect("not 0"));
        let inbox = space.bind(&name, owner, Geometry { slots: 10, frame_size: 512 }).expect("it is free");
        let inlet = Inlet::new(inbox);
        assert!(!inlet.look_ahead() && !inlet.has_ahead());
        let mut outbox = space.open(&name).expect("it is there");
        for frame in [b"one", b"two"] {
            assert!(outbox.try_send(Priority::Ordered, frame).expect("it lives"));
        }
        assert!(inlet.look_ahead() && inlet.look_ahead() && inlet.has_ahead());
        let mut buffer = Buffer::new(vec![0; 512]);
        let mut next = || {
            let length = inlet.try_recv(&mut buffer).expect("it lives")?;
            Some(buffer.bytes_mut()[..length].to_vec())
        };
        assert_eq!([next(), next(), next()], [Some(b"one".to_vec()), Some(b"two".to_vec()), None]);
        assert!(!inlet.has_ahead());
    }
}

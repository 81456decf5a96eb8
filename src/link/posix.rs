//! POSIX message queues of the kernel (SPEC.md, section 16).

use super::{
    Blocking, Destination, Geometry, Inbox, Link, Outbox, Owner,
    sys::{self, MODE, Queue, Status},
};
use crate::{
    clock,
    error::{BindError, Distrust, OpenError},
    fork::{Maker, Private},
    limits::LimitHit,
    name::QueueName,
    raw, reports,
};
use lamq_protocol::wire::{MIN_FRAME_SIZE, Priority};
use nix::errno::Errno;
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

/// The queues of the kernel, in the IPC namespace of this process (`mq_overview(7)`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Posix;

/// How often [`Link::bind`] starts over because others created, cleaned or took the name at the same time.
const BIND_ATTEMPTS: u32 = 200;

/// Between attempts, once the name has turned out to be contended.
const BIND_PAUSE: Duration = Duration::from_millis(1);

impl Link for Posix {
    fn bind(&self, name: &QueueName, owner: Owner, geometry: Geometry) -> Result<Box<dyn Inbox>, BindError> {
        if geometry.frame_size < MIN_FRAME_SIZE || geometry.slots == 0 {
            return Err(BindError::Geometry { asked: geometry });
        }
        let mut contender = 0;
        for attempt in 0..BIND_ATTEMPTS {
            if attempt > 2 {
                clock::pause(BIND_PAUSE);
            }
            match try_bind(name, owner, geometry)? {
                Bound::Ours(queue) => {
                    let name = name.clone();
                    return Ok(Box::new(PosixInbox { queue, name, geometry, unlinked: false, binder: Maker::here() }));
                }
                Bound::Again | Bound::Taken { pid: 0 } => {}
                Bound::Taken { pid } => {
                    contender = pid;
                    if is_running(pid) {
                        return Err(BindError::InUse { name: name.clone(), pid }); // POS-5
                    }
                    // A process that is just ending holds its lock for a moment longer.
                }
            }
        }
        Err(BindError::HeldByChild { name: name.clone(), pid: contender })
    }

    fn open(&self, name: &QueueName) -> Result<Box<dyn Outbox>, OpenError> {
        let queue = match Queue::open_to_write(name) {
            Ok(queue) => queue,
            Err(Errno::ENOENT) => return Err(OpenError::Absent),
            Err(Errno::EACCES) => return Err(OpenError::Untrusted(Distrust::NoPermission)),
            Err(error) => return Err(open_error(error)),
        };
        let status = queue.status().map_err(open_error)?;
        check(status).map_err(OpenError::Untrusted)?; // POS-8
        let geometry = queue.geometry().map_err(open_error)?;
        if geometry.frame_size < MIN_FRAME_SIZE {
            return Err(OpenError::Untrusted(Distrust::FrameSize { size: geometry.frame_size }));
        }
        // Pid 0: somebody looks whether it can be removed, and has the lock for a moment.
        let Some(owner) = queue.owner().map_err(open_error)?.filter(|owner| owner.pid != 0) else {
            return Err(OpenError::Absent);
        };
        let pidfd = match sys::open_pidfd(owner.pid) {
            Ok(pidfd) => pidfd,
            Err(Errno::ESRCH) if queue.owner().map_err(open_error)? == Some(owner) => {
                return Err(OpenError::Invisible { pid: owner.pid });
            }
            Err(Errno::ESRCH) => return Err(OpenError::Absent),
            Err(error) => return Err(open_error(error)),
        };
        let outbox = PosixOutbox { queue, geometry, owner, user: status.uid, pidfd };
        // Only a lock that is still held says that the pid had not been reused when we opened it.
        if outbox.is_alive().map_err(OpenError::System)? { Ok(Box::new(outbox)) } else { Err(OpenError::Absent) }
    }
}

/// The lock of one who only removes. Pid 0 is nobody: binders and senders try again, and the lock is gone at once.
pub(crate) const CLEANER: Owner = Owner { pid: 0, epoch_low: 1 };

enum Bound {
    Ours(Queue),
    /// Another process has the lock.
    Taken {
        pid: u32,
    },
    /// The name changed hands under us.
    Again,
}

/// One attempt to create the queue or take over what a dead owner left.
fn try_bind(name: &QueueName, owner: Owner, geometry: Geometry) -> Result<Bound, BindError> {
    let system = |error: Errno| bind_error(name, error, Some(geometry));
    let queue = match Queue::create(name, geometry) {
        Ok(queue) => queue,
        Err(Errno::EEXIST) => match Queue::open(name) {
            Ok(queue) => queue,
            Err(Errno::ENOENT) => return Ok(Bound::Again),
            Err(Errno::EACCES) => {
                return Err(BindError::Untrusted { name: name.clone(), why: Distrust::NoPermission });
            }
            Err(error) => return Err(system(error)),
        },
        Err(error) => return Err(system(error)),
    };
    let status = queue.status().map_err(system)?;
    check(status).map_err(|why| BindError::Untrusted { name: name.clone(), why })?; // POS-4
    let fits = queue.geometry().map_err(system)? == geometry;
    // What is only to be removed has no owner whom POS-5 could name.
    let taken = match queue.lock(if fits { owner } else { CLEANER }) {
        Ok(()) => None,
        Err(Errno::EAGAIN | Errno::EACCES) => Some(queue.owner().map_err(system)?),
        Err(error) => return Err(system(error)),
    };
    // POS-6: between our open and our lock the last owner may have removed the name; who has the lock may find the same.
    if queue.status().map_err(system)?.links != 1 {
        return Ok(Bound::Again);
    }
    if let Some(taken) = taken {
        return Ok(taken.map_or(Bound::Again, |Owner { pid, .. }| Bound::Taken { pid }));
    }
    if fits {
        return Ok(Bound::Ours(queue));
    }
    sys::unlink(name).map_err(system)?; // POS-7
    Ok(Bound::Again)
}

/// Whether a queue is one of ours to use (POS-2).
pub(crate) fn check(status: Status) -> Result<(), Distrust> {
    let ours = sys::user_id();
    if status.uid != ours {
        Err(Distrust::OtherUser { uid: status.uid, ours })
    } else if status.mode != MODE {
        Err(Distrust::Mode { mode: status.mode })
    } else {
        Ok(())
    }
}

/// Whether the process exists and is no zombie.
pub(crate) fn is_running(pid: u32) -> bool {
    sys::open_pidfd(pid).and_then(|pidfd| sys::has_ended(&pidfd)).is_ok_and(|ended| !ended)
}

fn bind_error(name: &QueueName, error: Errno, asked: Option<Geometry>) -> BindError {
    match LimitHit::of(error, asked) {
        Some(limit) => BindError::Limit(limit),
        None => BindError::System { name: name.clone(), source: error.into() },
    }
}

fn open_error(error: Errno) -> OpenError {
    LimitHit::of(error, None).map_or_else(|| OpenError::System(error.into()), OpenError::Limit)
}

#[derive(Debug)]
struct PosixInbox {
    queue: Queue,
    name: QueueName,
    geometry: Geometry,
    unlinked: bool,
    /// A forked child has a copy of this value, but neither the name nor the lock is its to give up.
    binder: Maker,
}

impl Inbox for PosixInbox {
    fn try_recv(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.queue.try_recv(buffer) {
            Ok(length) => Ok(Some(length)),
            Err(Errno::EAGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn readable(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }

    fn blocking(&self) -> io::Result<Option<Box<dyn Blocking>>> {
        Ok(Some(Box::new(PosixBlocking(self.queue.reopen_to_wait()?))))
    }

    fn watchable(&self) -> Option<BorrowedFd<'_>> {
        Some(self.queue.as_fd())
    }

    fn is_lost(&self) -> io::Result<bool> {
        Ok(!self.unlinked && self.queue.status()?.links == 0)
    }

    fn unlink(&mut self) -> io::Result<()> {
        if self.unlinked || !self.binder.is_here() {
            return Ok(());
        }
        // POS-7: the name may have been removed, and made anew by somebody else, while we held the lock on the old queue.
        if self.queue.status()?.links > 0 {
            sys::unlink(&self.name)?;
        }
        self.unlinked = true; // now, so that what failed is tried again when the inbox is dropped
        Ok(())
    }
}

impl Drop for PosixInbox {
    fn drop(&mut self) {
        if let Err(error) = self.unlink() {
            reports::tell(|| tracing::warn!(target: "lamq", name = %self.name, %error, "cannot remove the queue"));
        }
    }
}

/// A second description of the queue, whose calls wait.
#[derive(Debug)]
struct PosixBlocking(Private);

impl Blocking for PosixBlocking {
    fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(raw::mq_receive(self.0.as_fd(), buffer)?)
    }

    fn ring(&self) -> io::Result<bool> {
        match sys::retry(|| raw::mq_send_at_once(self.0.as_fd(), &[], Priority::Ordered.number())) {
            Ok(()) => Ok(true),
            Err(Errno::ETIMEDOUT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[derive(Debug)]
struct PosixOutbox {
    queue: Queue,
    geometry: Geometry,
    owner: Owner,
    user: u32,
    pidfd: OwnedFd,
}

impl Outbox for PosixOutbox {
    fn try_send(&mut self, priority: Priority, frame: &[u8]) -> io::Result<bool> {
        match self.queue.try_send(frame, priority.number()) {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn destination(&self) -> &dyn Destination {
        self
    }
}

impl Destination for PosixOutbox {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn writable(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }

    fn bell(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    fn watchable(&self) -> Option<BorrowedFd<'_>> {
        Some(self.queue.as_fd())
    }

    fn owner(&self) -> Owner {
        self.owner
    }

    fn user(&self) -> u32 {
        self.user
    }

    fn is_alive(&self) -> io::Result<bool> {
        // DTH-1: a forked child of a dead owner may still hold the lock; the pidfd tells.
        Ok(self.queue.owner()? == Some(self.owner) && !sys::has_ended(&self.pidfd)?)
    }
}

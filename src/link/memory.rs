//! Queues within one process: no kernel queue is used, nothing is charged to the user, everything else is the same.

use super::{Destination, Geometry, Inbox, Link, Outbox, Owner, sys};
use crate::{
    error::{BindError, OpenError},
    limits::LimitHit,
    name::QueueName,
    sync::{Arc, Mutex},
};
use lamq_protocol::wire::{MIN_FRAME_SIZE, Priority};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// A private space of names in this process, for tests of your own code and for channels between threads.
///
/// Clones share the space.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<BTreeMap<QueueName, Arc<MemoryQueue>>>>);

impl Memory {
    /// An empty space.
    pub fn new() -> Self {
        Self::default()
    }
}

#[derive(Debug)]
struct MemoryQueue {
    frames: Mutex<Frames>,
    geometry: Geometry,
    owner: Owner,
    /// Counts above zero while there are frames.
    readable: EventFd,
    /// At its greatest value, and so not writable, while there is no room.
    room: EventFd,
    /// Counts above zero once the owner is gone.
    gone: EventFd,
}

#[derive(Debug, Default)]
struct Frames {
    ordered: VecDeque<Vec<u8>>,
    urgent: VecDeque<Vec<u8>>,
    /// Buffers of frames that were taken, for others; no more than there are slots.
    spare: Vec<Vec<u8>>,
    owner_gone: bool,
}

impl Frames {
    /// A copy of `frame`, in a buffer that was used before if possible.
    fn copy(&mut self, frame: &[u8]) -> Vec<u8> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(frame);
        buffer
    }

    fn len(&self) -> usize {
        self.ordered.len() + self.urgent.len()
    }
}

/// The value at which an eventfd is no longer writable (`eventfd(2)`).
const FULL: u64 = u64::MAX - 1;

impl Link for Memory {
    fn bind(&self, name: &QueueName, owner: Owner, geometry: Geometry) -> Result<Box<dyn Inbox>, BindError> {
        if geometry.frame_size < MIN_FRAME_SIZE || geometry.slots == 0 {
            return Err(BindError::Geometry { asked: geometry });
        }
        let mut names = self.0.lock();
        if let Some(queue) = names.get(name) {
            return Err(BindError::InUse { name: name.clone(), pid: queue.owner.pid });
        }
        let eventfd = || {
            EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)
                .map_err(|error| BindError::System { name: name.clone(), source: error.into() })
        };
        let (readable, room, gone) = (eventfd()?, eventfd()?, eventfd()?);
        let queue = Arc::new(MemoryQueue { frames: Mutex::default(), geometry, owner, readable, room, gone });
        names.insert(name.clone(), Arc::clone(&queue));
        Ok(Box::new(MemoryInbox { queue, name: name.clone(), space: self.clone() }))
    }

    fn open(&self, name: &QueueName) -> Result<Box<dyn Outbox>, OpenError> {
        let queue = self.0.lock().get(name).cloned().ok_or(OpenError::Absent)?;
        let own = |event: &EventFd| {
            let limit = |error| LimitHit::of_descriptors(&error).map_or(OpenError::System(error), OpenError::Limit);
            event.as_fd().try_clone_to_owned().map_err(limit)
        };
        let (writable, bell) = (own(&queue.room)?, own(&queue.gone)?);
        Ok(Box::new(MemoryOutbox { queue, writable, bell }))
    }
}

#[derive(Debug)]
struct MemoryInbox {
    queue: Arc<MemoryQueue>,
    name: QueueName,
    space: Memory,
}

impl Inbox for MemoryInbox {
    fn try_recv(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let mut frames = self.queue.frames.lock();
        let was_full = frames.len() == self.queue.geometry.slots;
        let Some(frame) = frames.urgent.pop_front().or_else(|| frames.ordered.pop_front()) else { return Ok(None) };
        if was_full {
            self.queue.room.read()?;
        }
        if frames.len() == 0 {
            self.queue.readable.read()?;
        }
        let length = frame.len();
        buffer[..length].copy_from_slice(&frame);
        frames.spare.push(frame);
        Ok(Some(length))
    }

    fn geometry(&self) -> Geometry {
        self.queue.geometry
    }

    fn readable(&self) -> BorrowedFd<'_> {
        self.queue.readable.as_fd()
    }

    fn watchable(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn is_lost(&self) -> io::Result<bool> {
        Ok(false) // nobody else can
    }

    fn unlink(&mut self) -> io::Result<()> {
        let mut names = self.space.0.lock();
        if names.get(&self.name).is_some_and(|queue| Arc::ptr_eq(queue, &self.queue)) {
            names.remove(&self.name);
        }
        Ok(())
    }
}

impl Drop for MemoryInbox {
    fn drop(&mut self) {
        _ = self.unlink();
        self.queue.frames.lock().owner_gone = true;
        _ = self.queue.gone.write(1);
    }
}

#[derive(Debug)]
struct MemoryOutbox {
    queue: Arc<MemoryQueue>,
    /// Of its own: an epoll takes a descriptor only once, and two outboxes may lead to one queue.
    writable: OwnedFd,
    bell: OwnedFd,
}

impl Outbox for MemoryOutbox {
    fn try_send(&mut self, priority: Priority, frame: &[u8]) -> io::Result<bool> {
        let queue = &self.queue;
        if frame.len() > queue.geometry.frame_size {
            return Err(io::Error::from(nix::errno::Errno::EMSGSIZE));
        }
        let mut frames = queue.frames.lock();
        if frames.len() == queue.geometry.slots {
            return Ok(false);
        }
        let copy = frames.copy(frame);
        match priority {
            Priority::Ordered => frames.ordered.push_back(copy),
            Priority::Urgent => frames.urgent.push_back(copy),
        }
        if frames.len() == 1 {
            queue.readable.write(1)?;
        }
        if frames.len() == queue.geometry.slots {
            queue.room.write(FULL)?;
        }
        Ok(true)
    }

    fn destination(&self) -> &dyn Destination {
        self
    }
}

impl Destination for MemoryOutbox {
    fn geometry(&self) -> Geometry {
        self.queue.geometry
    }

    fn writable(&self) -> BorrowedFd<'_> {
        self.writable.as_fd()
    }

    fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    fn watchable(&self) -> Option<BorrowedFd<'_>> {
        None // its bell rings
    }

    fn owner(&self) -> Owner {
        self.queue.owner
    }

    fn user(&self) -> u32 {
        sys::user_id()
    }

    fn is_alive(&self) -> io::Result<bool> {
        Ok(!self.queue.frames.lock().owner_gone)
    }
}

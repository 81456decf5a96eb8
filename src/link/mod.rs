//! Links move frames between endpoints: [`Posix`] queues of the kernel, or [`Memory`] within one process.
//!
//! The traits are public so that a link can be wrapped: to watch frames, to disturb them, to study what breaks.

use crate::{
    error::{BindError, OpenError},
    name::QueueName,
};
use lamq_protocol::{Epoch, wire::Priority};
use std::{fmt, io, os::fd::BorrowedFd};

mod faulty;
mod memory;
mod posix;
pub(crate) mod sys;

pub use faulty::{Faults, Faulty};
pub use memory::Memory;
pub use posix::Posix;
pub(crate) use posix::{CLEANER, check, is_running};
pub(crate) use sys::{duplicate_above, pid_namespace, process_id, retry};

/// Who owns an inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Process id.
    pub pid: u32,
    /// The low 40 bits of its epoch: what an owner lock can carry (POS-3).
    pub epoch_low: u64,
}

impl Owner {
    /// The owner with this process id and epoch.
    pub const fn new(pid: u32, epoch: Epoch) -> Self {
        Self { pid, epoch_low: epoch.low_bits() }
    }
}

/// The shape of an inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// How many frames it holds.
    pub slots: usize,
    /// How many bytes a frame may have.
    pub frame_size: usize,
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {} bytes", self.slots, self.frame_size)
    }
}

/// A space of names in which inboxes live.
///
/// - A name has at most one living owner at a time.
/// - Frames of one [`Priority`] arrive in the order in which they were sent, whole, once each; urgent ones overtake.
/// - What was sent stays readable when its sender is gone.
/// - No two outboxes have a descriptor in common, also if they lead to the same inbox.
/// - The end of an owner, however it ends, is visible through every [`Outbox`] that is open to it.
pub trait Link: Send + Sync + fmt::Debug {
    /// Makes `owner` the owner of the inbox `name`, taking over what a dead owner left in one of the same geometry.
    ///
    /// # Errors
    /// [`BindError`]; an inbox that is somebody else's is left as it is.
    fn bind(&self, name: &QueueName, owner: Owner, geometry: Geometry) -> Result<Box<dyn Inbox>, BindError>;

    /// Opens the inbox `name` for sending.
    ///
    /// # Errors
    /// [`OpenError`], which tells an absent owner from one that is not to be trusted.
    fn open(&self, name: &QueueName) -> Result<Box<dyn Outbox>, OpenError>;

    /// Whether it breaks the second promise: frames may get lost, arrive twice or out of order. Then whoever waits for an answer
    /// asks again after a while (RTX-2). A link around another one says what that one says.
    fn is_lossy(&self) -> bool {
        false
    }
}

/// The receiving end of a queue; dropping it gives the name up.
pub trait Inbox: Send + fmt::Debug {
    /// Takes the next frame into `buffer`, which is at least one frame size long. `None` when there is none. Never waits.
    ///
    /// # Errors
    /// What the system said.
    fn try_recv(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>>;

    /// Its shape.
    fn geometry(&self) -> Geometry;

    /// Readable (`POLLIN`) while there are frames.
    fn readable(&self) -> BorrowedFd<'_>;

    /// The same inbox to wait in, which takes fewer calls of the system than to wait until it is [`readable`](Self::readable). `None` if there is
    /// no such thing, as by default: then that is how it is waited for. An inbox around another one that does nothing with frames may pass
    /// on what that one has.
    ///
    /// # Errors
    /// What the system said.
    fn blocking(&self) -> io::Result<Option<Box<dyn Blocking>>> {
        Ok(None)
    }

    /// The descriptor of the queue itself, if `inotify(7)` can watch it through that: `IN_ATTRIB` when its name is removed. An inbox around
    /// another one passes that one's on.
    fn watchable(&self) -> Option<BorrowedFd<'_>>;

    /// Whether somebody else has removed the name (POS-13).
    ///
    /// # Errors
    /// What the system said.
    fn is_lost(&self) -> io::Result<bool>;

    /// Removes the name; frames still arrive from those who have it open. Does nothing the second time.
    ///
    /// # Errors
    /// What the system said.
    fn unlink(&mut self) -> io::Result<()>;
}

/// An inbox that a thread waits in, while others have the [`Inbox`].
pub trait Blocking: Send + Sync + fmt::Debug {
    /// Takes the next frame into `buffer`, which is at least one frame size long. Waits until there is one; only a signal ends that early.
    ///
    /// # Errors
    /// What the system said.
    fn recv(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Puts an empty frame into the queue, for whoever waits in it (POS-14); `false` when it is full, so that nobody can wait. Never waits itself.
    ///
    /// # Errors
    /// What the system said.
    fn ring(&self) -> io::Result<bool>;
}

/// The sending end of somebody's inbox.
pub trait Outbox: Send + fmt::Debug {
    /// Puts a frame into the queue; `false` when it is full. Never waits.
    ///
    /// # Errors
    /// What the system said; the frame was not sent.
    fn try_send(&mut self, priority: Priority, frame: &[u8]) -> io::Result<bool>;

    /// Where it leads. An outbox around another one passes that one's on.
    fn destination(&self) -> &dyn Destination;
}

/// Somebody's inbox, seen by those who send to it.
pub trait Destination: fmt::Debug {
    /// Its shape.
    fn geometry(&self) -> Geometry;

    /// Writable (`POLLOUT`) while there is room.
    fn writable(&self) -> BorrowedFd<'_>;

    /// Readable (`POLLIN`) when the owner has died: the time to ask [`is_alive`](Self::is_alive). It need not be when an owner
    /// gives the inbox up and its process lives on: then its close says so, or its [watch](Self::watchable), and whoever finds no room
    /// asks now and then.
    fn bell(&self) -> BorrowedFd<'_>;

    /// The descriptor of the queue itself, if `inotify(7)` can watch it through that: `IN_CLOSE_WRITE` when somebody closes it, who may be
    /// its owner.
    fn watchable(&self) -> Option<BorrowedFd<'_>>;

    /// Who owned the inbox when it was opened.
    fn owner(&self) -> Owner;

    /// The user whose inbox it is, as the system knows it.
    fn user(&self) -> u32;

    /// Whether that owner still lives (DTH-1).
    ///
    /// # Errors
    /// What the system said.
    fn is_alive(&self) -> io::Result<bool>;
}

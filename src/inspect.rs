//! Looks at queues from outside, and removes those that nobody needs any more: what `lamq ls`, `rm` and `doctor` are made of.

mod listing;
mod removal;

pub use crate::limits::{Limits, cost};
pub use listing::{Listed, Listing, Nameless, Source, Unseen, list};
pub use removal::{RemoveError, Removed, remove, remove_held};

use crate::{
    clock,
    limits::LimitHit,
    link::{
        Geometry,
        sys::{self, MODE, Queue, Status},
    },
    name::QueueName,
};
use nix::errno::Errno;
use std::{io, time::Duration};

/// What the kernel says of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueReport {
    /// Its name.
    pub name: QueueName,
    /// The user who made it.
    pub uid: u32,
    /// Its permissions, with the sticky bit.
    pub mode: u32,
    /// Its shape.
    pub geometry: Geometry,
    /// How many frames lie in it.
    pub waiting: usize,
    /// Who holds its owner lock.
    pub ownership: Ownership,
}

impl QueueReport {
    /// Whether it has the mark of lamq (POS-2).
    pub const fn is_lamq(&self) -> bool {
        self.mode == MODE
    }

    /// Whether it is lamq's, and nobody owns it.
    pub fn is_stale(&self) -> bool {
        self.is_lamq() && self.ownership == Ownership::Nobody
    }

    /// What its user is charged for it.
    pub fn bytes(&self) -> u64 {
        cost(self.geometry)
    }
}

/// Who holds the owner lock of a queue (POS-3). Only of a queue with the mark of lamq it means anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ownership {
    /// Nobody: the owner is dead, or the queue was never owned.
    Nobody,
    /// A living process.
    Alive {
        /// It.
        pid: u32,
    },
    /// A process that has ended; a child that it forked keeps the lock.
    Dead {
        /// The dead one.
        pid: u32,
    },
    /// A process that is not visible from here: in another pid namespace, or dead with a child that keeps the lock. With pid 0 it is
    /// no owner at all, but somebody who looks whether the queue can be removed.
    Invisible {
        /// What the lock says.
        pid: u32,
    },
}

impl Ownership {
    /// The process in the lock.
    pub const fn pid(self) -> Option<u32> {
        match self {
            Self::Nobody => None,
            Self::Alive { pid } | Self::Dead { pid } | Self::Invisible { pid } => Some(pid),
        }
    }

    /// `nobody`, `alive`, `dead` or `invisible`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Alive { .. } => "alive",
            Self::Dead { .. } => "dead",
            Self::Invisible { .. } => "invisible",
        }
    }
}

/// Why a queue could not be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// There is none of this name in this IPC namespace.
    #[error("there is no queue {name} in this IPC namespace")]
    NoQueue {
        /// The name.
        name: QueueName,
    },
    /// Neither reading nor writing is allowed.
    #[error("we have no permission to open {name}; ask its user, or root")]
    NoPermission {
        /// The name.
        name: QueueName,
    },
    /// A limit of the system was hit (POS-11).
    #[error(transparent)]
    Limit(#[from] LimitHit),
    /// Anything else that the system said.
    #[error("cannot look at {name}: {source}")]
    System {
        /// The name.
        name: QueueName,
        /// What the system said.
        source: io::Error,
    },
}

impl InspectError {
    fn of(name: &QueueName, error: Errno) -> Self {
        let name = name.clone();
        match error {
            Errno::ENOENT => Self::NoQueue { name },
            Errno::EACCES => Self::NoPermission { name },
            _ => LimitHit::of(error, None).map_or_else(|| Self::System { name, source: error.into() }, Self::Limit),
        }
    }
}

/// Looks at a queue, and changes nothing.
///
/// # Errors
/// [`InspectError`].
pub fn queue(name: &QueueName) -> Result<QueueReport, InspectError> {
    look(name).map(|(report, _)| report).map_err(|error| InspectError::of(name, error))
}

fn look(name: &QueueName) -> Result<(QueueReport, Status), Errno> {
    let queue = Queue::open_to_inspect(name)?;
    let status = queue.status()?;
    let report = QueueReport {
        name: name.clone(),
        uid: status.uid,
        mode: status.mode,
        geometry: queue.geometry()?,
        waiting: queue.waiting()?,
        ownership: ownership(&queue)?,
    };
    Ok((report, status))
}

/// How often a lock is read again whose holder has ended: its release can come a little later (DTH-1).
const LOOKS: u32 = 20;

const PAUSE: Duration = Duration::from_millis(1);

fn ownership(queue: &Queue) -> Result<Ownership, Errno> {
    let mut last = Ownership::Nobody;
    for attempt in 0..LOOKS {
        if attempt > 0 {
            clock::pause(PAUSE);
        }
        let Some(owner) = queue.owner()? else { return Ok(Ownership::Nobody) };
        let pid = owner.pid;
        last = match sys::open_pidfd(pid) {
            // Only a lock that is still held says that the pid had not been reused when we opened it.
            Ok(pidfd) if !sys::has_ended(&pidfd)? => {
                if queue.owner()? == Some(owner) {
                    return Ok(Ownership::Alive { pid });
                }
                continue;
            }
            Ok(_) => Ownership::Dead { pid },
            Err(Errno::ESRCH) => Ownership::Invisible { pid },
            Err(error) => return Err(error),
        };
    }
    Ok(last)
}

/// Whether only a sender can have made it, to be answered (SPEC.md, section 16): `/lamq.PID.N`.
///
/// It is of use to that one process. Nobody else knows its name, and no receiver ever takes it over.
pub fn is_senders_inbox(name: &QueueName) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = name.as_str().strip_prefix("/lamq.").and_then(|rest| rest.split_once('.'));
    parts.is_some_and(|(pid, index)| is_number(pid) && is_number(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inbox_of_a_sender_is_known_by_its_name() {
        let is = |name: &str| is_senders_inbox(&QueueName::new(name).unwrap());
        assert!(is("/lamq.1.0") && is("/lamq.4194304.17"));
        for other in ["/lamq.1", "/lamq.1.", "/lamq..1", "/lamq.1.0.2", "/lamq.x.0", "/lamq-1.0", "/orders"] {
            assert!(!is(other), "{other}");
        }
    }
}

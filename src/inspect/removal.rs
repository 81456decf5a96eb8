//! Removing a queue that nobody owns.

use super::{LOOKS, PAUSE, is_senders_inbox};
use crate::{
    clock,
    error::Distrust,
    limits::LimitHit,
    link::{
        CLEANER, Owner, check, is_running,
        sys::{self, Queue},
    },
    name::QueueName,
};
use nix::errno::Errno;
use std::io;

/// A queue that is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removed {
    /// How many frames lay in it and are lost.
    pub frames: usize,
}

/// Why a queue was not removed. It was left as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// There is none of this name in this IPC namespace.
    #[error("there is no queue {name} in this IPC namespace")]
    NoQueue {
        /// The name.
        name: QueueName,
    },
    /// It is not one of ours.
    #[error("{name} was not removed: {why}; only its own user can remove a queue of lamq, and lamq removes no other")]
    Untrusted {
        /// The name.
        name: QueueName,
        /// What is wrong with it.
        why: Distrust,
    },
    /// Its owner lives.
    #[error("{name} was not removed: it is in use by process {pid}; end that process, and it removes the queue itself")]
    InUse {
        /// The name.
        name: QueueName,
        /// Its owner.
        pid: u32,
    },
    /// The process in the lock is dead or not visible from here, and the lock is held.
    #[error(
        "{name} was not removed: its owner, process {pid}, has ended or is in another pid namespace, and its lock is still held: by \
         that process, or by a child that it forked; end it, and try again, or remove the queue all the same (--force)"
    )]
    Held {
        /// The name.
        name: QueueName,
        /// What the lock says.
        pid: u32,
    },
    /// The owner is dead, but frames lie in the queue, and the next receiver of this name would read them.
    #[error(
        "{name} was not removed: {frames} {} in it, and whoever receives on this name next may want what is there; start a \
         receiver there, or remove it all the same (--force)", if *frames == 1 { "frame waits" } else { "frames wait" }
    )]
    Waiting {
        /// The name.
        name: QueueName,
        /// How many.
        frames: usize,
    },
    /// A limit of the system was hit (POS-11).
    #[error(transparent)]
    Limit(#[from] LimitHit),
    /// Anything else that the system said.
    #[error("{name} was not removed: {source}")]
    System {
        /// The name.
        name: QueueName,
        /// What the system said.
        source: io::Error,
    },
}

/// Removes a queue of ours that has no owner. One in which frames wait only with `force`, unless a sender that is dead now made it to be
/// answered; one whose owner lock is held never: that is for [`remove_held`].
///
/// # Errors
/// [`RemoveError`]; the queue was left as it is.
pub fn remove(name: &QueueName, force: bool) -> Result<Removed, RemoveError> {
    let mut contender = 0;
    for attempt in 0..LOOKS {
        if attempt > 0 {
            clock::pause(PAUSE);
        }
        match try_remove(name, force)? {
            Attempt::Done(removed) => return Ok(removed),
            Attempt::Held { pid } if is_running(pid) => return Err(RemoveError::InUse { name: name.clone(), pid }),
            // A process that is just ending holds its lock for a moment longer.
            Attempt::Held { pid } => contender = pid,
            Attempt::Again => {}
        }
    }
    Err(RemoveError::Held { name: name.clone(), pid: contender })
}

/// Removes a queue of ours whose owner lock is held by a process that has ended, so by a child of it, or by one that is not visible from
/// here: when [`remove`] said [`RemoveError::Held`], and you know that nobody receives there (POS-7). Should somebody do all the same, in another
/// pid namespace, then its sessions go on.
///
/// # Errors
/// [`RemoveError`]; the queue was left as it is.
pub fn remove_held(name: &QueueName) -> Result<Removed, RemoveError> {
    let system = |error| system(name, error);
    let queue = open(name)?;
    match queue.owner().map_err(system)? {
        None | Some(Owner { pid: 0, .. }) => return remove(name, true),
        Some(Owner { pid, .. }) if is_running(pid) => return Err(RemoveError::InUse { name: name.clone(), pid }),
        Some(_) => {}
    }
    // Nobody can take a lock that is held. Should its holder end right now and somebody else take the name, then that one makes it anew
    // (POS-13).
    let frames = queue.waiting().map_err(system)?;
    sys::unlink(name).map_err(system)?; // POS-7
    Ok(Removed { frames })
}

enum Attempt {
    Done(Removed),
    Held {
        pid: u32,
    },
    /// The name changed hands under us.
    Again,
}

fn system(name: &QueueName, error: Errno) -> RemoveError {
    match LimitHit::of(error, None) {
        Some(limit) => RemoveError::Limit(limit),
        None => RemoveError::System { name: name.clone(), source: error.into() },
    }
}

/// A queue that is one of ours.
fn open(name: &QueueName) -> Result<Queue, RemoveError> {
    let untrusted = |why| RemoveError::Untrusted { name: name.clone(), why };
    let queue = Queue::open(name).map_err(|error| match error {
        Errno::ENOENT => RemoveError::NoQueue { name: name.clone() },
        Errno::EACCES => untrusted(Distrust::NoPermission),
        error => system(name, error),
    })?;
    check(queue.status().map_err(|error| system(name, error))?).map_err(untrusted)?;
    Ok(queue)
}

fn try_remove(name: &QueueName, force: bool) -> Result<Attempt, RemoveError> {
    let system = |error| system(name, error);
    let queue = open(name)?;
    match queue.lock(CLEANER) {
        Ok(()) => {}
        Err(Errno::EAGAIN | Errno::EACCES) => {
            let owner = queue.owner().map_err(system)?;
            return Ok(owner.map_or(Attempt::Again, |Owner { pid, .. }| Attempt::Held { pid }));
        }
        Err(error) => return Err(system(error)),
    }
    // As for a binder (POS-6): between our open and our lock the name may have gone to another queue, which is not ours to remove.
    if queue.status().map_err(system)?.links != 1 {
        return Ok(Attempt::Again);
    }
    // Under the lock: nobody can begin to own it now, and without a living owner nobody begins to write to it (POS-8).
    let frames = queue.waiting().map_err(system)?;
    if frames > 0 && !force && !is_senders_inbox(name) {
        return Err(RemoveError::Waiting { name: name.clone(), frames });
    }
    sys::unlink(name).map_err(system)?; // POS-7
    Ok(Attempt::Done(Removed { frames }))
}

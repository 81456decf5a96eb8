//! The sender's own inbox, removable by the thread that waits for signals.

use lamq::{
    BindError, OpenError, QueueName,
    link::{Geometry, Inbox, Link, Outbox, Owner},
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

type Shared = Arc<Mutex<Box<dyn Inbox>>>;

/// A link that remembers the inbox it made.
///
/// A sender has a named inbox until it is welcomed (POS-10). One that is interrupted while it waits for an answer would
/// leave the name in the kernel, for nobody else knows it.
#[derive(Clone, Debug)]
pub(crate) struct Removable<L> {
    link: L,
    made: Arc<Mutex<Vec<Shared>>>,
}

/// While it lives, no inbox is made.
pub(crate) struct Removed<'a>(#[expect(dead_code, reason = "held, not read")] MutexGuard<'a, Vec<Shared>>);

impl<L> Removable<L> {
    pub(crate) fn new(link: L) -> Self {
        Self { link, made: Arc::default() }
    }

    /// Removes the names of all inboxes made so far.
    pub(crate) fn remove(&self) -> Removed<'_> {
        let made = lock(&self.made);
        for inbox in &*made {
            if let Err(error) = lock(inbox).unlink() {
                tracing::warn!(target: "lamq", %error, "cannot remove the inbox");
            }
        }
        Removed(made)
    }
}

/// What a panic left behind can still be removed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<L: Link> Link for Removable<L> {
    fn bind(&self, name: &QueueName, owner: Owner, geometry: Geometry) -> Result<Box<dyn Inbox>, BindError> {
        let mut made = lock(&self.made);
        let inbox = self.link.bind(name, owner, geometry)?;
        let readable = inbox.readable().try_clone_to_owned();
        let readable = readable.map_err(|source| BindError::System { name: name.clone(), source })?;
        let is_watchable = inbox.watchable().is_some();
        let shared: Shared = Arc::new(Mutex::new(inbox));
        made.push(Arc::clone(&shared));
        Ok(Box::new(RemovableInbox { inbox: shared, made: Arc::clone(&self.made), geometry, readable, is_watchable }))
    }

    fn open(&self, name: &QueueName) -> Result<Box<dyn Outbox>, OpenError> {
        self.link.open(name)
    }
}

#[derive(Debug)]
struct RemovableInbox {
    inbox: Shared,
    made: Arc<Mutex<Vec<Shared>>>,
    geometry: Geometry,
    readable: OwnedFd,
    /// Whether that is the queue itself.
    is_watchable: bool,
}

impl Inbox for RemovableInbox {
    fn try_recv(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        lock(&self.inbox).try_recv(buffer)
    }

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn readable(&self) -> BorrowedFd<'_> {
        self.readable.as_fd()
    }

    fn watchable(&self) -> Option<BorrowedFd<'_>> {
        self.is_watchable.then(|| self.readable.as_fd())
    }

    fn is_lost(&self) -> io::Result<bool> {
        lock(&self.inbox).is_lost()
    }

    fn unlink(&mut self) -> io::Result<()> {
        lock(&self.inbox).unlink()
    }
}

impl Drop for RemovableInbox {
    /// The last owner gives the name up.
    fn drop(&mut self) {
        lock(&self.made).retain(|made| !Arc::ptr_eq(made, &self.inbox));
    }
}

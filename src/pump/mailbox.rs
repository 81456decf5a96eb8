//! The inbox of an endpoint, as long as it has it: a sender that goes on with another receiver gets a new one.

use super::inlet::Inlet;
use crate::{
    error::BindError,
    fork::Private,
    link::{Geometry, Inbox, Link, Owner, duplicate_above, process_id},
    name::QueueName,
    pool::Buffer,
    sync::Arc,
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

/// An inbox, its name, and what to sleep on.
#[derive(Debug)]
pub(crate) struct Mailbox {
    entrance: Arc<Entrance>,
    /// One more, to be lent: it goes when the inbox goes.
    spare: Option<Arc<Entrance>>,
    name: QueueName,
    geometry: Geometry,
    is_named: bool,
}

/// What a thread sleeps on that waits for frames. It stays the same for that thread when the endpoint gets another inbox.
#[derive(Debug)]
pub(super) struct Entrance {
    descriptor: Private,
    pub(super) inlet: Arc<Inlet>,
}

/// Readable while there are frames.
impl AsFd for Entrance {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Mailbox {
    pub(crate) fn new(name: QueueName, inbox: Box<dyn Inbox>) -> Result<Self, BindError> {
        let geometry = inbox.geometry();
        loop {
            match Private::open(|| inbox.readable().try_clone_to_owned()) {
                Ok(descriptor) => {
                    let entrance = Entrance { descriptor, inlet: Arc::new(Inlet::new(inbox)) };
                    return Ok(Self { entrance: Arc::new(entrance), spare: None, name, geometry, is_named: true });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(BindError::system(&name, source)),
            }
        }
    }

    /// Takes a descriptor above this one, which is slow to close. The kernel closes those of a dead process from the lowest to the
    /// highest, and does then in the opposite order what that takes; whoever waits for the end of our lock is not to wait for it.
    pub(super) fn rise_above(&mut self, slow: BorrowedFd<'_>) {
        if let Ok(descriptor) = Private::open(|| duplicate_above(self.entrance.as_fd(), slow)) {
            self.entrance = Arc::new(Entrance { descriptor, inlet: Arc::clone(&self.entrance.inlet) });
            self.spare = None;
        }
    }

    /// One under a name that nobody else need know.
    pub(crate) fn bind_own(link: &dyn Link, owner: Owner, geometry: Geometry) -> Result<Self, BindError> {
        for index in 0_u32.. {
            let name = QueueName::new(format!("/lamq.{}.{index}", process_id()))?;
            match link.bind(&name, owner, geometry) {
                Ok(inbox) => return Self::new(name, inbox),
                Err(BindError::InUse { .. } | BindError::HeldByChild { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        unreachable!("the kernel has fewer than 2^32 queues")
    }

    /// Removes the name; frames still come from those who have the inbox open.
    pub(crate) fn unlink(&mut self) -> io::Result<()> {
        self.entrance.inlet.with_inbox(|inbox| inbox.unlink())?;
        self.is_named = false;
        Ok(())
    }

    /// Whether it has its name still.
    pub(crate) const fn is_named(&self) -> bool {
        self.is_named
    }

    pub(crate) const fn name(&self) -> &QueueName {
        &self.name
    }

    pub(crate) const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Takes the next frame, in `buffer`, or another one instead of it. Never waits.
    pub(super) fn try_recv(&self, buffer: &mut Buffer) -> io::Result<Option<usize>> {
        self.entrance.inlet.try_recv(buffer)
    }

    /// See [`Inlet::has_ahead`].
    pub(super) fn has_ahead(&self) -> bool {
        self.entrance.inlet.has_ahead()
    }

    /// Uses the inbox.
    pub(super) fn with_inbox<R>(&self, action: impl FnOnce(&mut dyn Inbox) -> R) -> R {
        self.entrance.inlet.with_inbox(action)
    }

    pub(super) const fn entrance(&self) -> &Arc<Entrance> {
        &self.entrance
    }

    /// For whoever sleeps, who gives it back: to share it anew each time would cost as much as the lock.
    pub(super) fn lend_entrance(&mut self) -> Arc<Entrance> {
        self.spare.take().unwrap_or_else(|| Arc::clone(&self.entrance))
    }

    /// See [`lend_entrance`](Self::lend_entrance). It may be that of another inbox by now, which must not be kept.
    pub(super) fn take_back(&mut self, entrance: Arc<Entrance>) {
        self.spare = Some(entrance).filter(|entrance| Arc::ptr_eq(entrance, &self.entrance));
    }
}

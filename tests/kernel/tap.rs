//! A link that lets everything through and writes down what passes.

use crate::world::Raw;
use lamq::{
    BindError, OpenError, QueueName,
    link::{Destination, Geometry, Inbox, Link, Outbox, Owner, Posix},
};
use lamq_protocol::wire::{self, Frame, Header, Priority};
use std::{
    io,
    os::fd::BorrowedFd,
    sync::{Arc, Mutex, MutexGuard},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Taken from our inbox.
    In,
    /// Put into a peer's.
    Out,
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) frames: Vec<(Way, Vec<u8>)>,
    /// The inboxes that were opened for sending, opened again from outside.
    pub(crate) peers: Vec<Raw>,
}

/// Queues of the kernel with a log; clones share it. Give each endpoint its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tap(Arc<Mutex<Log>>);

impl Tap {
    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap()
    }

    fn note(&self, way: Way, frame: &[u8]) {
        self.log().frames.push((way, frame.to_vec()));
    }
}

impl Log {
    pub(crate) fn count(&self, wanted: Way) -> u64 {
        self.frames.iter().filter(|(way, _)| *way == wanted).count() as u64
    }

    /// What passed and can be decoded.
    pub(crate) fn decoded(&self) -> impl Iterator<Item = (Way, Header, Frame<&[u8]>)> {
        self.frames.iter().filter_map(|(way, bytes)| {
            let (header, frame) = wire::decode(bytes.as_slice()).ok()?;
            Some((*way, header, frame))
        })
    }
}

impl Link for Tap {
    fn bind(&self, name: &QueueName, owner: Owner, geometry: Geometry) -> Result<Box<dyn Inbox>, BindError> {
        let inner = Posix.bind(name, owner, geometry)?;
        Ok(Box::new(TapInbox { inner, tap: self.clone() }))
    }

    fn open(&self, name: &QueueName) -> Result<Box<dyn Outbox>, OpenError> {
        let inner = Posix.open(name)?;
        self.log().peers.extend(Raw::open(name.as_str()));
        Ok(Box::new(TapOutbox { inner, tap: self.clone() }))
    }
}

#[derive(Debug)]
struct TapInbox {
    inner: Box<dyn Inbox>,
    tap: Tap,
}

impl Inbox for TapInbox {
    fn try_recv(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let length = self.inner.try_recv(buffer)?;
        if let Some(length) = length {
            self.tap.note(Way::In, &buffer[..length]);
        }
        Ok(length)
    }

    fn geometry(&self) -> Geometry {
        self.inner.geometry()
    }

    fn readable(&self) -> BorrowedFd<'_> {
        self.inner.readable()
    }

    fn watchable(&self) -> Option<BorrowedFd<'_>> {
        self.inner.watchable()
    }

    fn is_lost(&self) -> io::Result<bool> {
        self.inner.is_lost()
    }

    fn unlink(&mut self) -> io::Result<()> {
        self.inner.unlink()
    }
}

#[derive(Debug)]
struct TapOutbox {
    inner: Box<dyn Outbox>,
    tap: Tap,
}

impl Outbox for TapOutbox {
    fn try_send(&mut self, priority: Priority, frame: &[u8]) -> io::Result<bool> {
        let sent = self.inner.try_send(priority, frame)?;
        if sent {
            self.tap.note(Way::Out, frame);
        }
        Ok(sent)
    }

    fn destination(&self) -> &dyn Destination {
        self.inner.destination()
    }
}

//! What a call finds that has no time to sleep, and what one does whose inbox cannot be read.

use lamq::{
    BindError, Event, OpenError, QueueName, Receiver, RecvTimeoutError, Sender,
    link::{Destination, Geometry, Inbox, Link, Memory, Outbox, Owner},
};
use lamq_protocol::wire::Priority;
use lamq_proves::proves;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(20);

/// A link that can be told to swallow what is sent, without a word, to fail when it is read, or never to become empty.
#[derive(Clone, Debug, Default)]
struct Ill {
    space: Memory,
    swallows: Arc<AtomicBool>,
    fails: Arc<AtomicBool>,
    reads: Arc<AtomicUsize>,
    /// Sends one more, a frame long, whenever there is a look into an inbox.
    source: Arc<Mutex<Option<Sender>>>,
}

impl Link for Ill {
    fn bind(&self, name: &QueueName, owner: Owner, geometry: Geometry) -> Result<Box<dyn Inbox>, BindError> {
        Ok(Box::new(IllInbox(self.space.bind(name, owner, geometry)?, self.clone())))
    }

    fn open(&self, name: &QueueName) -> Result<Box<dyn Outbox>, OpenError> {
        Ok(Box::new(IllOutbox(self.space.open(name)?, self.clone())))
    }
}

#[derive(Debug)]
struct IllInbox(Box<dyn Inbox>, Ill);

impl Inbox for IllInbox {
    fn try_recv(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.1.reads.fetch_add(1, Ordering::Relaxed);
        if self.1.fails.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if let Some(sender) = &*self.1.source.lock().unwrap() {
            _ = sender.try_send([0; 8000]);
        }
        self.0.try_recv(buffer)
    }

    fn geometry(&self) -> Geometry {
        self.0.geometry()
    }

    fn readable(&self) -> BorrowedFd<'_> {
        self.0.readable()
    }

    fn watchable(&self) -> Option<BorrowedFd<'_>> {
        self.0.watchable()
    }

    fn is_lost(&self) -> io::Result<bool> {
        self.0.is_lost()
    }

    fn unlink(&mut self) -> io::Result<()> {
        self.0.unlink()
    }
}

#[derive(Debug)]
struct IllOutbox(Box<dyn Outbox>, Ill);

impl Outbox for IllOutbox {
    fn try_send(&mut self, priority: Priority, frame: &[u8]) -> io::Result<bool> {
        Ok(self.1.swallows.load(Ordering::Relaxed) || self.0.try_send(priority, frame)?)
    }

    fn destination(&self) -> &dyn Destination {
        self.0.destination()
    }
}

fn is_readable(receiver: &Receiver) -> bool {
    poll(&mut [PollFd::new(receiver.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() == 1
}

#[proves("CAL-10", "DTH-3")]
#[test]
fn a_call_that_has_no_time_to_sleep_sees_a_death_that_has_happened() {
    let hardly = Some(Duration::from_nanos(1));
    for spin in [Duration::ZERO, Duration::from_micros(50)] {
        let link = Ill::default();
        let receiver = Receiver::builder().link(link.clone()).spin(spin).bind("/brief").unwrap();
        let sender = Sender::builder().link(link.clone()).linger(Duration::ZERO).connect("/brief").unwrap();
        // That all is well it has found, so often that it need not look each time.
        (0..100).for_each(|_| _ = receiver.recv_event(hardly));
        assert!(!is_readable(&receiver));
        link.swallows.store(true, Ordering::Relaxed);
        drop(sender); // so it dies, as far as anybody can see
        assert!(is_readable(&receiver));
        assert!(matches!(receiver.recv_event(hardly), Ok(Event::Departed { .. })));
        assert_eq!(receiver.recv_event(hardly).unwrap_err(), RecvTimeoutError::Timeout);
        assert!(!is_readable(&receiver));
    }
}

#[test]
fn an_inbox_that_cannot_be_read_is_read_again_now_and_then() {
    let link = Ill::default();
    let receiver = Receiver::builder().link(link.clone()).spin(Duration::from_micros(50)).bind("/ill").unwrap();
    let sender = Sender::builder().link(link.clone()).connect("/ill").unwrap();
    while receiver.try_recv().is_ok() {}
    link.fails.store(true, Ordering::Relaxed);
    let before = link.reads.load(Ordering::Relaxed);
    assert_eq!(receiver.recv_timeout(Duration::from_millis(300)).unwrap_err(), RecvTimeoutError::Timeout);
    let reads = link.reads.load(Ordering::Relaxed) - before;
    assert!(reads < 20_000, "{reads}: it never slept");
    link.fails.store(false, Ordering::Relaxed);
    sender.send("well again").unwrap();
    assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"well again");
}

#[proves("CAL-12")]
#[test]
fn a_batch_ends_although_each_look_finds_one_more() {
    let link = Ill::default();
    let receiver = Receiver::builder().link(link.clone()).bind("/source").unwrap();
    let sender = Sender::builder().link(link.space.clone()).linger(Duration::ZERO).connect("/source").unwrap();
    *link.source.lock().unwrap() = Some(sender);
    let mut batch = Vec::new();
    for _ in 0..10 {
        batch.clear();
        // More than may ever be ready is a batch without an end, which would go on until there is no memory.
        receiver.recv_many_timeout(&mut batch, 1000, WATCHDOG).unwrap();
        // Ten frames; before them the first, and what the keeper may have read by then, which the window bounds.
        assert!(batch.len() <= 10 + 1 + (256 << 10) / 8000, "{}", batch.len());
    }
    *link.source.lock().unwrap() = None;
}

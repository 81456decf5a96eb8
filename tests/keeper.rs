//! What is served while the application does not call in.

use lamq::{
    BindError, Level, OpenError, QueueName, Receiver, Sender,
    link::{Destination, Geometry, Inbox, Link, Memory, Outbox, Owner},
};
use lamq_protocol::wire::{Frame, Priority, decode};
use lamq_proves::proves;
use std::{
    io,
    os::fd::BorrowedFd,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(20);

#[proves("CAL-6", "DAT-6")]
#[test]
fn a_staged_message_leaves_without_a_further_call() {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).bind("/staged").unwrap();
    // Nothing is acknowledged, so what is behind the first message stays staged until its time has come.
    let sender = Sender::builder().link(Deaf(space)).linger(Duration::ZERO).connect("/staged").unwrap();
    for number in 1_u8..=3 {
        sender.send([number]).unwrap();
    }
    for number in 1..=3 {
        assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), [number]);
    }
    assert_eq!(receiver.stats().data_frames, 2);
}

#[proves("DAT-6")]
#[test]
fn a_staged_message_leaves_though_calls_go_on_that_stage_more_behind_it() {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).bind("/busy").unwrap();
    let sender = Sender::builder().link(Deaf(space)).linger(Duration::ZERO).connect("/busy").unwrap();
    sender.send("at once").unwrap();
    let mut came = 0;
    let sent = (0..1000).take_while(|_| {
        assert_eq!(sender.stats().received, 0, "nothing is acknowledged"); // it looks, so the sender is not quiet
        sender.send("x").unwrap();
        came += std::iter::from_fn(|| receiver.try_recv().ok()).count();
        thread::sleep(Duration::from_micros(200));
        came < 2
    });
    assert!(sent.count() < 1000, "a frame has room for more than that");
}

/// The credit is served too for which it waits.
#[proves("CAL-6", "CRD-7")]
#[test]
fn what_was_staged_ahead_of_its_credit_leaves_without_a_further_call() {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).slots(3).bind("/ahead").unwrap(); // credit for one frame
    let sender = Sender::builder().link(space).connect("/ahead").unwrap();
    for number in 1_u8..=100 {
        sender.try_send([number]).unwrap();
    }
    for number in 1..=100 {
        assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), [number]);
    }
    assert!(receiver.stats().data_frames <= 3);
}

#[proves("CAL-6")]
#[test]
fn greetings_and_acknowledgements_are_served_for_a_silent_receiver() {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).bind("/silent").unwrap();
    let connect = |level| Sender::builder().link(space.clone()).level(level).connect("/silent").unwrap();
    let (of_received, of_delivered) = (connect(Level::Received), connect(Level::Delivered));
    of_received.send("a").unwrap();
    of_received.flush_timeout(WATCHDOG).unwrap();
    assert_eq!(of_received.stats().delivered, 0);
    of_delivered.send("b").unwrap();
    assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"a");
    assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"b");
    of_delivered.flush_timeout(WATCHDOG).unwrap();
    of_received.close(WATCHDOG).unwrap();
}

#[proves("CAL-6")]
#[test]
fn a_receiver_that_only_asks_for_its_counters_is_served_too() {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).bind("/counters").unwrap();
    let connecting = thread::spawn(move || Sender::builder().link(space).wait(WATCHDOG).connect("/counters"));
    while receiver.stats().accepted == 0 && !connecting.is_finished() {}
    connecting.join().unwrap().unwrap();
}

#[proves("CAL-6")]
#[test]
fn a_frame_that_found_no_room_leaves_when_there_is_some() {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).bind("/room").unwrap();
    let sender = Sender::builder().link(Narrow(space)).connect("/room").unwrap();
    sender.send("through the eye of a needle").unwrap();
    assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"through the eye of a needle");
}

/// A link on which each frame finds no room at first, and then no memory.
#[derive(Clone, Debug)]
struct Narrow(Memory);

#[derive(Debug)]
struct NarrowOutbox(Box<dyn Outbox>, AtomicU32);

impl Link for Narrow {
    fn bind(&self, name: &QueueName, owner: Owner, geometry: Geometry) -> Result<Box<dyn Inbox>, BindError> {
        self.0.bind(name, owner, geometry)
    }

    fn open(&self, name: &QueueName) -> Result<Box<dyn Outbox>, OpenError> {
        Ok(Box::new(NarrowOutbox(self.0.open(name)?, AtomicU32::new(0))))
    }
}

impl Outbox for NarrowOutbox {
    fn try_send(&mut self, priority: Priority, frame: &[u8]) -> io::Result<bool> {
        if self.1.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            Ok(false)
        } else {
            self.0.try_send(priority, frame)
        }
    }

    fn destination(&self) -> &dyn Destination {
        self.0.destination()
    }
}

/// A link on which acknowledgements are lost.
#[derive(Clone, Debug)]
struct Deaf(Memory);

#[derive(Debug)]
struct DeafInbox(Box<dyn Inbox>);

impl Link for Deaf {
    fn bind(&self, name: &QueueName, owner: Owner, geometry: Geometry) -> Result<Box<dyn Inbox>, BindError> {
        Ok(Box::new(DeafInbox(self.0.bind(name, owner, geometry)?)))
    }

    fn open(&self, name: &QueueName) -> Result<Box<dyn Outbox>, OpenError> {
        self.0.open(name)
    }
}

impl Inbox for DeafInbox {
    fn try_recv(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            let taken = self.0.try_recv(buffer)?;
            if !taken.is_some_and(|length| matches!(decode(&buffer[..length]), Ok((_, Frame::Acknowledgement(_))))) {
                return Ok(taken);
            }
        }
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

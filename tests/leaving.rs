//! Endpoints that leave while their process lives on: nobody waits for them in vain.

use lamq::{
    BindError, Disconnected, Ended, FlushFailure, OpenError, QueueName, Receiver, RecvError, RecvTimeoutError,
    SendFailure, Sender,
    link::{Destination, Geometry, Inbox, Link, Memory, Outbox, Owner, Posix},
};
use lamq_protocol::wire::Priority;
use lamq_proves::proves;
use nix::{
    errno::Errno,
    mqueue::mq_unlink,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
    unistd::{Pid, gettid},
};
use std::{
    fs, io,
    os::fd::{AsFd, BorrowedFd},
    process,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(20);

fn bind(link: impl Link + 'static, name: &str) -> Receiver {
    Receiver::builder().link(link).frame_size(512).bind(name).unwrap()
}

#[test]
fn a_receiver_that_is_closed_ends_the_calls_of_all_threads() {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).bind("/closed").unwrap();
    let sender = Sender::builder().link(space.clone()).connect("/closed").unwrap();
    sender.send("taken").unwrap();
    assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"taken");
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let waiting = [tell.clone(), tell].map(|tell| {
            let receiver = &receiver;
            scope.spawn(move || {
                tell.send(gettid()).unwrap();
                receiver.recv_timeout(WATCHDOG)
            })
        });
        told.iter().take(2).for_each(wait_until_asleep);
        receiver.close();
        for thread in waiting {
            assert_eq!(thread.join().unwrap().unwrap_err(), RecvTimeoutError::Disconnected);
        }
    });
    assert_eq!(receiver.recv().unwrap_err(), RecvError);
    // The sender learns what was delivered, and why it cannot go on; the name is free.
    sender.flush_timeout(WATCHDOG).unwrap();
    let failure = loop {
        if let Err(error) = sender.send_timeout("more", WATCHDOG) {
            break error.failure;
        }
    };
    assert_eq!(failure, SendFailure::Disconnected(Disconnected { why: Ended::ClosedByPeer }));
    assert!(Receiver::builder().link(space).bind("/closed").is_ok());
}

/// A link whose outboxes find no room while the gate is shut.
#[derive(Clone, Debug)]
struct Gated<L> {
    link: L,
    gate: Arc<Gate>,
}

/// An eventfd at its greatest value is not writable: shut.
#[derive(Debug)]
struct Gate(EventFd);

#[derive(Debug)]
struct GatedOutbox(Box<dyn Outbox>, Arc<Gate>);

impl Gate {
    fn new() -> Arc<Self> {
        Arc::new(Self(EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap()))
    }

    fn shut(&self) {
        self.0.write(u64::MAX - 1).unwrap();
    }

    fn open(&self) {
        self.0.read().unwrap();
    }

    fn is_open(&self) -> bool {
        poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLOUT)], PollTimeout::ZERO).unwrap() == 1
    }
}

impl<L: Link> Link for Gated<L> {
    fn bind(&self, name: &QueueName, owner: Owner, geometry: Geometry) -> Result<Box<dyn Inbox>, BindError> {
        self.link.bind(name, owner, geometry)
    }

    fn open(&self, name: &QueueName) -> Result<Box<dyn Outbox>, OpenError> {
        Ok(Box::new(GatedOutbox(self.link.open(name)?, Arc::clone(&self.gate))))
    }
}

impl Outbox for GatedOutbox {
    fn try_send(&mut self, priority: Priority, frame: &[u8]) -> io::Result<bool> {
        if self.1.is_open() { self.0.try_send(priority, frame) } else { Ok(false) }
    }

    fn destination(&self) -> &dyn Destination {
        self
    }
}

impl Destination for GatedOutbox {
    fn geometry(&self) -> Geometry {
        self.0.destination().geometry()
    }

    fn writable(&self) -> BorrowedFd<'_> {
        self.1.0.as_fd()
    }

    fn bell(&self) -> BorrowedFd<'_> {
        self.0.destination().bell()
    }

    fn watchable(&self) -> Option<BorrowedFd<'_>> {
        self.0.destination().watchable()
    }

    fn owner(&self) -> Owner {
        self.0.destination().owner()
    }

    fn user(&self) -> u32 {
        self.0.destination().user()
    }

    fn is_alive(&self) -> io::Result<bool> {
        self.0.destination().is_alive()
    }
}

/// A receiver whose words to its sender go through the gate, and which has been handed a message.
fn receiver_behind_a_gate(name: &str, linger: Duration) -> (Receiver, Sender, Arc<Gate>) {
    let gate = Gate::new();
    let link = Gated { link: Posix, gate: Arc::clone(&gate) };
    let receiver = Receiver::builder().link(link).frame_size(512).linger(linger).bind(name).unwrap();
    let sender = Sender::connect(name).unwrap();
    gate.shut();
    sender.send("delivered").unwrap();
    assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"delivered");
    (receiver, sender, gate)
}

fn demand_gone(name: &str) {
    assert_eq!(mq_unlink(name), Err(Errno::ENOENT), "{name} was left behind");
}

#[proves("CLO-5", "PRO-2")]
#[test]
fn a_receiver_that_is_dropped_waits_for_room_to_tell_what_was_delivered() {
    let name = format!("/lamq-test-{}-dropped", process::id());
    let (receiver, sender, gate) = receiver_behind_a_gate(&name, WATCHDOG);
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let dropping = scope.spawn(move || {
            tell.send(gettid()).unwrap();
            drop(receiver);
        });
        wait_until_asleep(told.recv().unwrap());
        assert!(!dropping.is_finished());
        gate.open();
        dropping.join().unwrap();
    });
    sender.flush_timeout(WATCHDOG).unwrap();
    demand_gone(&name);
}

#[proves("DTH-3", "CLO-5")]
#[test]
fn what_found_no_room_when_an_endpoint_was_dropped_is_said_later() {
    let name = format!("/lamq-test-{}-later", process::id());
    let (receiver, sender, gate) = receiver_behind_a_gate(&name, Duration::ZERO);
    // It does not wait, and its process does not end.
    drop(receiver);
    demand_gone(&name);
    assert_eq!(sender.stats().delivered, 0);
    gate.open();
    sender.flush_timeout(WATCHDOG).unwrap();
    let closed = sender.close(WATCHDOG);
    assert!(!closed.is_err_and(|error| error.why == FlushFailure::Timeout));
}

#[proves("DTH-1")]
#[test]
fn a_sender_that_has_left_and_takes_nothing_is_forgotten() {
    let name = format!("/lamq-test-{}-forgotten", process::id());
    let (receiver, sender, _shut) = receiver_behind_a_gate(&name, WATCHDOG);
    _ = sender.close(Duration::ZERO);
    let start = Instant::now();
    receiver.close();
    assert!(start.elapsed() < WATCHDOG, "it waited for room that cannot come any more");
    drop(receiver);
    demand_gone(&name);
}

#[proves("CAL-6")]
#[test]
fn a_sender_that_sends_no_more_makes_room_for_the_last_word() {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).frame_size(512).linger(WATCHDOG).bind("/quiet").unwrap();
    let sender = Sender::builder().link(space).connect("/quiet").unwrap();
    // It asks for the acknowledgement of many of its frames; its inbox has room for ten.
    let mut sent = 0;
    while sender.send_timeout([0; 200], Duration::from_millis(100)).is_ok() {
        sent += 1;
    }
    assert!(sent > 100);
    for number in 1..=sent {
        assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap().number(), number);
    }
    let start = Instant::now();
    receiver.close();
    assert!(start.elapsed() < WATCHDOG, "its sender is not stopped, it is only silent");
    sender.flush_timeout(WATCHDOG).unwrap();
}

#[test]
fn a_clone_that_waits_for_room_ends_when_another_one_closes() {
    let space = Memory::new();
    let receiver = bind(space.clone(), "/clones");
    let sender = Sender::builder().link(space).connect("/clones").unwrap();
    while sender.send_timeout([0; 400], Duration::from_millis(100)).is_ok() {}
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let waiting = [tell.clone(), tell].map(|tell| {
            let sender = sender.clone();
            scope.spawn(move || {
                tell.send(gettid()).unwrap();
                sender.send_timeout([0; 400], WATCHDOG).map_err(|error| error.failure)
            })
        });
        told.iter().take(2).for_each(wait_until_asleep);
        let closing = scope.spawn(move || sender.close(WATCHDOG));
        for clone in waiting {
            let finished = Disconnected { why: Ended::Finished };
            assert_eq!(clone.join().unwrap(), Err(SendFailure::Disconnected(finished)));
        }
        assert!(!closing.is_finished(), "nothing is acknowledged yet");
        while receiver.recv_timeout(Duration::from_millis(10)).is_ok() || !closing.is_finished() {}
        closing.join().unwrap().unwrap();
    });
}

fn wait_until_asleep(id: Pid) {
    let is_asleep = || fs::read_to_string(format!("/proc/self/task/{id}/stat")).unwrap().contains(") S ");
    while !is_asleep() {
        thread::yield_now();
    }
}

/// A link to a receiver that is closed between the sender's look for it and its greeting.
#[derive(Clone, Debug)]
struct Late<L> {
    link: L,
    /// Met twice by the first look, before and after the closing.
    closing: Arc<Barrier>,
    looks: Arc<AtomicU32>,
}

impl<L: Link> Link for Late<L> {
    fn bind(&self, name: &QueueName, owner: Owner, geometry: Geometry) -> Result<Box<dyn Inbox>, BindError> {
        self.link.bind(name, owner, geometry)
    }

    fn open(&self, name: &QueueName) -> Result<Box<dyn Outbox>, OpenError> {
        let outbox = self.link.open(name)?;
        if self.looks.fetch_add(1, Ordering::Relaxed) == 0 {
            self.closing.wait();
            self.closing.wait();
        }
        Ok(outbox)
    }
}

fn connect_to_a_closed_one(link: &(impl Link + Clone + 'static), name: &str) {
    let receiver = bind(link.clone(), name);
    let closing = Arc::new(Barrier::new(2));
    thread::scope(|scope| {
        let link_of_sender = Late { link: link.clone(), closing: Arc::clone(&closing), looks: Arc::default() };
        let sending = scope.spawn(move || {
            let sender = Sender::builder().link(link_of_sender).wait(WATCHDOG).connect(name).unwrap();
            let told = Disconnected { why: Ended::ClosedByPeer };
            // Told before it was connected, it has looked for the next one; else it is told now.
            match sender.send("x").map(|_| sender.flush_timeout(WATCHDOG)) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => assert_eq!(error.why, FlushFailure::Disconnected(told)),
                Err(error) => assert_eq!(error.failure, SendFailure::Disconnected(told)),
            }
        });
        closing.wait();
        receiver.close();
        thread::sleep(Duration::from_millis(50)); // longer than anybody looks for latecomers without being woken
        closing.wait();
        let next = bind(link.clone(), name);
        while !sending.is_finished() {
            _ = next.recv_timeout(Duration::from_millis(10));
        }
    });
}

#[proves("DTH-3")]
#[test]
fn whoever_comes_when_a_receiver_has_closed_is_told() {
    connect_to_a_closed_one(&Memory::new(), "/closing");
    let name = format!("/lamq-test-{}-closing", process::id());
    connect_to_a_closed_one(&Posix, &name);
    demand_gone(&name);
}

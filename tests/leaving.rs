//! Endpoints that leave while their process lives on: nobody waits for them in vain.

use lamq::{
    BindError, Disconnected, Ended, FlushFailure, OpenError, QueueName, Receiver, RecvError, RecvTimeoutError,
    SendFailure, Sender,
    link::{Geometry, Inbox, Link, Memory, Outbox, Owner, Posix},
};
use lamq_proves::proves;
use nix::unistd::{Pid, gettid};
use std::{
    fs, process,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
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

#[proves("CLO-5", "PRO-2")]
#[test]
fn a_receiver_that_is_dropped_waits_for_room_to_tell_what_was_delivered() {
    let space = Memory::new();
    let receiver = bind(space.clone(), "/dropped");
    let sender = Sender::builder().link(space).connect("/dropped").unwrap();
    let sent = fill(&sender);
    for number in 1..=sent {
        assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap().number(), number);
    }
    thread::scope(|scope| {
        scope.spawn(move || drop(receiver));
        // Without waiting, it would be gone by now, and its last words with it.
        thread::sleep(Duration::from_millis(50));
        sender.flush_timeout(WATCHDOG).unwrap();
    });
}

/// Sends until there is no credit. The sender asks for the acknowledgement of many frames, and reads none from now on: its inbox
/// has room for ten.
fn fill(sender: &Sender) -> u64 {
    let mut sent = 0;
    while sender.send_timeout([0; 200], Duration::from_millis(100)).is_ok() {
        sent += 1;
    }
    assert!(sent > 20);
    sent
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
    connect_to_a_closed_one(&Posix, &format!("/lamq-test-{}-closing", process::id()));
}

#[proves("DTH-3", "CLO-5")]
#[test]
fn what_found_no_room_when_an_endpoint_was_dropped_is_said_later() {
    let name = format!("/lamq-test-{}-later", process::id());
    let receiver = Receiver::builder().frame_size(512).linger(Duration::ZERO).bind(name.as_str()).unwrap();
    let sender = Sender::connect(name.as_str()).unwrap();
    let sent = fill(&sender);
    for number in 1..=sent {
        assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap().number(), number);
    }
    // It finds the sender's inbox full of acknowledgements, does not wait, and its process does not end.
    drop(receiver);
    sender.flush_timeout(WATCHDOG).unwrap();
    let error = sender.close(WATCHDOG);
    assert!(!error.is_err_and(|error| error.why == FlushFailure::Timeout));
}

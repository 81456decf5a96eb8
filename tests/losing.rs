//! A link that loses the very next frame, whichever it is: whoever is owed an answer asks, also if no call does.

use lamq::{
    BindError, Disconnected, Ended, FlushFailure, OpenError, QueueName, Receiver, Sender,
    link::{Destination, Geometry, Inbox, Link, Memory, Outbox, Owner, Posix},
};
use lamq_protocol::wire::Priority;
use lamq_proves::proves;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(20);

/// A link of which the next frame that is sent through this value gets lost when it is told so.
#[derive(Clone, Debug)]
struct Losing {
    link: Arc<dyn Link>,
    loses: Arc<AtomicBool>,
    loses_all: Arc<AtomicBool>,
}

#[derive(Debug)]
struct LosingOutbox(Box<dyn Outbox>, Losing);

impl Losing {
    fn lose_next(&self) {
        self.loses.store(true, Ordering::Relaxed);
    }

    fn lose_all(&self, all: bool) {
        self.loses_all.store(all, Ordering::Relaxed);
    }

    fn has_lost(&self) -> bool {
        !self.loses.load(Ordering::Relaxed)
    }
}

impl Link for Losing {
    fn bind(&self, name: &QueueName, owner: Owner, geometry: Geometry) -> Result<Box<dyn Inbox>, BindError> {
        self.link.bind(name, owner, geometry)
    }

    fn open(&self, name: &QueueName) -> Result<Box<dyn Outbox>, OpenError> {
        Ok(Box::new(LosingOutbox(self.link.open(name)?, self.clone())))
    }

    fn is_lossy(&self) -> bool {
        true
    }
}

impl Outbox for LosingOutbox {
    fn try_send(&mut self, priority: Priority, frame: &[u8]) -> io::Result<bool> {
        let loses = self.1.loses.swap(false, Ordering::Relaxed) || self.1.loses_all.load(Ordering::Relaxed);
        if loses { Ok(true) } else { self.0.try_send(priority, frame) }
    }

    fn destination(&self) -> &dyn Destination {
        self.0.destination()
    }
}

/// A sender and a receiver that know what gets lost, each with a link of its own.
fn pair() -> (Sender, Losing, Receiver, Losing) {
    pair_on(Memory::new(), "/losing")
}

fn pair_on(link: impl Link + 'static, name: &str) -> (Sender, Losing, Receiver, Losing) {
    let link: Arc<dyn Link> = Arc::new(link);
    let losing = || Losing { link: Arc::clone(&link), loses: Arc::default(), loses_all: Arc::default() };
    let (to_receiver, to_sender) = (losing(), losing());
    let receiver = Receiver::builder().link(to_sender.clone()).frame_size(512).bind(name).unwrap();
    let sender = Sender::builder().link(to_receiver.clone()).linger(Duration::ZERO).connect(name).unwrap();
    (sender, to_receiver, receiver, to_sender)
}

#[proves("RTX-2", "CAL-6")]
#[test]
fn a_lost_message_is_sent_again_though_nobody_calls_in() {
    let (sender, to_receiver, receiver, _) = pair();
    for number in 1..=5_u8 {
        // Long enough for the keeper to go to rest: what is to be done then wakes it.
        thread::sleep(Duration::from_millis(20));
        to_receiver.lose_next();
        sender.send([number]).unwrap();
        assert!(to_receiver.has_lost());
        assert_eq!(*receiver.recv_timeout(WATCHDOG).unwrap(), [number]);
        sender.flush_timeout(WATCHDOG).unwrap();
    }
}

#[proves("RTX-2", "CAL-3")]
#[test]
fn a_lost_acknowledgement_is_asked_for_by_whoever_waits_for_it() {
    let (sender, _, receiver, to_sender) = pair();
    sender.send("x").unwrap();
    sender.flush_timeout(Duration::from_millis(50)).unwrap_err(); // it is received, and nothing else happens
    to_sender.lose_next();
    assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"x");
    sender.flush_timeout(WATCHDOG).unwrap();
}

#[proves("RTX-2", "CLO-1")]
#[test]
fn a_lost_close_is_sent_again_when_nothing_else_is_awaited() {
    let (sender, to_receiver, receiver, _) = pair();
    sender.send("x").unwrap();
    receiver.recv_timeout(WATCHDOG).unwrap();
    sender.flush_timeout(WATCHDOG).unwrap();
    to_receiver.lose_next();
    sender.close(WATCHDOG).unwrap();
    assert!(to_receiver.has_lost());
}

#[proves("RTX-4", "DTH-3")]
#[test]
fn the_last_words_of_a_receiver_are_told_again_or_its_absence_is_noticed() {
    for stays in [true, false] {
        // In the kernel no bell rings when an owner leaves and its process lives on.
        let (sender, _, receiver, to_sender) = pair_on(Posix, &format!("/lamq-losing-{}", std::process::id()));
        sender.send("taken").unwrap();
        sender.send("not taken").unwrap();
        receiver.recv_timeout(WATCHDOG).unwrap();
        let kept = receiver.endpoint();
        to_sender.lose_all(true);
        receiver.close();
        drop(receiver);
        let kept = stays.then_some(kept);
        to_sender.lose_all(false);
        let error = sender.flush_timeout(WATCHDOG).unwrap_err();
        let why = if stays { Ended::ClosedByPeer } else { Ended::PeerDied };
        assert_eq!(error.why, FlushFailure::Disconnected(Disconnected { why }));
        assert_eq!(error.acknowledged.get(), 1);
        drop(kept);
    }
}

/// The thread that serves an endpoint which receives sleeps already when the message is sent: it has to hear that there is something to
/// ask for.
#[proves("RTX-2", "CAL-6")]
#[test]
fn a_message_that_is_lost_from_an_endpoint_that_receives_is_sent_again_too() {
    let space = Memory::new();
    let losing = || Losing { link: Arc::new(space.clone()), loses: Arc::default(), loses_all: Arc::default() };
    let bind = |link: &Losing, name| Receiver::builder().link(link.clone()).frame_size(512).bind(name).unwrap();
    let (here, there) = (losing(), losing());
    let (own, far) = (bind(&here, "/own"), bind(&there, "/far"));
    let sender = Sender::builder().endpoint(&own.endpoint()).connect("/far").unwrap();
    for number in 1..=5_u8 {
        thread::sleep(Duration::from_millis(40));
        here.lose_next();
        sender.send([number]).unwrap();
        assert!(here.has_lost());
        assert_eq!(*far.recv_timeout(WATCHDOG).unwrap(), [number]);
        _ = far.try_recv(); // which acknowledges it
    }
}

//! Senders that go on with the next receiver.

use lamq::{
    BindError, Disconnected, Ended, Event, Fate, FlushFailure, Level, OpenError, QueueName, Receiver, SendFailure,
    Sender, SenderBuilder,
    link::{Destination, Faults, Faulty, Geometry, Inbox, Link, Memory, Outbox, Owner, Posix},
};
use lamq_protocol::wire::Priority;
use lamq_proves::proves;
use std::{
    io,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(30);

/// How long a test gives to something that must not happen.
const SHORT: Duration = Duration::from_millis(50);

fn receiver(link: impl Link + 'static, name: &str) -> Receiver {
    Receiver::builder().link(link).slots(4).frame_size(512).linger(SHORT).bind(name).unwrap()
}

fn builder(link: impl Link + 'static) -> SenderBuilder {
    Sender::builder().link(link).wait(WATCHDOG).linger(Duration::ZERO)
}

/// The bytes of the next message as a number, and whether it may be a repetition.
fn next(receiver: &Receiver) -> (u64, bool) {
    let message = receiver.recv_timeout(WATCHDOG).unwrap();
    (u64::from_le_bytes((*message).try_into().unwrap()), message.may_repeat())
}

#[proves("RSM-1", "RSM-2", "CAL-6")]
#[test]
fn what_was_not_delivered_goes_to_the_next_receiver() {
    for link in [Box::new(Memory::new()) as Box<dyn FnOnceLink>, Box::new(Posix)] {
        link.run();
    }
}

/// A link that can be cloned, whichever it is.
trait FnOnceLink {
    fn run(self: Box<Self>);
}

impl<L: Link + Clone + 'static> FnOnceLink for L {
    fn run(self: Box<Self>) {
        let name = format!("/lamq-resume-{}", std::process::id());
        let first = receiver((*self).clone(), &name);
        let sender = builder((*self).clone()).resume(WATCHDOG).connect(name.as_str()).unwrap();
        (1..=6_u64).for_each(|number| assert_eq!(sender.send(number.to_le_bytes()).unwrap(), number));
        assert_eq!([next(&first), next(&first)], [(1, false), (2, false)]);
        sender.flush_timeout(SHORT).unwrap_err(); // so that none is staged
        first.close();
        drop(first);
        // It waits without being told to.
        thread::sleep(SHORT);
        let second = receiver((*self).clone(), &name);
        assert_eq!([3, 4, 5, 6].map(|_| next(&second)), [3, 4, 5, 6].map(|number| (number, true)));
        assert_eq!(sender.send(7_u64.to_le_bytes()).unwrap(), 7);
        assert_eq!(next(&second), (7, false));
        sender.flush_timeout(WATCHDOG).unwrap();
        assert_eq!((sender.stats().resumed, sender.stats().delivered), (1, 7));
        // And once more, in the middle of a call that waits.
        let sending = thread::spawn(move || {
            (8..=500_u64).for_each(|number| _ = sender.send(number.to_le_bytes()).unwrap());
            sender.close(WATCHDOG).unwrap();
        });
        let mut last = 7;
        for count in [50, 100] {
            let third = if count == 50 { &second } else { &receiver((*self).clone(), &name) };
            for _ in 0..count {
                let (number, may_repeat) = next(third);
                assert!(number == last + 1 || (number <= last && may_repeat));
                last = number;
            }
            if count == 50 {
                second.close();
            }
        }
        let fourth = receiver((*self).clone(), &name);
        while last < 500 {
            let (number, may_repeat) = next(&fourth);
            assert!(number == last + 1 || (number <= last && may_repeat), "{number} after {last}");
            last = number;
        }
        assert!(fourth.recv_timeout(SHORT).is_err());
        sending.join().unwrap();
    }
}

#[proves("RSM-3", "CAL-1", "CAL-2")]
#[test]
fn a_call_that_waits_for_the_next_receiver_keeps_its_deadline_and_the_sender_its_patience() {
    let space = Memory::new();
    let first = receiver(space.clone(), "/brief");
    let sender = builder(space.clone()).resume(SHORT * 10).connect("/brief").unwrap();
    sender.send("unread").unwrap();
    drop(first);
    let why = Ended::ClosedByPeer;
    let error = loop {
        match sender.send_timeout("more", SHORT) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!((error.message, error.failure), ("more", SendFailure::Absent { why }));
    assert_eq!(sender.flush_timeout(Duration::ZERO).unwrap_err().why, FlushFailure::Absent { why });
    assert!(!sender.has_room(1));
    let error = sender.send_timeout("for ever", WATCHDOG).unwrap_err();
    assert_eq!(error.failure, SendFailure::Disconnected(Disconnected { why }), "nobody came");
    let late = receiver(space, "/brief");
    assert!(sender.try_send("x").is_err() && late.try_recv().is_err());
}

#[proves("RSM-5")]
#[test]
fn who_does_not_resume_gets_back_what_was_not_acknowledged() {
    let space = Memory::new();
    let first = Receiver::builder().link(space.clone()).slots(3).frame_size(512).bind("/back").unwrap();
    let sender = builder(space).connect("/back").unwrap();
    sender.send("read").unwrap();
    first.recv_timeout(WATCHDOG).unwrap();
    sender.flush_timeout(WATCHDOG).unwrap();
    sender.send("left").unwrap();
    sender.send("staged").unwrap();
    let before = sender.unacknowledged();
    drop(first);
    assert!(sender.flush_timeout(WATCHDOG).is_err());
    let back = sender.unacknowledged();
    let numbers: Vec<_> = back.iter().map(|message| (message.number, &message.message[..])).collect();
    assert_eq!(numbers, [(2, &b"left"[..]), (3, b"staged")]);
    assert_eq!(back[0].fate, Fate::Unknown);
    assert_eq!(before.len(), 2);
}

#[proves("RSM-1", "RTX-2")]
#[test]
fn it_goes_on_over_a_link_that_loses() {
    let link = Faulty::new(Memory::new(), Faults { lose: 0.1, double: 0.1, swap: 0.1, seed: 3 });
    let first = receiver(link.clone(), "/faulty");
    let sender = builder(link.clone()).level(Level::Processed).resume(WATCHDOG).connect("/faulty").unwrap();
    let sending = thread::spawn(move || {
        (1..=60_u64).for_each(|number| _ = sender.send(number.to_le_bytes()).unwrap());
        sender.flush_timeout(WATCHDOG).unwrap();
        sender.stats().resumed
    });
    let mut last = 0;
    for _ in 0..20 {
        last = next(&first).0;
    }
    drop(first);
    let second = receiver(link, "/faulty");
    while last < 60 {
        let (number, may_repeat) = next(&second);
        assert!(number == last + 1 || (number <= last && may_repeat), "{number} after {last}");
        last = number;
    }
    second.acknowledge();
    while !sending.is_finished() {
        assert!(second.recv_timeout(SHORT).is_err());
    }
    assert_eq!(sending.join().unwrap(), 1);
}

#[proves("RSM-1", "SHR-1")]
#[test]
fn a_sender_of_a_shared_endpoint_goes_on_too() {
    let space = Memory::new();
    let (own, first) = (receiver(space.clone(), "/own"), receiver(space.clone(), "/far"));
    let sender = Sender::builder().endpoint(&own.endpoint()).resume(WATCHDOG).connect("/far").unwrap();
    sender.send(1_u64.to_le_bytes()).unwrap();
    drop(first);
    let second = receiver(space.clone(), "/far");
    assert_eq!(next(&second), (1, true));
    let stranger = builder(space).connect("/own").unwrap();
    stranger.send(9_u64.to_le_bytes()).unwrap();
    assert_eq!(next(&own), (9, false), "it has its inbox and its name still");
}

/// A link whose receiver leaves with the first frame that it is sent, and has another one follow it.
#[derive(Clone, Debug)]
struct Relay(Memory, Arc<Mutex<Option<Receiver>>>);

#[derive(Debug)]
struct RelayOutbox(Box<dyn Outbox>, Relay);

impl Link for Relay {
    fn bind(&self, name: &QueueName, owner: Owner, geometry: Geometry) -> Result<Box<dyn Inbox>, BindError> {
        self.0.bind(name, owner, geometry)
    }

    fn open(&self, name: &QueueName) -> Result<Box<dyn Outbox>, OpenError> {
        Ok(Box::new(RelayOutbox(self.0.open(name)?, self.clone())))
    }
}

impl Outbox for RelayOutbox {
    fn try_send(&mut self, priority: Priority, frame: &[u8]) -> io::Result<bool> {
        let sent = self.0.try_send(priority, frame);
        // It reads the greeting and answers it before it is gone: welcome and close come together.
        drop(self.1.1.lock().unwrap().take());
        sent
    }

    fn destination(&self) -> &dyn Destination {
        self.0.destination()
    }
}

#[proves("RSM-1", "CAL-2")]
#[test]
fn a_sender_looks_for_the_next_receiver_though_its_endpoint_has_messages_that_nobody_reads() {
    let space = Memory::new();
    let (own, far) = (receiver(space.clone(), "/own"), receiver(space.clone(), "/far"));
    let sender = Sender::builder().endpoint(&own.endpoint()).resume(WATCHDOG).connect("/far").unwrap();
    let other = builder(space.clone()).connect("/own").unwrap();
    assert!(matches!(own.recv_event(Some(WATCHDOG)), Ok(Event::Joined(_))));
    other.send("nobody reads this").unwrap();
    sender.send(7_u64.to_le_bytes()).unwrap();
    _ = sender.stats(); // which has the endpoint take what lies in its inbox
    thread::scope(|scope| {
        let flushed = scope.spawn(|| sender.flush_timeout(WATCHDOG));
        thread::sleep(SHORT); // it sleeps
        drop(far);
        let far = receiver(space, "/far");
        assert_eq!(next(&far).0, 7);
        _ = far.try_recv();
        flushed.join().unwrap().unwrap();
    });
}

#[proves("DTH-3")]
#[test]
fn a_sender_that_is_welcomed_and_left_at_once_connects_to_the_next_receiver() {
    let space = Memory::new();
    let first = Arc::new(Mutex::new(Some(receiver(space.clone(), "/relay"))));
    let relay = Relay(space.clone(), Arc::clone(&first));
    let connecting = thread::spawn(move || builder(relay).resume(WATCHDOG).connect("/relay").unwrap());
    while first.lock().unwrap().is_some() {
        thread::sleep(Duration::from_millis(1));
    }
    let second = receiver(space, "/relay");
    let sender = connecting.join().unwrap();
    assert_eq!(sender.send(7_u64.to_le_bytes()).unwrap(), 1);
    assert_eq!(next(&second), (7, false));
    assert_eq!(sender.stats().resumed, 0, "it had not connected before");
}

//! Who asks whether a receiver is there leaves no trace of it.

use lamq::{
    BindError, ConnectError, Event, OpenError, QueueName, Receiver, RecvTimeoutError, Sender,
    link::{Geometry, Inbox, Link, Memory, Outbox, Owner},
};
use lamq_proves::proves;
use std::{
    process,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(20);

#[proves("GRT-6", "GRT-7", "CAL-6")]
#[test]
fn a_silent_receiver_answers_and_its_application_sees_nothing() {
    let space = Memory::new();
    let builder = Receiver::builder().link(space.clone()).max_senders(1).end_with_last_sender();
    let receiver = builder.bind("/asked").unwrap();
    let asking = Sender::builder().link(space).wait(WATCHDOG);
    let pong = asking.ping("/asked").unwrap();
    assert_eq!((pong.pid, pong.senders, pong.versions), (process::id(), 0, (1, 1)));
    assert!(pong.round_trip > Duration::ZERO && pong.round_trip < WATCHDOG);
    // Whoever asks is not the last sender that has gone.
    assert_eq!(receiver.recv_event(Some(Duration::from_millis(50))).unwrap_err(), RecvTimeoutError::Timeout);

    let sender = asking.clone().connect("/asked").unwrap();
    assert!(matches!(asking.clone().connect("/asked"), Err(ConnectError::Refused { .. })), "it is full");
    assert_eq!(asking.ping("/asked").unwrap().senders, 1);
    sender.send("hello").unwrap();
    assert_eq!(asking.ping("/asked").unwrap().senders, 1);
    let next = || receiver.recv_event(Some(WATCHDOG));
    assert!(matches!(next(), Ok(Event::Joined(_))));
    assert!(matches!(next(), Ok(Event::Message(message)) if &*message == b"hello"));
    sender.close(WATCHDOG).unwrap();
    assert!(matches!(next(), Ok(Event::Departed { .. })));
    assert!(matches!(next(), Err(RecvTimeoutError::Disconnected)));
    let stats = receiver.stats();
    assert_eq!((stats.pings, stats.accepted, stats.departed, stats.refused), (3, 1, 1, 1));
}

#[test]
fn where_nobody_receives_nobody_answers() {
    let asking = Sender::builder().link(Memory::new()).wait(Duration::from_millis(20));
    let error = asking.ping("/nobody").unwrap_err();
    assert!(matches!(error, ConnectError::NoReceiver { .. }), "{error}");
    assert!(matches!(asking.ping("nobody"), Err(ConnectError::Name(_))));
}

/// A link on which the receiver closes as soon as somebody has found it, and another one takes its place.
#[derive(Clone, Debug)]
struct Closing {
    space: Memory,
    /// The first, which closes, then the next.
    receivers: Arc<Mutex<Vec<Receiver>>>,
}

impl Link for Closing {
    fn bind(&self, name: &QueueName, owner: Owner, geometry: Geometry) -> Result<Box<dyn Inbox>, BindError> {
        self.space.bind(name, owner, geometry)
    }

    fn open(&self, name: &QueueName) -> Result<Box<dyn Outbox>, OpenError> {
        let outbox = self.space.open(name)?;
        let mut receivers = self.receivers.lock().unwrap();
        if receivers.len() == 1 {
            receivers[0].close();
            receivers.push(Receiver::builder().link(self.space.clone()).bind(name).unwrap());
        }
        Ok(outbox)
    }
}

#[proves("REF-2")]
#[test]
fn a_closed_receiver_sends_who_asks_to_its_successor() {
    let space = Memory::new();
    let first = Receiver::builder().link(space.clone()).bind("/closing").unwrap();
    let receivers = Arc::new(Mutex::new(vec![first]));
    let link = Closing { space, receivers: Arc::clone(&receivers) };
    Sender::builder().link(link).wait(WATCHDOG).ping("/closing").unwrap();
    let pings: Vec<_> = receivers.lock().unwrap().iter().map(|receiver| receiver.stats().pings).collect();
    assert_eq!(pings, [1, 1], "the first says that it is none any more");
}

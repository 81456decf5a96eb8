//! The synchronous send: it returns when the receiving application has the message, and not before.

use lamq::{
    Departure, Disconnected, Ended, Event, FlushFailure, Level, Receiver, SendFailure, SendSyncError, Sender,
    link::Memory,
};
use lamq_proves::proves;
use std::{thread, time::Duration};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(20);

/// How long a test gives to something that must not happen.
const SHORT: Duration = Duration::from_millis(50);

fn pair(level: Level) -> (Sender, Receiver) {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).manual_acknowledge().bind("/meet").unwrap();
    let sender = Sender::builder().link(space).level(level).linger(Duration::ZERO).connect("/meet").unwrap();
    (sender, receiver)
}

#[proves("CAL-7", "ACK-8")]
#[test]
fn a_synchronous_send_returns_only_when_the_application_has_the_message() {
    for level in [Level::Received, Level::Delivered, Level::Processed] {
        let (sender, receiver) = pair(level);
        thread::scope(|scope| {
            let sending = scope.spawn(|| sender.send_sync("baton").unwrap());
            // The receiver's process has long taken it, the application has not.
            while sender.stats().received == 0 {}
            thread::sleep(SHORT);
            assert!(!sending.is_finished(), "{level:?}");
            let message = receiver.recv_timeout(WATCHDOG).unwrap();
            assert_eq!(sending.join().unwrap().number(), message.number());
        });
    }
}

#[proves("CAL-8", "CAL-1")]
#[test]
fn a_late_synchronous_send_leaves_a_ticket_and_one_without_room_is_handed_back() {
    let (sender, receiver) = pair(Level::Delivered);
    let Err(SendSyncError::Unknown { ticket, why }) = sender.send_sync_timeout("late", SHORT) else {
        panic!("no ticket")
    };
    assert_eq!((ticket.number(), why), (1, FlushFailure::Timeout));
    assert_eq!(ticket.wait(SHORT).unwrap_err(), FlushFailure::Timeout);
    while sender.send_timeout([0; 4000], SHORT).is_ok() {}
    let sent = sender.stats().sent;
    let Err(SendSyncError::NotSent(back)) = sender.send_sync_timeout([1; 4000], SHORT) else {
        panic!("there is no room")
    };
    assert_eq!((back.message, back.failure), ([1; 4000], SendFailure::Timeout));
    assert_eq!(sender.stats().sent, sent);
    assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"late");
    assert_eq!(ticket.wait(WATCHDOG).unwrap().number(), 1);
}

#[proves("CAL-8", "DTH-3")]
#[test]
fn a_synchronous_send_ends_with_its_receiver_and_says_whether_the_message_was_taken() {
    let (sender, receiver) = pair(Level::Delivered);
    let closed = FlushFailure::Disconnected(Disconnected { why: Ended::ClosedByPeer });
    thread::scope(|scope| {
        let sending = scope.spawn(|| sender.send_sync("unread"));
        while sender.stats().received == 0 {}
        receiver.close();
        let Err(SendSyncError::Unknown { ticket, why }) = sending.join().unwrap() else { panic!("nobody took it") };
        assert_eq!((why, ticket.wait(WATCHDOG)), (closed, Err(closed)));
    });
    let Err(SendSyncError::NotSent(back)) = sender.send_sync("too late") else { panic!("there is nobody") };
    assert_eq!(back.message, "too late");
}

#[test]
fn clones_share_a_stream_and_the_last_one_ends_it() {
    let (sender, receiver) = pair(Level::Delivered);
    thread::scope(|scope| {
        for clone in [sender.clone(), sender.clone()] {
            scope.spawn(move || (0..500).for_each(|_| assert!(clone.send_timeout("x", WATCHDOG).is_ok())));
        }
        for number in 1..=1000 {
            assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap().number(), number);
        }
    });
    let clone = sender.clone();
    drop(sender);
    clone.send("still open").unwrap();
    assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"still open");
    drop(clone);
    let departed = |event| matches!(event, Event::Departed { departure: Departure::Left, last: 1001, .. });
    assert!(departed(receiver.recv_event(Some(WATCHDOG)).unwrap()));
}

fn without_capacity() -> (Sender, Receiver) {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).rendezvous().bind("/meet").unwrap();
    let sender = Sender::builder().link(space).linger(Duration::ZERO).connect("/meet").unwrap();
    (sender, receiver)
}

#[proves("RDV-1", "RDV-2")]
#[test]
fn without_capacity_a_send_waits_for_the_call_that_takes_the_message() {
    let (sender, receiver) = without_capacity();
    assert_eq!(sender.capacity(), Some(0));
    let failure = |result: Result<u64, lamq::SendError<&str>>| result.unwrap_err().failure;
    assert_eq!(failure(sender.try_send("nobody asks")), SendFailure::Full);
    assert_eq!(failure(sender.send_timeout("nobody asks", SHORT)), SendFailure::Timeout);
    assert_eq!((sender.stats().sent, receiver.stats().data_frames), (0, 0), "nothing has left");
    thread::scope(|scope| {
        let sending = scope.spawn(|| sender.send("baton").unwrap());
        thread::sleep(SHORT);
        assert!(!sending.is_finished() && sender.stats().sent == 0);
        let taken = receiver.recv_timeout(WATCHDOG).unwrap();
        assert_eq!((&*taken, sending.join().unwrap()), (&b"baton"[..], taken.number()));
        // The next one is not asked for.
        assert_eq!(failure(sender.send_timeout("too soon", SHORT)), SendFailure::Timeout);
    });
}

#[proves("RDV-1")]
#[test]
fn without_capacity_many_senders_hand_over_all_in_turn() {
    const EACH: u64 = 200;
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).rendezvous().end_with_last_sender().bind("/meet").unwrap();
    let sending: Vec<_> = (0..4)
        .map(|_| {
            let sender = Sender::builder().link(space.clone()).connect("/meet").unwrap();
            thread::spawn(move || (1..=EACH).all(|number| sender.send([0; 100]) == Ok(number)))
        })
        .collect();
    let count = receiver.iter().count();
    assert_eq!(count, 4 * 200);
    assert!(sending.into_iter().all(|sending| sending.join().unwrap()));
}

#[proves("RDV-2", "CAL-8")]
#[test]
fn without_capacity_a_message_that_is_not_taken_in_time_is_handed_back_with_a_ticket() {
    let (sender, receiver) = without_capacity();
    assert!(receiver.recv_timeout(SHORT).is_err(), "asks, and is not patient enough");
    let error = sender.send_timeout("late", SHORT).unwrap_err();
    let SendFailure::Unknown { ticket, why } = error.failure else { panic!("{error}") };
    assert_eq!((error.message, why, ticket.number()), ("late", FlushFailure::Timeout, 1));
    assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"late");
    assert_eq!(ticket.wait(WATCHDOG).unwrap().number(), 1);
    // The receiver leaves with a message that it has not handed out.
    assert!(receiver.recv_timeout(SHORT).is_err());
    thread::scope(|scope| {
        let sending = scope.spawn(|| sender.send("lost"));
        while sender.stats().sent == 1 {}
        receiver.close();
        let error = sending.join().unwrap().unwrap_err();
        let SendFailure::Unknown { why, .. } = error.failure else { panic!("{error}") };
        assert_eq!(why, FlushFailure::Disconnected(Disconnected { why: Ended::ClosedByPeer }));
    });
}

#[proves("RDV-1")]
#[test]
fn without_capacity_polling_asks_too() {
    let (sender, receiver) = without_capacity();
    for number in 1..=3 {
        assert!(receiver.try_recv().is_err());
        let deadline = std::time::Instant::now() + WATCHDOG;
        while sender.try_send("x").is_err() {
            assert!(std::time::Instant::now() < deadline);
        }
        assert!(sender.try_send("one at a time").is_err());
        assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap().number(), number);
    }
}

//! How many messages wait, as each end sees it.

use lamq::{Event, Level, Receiver, SendFailure, Sender, Sent, TryRecvError, link::Memory};
use lamq_proves::proves;
use std::time::{Duration, Instant};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(20);

fn pair(level: Level, window: u64) -> (Receiver, Sender) {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).frame_size(512).window(window).bind("/length").unwrap();
    let sender = Sender::builder().link(space).level(level).linger(Duration::ZERO).connect("/length").unwrap();
    (receiver, sender)
}

#[test]
fn a_receiver_counts_what_it_holds() {
    let (receiver, sender) = pair(Level::Received, 4096);
    assert!(receiver.is_empty());
    for count in 1..=5 {
        sender.send("x").unwrap();
        sender.flush_timeout(WATCHDOG).unwrap(); // all is in memory
        assert_eq!((receiver.len(), receiver.is_empty()), (count, false));
    }
    for count in (0..5).rev() {
        receiver.try_recv().unwrap();
        assert_eq!((receiver.len(), receiver.is_empty()), (count, count == 0));
    }
}

#[test]
fn a_receiver_is_not_empty_while_a_message_waits_in_its_queue() {
    let (receiver, sender) = pair(Level::Delivered, 4096);
    // Behind the news that its sender has joined, which is no message.
    assert!(receiver.is_empty());
    sender.send("x").unwrap();
    assert!(!receiver.is_empty());
    assert_eq!(&*receiver.try_recv().unwrap(), b"x");
    assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Empty);
    assert!(receiver.is_empty());
}

/// Numbers that the sender dropped are no messages, though they are something to be told.
#[test]
fn a_gap_is_not_counted() {
    let (receiver, sender) = pair(Level::Received, 512);
    while sender.try_send([0; 100]).is_ok() {}
    let sent = sender.stats().sent;
    assert_eq!(sender.send_or_drop([0; 100], Duration::ZERO).unwrap(), Sent::Dropped(sent + 1));
    (1..=sent).for_each(|_| _ = receiver.recv_timeout(WATCHDOG).unwrap());
    sender.flush_timeout(WATCHDOG).unwrap(); // up to the gap: it is in memory
    assert_eq!((receiver.len(), receiver.is_empty()), (0, true));
    while !matches!(receiver.recv_event(Some(WATCHDOG)).unwrap(), Event::Gap { .. }) {}
    assert!(receiver.is_empty());
    sender.send("x").unwrap();
    assert_eq!(receiver.len(), 1);
}

#[test]
fn a_receiver_that_is_closed_has_nothing() {
    let (receiver, sender) = pair(Level::Received, 4096);
    sender.send("x").unwrap();
    sender.flush_timeout(WATCHDOG).unwrap();
    receiver.close();
    assert_eq!((receiver.len(), receiver.is_empty()), (0, true));
}

#[proves("CAL-4")]
#[test]
fn a_sender_counts_what_is_not_delivered() {
    let (receiver, sender) = pair(Level::Received, 4096);
    assert!(sender.is_empty());
    for count in 1..=5 {
        sender.send("x").unwrap();
        assert_eq!((sender.len(), sender.is_empty()), (count, false));
    }
    sender.flush_timeout(WATCHDOG).unwrap();
    assert_eq!(sender.len(), 5, "received is not delivered");
    let start = Instant::now();
    for _ in 0..5 {
        receiver.recv_timeout(WATCHDOG).unwrap();
    }
    while !sender.is_empty() {
        assert!(start.elapsed() < WATCHDOG);
        assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Empty); // and tells what was delivered
    }
}

#[proves("CAL-4")]
#[test]
fn a_sender_knows_whether_there_is_room() {
    let (receiver, sender) = pair(Level::Delivered, 512);
    let longest = sender.max_message_size();
    assert!(sender.has_room(0) && sender.has_room(100) && !sender.has_room(longest + 1));
    // Nobody receives and nobody else sends, so what it says holds until the next message.
    let (mut length, mut refused) = (100, 0);
    while refused < 20 {
        let room = sender.has_room(length);
        if let Err(error) = sender.try_send(vec![0; length]) {
            assert_eq!((error.failure, room), (SendFailure::Full, false));
            refused += 1;
            length = length / 2 + 1; // there may be room for less
        }
    }
    receiver.close();
    while sender.has_room(0) {}
}

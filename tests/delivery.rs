//! Messages that the application acknowledges one by one.

use lamq::{Level, NotHeard, Receiver, ReceiverBuilder, RecvTimeoutError, Sender, TryRecvError, link::Memory};
use lamq_proves::proves;
use std::{os::unix::fs::MetadataExt, sync::mpsc, thread, time::Duration};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(20);

/// How long a test gives to something that must not happen.
const SHORT: Duration = Duration::from_millis(50);

fn pair(configure: impl FnOnce(ReceiverBuilder) -> ReceiverBuilder) -> (Sender, Receiver) {
    let space = Memory::new();
    let receiver = configure(Receiver::builder().link(space.clone())).bind("/jobs").unwrap();
    let sender = Sender::builder().link(space).level(Level::Processed).linger(Duration::ZERO).connect("/jobs").unwrap();
    (sender, receiver)
}

#[proves("ACK-9")]
#[test]
fn workers_acknowledge_in_any_order_and_the_sender_learns_when_all_before_are_done() {
    let (sender, receiver) = pair(|builder| builder);
    let numbers: Vec<_> = (0..20_u8).map(|job| sender.send([job]).unwrap()).collect();
    let mut deliveries: Vec<_> = (0..20).map(|_| receiver.recv_delivery_timeout(WATCHDOG).unwrap()).collect();
    assert!(deliveries.iter().map(|delivery| delivery.number()).eq(numbers));
    assert!(matches!(receiver.try_recv_delivery(), Err(TryRecvError::Empty)));
    assert_eq!(sender.flush_timeout(SHORT).unwrap_err().acknowledged.get(), 0, "all are delivered, none is done");
    let oldest = deliveries.remove(0);
    thread::scope(|scope| {
        for delivery in deliveries {
            scope.spawn(move || delivery.ack().unwrap());
        }
    });
    assert_eq!(sender.flush_timeout(SHORT).unwrap_err().acknowledged.get(), 0, "the oldest one is not done");
    oldest.ack().unwrap();
    sender.flush_timeout(WATCHDOG).unwrap();
    assert_eq!(sender.stats().processed, 20);
}

#[proves("ACK-9")]
#[test]
fn a_plain_message_among_them_is_done_with_when_the_next_is_asked_for() {
    for manual in [false, true] {
        let (sender, receiver) = pair(|builder| if manual { builder.manual_acknowledge() } else { builder });
        (0..3).for_each(|_| _ = sender.send("x").unwrap());
        let _ = receiver.recv_timeout(WATCHDOG).unwrap();
        let second = receiver.recv_delivery_timeout(WATCHDOG).unwrap();
        let third = receiver.recv_delivery_timeout(WATCHDOG).unwrap();
        drop(third);
        second.ack().unwrap();
        let done = sender.flush_timeout(SHORT).unwrap_err().acknowledged.get();
        assert_eq!(done, if manual { 0 } else { 2 }, "the third was dropped");
        receiver.acknowledge();
        sender.flush_timeout(WATCHDOG).unwrap();
    }
}

#[test]
fn a_delivery_says_who_sent_what_and_when() {
    let (sender, receiver) = pair(|builder| builder);
    sender.send("first").unwrap();
    sender.send("second").unwrap();
    let first = receiver.recv_delivery_timeout(WATCHDOG).unwrap();
    let second = receiver.recv_delivery_timeout(WATCHDOG).unwrap();
    let uid = std::fs::metadata("/proc/self").unwrap().uid();
    assert_eq!((second.peer().pid, second.peer().uid), (std::process::id(), uid));
    assert_eq!((second.id().stream, second.id().number), (sender.stream(), 2));
    assert_eq!(second.peer().stream, sender.stream());
    assert_eq!(second.id().to_string(), format!("{}.2", second.peer().stream));
    assert!(first.id() < second.id() && first.lamport() < second.lamport());
    assert_eq!(&*second.into_message(), b"second");
}

#[test]
fn an_acknowledgement_that_nobody_hears_is_an_error() {
    let (sender, receiver) = pair(|builder| builder);
    (0..2).for_each(|_| _ = sender.send("x").unwrap());
    let [first, second] = [(), ()].map(|()| receiver.recv_delivery_timeout(WATCHDOG).unwrap());
    receiver.close();
    assert_eq!(first.ack(), Err(NotHeard));
    assert!(matches!(receiver.recv_delivery_timeout(WATCHDOG), Err(RecvTimeoutError::Disconnected)));
    drop(receiver);
    assert_eq!(second.ack(), Err(NotHeard));
    let known = sender.close(WATCHDOG).unwrap_err();
    assert_eq!((known.accepted.get(), known.acknowledged.get()), (2, 0), "the sender was not told otherwise");
}

#[test]
fn a_thread_that_holds_a_delivery_keeps_no_receiver_alive() {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).bind("/jobs").unwrap();
    let sender = Sender::builder().link(space.clone()).connect("/jobs").unwrap();
    sender.send("x").unwrap();
    let (give, take) = mpsc::channel();
    give.send(receiver.recv_delivery().unwrap()).unwrap();
    drop(receiver);
    let next = Receiver::builder().link(space).bind("/jobs").expect("the name is free");
    let worker = thread::spawn(move || take.recv().unwrap().ack());
    assert_eq!(worker.join().unwrap(), Err(NotHeard));
    drop(next);
}

#[proves("ACK-9")]
#[test]
fn values_are_delivered_and_acknowledged_too() {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).typed::<u32>().bind("/jobs").unwrap();
    let sender = Sender::builder().link(space).level(Level::Processed).typed::<u32>().connect("/jobs").unwrap();
    (1..=3).for_each(|value| _ = sender.send(value).unwrap());
    let first = receiver.recv_delivery().unwrap();
    let second = receiver.recv_delivery_timeout(WATCHDOG).unwrap();
    let third = std::iter::repeat_with(|| receiver.try_recv_delivery().ok()).flatten().next().unwrap();
    assert_eq!([&first, &second, &third].map(|delivery| delivery.decode().unwrap()), [1, 2, 3]);
    first.ack().unwrap();
    third.ack().unwrap();
    assert_eq!(sender.flush_timeout(SHORT).unwrap_err().acknowledged.get(), 1);
    second.ack().unwrap();
    sender.flush_timeout(WATCHDOG).unwrap();
}

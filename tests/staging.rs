//! Messages that are staged by calls that do not enter the endpoint: to everybody it is as if they did.

use lamq::{Disconnected, Ended, Fate, Receiver, SendFailure, Sender, link::Memory};
use lamq_proves::proves;
use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(20);

/// So few that all but the first share a frame.
const MESSAGES: u64 = 50;

fn channel() -> (Receiver, Sender) {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).bind("/stage").unwrap();
    let sender = Sender::builder().link(space).linger(Duration::ZERO).connect("/stage").unwrap();
    (receiver, sender)
}

/// The first leaves at once, the others are staged behind it.
fn send_many(sender: &Sender) -> Vec<u64> {
    (0..MESSAGES).map(|_| sender.send("x").unwrap()).collect()
}

#[proves("NUM-1", "DAT-6", "CAL-6")]
#[test]
fn what_was_staged_without_entering_leaves_though_no_further_call_comes() {
    let (receiver, sender) = channel();
    let mut sent = Vec::new();
    for _ in 0..10 {
        sent.extend(send_many(&sender));
        let numbers = (0..MESSAGES).map(|_| receiver.recv_timeout(WATCHDOG).unwrap().number());
        assert!(numbers.eq(sent.last().unwrap() + 1 - MESSAGES..=*sent.last().unwrap()));
    }
    assert!(sent.into_iter().eq(1..=10 * MESSAGES));
}

#[proves("CAL-3", "RSM-5")]
#[test]
fn other_calls_see_what_was_staged_without_them() {
    let (receiver, sender) = channel();
    send_many(&sender);
    assert_eq!(sender.stats().sent, MESSAGES);
    sender.send("y").unwrap();
    assert_eq!(sender.len() as u64, MESSAGES + 1);
    sender.try_send("z").unwrap();
    let left = sender.unacknowledged();
    assert!(left.iter().map(|left| left.number).eq(1..=MESSAGES + 2));
    assert_eq!(left.last().map(|left| &left.message[..]), Some(&b"z"[..]));
    sender.send("z").unwrap();
    assert!(sender.flush_timeout(Duration::ZERO).is_err());
    let last = (0..MESSAGES + 3).map(|_| receiver.recv_timeout(WATCHDOG).unwrap()).last().unwrap();
    assert_eq!((last.number(), &*last), (MESSAGES + 3, &b"z"[..]));
    assert!(receiver.try_recv().is_err()); // so all is processed
    sender.flush_timeout(WATCHDOG).unwrap();
    assert!(sender.unacknowledged().is_empty());
}

#[proves("CLO-1", "CLO-4")]
#[test]
fn nothing_is_staged_once_the_session_is_over() {
    let (receiver, sender) = channel();
    let other = sender.clone();
    send_many(&sender);
    assert!(other.close(Duration::ZERO).is_err());
    let refused = sender.send("late").unwrap_err();
    let closed = |why| SendFailure::Disconnected(Disconnected { why });
    assert_eq!((refused.message, refused.failure), ("late", closed(Ended::Finished)));
    assert!((1..=MESSAGES).all(|number| receiver.recv_timeout(WATCHDOG).unwrap().number() == number));

    let (receiver, sender) = channel();
    send_many(&sender);
    drop(receiver);
    // It hears of that when it looks, and does so now and then.
    let refused = (0..).find_map(|_| sender.send("late").err()).unwrap();
    assert_eq!((refused.message, refused.failure), ("late", closed(Ended::ClosedByPeer)));
    let left = sender.unacknowledged();
    assert!(left.iter().map(|left| left.number).eq(1..=sender.stats().sent), "none is missing, and none there twice");
    assert!(left.iter().map(|left| left.fate).is_sorted_by_key(|fate| fate == Fate::NotDelivered));
}

#[proves("NUM-1", "PRO-1")]
#[test]
fn threads_that_stage_together_share_one_stream() {
    const COUNT: u64 = 50_000;
    let (receiver, sender) = channel();
    thread::scope(|scope| {
        let threads = [0_u8, 1, 2].map(|who| {
            let clone = sender.clone();
            scope.spawn(move || {
                let send = |_| clone.send_timeout([who], WATCHDOG).unwrap();
                let numbers: Vec<_> = (0..COUNT).map(send).collect();
                assert!(numbers.is_sorted(), "in one thread they come in order");
                numbers.into_iter().map(move |number| (number, who))
            })
        });
        // Somebody else who enters all the time.
        let watching = scope.spawn(|| {
            let start = Instant::now();
            while sender.stats().sent < 3 * COUNT && start.elapsed() < WATCHDOG {
                thread::yield_now();
            }
        });
        let taken: BTreeSet<_> = (1..=3 * COUNT)
            .map(|number| {
                let message = receiver.recv_timeout(WATCHDOG).unwrap();
                assert_eq!(message.number(), number);
                (number, message[0])
            })
            .collect();
        let sent: BTreeSet<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        watching.join().unwrap();
        assert!(sent == taken, "each came as it was sent");
    });
}

#[proves("LAM-1", "LAM-2", "SHR-1")]
#[test]
fn what_an_endpoint_stages_in_several_channels_and_receives_has_one_time() {
    let space = Memory::new();
    let [left, right, own] =
        ["/left", "/right", "/own"].map(|name| Receiver::builder().link(space.clone()).bind(name).unwrap());
    let endpoint = own.endpoint();
    let connect = |name| Sender::builder().endpoint(&endpoint).connect(name).unwrap();
    let senders = [connect("/left"), connect("/right")];
    let to_own = Sender::builder().link(space).connect("/own").unwrap();
    // In their order: what was sent by which one, and the stamps of what was received meanwhile.
    let (mut sent, mut received) = (Vec::new(), Vec::new());
    for round in 0..200 {
        // So many in a row that some are staged without entering, and often more than that.
        for (who, count) in [(0, round % 5), (1, round % 3)] {
            sent.extend((0..count).map(|_| (who, senders[who].send("x").unwrap())));
        }
        to_own.send("x").unwrap();
        received.push((sent.len(), own.recv_timeout(WATCHDOG).unwrap().lamport()));
    }
    let receivers = [left, right];
    let stamp = |(who, number): &(usize, u64)| {
        let message = receivers[*who].recv_timeout(WATCHDOG).unwrap();
        assert_eq!(message.number(), *number);
        message.lamport()
    };
    let stamps: Vec<_> = sent.iter().map(stamp).collect();
    assert!(stamps.is_sorted_by(|earlier, later| earlier < later), "{stamps:?}");
    for (place, before) in received {
        assert!(stamps.get(place).is_none_or(|stamp| *stamp > before), "{place}");
    }
}

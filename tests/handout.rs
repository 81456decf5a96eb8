//! Messages that lie ready for calls that do not enter the endpoint: to everybody it is as if they did.

use lamq::{Level, Message, Receiver, RecvError, Sender, TryRecvError, link::Memory};
use lamq_proves::proves;
use std::{
    thread,
    time::{Duration, Instant},
};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(20);

/// How many messages of a few bytes share a frame, and more.
const MESSAGES: u64 = 200;

/// A receiver that has taken the first of many messages, which share frames, and their sender.
fn with_many_in_a_frame(level: Level) -> (Receiver, Sender) {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).bind("/many").unwrap();
    let builder = Sender::builder().link(space).level(level).linger(Duration::ZERO);
    let sender = builder.connect("/many").unwrap();
    for number in 1..=MESSAGES {
        assert_eq!(sender.send(number.to_le_bytes()).unwrap(), number);
    }
    // The first was alone in its frame: nothing was on its way. The others leave together.
    assert!(sender.flush_timeout(Duration::ZERO).is_err());
    assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap().number(), 1);
    (receiver, sender)
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < WATCHDOG, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[proves("CAL-6", "ACK-1")]
#[test]
fn what_was_taken_without_entering_is_told_though_no_further_call_comes() {
    let (receiver, sender) = with_many_in_a_frame(Level::Processed);
    for number in 2..=50 {
        assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap().number(), number);
    }
    until("the sender hears of the 50 that were delivered", || sender.stats().delivered == 50);
    assert_eq!(sender.stats().processed, 49, "the application has not asked for the next");
    assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap().number(), 51);
    until("the sender hears of one more", || sender.stats().processed == 50);
    receiver.acknowledge();
    until("the sender hears that it is done", || sender.stats().processed == 51);
}

#[proves("PRO-1", "PRO-2")]
#[test]
fn what_lies_ready_when_a_receiver_is_closed_is_not_delivered() {
    let (receiver, sender) = with_many_in_a_frame(Level::Delivered);
    for number in 2..=20 {
        assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap().number(), number);
    }
    receiver.close();
    assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Disconnected);
    assert_eq!(receiver.recv().unwrap_err(), RecvError);
    assert!(sender.flush_timeout(WATCHDOG).is_err());
    assert_eq!(sender.stats().delivered, 20);
    assert_eq!(sender.unacknowledged().len() as u64, MESSAGES - 20);
}

#[proves("PRO-1", "LAM-2")]
#[test]
fn other_calls_see_what_was_taken_without_them() {
    let (receiver, sender) = with_many_in_a_frame(Level::Processed);
    let mut last = receiver.recv_timeout(WATCHDOG).unwrap();
    assert_eq!(receiver.stats().delivered, 2);
    for _ in 3..=60 {
        let message = receiver.recv_timeout(WATCHDOG).unwrap();
        assert!(message.lamport() > last.lamport());
        last = message;
    }
    assert_eq!((receiver.len() as u64, receiver.stats().delivered), (MESSAGES - 60, 60));
    // One that is to be acknowledged by a word comes in its place.
    let delivery = receiver.recv_delivery_timeout(WATCHDOG).unwrap();
    assert_eq!(delivery.number(), 61);
    assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap().number(), 62);
    assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap().number(), 63);
    until("the sender hears what is done", || sender.stats().processed == 60);
    delivery.ack().unwrap();
    until("the sender hears that the rest is done", || sender.stats().processed == 62);
}

#[proves("PRO-1")]
#[test]
fn threads_that_take_together_take_each_message_once() {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).end_with_last_sender().bind("/together").unwrap();
    let sender = Sender::builder().link(space).connect("/together").unwrap();
    let count = 100_000_u64;
    let taken = thread::scope(|scope| {
        let taking = [(); 3].map(|()| {
            scope.spawn(|| {
                let numbers: Vec<_> = receiver.iter().map(|message| message.number()).collect();
                assert!(numbers.is_sorted(), "in one thread they come in order");
                numbers
            })
        });
        for number in 1..=count {
            sender.send_timeout(number.to_le_bytes(), WATCHDOG).unwrap();
        }
        sender.close(WATCHDOG).unwrap();
        taking.map(|thread| thread.join().unwrap())
    });
    let mut all = taken.concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(1..=count));
}

#[proves("ACK-10", "CAL-12", "PRO-1")]
#[test]
fn a_batch_is_processed_as_a_whole_when_the_next_is_asked_for() {
    let (receiver, sender) = with_many_in_a_frame(Level::Processed);
    let mut batch = Vec::new();
    for (limit, from) in [(49, 2), (1, 51), (100, 52)] {
        batch.clear();
        assert_eq!(receiver.recv_many(&mut batch, limit), Ok(limit));
        let numbers: Vec<u64> = batch.iter().map(Message::number).collect();
        assert_eq!(numbers, (from..from + limit as u64).collect::<Vec<_>>());
        until("the sender hears what was delivered", || sender.stats().delivered == from + limit as u64 - 1);
        assert_eq!(sender.stats().processed, from - 1, "the batch is in hand");
    }
    let left = usize::try_from(MESSAGES).unwrap() - 151;
    assert_eq!(receiver.recv_many(&mut batch, usize::MAX), Ok(left), "what lies ready, and no more");
    assert_eq!(batch.len(), 100 + left, "behind what was there");
    until("the sender hears what was delivered", || sender.stats().delivered == MESSAGES);
    assert_eq!(sender.stats().processed, 151);
    assert_eq!(receiver.try_recv_many(&mut batch, 10), Err(TryRecvError::Empty));
    until("the sender hears that all is done", || sender.stats().processed == MESSAGES);
    assert_eq!(receiver.recv_many(&mut batch, 0), Ok(0), "none are wanted");
    sender.send("one more").unwrap();
    assert_eq!(receiver.recv_many_timeout(&mut batch, 10, WATCHDOG), Ok(1), "it is not waited for others");
    receiver.close();
    assert_eq!(receiver.recv_many(&mut batch, 10), Err(RecvError));
}

#[proves("ACK-10")]
#[test]
fn what_is_taken_beside_a_batch_by_deliveries_is_acknowledged_by_them() {
    let (receiver, sender) = with_many_in_a_frame(Level::Processed);
    let mut batch = Vec::new();
    assert_eq!(receiver.recv_many(&mut batch, 9), Ok(9));
    let delivery = receiver.recv_delivery_timeout(WATCHDOG).unwrap();
    assert_eq!(delivery.number(), 11, "the call for it says that the batch is done with");
    assert_eq!(receiver.recv_many(&mut batch, 5), Ok(5));
    assert_eq!(receiver.recv_many(&mut batch, 5), Ok(5));
    until("the sender hears what was delivered", || sender.stats().delivered == 21);
    assert_eq!(sender.stats().processed, 10);
    delivery.ack().unwrap();
    until("the sender hears what is done", || sender.stats().processed == 16);
}

/// At most what lies ready when it begins, which the windows of the senders bound, and as much again as its inbox can hold.
#[proves("CAL-1", "CAL-12")]
#[test]
fn a_batch_has_an_end_though_the_messages_have_none() {
    const SENDERS: usize = 3;
    const LENGTH: usize = 100;
    const IN_A_FRAME: usize = 8076 / LENGTH;
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).bind("/flood").unwrap();
    let most = SENDERS * (1 << 18) / LENGTH + 10 * IN_A_FRAME;
    thread::scope(|scope| {
        for _ in 0..SENDERS {
            let sender = Sender::builder().link(space.clone()).linger(Duration::ZERO).connect("/flood").unwrap();
            scope.spawn(move || while sender.send([0; LENGTH]).is_ok() {});
        }
        let (mut taken, mut largest) = (0, 0);
        let mut batch = Vec::new();
        while taken < 100 * most && largest <= most {
            batch.clear();
            taken += receiver.recv_many_timeout(&mut batch, 10 * most, WATCHDOG).unwrap();
            largest = largest.max(batch.len());
        }
        receiver.close();
        assert!(largest <= most, "{largest} messages, not {most}");
    });
}

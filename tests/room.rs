//! What happens when there is no room: to block, to drop, to fail, or to have set room aside.

use lamq::{Event, Receiver, SendFailure, Sender, Sent, link::Memory};
use lamq_proves::proves;
use std::{sync::mpsc, thread, time::Duration};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(20);

fn pair() -> (Sender, Receiver) {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).frame_size(512).window(1000).bind("/room").unwrap();
    let sender = Sender::builder().link(space).linger(Duration::ZERO).connect("/room").unwrap();
    assert!(matches!(receiver.recv_event(Some(WATCHDOG)).unwrap(), Event::Joined(_)));
    (sender, receiver)
}

/// Sends until there is no room. Returns how many messages that took.
fn fill(sender: &Sender) -> u64 {
    while sender.try_send([7; 100]).is_ok() {}
    sender.stats().sent
}

#[proves("CAL-1", "CAL-2", "CAL-4", "DRP-1")]
#[test]
fn who_finds_no_room_blocks_fails_or_drops_as_he_chooses_and_every_drop_is_seen_on_both_sides() {
    let (sender, receiver) = pair();
    let sent = fill(&sender);
    assert_eq!(sent, 10, "1000 bytes");
    let short = Duration::from_millis(5);
    assert_eq!(sender.send_timeout("block", short).unwrap_err().failure, SendFailure::Timeout);
    let back = sender.try_send("error").unwrap_err();
    assert_eq!((back.failure, back.message), (SendFailure::Full, "error"));
    assert_eq!(sender.send_or_drop("drop", Duration::ZERO).unwrap(), Sent::Dropped(11));
    assert_eq!(sender.send_or_drop("drop", short).unwrap(), Sent::Dropped(12));
    assert_eq!((sender.stats().sent, sender.stats().dropped), (12, 2));
    for number in 1..=sent {
        assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap().number(), number);
    }
    // The gap is told without another message, and as soon as can be: perhaps in two parts.
    let mut told = sent;
    while told < 12 {
        let gap = receiver.recv_event(Some(WATCHDOG)).unwrap();
        let Event::Gap { first, last, .. } = gap else { panic!("{gap:?}") };
        assert_eq!(first, told + 1);
        told = last;
    }
    assert_eq!(receiver.stats().dropped_by_senders, 2);
    assert_eq!(sender.send_or_drop("there is room", WATCHDOG).unwrap(), Sent::Accepted(13));
    let message = receiver.recv_timeout(WATCHDOG).unwrap();
    assert_eq!((message.number(), &*message), (13, &b"there is room"[..]));
    assert!(receiver.try_recv().is_err());
    sender.flush_timeout(WATCHDOG).unwrap();
    assert_eq!(sender.stats().delivered, 13, "the dropped ones are accounted for");
}

#[proves("DRP-2", "CLO-1")]
#[test]
fn a_sender_that_leaves_after_it_dropped_says_so_first() {
    let (sender, receiver) = pair();
    let sent = fill(&sender);
    assert_eq!(sender.send_or_drop("the last", Duration::ZERO).unwrap(), Sent::Dropped(sent + 1));
    let closing = thread::spawn(move || sender.close(WATCHDOG));
    let mut seen = Vec::new();
    loop {
        match receiver.recv_event(Some(WATCHDOG)).unwrap() {
            Event::Message(message) => seen.push((message.number(), message.number())),
            Event::Gap { first, last, .. } => seen.push((first, last)),
            Event::Departed { last, .. } => break assert_eq!(last, sent + 1),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, (1..=sent + 1).map(|number| (number, number)).collect::<Vec<_>>());
    closing.join().unwrap().unwrap();
}

#[test]
fn a_permit_holds_room_that_others_get_when_it_is_given_back() {
    let (sender, receiver) = pair();
    let permit = sender.reserve(1000).unwrap();
    assert_eq!(sender.try_send("no room").unwrap_err().failure, SendFailure::Full);
    assert_eq!(sender.try_reserve(1).unwrap_err(), SendFailure::Full);
    assert_eq!(sender.reserve_timeout(1, Duration::from_millis(5)).unwrap_err(), SendFailure::Timeout);
    assert_eq!(sender.stats().sent, 0, "it has no number");
    let (tell, told) = mpsc::channel();
    let waiting = {
        let sender = sender.clone();
        thread::spawn(move || {
            tell.send(()).unwrap();
            sender.send_timeout("was waiting", WATCHDOG).unwrap()
        })
    };
    told.recv().unwrap();
    drop(permit);
    assert_eq!(waiting.join().unwrap(), 1);
    let permit = sender.reserve(5).unwrap();
    assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"was waiting");
    assert_eq!(permit.send("hello").unwrap(), 2);
    let permit = sender.reserve(5).unwrap();
    let back = permit.send("too long for it").unwrap_err();
    assert_eq!(back.failure, SendFailure::TooLong { length: 15, limit: 5 });
    assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"hello");
    let permit = sender.reserve(5).unwrap();
    receiver.close();
    assert!(matches!(permit.send("late").unwrap_err().failure, SendFailure::Disconnected(_)));
}

#[proves("LRG-2", "LRG-3")]
#[test]
fn a_message_longer_than_the_window_gets_its_turn_while_others_send_without_a_pause() {
    let (sender, receiver) = pair();
    let long: Vec<u8> = (0..100_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let others = {
        let sender = sender.clone();
        thread::spawn(move || while sender.send([1; 64]).is_ok() {})
    };
    let large = {
        let (sender, long) = (sender.clone(), long.clone());
        thread::spawn(move || sender.send_timeout(long, WATCHDOG).unwrap())
    };
    let mut last = 0;
    let number = loop {
        let message = receiver.recv_timeout(WATCHDOG).unwrap();
        assert_eq!(message.number(), last + 1);
        last = message.number();
        if message.len() > 64 {
            assert!(*message == *long);
            break last;
        }
    };
    assert_eq!(large.join().unwrap(), number);
    receiver.close();
    others.join().unwrap();
}

#[test]
fn room_can_be_set_aside_for_values_too() {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).typed::<String>().bind("/room").unwrap();
    let sender = Sender::builder().link(space).typed::<str>().connect("/room").unwrap();
    let permit = sender.reserve(10).unwrap();
    assert_eq!(permit.send("three").unwrap(), 1);
    let long = sender.try_reserve(4).unwrap().send("too long for it").unwrap_err();
    assert!(matches!(long.failure, SendFailure::TooLong { length: 16, limit: 4 }), "{long}");
    assert_eq!(sender.reserve_timeout(10, WATCHDOG).unwrap().send("four").unwrap(), 2, "it took no number");
    let values = [(); 2].map(|()| receiver.recv_timeout(WATCHDOG).unwrap().decode().unwrap());
    assert_eq!(values, ["three", "four"]);
}

/// What one has asked for and does not use another one may be waiting for.
#[proves("LRG-5", "CAL-6")]
#[test]
fn credit_for_a_long_message_is_given_back_when_nobody_uses_it() {
    let space = Memory::new();
    let builder = Receiver::builder().link(space.clone()).frame_size(512).window(1000).max_message_size(5000);
    let receiver = builder.large_memory(5000).bind("/room").unwrap();
    let [first, second] = [(); 2].map(|()| Sender::builder().link(space.clone()).connect("/room").unwrap());
    for round in 0..3 {
        // It tries, or waits, or reserves, and thinks better of it.
        match round {
            0 => assert_eq!(first.try_send([0; 5000]).unwrap_err().failure, SendFailure::Full),
            1 => drop(first.reserve_timeout(5000, WATCHDOG).unwrap()),
            _ => _ = first.send_timeout([0; 5000], Duration::from_millis(1)).map(drop),
        }
        let reading = thread::scope(|scope| {
            let reading = scope.spawn(|| {
                loop {
                    let message = receiver.recv_timeout(WATCHDOG).unwrap();
                    if message[0] == 1 {
                        return message.len();
                    }
                }
            });
            assert!(second.send_timeout([1; 5000], WATCHDOG).is_ok(), "round {round}");
            reading.join().unwrap()
        });
        assert_eq!(reading, 5000);
    }
}

//! What every link must do for channels: each row on memory, on the kernel's queues, and on both of them with faults.

use crate::{
    process::{Process, say},
    world::{Dice, Name, WATCHDOG},
};
use lamq::{
    Departure, Event, FlushFailure, Receiver, ReceiverBuilder, SendFailure, SendSyncError, Sender, SenderBuilder, Sent,
    link::{Faults, Faulty, Link, Memory, Posix},
};
use lamq_proves::proves;
use std::{thread, time::Duration};

/// Enough to lose every kind of frame now and then, and to come to an end.
const FAULTS: Faults = Faults { lose: 0.05, double: 0.05, swap: 0.05, seed: 7 };

/// A link, and a name on it.
#[derive(Clone)]
struct Ground<L> {
    link: L,
    name: String,
}

impl<L: Link + Clone + 'static> Ground<L> {
    fn receiver(&self) -> ReceiverBuilder {
        Receiver::builder().link(self.link.clone()).slots(4).frame_size(512)
    }

    fn sender(&self) -> SenderBuilder {
        Sender::builder().link(self.link.clone()).wait(WATCHDOG)
    }
}

/// Runs a row on every link.
macro_rules! on_every_link {
    ($($row:ident)*) => {$(
        mod $row {
            use super::*;

            #[proves("PRO-1", "PRO-2", "CLO-2", "CAL-3", "CAL-7", "DRP-1", "RTX-2")]
            #[test]
            fn on_memory() {
                super::$row(&Ground { link: Memory::new(), name: "/row".to_owned() });
            }

            #[proves("PRO-1", "PRO-2", "CLO-2", "CAL-3", "CAL-7", "DRP-1", "RTX-2")]
            #[test]
            fn on_faulty_memory() {
                super::$row(&Ground { link: Faulty::new(Memory::new(), FAULTS), name: "/row".to_owned() });
            }

            #[proves("PRO-1", "PRO-2", "CLO-2", "CAL-3", "CAL-7", "DRP-1")]
            #[test]
            fn on_the_kernel() {
                let name = Name::new(stringify!($row));
                super::$row(&Ground { link: Posix, name: name.as_str().to_owned() });
            }

            #[proves("PRO-1", "PRO-2", "CLO-2", "CAL-3", "CAL-7", "DRP-1", "RTX-2")]
            #[test]
            fn on_the_faulty_kernel() {
                let name = Name::new(concat!("faulty-", stringify!($row)));
                super::$row(&Ground { link: Faulty::new(Posix, FAULTS), name: name.as_str().to_owned() });
            }
        }
    )*};
}

on_every_link! { two_streams a_rendezvous a_flush no_room long_messages a_receiver_that_leaves }

/// Two senders at once, messages of every length: each stream arrives whole and in order, then its end.
fn two_streams<L: Link + Clone + 'static>(ground: &Ground<L>) {
    const MESSAGES: u64 = 40;
    let receiver = ground.receiver().end_with_last_sender().bind(ground.name.as_str()).unwrap();
    let senders = [0_u8, 1].map(|mark| {
        let ground = ground.clone();
        let sender = ground.sender().connect(ground.name.as_str()).unwrap();
        thread::spawn(move || {
            let mut dice = Dice::new();
            for number in 1..=MESSAGES {
                let mut body = vec![mark; 9 + dice.below(700)];
                body[1..9].copy_from_slice(&number.to_le_bytes());
                assert_eq!(sender.send_timeout(body, WATCHDOG).unwrap(), number);
            }
            sender.close(WATCHDOG).unwrap();
        })
    });
    let (mut last, mut left) = ([0_u64; 2], 0);
    while let Ok(event) = receiver.recv_event(Some(WATCHDOG)) {
        match event {
            Event::Message(message) => {
                let last = &mut last[usize::from(message[0])];
                *last += 1;
                assert_eq!((message.number(), &message[1..9]), (*last, &last.to_le_bytes()[..]));
            }
            Event::Departed { departure, last, .. } => {
                assert_eq!((departure, last), (Departure::Left, MESSAGES));
                left += 1;
            }
            _ => {}
        }
    }
    assert_eq!((last, left), ([MESSAGES; 2], 2));
    for sender in senders {
        sender.join().unwrap();
    }
}

/// A synchronous send returns when its message was taken, and not before.
fn a_rendezvous<L: Link + Clone + 'static>(ground: &Ground<L>) {
    let receiver = ground.receiver().bind(ground.name.as_str()).unwrap();
    let sender = ground.sender().connect(ground.name.as_str()).unwrap();
    for number in 1..=20 {
        let error = sender.send_sync_timeout([1], Duration::from_millis(3)).unwrap_err();
        let SendSyncError::Unknown { ticket, why: FlushFailure::Timeout } = error else { panic!("{error}") };
        let waiting = thread::spawn(move || ticket.wait(WATCHDOG).unwrap());
        assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap().number(), number);
        // On a lossy link the keeper says again what got lost.
        assert_eq!(waiting.join().unwrap().number(), number);
    }
}

/// A flush returns when all is delivered.
fn a_flush<L: Link + Clone + 'static>(ground: &Ground<L>) {
    let receiver = ground.receiver().bind(ground.name.as_str()).unwrap();
    let sender = ground.sender().connect(ground.name.as_str()).unwrap();
    for round in 1..=10 {
        (0..3).for_each(|_| _ = sender.send_timeout([2; 50], WATCHDOG).unwrap());
        let error = sender.flush_timeout(Duration::from_millis(3)).unwrap_err();
        assert_eq!((error.accepted.get(), error.acknowledged.get()), (3 * round, 3 * (round - 1)));
        (0..3).for_each(|_| _ = receiver.recv_timeout(WATCHDOG).unwrap());
        sender.flush_timeout(WATCHDOG).unwrap();
        assert_eq!(sender.stats().delivered, 3 * round);
    }
}

/// What finds no room is refused, or dropped and reported in its place.
fn no_room<L: Link + Clone + 'static>(ground: &Ground<L>) {
    let receiver = ground.receiver().window(600).bind(ground.name.as_str()).unwrap();
    let sender = ground.sender().connect(ground.name.as_str()).unwrap();
    let mut sent = 0;
    for _ in 0..5 {
        while sender.try_send([3; 200]).is_ok() {
            sent += 1;
        }
        assert_eq!(sender.try_send([3; 200]).unwrap_err().failure, SendFailure::Full);
        let dropped = sender.send_or_drop([3; 200], Duration::ZERO).unwrap();
        sent += 1;
        let was_dropped = dropped == Sent::Dropped(sent);
        assert!(was_dropped || dropped == Sent::Accepted(sent), "{dropped:?}");
        let mut seen = receiver.stats().delivered + receiver.stats().dropped_by_senders;
        while seen < sent {
            match receiver.recv_event(Some(WATCHDOG)).unwrap() {
                Event::Message(message) => {
                    seen += 1;
                    assert_eq!(message.number(), seen);
                }
                Event::Gap { first, last, .. } => {
                    assert_eq!(first, seen + 1);
                    seen = last;
                }
                Event::Joined(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(receiver.stats().dropped_by_senders, sender.stats().dropped);
    }
}

/// Messages longer than a frame, and than the window, between short ones.
fn long_messages<L: Link + Clone + 'static>(ground: &Ground<L>) {
    let receiver = ground.receiver().window(2000).end_with_last_sender().bind(ground.name.as_str()).unwrap();
    let lengths = [0, 1, 452, 453, 1000, 10, 2000, 2001, 20_000, 3, 50_000];
    let sending = {
        let sender = ground.sender().connect(ground.name.as_str()).unwrap();
        thread::spawn(move || {
            for length in lengths {
                let body: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
                sender.send_timeout(body, WATCHDOG).unwrap();
            }
            sender.close(WATCHDOG).unwrap();
        })
    };
    for length in lengths {
        let message = receiver.recv_timeout(WATCHDOG).unwrap();
        assert_eq!(message.len(), length);
        assert!(message.iter().enumerate().all(|(at, byte)| at % 251 == usize::from(*byte)));
    }
    assert!(receiver.recv_timeout(WATCHDOG).is_err());
    sending.join().unwrap();
}

/// A receiver that leaves ends its sender's calls, which know what was delivered if anybody could tell them.
fn a_receiver_that_leaves<L: Link + Clone + 'static>(ground: &Ground<L>) {
    let receiver = ground.receiver().bind(ground.name.as_str()).unwrap();
    let sender = ground.sender().connect(ground.name.as_str()).unwrap();
    sender.send_timeout("taken", WATCHDOG).unwrap();
    receiver.recv_timeout(WATCHDOG).unwrap();
    sender.flush_timeout(WATCHDOG).unwrap();
    drop(receiver);
    let ended = (0..).find_map(|_| sender.send_sync_timeout("too late", WATCHDOG).err()).unwrap();
    let ended = match ended {
        SendSyncError::NotSent(error) => matches!(error.failure, SendFailure::Disconnected(_)),
        SendSyncError::Unknown { why, .. } => matches!(why, FlushFailure::Disconnected(_)),
    };
    assert!(ended);
    assert_eq!(sender.stats().delivered, 1);
}

/// Role: a sender in another process, over a link with faults.
pub(crate) fn send_over_faults(name: &str) {
    let link = Faulty::new(Posix, Faults { seed: 11, ..FAULTS });
    let sender = Sender::builder().wait(WATCHDOG).link(link).connect(name).unwrap();
    for number in 0..100_u64 {
        sender.send_timeout(number.to_le_bytes().repeat(20), WATCHDOG).unwrap();
    }
    sender.close(WATCHDOG).unwrap();
    say("closed");
}

#[proves("PRO-1", "RTX-1", "RTX-2", "RTX-3")]
#[test]
fn across_processes_a_stream_arrives_whole_over_a_link_with_faults() {
    let name = Name::new("faults-across");
    let builder = Receiver::builder().link(Faulty::new(Posix, FAULTS)).slots(4).frame_size(512);
    let receiver = builder.end_with_last_sender().bind(name.as_str()).unwrap();
    let sender = Process::start("send-over-faults", name.as_str());
    for number in 0..100_u64 {
        assert_eq!(*receiver.recv_timeout(WATCHDOG).unwrap(), number.to_le_bytes().repeat(20));
    }
    assert!(receiver.recv_timeout(WATCHDOG).is_err(), "the end");
    sender.expect("closed");
    sender.finish();
    let stats = receiver.stats();
    assert!(stats.early > 0 && stats.duplicates > 0, "there were faults: {stats:?}");
}

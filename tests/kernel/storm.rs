//! Strangers who write into an inbox while a sender is at full speed.

use crate::{
    tap::{Tap, Way},
    world::{Dice, Name, Raw, WATCHDOG, seal, wait_until},
};
use lamq::{Receiver, RecvTimeoutError, Sender};
use lamq_protocol::{
    Epoch, FrameNumber, Level, Number, SessionId, Stamp, StreamId,
    wire::{Close, EndReason, Fault, Greeting},
};
use lamq_proves::proves;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

const STRANGERS: usize = 2;
const FRAMES_OF_EACH: usize = 1500;

/// What one stranger has written.
#[derive(Default)]
struct Written {
    malformed: u64,
    duplicates: u64,
    repeated_greetings: u64,
}

/// Writes random bytes, cut or spoilt copies of honest frames, and repetitions of them, as fast as the queue takes them.
fn disturb(name: &str, tap: &Tap, mut dice: Dice) -> Written {
    let inbox = Raw::open(name).unwrap();
    let mut written = Written::default();
    for _ in 0..FRAMES_OF_EACH {
        let honest = {
            let log = tap.log();
            let sent: Vec<_> = log.frames.iter().rev().filter(|(way, _)| *way == Way::Out).take(100).collect();
            sent[dice.below(sent.len())].1.clone()
        };
        let (frame, count) = match dice.below(4) {
            0 => {
                let length = dice.below(513);
                (dice.bytes(length), &mut written.malformed)
            }
            1 => (honest[..dice.below(honest.len())].to_vec(), &mut written.malformed),
            2 => {
                let mut spoilt = honest;
                spoilt[dice.below(24)] ^= 1 << dice.below(8);
                (spoilt, &mut written.malformed)
            }
            // At the priority of its original, so that it stays behind it.
            _ if honest[7] == 1 => (honest, &mut written.repeated_greetings),
            _ => (honest, &mut written.duplicates),
        };
        wait_until("the queue has room", || inbox.send(&frame, 0));
        *count += 1;
    }
    written
}

/// Counts a stranger down, also when it panics.
struct Leaving<'a>(&'a AtomicUsize);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[proves("PRO-1", "FRM-1", "FRM-3", "DAT-3", "GRT-3", "CAL-5")]
#[test]
fn a_storm_of_hostile_frames_does_not_touch_a_stream_at_full_speed() {
    let name = Name::new("storm");
    let builder = Receiver::builder().slots(4).frame_size(512).end_with_last_sender();
    let receiver = builder.bind(name.as_str()).unwrap();
    let tap = Tap::default();
    let strangers = AtomicUsize::new(STRANGERS);
    let body = |number: u64| number.to_le_bytes().repeat(usize::try_from(number % 40).unwrap());
    let (sent, written) = thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let sender = Sender::builder().wait(WATCHDOG).link(tap.clone()).connect(name.as_str()).unwrap();
            let mut sent = 0;
            while strangers.load(Ordering::Relaxed) > 0 {
                sent += 1;
                assert_eq!(sender.send_timeout(body(sent), WATCHDOG).unwrap(), sent);
            }
            sender.close(WATCHDOG).unwrap();
            sent
        });
        let disturbing = [(); STRANGERS].map(|()| {
            let dice = Dice::new();
            scope.spawn(|| {
                let _leaving = Leaving(&strangers);
                wait_until("the sender has sent data", || tap.log().count(Way::Out) > 10);
                disturb(name.as_str(), &tap, dice)
            })
        });
        let mut taken = 0;
        let end = loop {
            match receiver.recv_timeout(WATCHDOG) {
                Ok(message) => {
                    taken += 1;
                    assert_eq!((message.number(), message.to_vec()), (taken, body(taken)));
                }
                Err(end) => break end,
            }
        };
        assert_eq!(end, RecvTimeoutError::Disconnected);
        let sent = sending.join().unwrap();
        assert_eq!(taken, sent);
        (sent, disturbing.map(|stranger| stranger.join().unwrap()))
    });
    let stats = receiver.stats();
    let sum = |count: fn(&Written) -> u64| written.iter().map(count).sum::<u64>();
    assert_eq!(stats.all_faults(), sum(|one| one.malformed));
    assert_eq!(stats.duplicates, sum(|one| one.duplicates));
    assert_eq!(stats.repeated_greeting, sum(|one| one.repeated_greetings));
    assert_eq!((stats.accepted, stats.violations, stats.unknown_session, stats.delivered), (1, 0, 0, sent));
    assert_eq!(stats.frames, tap.log().count(Way::Out) + (STRANGERS * FRAMES_OF_EACH) as u64);
}

#[proves("FRM-1", "CAL-5")]
#[test]
fn each_fault_is_counted_under_its_own_name() {
    let name = Name::new("faults");
    let receiver = Receiver::builder().slots(2).frame_size(512).bind(name.as_str()).unwrap();
    let inbox = Raw::open(name.as_str()).unwrap();
    let close = Close { last: Number::NONE, reason: EndReason::Finished, frame: FrameNumber::new(1) };
    let close = close.encode(SessionId::new(1).unwrap(), Stamp::new(1));
    let spoilt = |at: usize, byte: u8| {
        let mut frame = close.clone();
        frame[at] = byte;
        seal(&mut frame);
        frame
    };
    let no_version = Greeting {
        versions: (2, 1),
        codec: 0,
        level: Some(Level::Received),
        pid: 1,
        stream: StreamId { epoch: Epoch::new(1).unwrap(), index: 0 },
        reply_session: SessionId::new(1).unwrap(),
        pid_namespace: 0,
        back: None,
        first: Number::new(1),
        exposed: Number::NONE,
        to: 0,
        inbox: b"/none".to_vec(),
    };
    let mut wrong_check = close.clone();
    wrong_check[0] ^= 1;
    let frames = [
        (Fault::TooShort, vec![]),
        (Fault::TooShort, close[..47].to_vec()),
        (Fault::Length, [&close[..], &[0]].concat()),
        (Fault::Magic, spoilt(4, b'L')),
        (Fault::Version, spoilt(6, 2)),
        (Fault::Kind, spoilt(7, 8)),
        (Fault::Check, wrong_check),
        (Fault::Field, spoilt(39, 1)),                    // reserved
        (Fault::Field, spoilt(32, 7)),                    // no such reason
        (Fault::Field, no_version.encode(Stamp::new(1))), // versions 2 to 1
    ];
    let mut expected = Fault::ALL.map(|fault| (fault, 0));
    for (fault, frame) in frames {
        assert!(inbox.send(&frame, 0));
        expected[fault as usize].1 += 1;
        wait_until(format_args!("{fault} is counted"), || {
            assert!(receiver.try_recv().is_err());
            receiver.stats().all_faults() == expected.iter().map(|(_, count)| count).sum::<u64>()
        });
        assert_eq!(Fault::ALL.map(|fault| (fault, receiver.stats().of_fault(fault))), expected);
    }
}

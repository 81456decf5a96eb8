//! A sender that never ends, and a receiver that stops reading: the sender stalls at its credit, nobody's memory grows, and
//! reading on loses nothing.

use crate::{
    process::{Process, hear, say},
    world::{Name, WATCHDOG, wait_until},
};
use lamq::{Receiver, RecvTimeoutError, SendFailure, Sender};
use lamq_proves::proves;
use nix::sys::signal::Signal;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

const BODY: usize = 200;

/// Less than the frames in the inbox could carry.
const WINDOW: u64 = 2_000;

/// How many messages are taken between two pauses.
const BATCH: u64 = 5_000;

pub(crate) fn body(number: u64) -> [u8; BODY] {
    let mut body = [0; BODY];
    body[..8].copy_from_slice(&number.to_le_bytes());
    body
}

/// Role: sends until the test says something. Says `stalled SENT DELIVERED` whenever there is no credit for a while, and `sent SENT`
/// at the end.
pub(crate) fn produce(name: &str) {
    static STOP: AtomicBool = AtomicBool::new(false);
    let sender = Sender::builder().wait(WATCHDOG).connect(name).unwrap();
    thread::spawn(|| {
        hear();
        STOP.store(true, Ordering::Relaxed);
    });
    let mut sent = 0;
    while !STOP.load(Ordering::Relaxed) {
        match sender.send_timeout(body(sent + 1), Duration::from_millis(20)) {
            Ok(number) => sent = number,
            Err(error) => {
                assert_eq!(error.failure, SendFailure::Timeout);
                let stats = sender.stats();
                assert_eq!(stats.sent, sent);
                say(format_args!("stalled {sent} {}", stats.delivered));
            }
        }
    }
    sender.close(WATCHDOG).unwrap();
    say(format_args!("sent {sent}"));
}

/// Role: takes `BATCH` messages, says `paused`, and does not receive until the test says something; when it says no more, takes all
/// that comes and says `taken TAKEN`.
pub(crate) fn consume(name: &str) {
    let receiver = Receiver::builder().frame_size(512).window(WINDOW).end_with_last_sender().bind(name).unwrap();
    let mut taken = 0;
    let mut take = || match receiver.recv_timeout(WATCHDOG) {
        Ok(message) => {
            taken += 1;
            assert_eq!((message.number(), &*message), (taken, &body(taken)[..]));
            Some(taken)
        }
        Err(end) => {
            assert_eq!(end, RecvTimeoutError::Disconnected);
            None
        }
    };
    loop {
        (0..BATCH).for_each(|_| assert!(take().is_some()));
        say("paused");
        if !hear() {
            break;
        }
    }
    while take().is_some() {}
    say(format_args!("taken {taken}"));
}

/// Waits until the producer has stalled; all it ever accepted is covered by the credit in the latest acknowledgement.
fn demand_stall(producer: &Process) {
    let report = producer.expect("stalled");
    let (sent, delivered) = report.split_once(' ').unwrap();
    let (sent, delivered): (u64, u64) = (sent.parse().unwrap(), delivered.parse().unwrap());
    assert!(sent > delivered && (sent - delivered) * BODY as u64 <= WINDOW, "{report}");
}

/// The most memory that a process ever used.
fn demand_little_memory(process: &Process) {
    let peak: u64 = process.status("VmHWM").trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 32 << 10, "{peak} kB");
}

#[proves("PRO-1", "CRD-2", "CRD-4", "LIM-2", "DTH-1")]
#[test]
fn an_endless_sender_stalls_at_its_credit_and_goes_on_without_loss() {
    let name = Name::new("flood");
    let mut consumer = Process::start("consume", name.as_str());
    let mut producer = Process::start("produce", name.as_str());
    let private = Name::of_sender(producer.id());
    for round in 0..4 {
        // Half of the time it is stopped by force, somewhere between two messages.
        if round % 2 == 0 {
            consumer.expect("paused");
        } else {
            consumer.signal(Signal::SIGSTOP);
            wait_until("the consumer is stopped", || consumer.status("State").starts_with('T'));
        }
        // A report from before the pause may be waiting: the second or third is from within.
        (0..3).for_each(|_| demand_stall(&producer));
        demand_little_memory(&producer);
        demand_little_memory(&consumer);
        if round % 2 == 0 {
            consumer.say("go on");
        } else {
            consumer.signal(Signal::SIGCONT);
        }
    }
    consumer.expect("paused");
    consumer.say_no_more();
    producer.say("enough");
    let sent: u64 = producer.expect("sent").parse().unwrap();
    assert_eq!(consumer.expect("taken").parse(), Ok(sent));
    assert!(sent >= 3 * BATCH);
    producer.finish();
    consumer.finish();
    drop(private);
}

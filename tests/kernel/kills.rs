//! Random processes are killed at random moments, and others take their place: four senders that resume, and one receiver.
//!
//! `LAMQ_KILLS` says how many are killed (`LAMQ_SEED` who and when): `LAMQ_KILLS=10000 cargo test --test kernel kills`.

use crate::{
    process::{Process, hear},
    world::{Dice, Name, WATCHDOG},
};
use lamq::{Level, Receiver, Sender};
use lamq_proves::proves;
use nix::mqueue::mq_unlink;
use std::{
    collections::BTreeMap,
    io::Write,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

const SENDERS: usize = 4;

/// How many are killed unless somebody says otherwise.
const KILLS: usize = 40;

/// Says a line in one go: of one that is killed meanwhile, what has no dot at its end is no line.
pub(crate) fn report(line: &str) {
    std::io::stderr().write_all(format!("{line} .\n").as_bytes()).unwrap();
}

/// Role: receives, reports each message, then acknowledges it.
pub(crate) fn receive_reporting(name: &str) {
    let receiver = Receiver::builder().frame_size(512).window(4096).bind(name).unwrap();
    report("receives");
    loop {
        let delivery = receiver.recv_delivery().unwrap();
        let body: u64 = std::str::from_utf8(&delivery).unwrap().parse().unwrap();
        assert_eq!(body, delivery.number());
        report(&format!("message {} {} {}", delivery.peer().stream, delivery.number(), delivery.may_repeat()));
        _ = delivery.ack(); // its sender may have been killed
    }
}

/// Role: sends numbers, and reports how far they are known to be processed, until it is told to end.
pub(crate) fn send_reporting(name: &str) {
    let builder = Sender::builder().level(Level::Processed).wait(WATCHDOG).resume(WATCHDOG);
    let sender = builder.connect(name).unwrap();
    let stream = sender.stream();
    report(&format!("sends {stream}"));
    let ends = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            hear();
            ends.store(true, Ordering::Relaxed);
        });
        for number in 1_u64.. {
            let width = usize::try_from(number % 700).unwrap();
            sender.send_timeout(format!("{number:0>width$}"), WATCHDOG).unwrap();
            if number % 16 == 0 {
                report(&format!("processed {stream} {}", sender.stats().processed));
            }
            if ends.load(Ordering::Relaxed) {
                break;
            }
        }
    });
    let sent = sender.stats().sent;
    sender.close(WATCHDOG).unwrap();
    report(&format!("processed {stream} {sent}"));
}

/// What is known of a stream.
#[derive(Debug, Default)]
struct Stream {
    /// The last number that any receiver reported.
    last: u64,
    /// The last number that the present receiver reported, if any.
    in_this: Option<u64>,
    /// The last number that its sender knows to be processed.
    known: u64,
}

/// The joint history.
#[derive(Debug, Default)]
struct History {
    streams: BTreeMap<String, Stream>,
    messages: u64,
    repetitions: u64,
}

impl History {
    fn next_receiver(&mut self) {
        self.streams.values_mut().for_each(|stream| stream.in_this = None);
    }

    fn take(&mut self, line: &str) {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["message", stream, number, may_repeat, "."] => {
                let name = stream;
                let (stream, number): (_, u64) =
                    (self.streams.entry(name.into()).or_default(), number.parse().unwrap());
                if let Some(before) = stream.in_this.replace(number) {
                    assert_eq!(number, before + 1, "of {name}, within one receiver");
                }
                assert!(number <= stream.last + 1, "of {name}: {number} after {}, some are lost", stream.last);
                let repeats = number <= stream.last;
                assert!(!repeats || may_repeat == "true", "of {name}: {number} again, and not marked");
                self.repetitions += u64::from(repeats);
                stream.last = stream.last.max(number);
                self.messages += 1;
            }
            ["processed", stream, number, "."] => {
                let stream = self.streams.entry(stream.into()).or_default();
                stream.known = stream.known.max(number.parse().unwrap());
            }
            _ => println!("{line}"), // of the harness, or cut off; shown if the test fails
        }
    }

    /// Kills a process, and takes all that it has said.
    fn kill(&mut self, mut process: Process) {
        process.kill();
        while let Some(line) = process.line() {
            self.take(&line);
        }
        // It may have been killed before it was welcomed, or while it looked for the next receiver.
        _ = mq_unlink(format!("/lamq.{}.0", process.id()).as_str());
    }

    /// Takes what has been said so far.
    fn hear(&mut self, process: &Process) {
        while let Some(line) = process.line_so_far() {
            self.take(&line);
        }
    }

    /// Nothing that a sender knows to be processed may be missing.
    fn judge(&self) {
        for (name, stream) in &self.streams {
            assert!(stream.known <= stream.last, "of {name} {} are said to be processed: {stream:?}", stream.known);
        }
    }
}

#[proves("PRO-1", "PRO-3", "RSM-1", "RSM-2", "DTH-3")]
#[test]
fn whoever_is_killed_nothing_is_lost_or_doubled_in_silence() {
    let kills = std::env::var("LAMQ_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let (name, mut dice, mut history) = (Name::new("kills"), Dice::new(), History::default());
    let start = |role| Process::start(role, name.as_str());
    let mut receiver = start("receive-reporting");
    let mut senders: Vec<_> = (0..SENDERS).map(|_| start("send-reporting")).collect();
    for _ in 0..kills {
        thread::sleep(Duration::from_micros(dice.below(30_000) as u64));
        let place = dice.below(SENDERS + 2);
        if place < SENDERS {
            history.kill(std::mem::replace(&mut senders[place], start("send-reporting")));
        } else {
            history.kill(receiver);
            history.next_receiver();
            receiver = start("receive-reporting");
        }
        history.hear(&receiver);
        for sender in &senders {
            history.hear(sender);
        }
    }
    // The rest is told to end, and does so in good order.
    for mut sender in senders {
        sender.say_no_more();
        while let Some(line) = sender.line() {
            history.take(&line);
            history.hear(&receiver);
        }
        sender.finish();
    }
    history.kill(receiver);
    name.remove();
    history.judge();
    let History { streams, messages, repetitions } = &history;
    println!("{kills} killed, {} streams, {messages} messages, {repetitions} of them again", streams.len());
    assert!(*messages > 0);
}

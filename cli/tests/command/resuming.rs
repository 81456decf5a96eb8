//! `lamq send --wait`: receivers that are killed, and their successors.

use crate::common::{Name, finish, lamq, run, send_signal, stderr, stdout};
use lamq_proves::proves;
use nix::sys::signal::Signal;
use std::{
    io::{BufRead, BufReader, Write},
    process::Child,
    sync::mpsc,
};

/// Kills it, and waits until it is gone.
fn kill(mut process: Child) {
    send_signal(process.id(), Signal::SIGKILL);
    process.wait().unwrap();
}

#[proves("RSM-1", "RSM-2", "PRO-1", "DTH-3")]
#[test]
fn receivers_may_be_killed_one_after_the_other_and_no_line_is_lost() {
    const ROUNDS: u64 = 4;
    // More than a pipe holds: who is killed after 2,000 has not written them all.
    const LINES_PER_ROUND: u64 = 20_000;
    let name = Name::new("resume");
    let mut sender = lamq(&["send", &name.name, "--wait", "60s"]);
    let mut input = sender.stdin.take().unwrap();
    // Each receiver has lines of its own to come: else one that is killed late may have had them all.
    let (killed, next) = mpsc::channel();
    let feeding = std::thread::spawn(move || {
        for round in 0..ROUNDS {
            for line in 1..=LINES_PER_ROUND {
                writeln!(input, "{}", round * LINES_PER_ROUND + line).unwrap();
            }
            if round + 1 < ROUNDS {
                next.recv().unwrap();
            }
        }
    });
    let mut last = 0;
    for round in 1..=ROUNDS {
        let mut receiver = lamq(&["recv", &name.name, "--count", "1000000", "--until-closed", "--timeout", "60s"]);
        let mut output = BufReader::new(receiver.stdout.take().unwrap());
        let (mut before, mut count, mut receiver) = (None, 0, Some(receiver));
        loop {
            let mut line = String::new();
            // The last words of a killed one may end in the middle of a line: that was not acknowledged.
            if output.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
                break;
            }
            let number: u64 = line.trim_end().parse().unwrap();
            assert!(before.is_none_or(|before| number == before + 1), "{number} after {before:?} in one receiver");
            assert!(number <= last + 1, "{number} after {last}: some are lost");
            (before, last, count) = (Some(number), last.max(number), count + 1);
            if count == 2000 && round < ROUNDS {
                receiver.take().map(kill).unwrap();
                killed.send(()).unwrap();
            }
        }
        if let Some(receiver) = receiver {
            let output = finish(receiver);
            assert_eq!(
                (round, output.status.code()),
                (ROUNDS, Some(0)),
                "{}, the last line was {last}",
                stderr(&output)
            );
        }
    }
    assert_eq!(last, ROUNDS * LINES_PER_ROUND);
    feeding.join().unwrap();
    let output = finish(sender);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

#[proves("RSM-3")]
#[test]
fn four_when_no_other_receiver_comes_in_time() {
    let name = Name::new("resume-alone");
    let receiver = lamq(&["recv", &name.name, "--count", "1"]);
    let output = run(&["send", &name.name, "--wait", "300ms", "one", "two", "three"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert_eq!(stdout(&finish(receiver)), "one\n");
}

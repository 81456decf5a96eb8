//! How a call waits: it looks again and again for a while, and then sleeps.

use lamq::{Receiver, RecvTimeoutError, Sender, link::Memory};
use lamq_proves::proves;
use nix::unistd::{Pid, gettid};
use std::{
    fs,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(20);

/// A spin that does not end by itself in time.
const ENDLESS: Duration = Duration::from_secs(40);

fn pair() -> (Receiver, Sender) {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).spin(ENDLESS).bind("/spin").unwrap();
    let sender = Sender::builder().link(space).spin(ENDLESS).linger(Duration::ZERO).connect("/spin").unwrap();
    (receiver, sender)
}

/// Runs `act` while `call` looks, in a thread of its own.
fn while_it_looks<R: Send>(call: impl FnOnce() -> R + Send, act: impl FnOnce()) -> R {
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let looking = scope.spawn(move || {
            tell.send(gettid()).unwrap();
            call()
        });
        let id = told.recv().unwrap();
        // It does nothing else that would take so long.
        while processor_time(id) < 3 {
            thread::yield_now();
        }
        act();
        looking.join().unwrap()
    })
}

/// How long a thread of this process ran, in ticks of 10 ms: the fields `utime` and `stime` of `proc_pid_stat(5)`.
fn processor_time(id: Pid) -> u64 {
    let stat = fs::read_to_string(format!("/proc/self/task/{id}/stat")).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

#[proves("CAL-1")]
#[test]
fn a_deadline_ends_a_spin() {
    let (receiver, sender) = pair();
    let (start, short) = (Instant::now(), Duration::from_millis(20));
    assert_eq!(receiver.recv_timeout(short).unwrap_err(), RecvTimeoutError::Timeout);
    sender.send("not taken").unwrap();
    assert!(sender.flush_timeout(short).is_err());
    assert!(start.elapsed() >= 2 * short && start.elapsed() < WATCHDOG);
}

#[test]
fn a_message_ends_a_spin() {
    let (receiver, sender) = pair();
    let message = while_it_looks(|| receiver.recv_timeout(WATCHDOG).unwrap(), || _ = sender.send("x").unwrap());
    assert_eq!(&*message, b"x");
}

#[proves("DTH-3")]
#[test]
fn the_end_of_the_other_side_ends_a_spin() {
    let (receiver, sender) = pair();
    sender.send("not taken").unwrap();
    let start = Instant::now();
    assert!(while_it_looks(|| sender.flush(), || drop(receiver)).is_err());
    assert!(start.elapsed() < WATCHDOG);
}

#[test]
fn another_thread_ends_a_spin() {
    let (receiver, _sender) = pair();
    let waiting = || receiver.recv_timeout(WATCHDOG).map(|message| message.number());
    let start = Instant::now();
    let outcome = while_it_looks(waiting, || receiver.close());
    assert_eq!(outcome, Err(RecvTimeoutError::Disconnected));
    assert!(start.elapsed() < WATCHDOG);
}

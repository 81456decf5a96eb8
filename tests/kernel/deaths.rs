//! Calls that wait for a process which is killed: each returns, under a deadline of an hour, and says what happened.
//!
//! `LAMQ_DEATHS` says how many are killed, with two busy processes per core beside, and how long after the kill the calls returned is
//! told: `LAMQ_DEATHS=1000 cargo test --release --test kernel deaths -- --nocapture`. Time decides nothing but what is told.

use crate::{
    process::{Process, hear, say},
    world::{Name, WATCHDOG, wait_until},
};
use hdrhistogram::Histogram;
use lamq::{
    Departure, Disconnected, Ended, Event, FlushFailure, Receiver, RecvTimeoutError, SendFailure, SendSyncError, Sender,
};
use lamq_proves::proves;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::Signal,
    unistd::gettid,
};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::{
    fs,
    os::fd::AsFd,
    process,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// The deadline of what waits.
const HOUR: Duration = Duration::from_secs(3600);

/// How many are killed unless somebody says otherwise.
const DEATHS: usize = 12;

/// Why a call returns whose receiver is killed.
const DIED: Disconnected = Disconnected { why: Ended::PeerDied };

/// Role: owns a queue, and its application takes nothing.
pub(crate) fn own(name: &str) {
    let receiver = Receiver::builder().slots(2).frame_size(512).window(512).bind(name).unwrap();
    say("bound");
    hear();
    drop(receiver);
}

/// Role: sends so many messages, which are delivered, and stays.
pub(crate) fn speak_then_stay(argument: &str) {
    let (count, name) = argument.split_once(' ').unwrap();
    let sender = Sender::builder().wait(WATCHDOG).connect(name).unwrap();
    for number in 0..count.parse().unwrap() {
        sender.send(format!("message {number}")).unwrap();
    }
    sender.flush_timeout(WATCHDOG).unwrap();
    say("delivered");
    hear();
}

/// Role: takes all the time that it gets, until the test says no more.
pub(crate) fn spin(_: &str) {
    static STOP: AtomicBool = AtomicBool::new(false);
    thread::spawn(|| {
        hear();
        STOP.store(true, Ordering::Relaxed);
    });
    while !STOP.load(Ordering::Relaxed) {
        std::hint::spin_loop();
    }
}

/// Does something to another process while a thread of this one sleeps in `call`. Returns what the call did, and how long after that.
pub(crate) fn during<R: Send + 'static>(
    call: impl FnOnce() -> R + Send + 'static,
    act: impl FnOnce(),
) -> (Duration, R) {
    let (tell, told) = mpsc::channel();
    let (answer, outcome) = mpsc::channel();
    thread::spawn(move || {
        tell.send(gettid()).unwrap();
        let result = call();
        _ = answer.send((Instant::now(), result));
    });
    let caller = format!("/proc/self/task/{}/stat", told.recv().unwrap());
    wait_until("the call sleeps", || fs::read_to_string(&caller).is_ok_and(|stat| stat.contains(") S ")));
    let start = Instant::now();
    act();
    let (end, result) = outcome.recv_timeout(WATCHDOG).expect("the call has returned");
    (end - start, result)
}

fn kill_during<R: Send + 'static>(mut victim: Process, call: impl FnOnce() -> R + Send + 'static) -> (Duration, R) {
    let outcome = during(call, || victim.signal(Signal::SIGKILL));
    victim.kill();
    outcome
}

/// Lets a call wait for a victim, and returns how long it went on waiting.
type Wait = fn(&Name) -> Duration;

const CALLS: [(&str, Wait); 4] = [
    ("send", wait_to_send),
    ("send_sync", wait_for_receipt),
    ("recv", wait_for_message),
    ("recv_event", wait_for_event),
];

fn sender_to_victim(name: &Name) -> (Process, Sender) {
    let victim = Process::start("own", name.as_str());
    victim.expect("bound");
    (victim, Sender::builder().wait(WATCHDOG).connect(name.as_str()).unwrap())
}

fn wait_to_send(name: &Name) -> Duration {
    let (victim, sender) = sender_to_victim(name);
    // The window has no room for a third.
    (0..2).for_each(|_| _ = sender.send_timeout(vec![7; 200], WATCHDOG).unwrap());
    let (time, sent) = kill_during(victim, move || sender.send_timeout(vec![8; 200], HOUR));
    let error = sent.unwrap_err();
    assert_eq!((error.message, error.failure), (vec![8; 200], SendFailure::Disconnected(DIED)));
    name.remove();
    time
}

fn wait_for_receipt(name: &Name) -> Duration {
    let (victim, sender) = sender_to_victim(name);
    let (time, receipt) = kill_during(victim, move || sender.send_sync_timeout("taken by nobody", HOUR));
    match receipt {
        Err(SendSyncError::Unknown { ticket, why }) => {
            assert_eq!((ticket.number(), why), (1, FlushFailure::Disconnected(DIED)));
        }
        other => panic!("{other:?}"),
    }
    name.remove();
    time
}

/// A process whose messages have all been taken.
fn victim_of(receiver: &Receiver, name: &Name, count: u64) -> Process {
    let victim = Process::start("speak-then-stay", &format!("{count} {}", name.as_str()));
    for number in 1..=count {
        assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap().number(), number);
    }
    victim.expect("delivered");
    victim
}

fn wait_for_message(name: &Name) -> Duration {
    let builder = Receiver::builder().slots(2).frame_size(512).end_with_last_sender();
    let receiver = builder.bind(name.as_str()).unwrap();
    let victim = victim_of(&receiver, name, 1);
    let (time, message) = kill_during(victim, move || receiver.recv_timeout(HOUR).map(|message| message.number()));
    assert_eq!(message, Err(RecvTimeoutError::Disconnected));
    time
}

fn wait_for_event(name: &Name) -> Duration {
    let receiver = Receiver::builder().slots(2).frame_size(512).bind(name.as_str()).unwrap();
    let victim = victim_of(&receiver, name, 3);
    let pid = victim.id();
    let (time, event) = kill_during(victim, move || receiver.recv_event(Some(HOUR)));
    match event {
        Ok(Event::Departed { peer, departure, last }) => {
            assert_eq!((peer.pid, departure, last), (pid, Departure::Died, 3));
        }
        other => panic!("{other:?}"),
    }
    time
}

/// Nothing of lamq: how long the kernel takes to wake who sleeps until a process is dead.
fn control() -> Duration {
    let victim = Process::start("idle", "");
    let pid = Pid::from_raw(i32::try_from(victim.id()).unwrap()).unwrap();
    let bell = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    let sleep = move || poll(&mut [PollFd::new(bell.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
    let (time, woken) = kill_during(victim, sleep);
    assert_eq!(woken, Ok(1));
    time
}

/// Below which the 99th percentile should be, in microseconds.
const AIM: u64 = 50_000;

/// In how many parts a run is told, so that one sees whether they agree.
const PARTS: usize = 5;

/// Microseconds from a kill to the return of one kind of call, for each part of a run.
struct Times(Vec<Histogram<u64>>);

impl Times {
    fn new() -> Self {
        Self((0..PARTS).map(|_| Histogram::new(3).unwrap()).collect())
    }

    fn p99(part: &Histogram<u64>) -> u64 {
        part.value_at_quantile(0.99)
    }

    fn all(&self) -> Histogram<u64> {
        let mut all = Histogram::new(3).unwrap();
        for part in &self.0 {
            all.add(part).unwrap();
        }
        all
    }

    fn tell(&self, call: &str) {
        let all = self.all();
        let times = [all.value_at_quantile(0.5), Self::p99(&all), all.max()].map(millis);
        let parts: Vec<_> = self.0.iter().map(|part| millis(Self::p99(part))).collect();
        println!("{call:12}{:>6}  {}  p99 of each fifth: {}", all.len(), times.join("  "), parts.join(" "));
    }
}

fn millis(micros: u64) -> String {
    format!("{:>7}", format!("{}.{:03}", micros / 1000, micros % 1000))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap()
}

/// What the times say of the aim, which the machine itself may miss.
fn verdict(calls: &[Times], control: &Times) -> &'static str {
    if calls.iter().all(|times| Times::p99(&times.all()) < AIM) {
        "met"
    } else if Times::p99(&control.all()) >= AIM {
        "too noisy"
    } else {
        "not met"
    }
}

#[proves("DTH-3", "DTH-4", "CAL-8")]
#[test]
fn whoever_waits_for_a_process_that_is_killed_is_told_at_once() {
    let asked = std::env::var("LAMQ_DEATHS").ok().map(|deaths| deaths.parse::<usize>().unwrap());
    let rounds = asked.unwrap_or(DEATHS).div_ceil(CALLS.len());
    let cores = thread::available_parallelism().unwrap().get();
    let busy: Vec<_> = (0..asked.map_or(0, |_| 2 * cores)).map(|_| Process::start("spin", "")).collect();
    let name = Name::new("deaths");
    let (mut calls, mut controls) = (CALLS.map(|_| Times::new()), Times::new());
    for round in 0..rounds {
        let part = round * PARTS / rounds;
        for ((_, wait), times) in CALLS.iter().zip(&mut calls) {
            times.0[part] += micros(wait(&name));
        }
        controls.0[part] += micros(control());
    }
    println!("process {}: {} killed, {} busy beside; milliseconds", process::id(), rounds * CALLS.len(), busy.len());
    println!("call         count      p50      p99      max");
    for ((call, _), times) in CALLS.iter().zip(&calls) {
        times.tell(call);
    }
    controls.tell("(control)");
    println!("aim: p99 under {} ms: {}", AIM / 1000, verdict(&calls, &controls));
}

#[test]
fn a_time_that_the_machine_itself_misses_is_no_verdict() {
    let all = |time| {
        let mut times = Times::new();
        times.0[0] += time;
        times
    };
    let verdicts = [(1, 1), (1, AIM), (AIM, 1), (AIM, AIM)].map(|(call, control)| verdict(&[all(call)], &all(control)));
    assert_eq!(verdicts, ["met", "met", "not met", "too noisy"]);
}

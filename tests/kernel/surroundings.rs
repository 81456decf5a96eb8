//! What a process brings along, and lamq must neither need nor change: standard streams, signals, panics.

use crate::{
    owner::bind,
    process::{Process, hear, say},
    world::{Name, WATCHDOG},
};
use lamq::{Departure, Event, Receiver, RecvTimeoutError, SendFailure, Sender};
use lamq_proves::proves;
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, close},
};
use signal_hook::{consts::SIGUSR1, flag};
use std::{
    env, fs,
    io::{self, Write},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Role: without standard streams, or with descriptors of the library in their place, sends and receives, and says what nobody hears.
/// Without them Rust opens `/dev/null` when the process starts.
pub(crate) fn speak_without_streams(argument: &str) {
    let (closing, name) = argument.split_once(' ').unwrap();
    if closing == "itself" {
        (0..3).for_each(|descriptor| close(descriptor).unwrap());
    }
    let own = format!("{name}-own");
    let receiver = Receiver::builder().slots(2).frame_size(512).end_with_last_sender().bind(own.as_str()).unwrap();
    let queue = fs::read_link("/proc/self/fd/0").unwrap();
    assert_eq!(queue.to_str() == Some(&own), closing == "itself", "{}", queue.display());
    let sender = Sender::builder().wait(WATCHDOG).connect(name).unwrap();
    for number in 1..=20 {
        // The kernel lets nobody write to a queue like this.
        _ = writeln!(io::stdout(), "nobody hears {number}");
        _ = writeln!(io::stderr(), "nobody hears {number}");
        sender.send_sync(format!("message {number}")).unwrap();
    }
    thread::scope(|scope| {
        scope.spawn(|| Sender::builder().wait(WATCHDOG).connect(own.as_str()).unwrap().send_sync("to myself").unwrap());
        assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"to myself");
        assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap_err(), RecvTimeoutError::Disconnected);
    });
    assert_eq!(receiver.stats().all_faults(), 0);
    sender.close(WATCHDOG).unwrap();
}

#[proves("PRO-1")]
#[test]
fn a_process_without_standard_streams_sends_and_receives() {
    let name = Name::new("streams");
    for closing in ["at-start", "itself"] {
        let receiver = Receiver::builder().slots(2).frame_size(512).end_with_last_sender().bind(name.as_str()).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", r#"exec "$@" <&- >&- 2>&-"#, "sh"]).arg(env::current_exe().unwrap());
        let process = Process::start_from(command, "speak-without-streams", &format!("{closing} {}", name.as_str()));
        for number in 1..=20 {
            assert_eq!(*receiver.recv_timeout(WATCHDOG).unwrap(), *format!("message {number}").as_bytes());
        }
        assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap_err(), RecvTimeoutError::Disconnected);
        assert_eq!(receiver.stats().all_faults(), 0);
        process.finish();
    }
}

/// What this thread blocks, and what this process ignores and catches.
fn signals() -> Vec<String> {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let fields = ["SigBlk:", "SigIgn:", "SigCgt:"];
    status.lines().filter(|line| fields.iter().any(|field| line.starts_with(field))).map(String::from).collect()
}

/// Role: uses all of the library, and is as it was before.
pub(crate) fn use_all(name: &str) {
    let before = signals();
    let receiver = bind(name).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let before = signals();
            let sender = Sender::builder().wait(WATCHDOG).resume(WATCHDOG).connect(name).unwrap();
            sender.send("hello").unwrap();
            sender.flush_timeout(WATCHDOG).unwrap();
            assert_eq!(signals(), before);
            drop(sender);
            assert_eq!(signals(), before);
        });
        while !matches!(receiver.recv_event(Some(WATCHDOG)).unwrap(), Event::Departed { .. }) {}
    });
    assert_eq!(signals(), before);
    drop(receiver);
    assert_eq!(signals(), before);
    // What ends a process by default still does.
    let _receiver = bind(name).unwrap();
    say("ready");
    hear();
}

#[test]
fn the_library_changes_nothing_about_signals() {
    let name = Name::new("signals");
    let mut process = Process::start("use-all", name.as_str());
    process.expect("ready");
    process.signal(Signal::SIGTERM);
    assert_eq!(process.end_signal(), Some(Signal::SIGTERM as i32));
    name.remove();
}

/// Between two signals of a storm: no time at all would leave none to the calls.
const LULL: Duration = Duration::from_micros(200);

/// Role: receives amid signals that it handles, and whose every arrival ends a system call that waits. Says what came.
pub(crate) fn receive_in_a_storm(name: &str) {
    let caught = Arc::new(AtomicBool::new(false));
    flag::register(SIGUSR1, Arc::clone(&caught)).unwrap();
    let receiver = Receiver::builder().slots(2).frame_size(512).window(512).end_with_last_sender().bind(name).unwrap();
    say("bound");
    let (start, short) = (Instant::now(), Duration::from_millis(300));
    assert_eq!(receiver.recv_timeout(short).unwrap_err(), RecvTimeoutError::Timeout);
    assert!(start.elapsed() >= short);
    say("the deadline has passed");
    let mut taken = 0;
    while let Ok(message) = receiver.recv_timeout(WATCHDOG) {
        taken += 1;
        assert_eq!((message.number(), message.len()), (taken, 200));
        if taken % 50 == 0 {
            thread::sleep(Duration::from_millis(5)); // so that the sender waits too
        }
    }
    assert!(caught.load(Ordering::Relaxed));
    say(format_args!("taken {taken}"));
}

/// Role: sends amid signals that it handles.
pub(crate) fn send_in_a_storm(name: &str) {
    let caught = Arc::new(AtomicBool::new(false));
    flag::register(SIGUSR1, Arc::clone(&caught)).unwrap();
    say("ready");
    hear();
    let sender = Sender::builder().wait(WATCHDOG).connect(name).unwrap();
    for number in 1..=1000 {
        assert_eq!(sender.send_timeout([7; 200], WATCHDOG).unwrap(), number);
    }
    sender.flush_timeout(WATCHDOG).unwrap();
    let stalls = sender.stats().stalls;
    sender.close(WATCHDOG).unwrap();
    assert!(caught.load(Ordering::Relaxed) && stalls > 0);
    say("sent");
}

#[proves("CAL-1", "PRO-1")]
#[test]
fn a_storm_of_signals_ends_no_call_and_loses_no_message() {
    let name = Name::new("signal-storm");
    let receiver = Process::start("receive-in-a-storm", name.as_str());
    let mut sender = Process::start("send-in-a-storm", name.as_str());
    receiver.expect("bound");
    sender.expect("ready");
    let calm = AtomicBool::new(false);
    thread::scope(|scope| {
        for process in [receiver.id(), sender.id()] {
            let (pid, calm) = (Pid::from_raw(process.try_into().unwrap()), &calm);
            scope.spawn(move || {
                // Handled signals interrupt, stops and continuations too.
                for signal in [Signal::SIGUSR1, Signal::SIGSTOP, Signal::SIGCONT].into_iter().cycle() {
                    let over = calm.load(Ordering::Relaxed);
                    if kill(pid, if over { Signal::SIGCONT } else { signal }).is_err() || over {
                        break;
                    }
                    thread::sleep(LULL);
                }
            });
        }
        receiver.expect("the deadline has passed");
        sender.say("go");
        sender.expect("sent");
        assert_eq!(receiver.expect("taken"), "1000");
        calm.store(true, Ordering::Relaxed);
    });
    sender.finish();
    receiver.finish();
}

#[proves("SHR-1")]
#[test]
fn what_is_dropped_by_a_panic_leaves_in_good_order() {
    let name = Name::new("unwinding");
    let receiver = bind(name.as_str()).unwrap();
    let path = name.as_str().to_string();
    let panicking = thread::spawn(move || {
        let sender = Sender::builder().wait(WATCHDOG).connect(path).unwrap();
        sender.send("the last word").unwrap();
        let _dropped = sender;
        panic!("on purpose");
    });
    let departed = loop {
        if let Event::Departed { departure, last, .. } = receiver.recv_event(Some(WATCHDOG)).unwrap() {
            break (departure, last);
        }
    };
    assert_eq!(departed, (Departure::Left, 1));
    assert!(panicking.join().is_err());

    let process = Process::start("send-in-vain", name.as_str());
    while !matches!(receiver.recv_event(Some(WATCHDOG)).unwrap(), Event::Joined(_)) {}
    process.expect("connected");
    let panicking = thread::spawn(move || {
        let _dropped = receiver;
        panic!("on purpose");
    });
    assert!(panicking.join().is_err() && !name.exists());
    process.finish();
}

/// Role: sends until the receiver is gone.
pub(crate) fn send_in_vain(name: &str) {
    let sender = Sender::builder().wait(WATCHDOG).connect(name).unwrap();
    say("connected");
    let failure = loop {
        if let Err(error) = sender.send_timeout([7; 200], WATCHDOG) {
            break error.failure;
        }
    };
    assert_eq!(failure, SendFailure::Disconnected(lamq::Disconnected { why: lamq::Ended::ClosedByPeer }));
}

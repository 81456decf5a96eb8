//! Processes that are stopped for seconds and continued: a stopped peer is stalled, not dead, and its stream goes on where it was.
//!
//! `LAMQ_STOPS` says how many stops there are, a third in each test, several at a time: `LAMQ_STOPS=100 cargo test --test kernel stops`.

use crate::{
    flood,
    process::{Process, hear, say},
    world::{Name, WATCHDOG, wait_until},
};
use lamq::{
    ConnectError, Event, FlushFailure, Message, Receiver, RecvTimeoutError, SendFailure, SendSyncError, Sender,
};
use lamq_proves::proves;
use nix::sys::signal::Signal;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

/// How long a stop lasts at least.
const STOP: Duration = Duration::from_secs(2);

/// The deadline of calls to one who is stopped.
const SHORT: Duration = Duration::from_millis(300);

/// How much later than its deadline a call may return: a busy machine is no fault.
const LATE: Duration = Duration::from_secs(10);

/// How many stops there are unless somebody says otherwise.
const STOPS: usize = 3;

/// How many pairs of a test there are at most at a time.
const PAIRS: usize = 8;

/// Runs `stop_often`, in several threads, with a name and with how often to stop.
fn in_pairs(what: &str, stop_often: impl Fn(&Name, usize) + Sync) {
    let stops = std::env::var("LAMQ_STOPS").map_or(STOPS, |stops| stops.parse().unwrap()).div_ceil(3);
    let pairs = stops.min(PAIRS);
    thread::scope(|scope| {
        for pair in 0..pairs {
            let (name, stop_often) = (Name::new(&format!("stops-{what}{pair}")), &stop_often);
            scope.spawn(move || stop_often(&name, stops.div_ceil(pairs)));
        }
    });
}

/// Stops processes for a while, in which `meanwhile` runs.
fn stop(processes: &[&Process], meanwhile: impl FnOnce()) {
    let start = Instant::now();
    for process in processes {
        process.signal(Signal::SIGSTOP);
    }
    for process in processes {
        wait_until("it is stopped", || process.status("State").starts_with('T'));
    }
    meanwhile();
    thread::sleep(STOP.saturating_sub(start.elapsed()));
    for process in processes {
        process.signal(Signal::SIGCONT);
    }
}

/// A call with the deadline `SHORT` returns by it.
#[track_caller]
fn demand_in_time<R>(call: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = call();
    let time = start.elapsed();
    assert!((SHORT..SHORT + LATE).contains(&time), "returned after {time:?}");
    result
}

/// Takes the message that follows number `taken`.
#[track_caller]
fn demand_next(message: &Message, taken: &mut u64) {
    *taken += 1;
    assert_eq!((message.number(), &**message), (*taken, &flood::body(*taken)[..]));
}

/// Role: takes all that comes, says `so far TAKEN` whenever the test asks, and `taken TAKEN` when the last sender is gone.
pub(crate) fn take_all(name: &str) {
    static SO_FAR: AtomicU64 = AtomicU64::new(0);
    thread::spawn(|| {
        while hear() {
            say(format_args!("so far {}", SO_FAR.load(Ordering::Relaxed)));
        }
    });
    let receiver =
        Receiver::builder().slots(2).frame_size(512).window(2_000).end_with_last_sender().bind(name).unwrap();
    say("bound");
    let mut taken = 0;
    let end = loop {
        match receiver.recv_event(Some(WATCHDOG)) {
            Ok(Event::Message(message)) => {
                demand_next(&message, &mut taken);
                SO_FAR.store(taken, Ordering::Relaxed);
            }
            Ok(event @ Event::Gap { .. }) => panic!("{event:?}"),
            Ok(_) => {}
            Err(end) => break end,
        }
    };
    assert_eq!(end, RecvTimeoutError::Disconnected);
    say(format_args!("taken {taken}"));
}

#[proves("DTH-1", "CAL-1", "CAL-8", "PRO-1")]
#[test]
fn a_receiver_that_is_stopped_is_stalled_and_then_gets_all() {
    in_pairs("receiver", |name, stops| {
        let receiver = Process::start("take-all", name.as_str());
        receiver.expect("bound");
        let sender = Sender::builder().wait(WATCHDOG).connect(name.as_str()).unwrap();
        let mut last = 0;
        let mut send = |timeout| {
            let outcome = sender.send_timeout(flood::body(last + 1), timeout);
            outcome.map(|number| last = number).map_err(|error| error.failure)
        };
        for _ in 0..stops {
            (0..100).for_each(|_| send(WATCHDOG).unwrap());
            stop(&[&receiver], || {
                while send(Duration::ZERO).is_ok() {}
                assert_eq!(demand_in_time(|| send(SHORT)), Err(SendFailure::Timeout));
                let unsettled = demand_in_time(|| sender.flush_timeout(SHORT)).unwrap_err();
                assert_eq!(unsettled.why, FlushFailure::Timeout);
                match demand_in_time(|| sender.send_sync_timeout([], SHORT)) {
                    Err(SendSyncError::NotSent(error)) => assert_eq!(error.failure, SendFailure::Timeout),
                    other => panic!("{other:?}"),
                }
                match demand_in_time(|| lamq::ping(name.as_str(), SHORT)) {
                    Err(ConnectError::Stalled { pid, .. }) => assert_eq!(pid, receiver.id()),
                    other => panic!("{other:?}"),
                }
            });
            (0..100).for_each(|_| send(WATCHDOG).unwrap());
            sender.flush_timeout(WATCHDOG).unwrap();
        }
        sender.close(WATCHDOG).unwrap();
        assert_eq!(receiver.expect("taken"), last.to_string());
        receiver.finish();
    });
}

#[proves("DTH-1", "CAL-1", "PRO-1")]
#[test]
fn a_sender_that_is_stopped_is_silent_and_then_goes_on() {
    in_pairs("sender", |name, stops| {
        let builder = Receiver::builder().slots(2).frame_size(512).window(2_000).end_with_last_sender();
        let receiver = builder.bind(name.as_str()).unwrap();
        let mut sender = Process::start("produce", name.as_str());
        let mut taken = 0;
        for _ in 0..stops {
            (0..100).for_each(|_| demand_next(&receiver.recv_timeout(WATCHDOG).unwrap(), &mut taken));
            stop(&[&sender], || {
                // What it had transmitted comes, and then nothing, twice: no message, and no news of it.
                while let Ok(message) = receiver.recv_timeout(Duration::ZERO) {
                    demand_next(&message, &mut taken);
                }
                let nothing = demand_in_time(|| receiver.recv_timeout(SHORT).map(|message| message.number()));
                assert_eq!(nothing, Err(RecvTimeoutError::Timeout));
                let nothing = demand_in_time(|| receiver.recv_event(Some(SHORT)).map(|event| format!("{event:?}")));
                assert_eq!(nothing, Err(RecvTimeoutError::Timeout));
            });
        }
        sender.say("enough");
        while let Ok(message) = receiver.recv_timeout(WATCHDOG) {
            demand_next(&message, &mut taken);
        }
        assert_eq!(sender.expect("sent"), taken.to_string());
        sender.finish();
    });
}

/// How many messages `take_all` has taken.
fn so_far(receiver: &mut Process) -> u64 {
    receiver.say("how far?");
    receiver.expect("so far").parse().unwrap()
}

#[proves("DTH-1", "PRO-1")]
#[test]
fn both_stopped_at_once_go_on_whoever_is_continued_first() {
    in_pairs("both", |name, stops| {
        let mut receiver = Process::start("take-all", name.as_str());
        receiver.expect("bound");
        let mut sender = Process::start("produce", name.as_str());
        let private = Name::of_sender(sender.id());
        for round in 0..stops {
            // Each stop finds them at work, the first one too, and not at their greeting.
            let before = so_far(&mut receiver);
            wait_until("messages flow", || so_far(&mut receiver) > before);
            let both = if round % 2 == 0 { [&receiver, &sender] } else { [&sender, &receiver] };
            stop(&both, || {});
        }
        sender.say("enough");
        let sent = sender.expect("sent");
        assert_eq!(receiver.expect("taken"), sent);
        sender.finish();
        receiver.finish();
        drop(private);
    });
}

//! How many endpoints one ordinary user may have, at the limits that the kernel gives him.

use crate::{
    limits::{demand_words, set},
    process::{Process, hear, is_root, say},
    world::{Name, WATCHDOG},
};
use lamq::{BindError, ConnectError, Event, LimitHit, Receiver, Sender};
use lamq_proves::proves;
use nix::{
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::{Uid, setuid},
};
use std::process;

const SENDERS: usize = 16;

/// The kernel's defaults for each user: bytes of queues, and open files of a process.
const DEFAULTS: [(Resource, u64); 2] = [(Resource::RLIMIT_MSGQUEUE, 819_200), (Resource::RLIMIT_NOFILE, 1024)];

/// What an inbox of the usual size costs: of a receiver, and of a sender.
const COSTS: (u64, u64) = (10 * (8136 + 96), 10 * (512 + 96));

/// What all tests of an ordinary user may have together while this one looks for its limit, so that the others have enough.
const SHARED: u64 = 260_000;

/// Root becomes a user without any queue, so that the limit is met exactly; returns whether that was so.
fn become_ordinary(uid: &str) -> bool {
    let alone = is_root();
    for (resource, limit) in DEFAULTS {
        let (_, hard) = getrlimit(resource).unwrap();
        let hard = if alone { hard.max(limit) } else { hard };
        setrlimit(resource, limit.min(hard), hard).unwrap();
    }
    if alone {
        setuid(Uid::from_raw(uid.parse().unwrap())).unwrap();
    }
    alone
}

/// Role: a receiver with the usual inbox, which says whom it has heard.
pub(crate) fn host(argument: &str) {
    let (uid, name) = argument.split_once(' ').unwrap();
    become_ordinary(uid);
    let receiver = Receiver::builder().end_with_last_sender().bind(name).unwrap();
    say("bound");
    let (mut joined, mut heard) = (0, 0);
    while let Ok(event) = receiver.recv_event(Some(WATCHDOG)) {
        match event {
            Event::Joined(_) => joined += 1,
            Event::Message(message) => heard += u64::from(message.number() == 2 && &*message == b"still here"),
            _ => {}
        }
    }
    say(format_args!("joined {joined}"));
    say(format_args!("heard {heard}"));
}

/// Role: sixteen senders, then as many more as there may be.
pub(crate) fn crowd(argument: &str) {
    let (uid, name) = argument.split_once(' ').unwrap();
    let alone = become_ordinary(uid);
    let connect = || Sender::builder().wait(WATCHDOG).connect(name);
    let mut senders: Vec<_> = (0..SENDERS).map(|_| connect().unwrap()).collect();
    for sender in &senders {
        sender.send("hello").unwrap();
        sender.flush_timeout(WATCHDOG).unwrap();
    }
    let limit = if alone { DEFAULTS[0].1 } else { SHARED };
    set(Resource::RLIMIT_MSGQUEUE, limit);
    let error = loop {
        match connect() {
            Ok(sender) => senders.push(sender),
            Err(error) => break error,
        }
        assert!(senders.len() + 1 < 200, "the 200th endpoint");
    };
    let words = ["10 x 512 bytes", "6080 bytes", &limit.to_string(), "RLIMIT_MSGQUEUE", "ulimit -q", "lamq rm --stale"];
    demand_words(&error.to_string(), &words);
    let ConnectError::Inbox(BindError::Limit(hit)) = error else { panic!("{error}") };
    assert!(matches!(hit, LimitHit::UserBytes { cost, limit: told, .. } if (cost, told) == (COSTS.1, limit)), "{hit}");
    let error = Receiver::bind(format!("{name}-more")).unwrap_err();
    let words = ["10 x 8136 bytes", "82320 bytes", "RLIMIT_MSGQUEUE", "ulimit -q"];
    demand_words(&error.to_string(), &words);
    // Whoever was there before has lost nothing.
    for sender in &senders[..SENDERS] {
        sender.send("still here").unwrap();
        sender.flush_timeout(WATCHDOG).unwrap();
    }
    say(format_args!("senders {}", senders.len()));
    hear();
}

#[proves("POS-11")]
#[test]
fn sixteen_senders_of_an_ordinary_user_work_and_the_200th_endpoint_is_told_which_limit_it_hit() {
    let name = Name::new("crowd");
    let argument = format!("{} {}", 2_000_000_000 + process::id(), name.as_str());
    let host = Process::start("host", &argument);
    host.expect("bound");
    let crowd = Process::start("crowd", &argument);
    let senders: u64 = crowd.expect("senders").parse().unwrap();
    if is_root() {
        assert_eq!(senders, (DEFAULTS[0].1 - COSTS.0) / COSTS.1, "all that the limit has room for");
    }
    assert!(senders >= SENDERS as u64);
    crowd.finish();
    assert_eq!(host.expect("joined"), senders.to_string());
    assert_eq!(host.expect("heard"), SENDERS.to_string());
    host.finish();
}

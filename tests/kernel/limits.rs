//! Limits of the kernel, each hit for real: the error names the limit, its value and the remedy.

use crate::{
    owner::bind,
    process::{Process, is_root, say},
    world::{Name, Raw, WATCHDOG, wait_until},
};
use lamq::{BindError, ConnectError, Event, LimitHit, OpenError, Receiver, Sender};
use lamq_proves::proves;
use nix::{
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::{Uid, setuid},
};
use std::{
    env, fs,
    os::fd::AsRawFd,
    process::{self, Command},
    thread,
    time::Duration,
};

fn sysctl(name: &str) -> String {
    fs::read_to_string(format!("/proc/sys/fs/mqueue/{name}")).unwrap().trim().to_string()
}

/// An inbox that costs `COST` bytes: 2 messages of 512, and 96 for each.
const COST: u64 = 2 * (512 + 96);

fn refused_by_limit(name: &str) -> LimitHit {
    match bind(name) {
        Err(BindError::Limit(limit)) => limit,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(crate) fn demand_words(error: &str, words: &[&str]) {
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
}

pub(crate) fn set(resource: Resource, limit: u64) {
    setrlimit(resource, limit, getrlimit(resource).unwrap().1).unwrap();
}

#[proves("POS-11")]
#[test]
fn an_inbox_that_exceeds_the_kernels_sizes_names_both_limits() {
    let name = Name::new("sizes");
    // More than even a privileged user may have.
    for (slots, frame_size) in [(1 << 20, 512), (1, 1 << 25), (usize::MAX, usize::MAX)] {
        let builder = Receiver::builder().slots(slots).frame_size(frame_size);
        let error = builder.bind(name.as_str()).unwrap_err();
        assert!(matches!(error, BindError::Limit(LimitHit::QueueSize { .. })), "{error}");
        let (slots, frame_size) = (slots.to_string(), frame_size.to_string());
        let msg_max = format!("fs.mqueue.msg_max is {}", sysctl("msg_max"));
        let msgsize_max = format!("fs.mqueue.msgsize_max is {}", sysctl("msgsize_max"));
        demand_words(&error.to_string(), &[&slots, &frame_size, &msg_max, &msgsize_max, "sysctl -w"]);
    }
}

/// Role: an ordinary user wants a larger inbox than the kernel allows him.
pub(crate) fn lack_size(name: &str) {
    if is_root() {
        setuid(Uid::from_raw(1_000_000_000 + process::id())).unwrap();
    }
    let limits = ["msg_max", "msgsize_max"].map(|limit| sysctl(limit).parse::<usize>().unwrap());
    let [slots, frame_size] = limits;
    for (slots, frame_size) in [(slots + 1, 512), (1, frame_size + 1)] {
        let error = Receiver::builder().slots(slots).frame_size(frame_size).bind(name).unwrap_err().to_string();
        let asked = format!("a queue of {slots} x {frame_size} bytes");
        let values = [format!("msg_max is {}", limits[0]), format!("msgsize_max is {}", limits[1])];
        demand_words(&error, &[&asked, &values[0], &values[1], "ask for less, or raise them (sysctl -w"]);
    }
}

#[proves("POS-11")]
#[test]
fn an_ordinary_user_is_told_how_large_an_inbox_may_be() {
    let name = Name::new("size");
    Process::start("lack-size", name.as_str()).finish();
}

/// Role: has fewer bytes for queues than a queue costs.
pub(crate) fn lack_bytes(name: &str) {
    if is_root() {
        // A user without queues, so that the limit is met exactly.
        setuid(Uid::from_raw(1_000_000_000 + process::id())).unwrap();
        set(Resource::RLIMIT_MSGQUEUE, COST);
    }
    let _receiver = bind(name).unwrap();
    set(Resource::RLIMIT_MSGQUEUE, COST - 1);
    let limit = refused_by_limit(&format!("{name}-more"));
    assert!(matches!(limit, LimitHit::UserBytes { cost: COST, limit, .. } if limit == COST - 1), "{limit}");
    demand_words(&limit.to_string(), &["2 x 512 bytes", "1216 bytes", "1215 bytes", "RLIMIT_MSGQUEUE", "ulimit -q"]);
    // A sender's inbox has 10 slots.
    let error = Sender::builder().wait(Duration::ZERO).connect(name).unwrap_err();
    assert!(matches!(error, ConnectError::Inbox(BindError::Limit(LimitHit::UserBytes { cost: 6080, .. }))), "{error}");
}

#[proves("POS-11")]
#[test]
fn a_user_who_has_no_bytes_left_for_queues_is_told_how_many_it_takes() {
    let name = Name::new("bytes");
    Process::start("lack-bytes", name.as_str()).finish();
}

/// Role: has no descriptor left, or one, or two, and so on.
pub(crate) fn lack_descriptors(name: &str) {
    let all = getrlimit(Resource::RLIMIT_NOFILE).unwrap().0;
    let _receiver = bind(name).unwrap();
    let next = u64::try_from(fs::File::open("/proc/self/status").unwrap().as_raw_fd()).unwrap();
    for spare in 0.. {
        set(Resource::RLIMIT_NOFILE, next + spare);
        let bound = bind(&format!("{name}-more"));
        let connected = Sender::builder().wait(Duration::ZERO).connect(name);
        set(Resource::RLIMIT_NOFILE, all);
        let expected = LimitHit::OpenFiles { limit: next + spare };
        match bound {
            Err(BindError::Limit(limit)) => assert_eq!(limit, expected),
            Err(error) => panic!("with {spare} to spare: {error}"),
            Ok(_) => {
                say(format_args!("bound with {spare}"));
                break;
            }
        }
        demand_words(&expected.to_string(), &["RLIMIT_NOFILE", &(next + spare).to_string(), "ulimit -n"]);
        match connected.unwrap_err() {
            ConnectError::Inbox(BindError::Limit(limit))
            | ConnectError::Open { source: OpenError::Limit(limit), .. } => assert_eq!(limit, expected),
            error => panic!("with {spare} to spare: {error}"),
        }
    }
}

#[proves("POS-11")]
#[test]
fn a_process_without_descriptors_is_told_how_many_it_may_have() {
    let name = Name::new("descriptors");
    let process = Process::start("lack-descriptors", name.as_str());
    let needed: u32 = process.expect("bound with").parse().unwrap();
    assert!((1..20).contains(&needed));
    process.finish();
}

/// Role: makes as many queues as the kernel allows, and then one more.
pub(crate) fn lack_queues(name: &str) {
    let receiver = bind(name).unwrap();
    let tiny = |index: u32| Raw::create_as(&format!("/{index}"), 0o600, 1, 1);
    let made: Vec<_> = (0..).map_while(|index| tiny(index).ok()).take(1000).collect();
    if made.len() == 1000 {
        say("not limited"); // privileged
        return;
    }
    let limit = refused_by_limit(&format!("{name}-more"));
    assert!(matches!(limit, LimitHit::QueueCount { .. }), "{limit}");
    assert_eq!(sysctl("queues_max"), (made.len() + 1).to_string());
    let value = format!("fs.mqueue.queues_max is {}", made.len() + 1);
    let words = [&value, "remove queues that nobody uses", "sysctl -w fs.mqueue.queues_max"];
    demand_words(&limit.to_string(), &words);
    let error = Sender::builder().wait(WATCHDOG).connect(name).unwrap_err();
    demand_words(&error.to_string(), &words);
    assert!(matches!(&error, ConnectError::Inbox(BindError::Limit(hit)) if *hit == limit), "{error}");
    drop(receiver);
    say("limited");
}

#[proves("POS-11")]
#[test]
fn a_kernel_that_has_all_its_queues_is_named_with_their_number() {
    let name = Name::new("queues");
    // In an IPC namespace of their own, 256 queues of one byte are in nobody's way.
    let namespaces = ["-Ur", "--ipc", "--"];
    if !Command::new("unshare").args(namespaces).arg("true").status().is_ok_and(|status| status.success()) {
        println!("not run: this user may not make namespaces");
        return;
    }
    let mut command = Command::new("unshare");
    command.args(namespaces).arg(env::current_exe().unwrap());
    let process = Process::start_from(command, "lack-queues", name.as_str());
    process.expect("limited");
    process.finish();
}

/// Role: receives, and has for a while so many descriptors to spare, and no more.
pub(crate) fn lack_descriptors_to_answer(argument: &str) {
    let (spare, name) = argument.split_once(' ').unwrap();
    let all = getrlimit(Resource::RLIMIT_NOFILE).unwrap().0;
    let receiver = bind(name).unwrap();
    let next = u64::try_from(fs::File::open("/proc/self/status").unwrap().as_raw_fd()).unwrap();
    set(Resource::RLIMIT_NOFILE, next + spare.parse::<u64>().unwrap());
    say("bound");
    wait_until("three greetings came", || {
        assert!(receiver.try_recv().is_err());
        receiver.stats().frames == 3
    });
    set(Resource::RLIMIT_NOFILE, all);
    assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"hello");
    // The first two have gone meanwhile.
    let stats = receiver.stats();
    assert_eq!((stats.untrusted_greeting, stats.accepted, stats.pings), (2, 1, 1));
}

#[proves("POS-11", "GRT-4", "GRT-10")]
#[test]
fn a_receiver_without_descriptors_lets_senders_time_out_and_serves_those_that_wait_once_it_has_some() {
    let name = Name::new("answer");
    // It takes two: the inbox of the sender, and its process.
    for spare in 0..2 {
        let receiver = Process::start("lack-descriptors-to-answer", &format!("{spare} {}", name.as_str()));
        receiver.expect("bound");
        let builder = Sender::builder().wait(Duration::from_millis(500));
        for error in [builder.clone().connect(name.as_str()).unwrap_err(), builder.ping(name.as_str()).unwrap_err()] {
            assert!(matches!(error, ConnectError::Stalled { pid, .. } if pid == receiver.id()), "{error}");
            let who = format!("process {}, which owns {}, is alive", receiver.id(), name.as_str());
            demand_words(&error.to_string(), &[&who, "500ms", "out of descriptors"]);
        }
        let sender = Sender::builder().wait(WATCHDOG).connect(name.as_str()).unwrap();
        sender.send("hello").unwrap();
        sender.close(WATCHDOG).unwrap();
        receiver.finish();
    }
}

#[proves("POS-5", "LIM-1")]
#[test]
fn a_name_that_is_taken_and_a_message_that_is_too_long_name_the_remedy() {
    let name = Name::new("taken");
    let receiver = bind(name.as_str()).unwrap();
    let owner = format!("{} is in use by process {};", name.as_str(), process::id());
    demand_words(&bind(name.as_str()).unwrap_err().to_string(), &[&owner, "stop it, or choose another name"]);
    let connecting = {
        let name = name.as_str().to_string();
        thread::spawn(move || Sender::builder().wait(WATCHDOG).connect(name).unwrap())
    };
    while !matches!(receiver.recv_event(Some(WATCHDOG)).unwrap(), Event::Joined(_)) {}
    let sender = connecting.join().unwrap();
    let most = sender.max_message_size();
    assert_eq!(most, 16 << 20);
    let error = sender.send(vec![0; most + 1]).unwrap_err();
    assert_eq!(error.message.len(), most + 1);
    demand_words(
        &error.to_string(),
        &["16777217 bytes is too long", "16777216", "the receiver's setting `max_message_size`"],
    );
}

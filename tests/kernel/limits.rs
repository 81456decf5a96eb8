//! Limits of the kernel, each hit for real: the error names the limit, its value and the remedy.

use crate::{
    owner::bind,
    process::{Process, is_root, say},
    world::{Name, Raw},
};
use lamq::{BindError, ConnectError, LimitHit, OpenError, Receiver, Sender};
use lamq_proves::proves;
use nix::{
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::{Uid, setuid},
};
use std::{
    env, fs,
    os::fd::AsRawFd,
    process::{self, Command},
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
fn demand_words(error: &str, words: &[&str]) {
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
}

fn set(resource: Resource, limit: u64) {
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
    let tiny = |index: u32| Raw::create_as(&format!("/{index}"), 0o600, 1, 1);
    let made: Vec<_> = (0..).map_while(|index| tiny(index).ok()).take(1000).collect();
    if made.len() == 1000 {
        say("not limited"); // privileged
        return;
    }
    let limit = refused_by_limit(name);
    assert!(matches!(limit, LimitHit::QueueCount { .. }), "{limit}");
    assert_eq!(sysctl("queues_max"), made.len().to_string());
    let value = format!("fs.mqueue.queues_max is {}", made.len());
    demand_words(&limit.to_string(), &[&value, "sysctl -w fs.mqueue.queues_max"]);
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

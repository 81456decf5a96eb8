//! `lamq ls`, `rm` and `doctor` on real queues.

use crate::common::{
    Name, Permit, demand_gone, finish, is_bound, lamq, run, send_signal, stderr, stdout, until, waiting,
};
use lamq::{Receiver, inspect};
use nix::{
    fcntl::{FcntlArg, fcntl},
    libc,
    mqueue::{MQ_OFlag, MqAttr, MqdT, mq_close, mq_open, mq_send, mq_unlink},
    sys::{
        signal::Signal,
        stat::{Mode, fchmod},
    },
    unistd::geteuid,
};
use serde_json::{Value, json};
use std::{
    process::{Command, Output, Stdio, id},
    time::Duration,
};

/// A queue of the dead, such as a kill leaves; small, and so without a permit. Checked to be gone at the end.
pub(crate) struct Dead(pub(crate) String);

impl Dead {
    /// With so many frames in it.
    fn new(test: &str, frames: usize) -> Self {
        Self::create(format!("/lamq-test-{}-{test}", id()), 0o1600, frames)
    }

    fn create(name: String, mode: u32, frames: usize) -> Self {
        create(&name, mode, frames);
        Self(name)
    }

    fn remove(&self) {
        mq_unlink(self.0.as_str()).unwrap();
    }
}

/// A queue that nobody owns.
pub(crate) fn create(name: &str, mode: u32, frames: usize) {
    let flags = MQ_OFlag::O_RDWR | MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL;
    let mode = Mode::from_bits_truncate(mode);
    let queue = mq_open(name, flags, mode, Some(&MqAttr::new(0, 2, 512, 0))).unwrap();
    fchmod(&queue, mode).unwrap();
    (0..frames).for_each(|_| mq_send(&queue, b"frame", 0).unwrap());
    mq_close(queue).unwrap();
}

/// Takes the owner lock for a process (POS-3).
pub(crate) fn hold(name: &str, pid: u32) -> MqdT {
    let descriptor = mq_open(name, MQ_OFlag::O_RDWR, Mode::empty(), None).unwrap();
    let lock = libc::flock {
        l_type: i16::try_from(libc::F_WRLCK).unwrap(),
        l_whence: 0,
        l_start: 0,
        l_len: i64::from(pid) | 1 << 22,
        l_pid: 0,
    };
    fcntl(&descriptor, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
    descriptor
}

impl Drop for Dead {
    fn drop(&mut self) {
        demand_gone(&self.0);
    }
}

/// Whether all names can be listed: where an mqueue file system is mounted, and for root everywhere.
fn names_are_seen() -> bool {
    !inspect::list().unseen.names()
}

fn ls(prefix: &str) -> Value {
    let output = run(&["ls", "--json", prefix]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn demand_refused(output: &Output, words: &[&str]) {
    let said = stderr(output);
    assert_eq!((output.status.code(), stdout(output).as_str()), (Some(1), ""), "{said}");
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
}

/// `rm --stale`, or `rm` of the one name that there is, where names cannot be listed.
#[track_caller]
fn rm_stale(prefix: &str, name: &str, more: &[&str]) -> Output {
    if names_are_seen() {
        return run(&[&["rm", "--stale", prefix], more].concat());
    }
    demand_refused(&run(&[&["rm", "--stale", prefix], more].concat()), &["not seen: ", "mount -t mqueue"]);
    run(&[&["rm", name], more].concat())
}

#[test]
fn a_living_owner_keeps_its_queue_and_is_named() {
    let name = Name::new("tools-live");
    let receiver = lamq(&["recv", &name.name]);
    until("it is bound", || is_bound(&name.name));
    let queue = &ls(&name.name)["queues"][0];
    assert_eq!(
        (&queue["name"], &queue["lamq"], &queue["waiting"]),
        (&name.name.as_str().into(), &true.into(), &0.into())
    );
    assert_eq!(queue["owner"], json!({ "state": "alive", "pid": receiver.id() }));
    assert_eq!((&queue["uid"], &queue["mode"]), (&geteuid().as_raw().into(), &"1600".into()));
    assert_eq!([&queue["slots"], &queue["frame_size"], &queue["bytes"]], [10, 8136, 82_320]);
    assert_eq!(queue["open_in"], json!([receiver.id()]));
    for more in [&[][..], &["--force"]] {
        let output = run(&[&["rm", &name.name], more].concat());
        demand_refused(&output, &[&name.name, &format!("in use by process {}", receiver.id())]);
    }
    _ = run(&["rm", "--stale", &name.name, "--force"]);
    assert_eq!(waiting(&name.name), Some(0));
    send_signal(receiver.id(), Signal::SIGTERM);
    assert_eq!(finish(receiver).status.code(), Some(0));
}

#[test]
fn what_a_killed_receiver_leaves_is_removed() {
    let name = Name::new("tools-killed");
    let mut receiver = lamq(&["recv", &name.name]);
    until("it is bound", || is_bound(&name.name));
    receiver.kill().unwrap();
    receiver.wait().unwrap();
    if names_are_seen() {
        let queue = &ls(&name.name)["queues"][0];
        assert_eq!(queue["owner"], json!({ "state": "nobody", "pid": null }));
    }
    let output = rm_stale(&name.name, &name.name, &[]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), format!("removed {}\n", name.name)));
    assert_eq!(waiting(&name.name), None);
    demand_refused(&run(&["rm", &name.name]), &["there is no queue", &name.name]);
}

#[test]
fn frames_that_somebody_may_want_are_spared_unless_forced() {
    let dead = Dead::new("tools-frames", 2);
    demand_refused(&run(&["rm", &dead.0]), &[&dead.0, "2 frames wait in it", "--force"]);
    if names_are_seen() {
        let output = rm_stale(&dead.0, &dead.0, &[]);
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
        assert!(
            stdout(&output).starts_with(&format!("spared {} was not removed: 2 frames", dead.0)),
            "{}",
            stdout(&output)
        );
    }
    assert_eq!(waiting(&dead.0), Some(2));
    let output = rm_stale(&dead.0, &dead.0, &["--force"]);
    assert_eq!(stdout(&output), format!("removed {}, and in it 2 frames\n", dead.0));
    assert_eq!(waiting(&dead.0), None);
}

#[test]
fn a_dead_sender_s_inbox_is_removed_with_the_answer_that_it_never_read() {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let dead = Dead::create(format!("/lamq.{}.7", child.id()), 0o1600, 1);
    let output = rm_stale(&dead.0, &dead.0, &[]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), format!("removed {}, and in it 1 frame\n", dead.0)));
}

#[test]
fn the_inbox_that_a_killed_sender_left_is_removed() {
    let name = Name::new("tools-greeter");
    // It owns the name and never answers: the sender waits for its welcome, with a name of its own (POS-10).
    let receiver = lamq(&["recv", &name.name]);
    until("it is bound", || is_bound(&name.name));
    send_signal(receiver.id(), Signal::SIGSTOP);
    let mut sender = lamq(&["send", &name.name, "x"]);
    let inbox = Dead(format!("/lamq.{}.0", sender.id()));
    until("it has greeted", || waiting(&name.name) == Some(1));
    demand_refused(&run(&["rm", &inbox.0]), &["in use by process"]);
    sender.kill().unwrap();
    sender.wait().unwrap();
    assert_eq!(stdout(&rm_stale(&inbox.0, &inbox.0, &[])), format!("removed {}\n", inbox.0));
    for signal in [Signal::SIGCONT, Signal::SIGTERM] {
        send_signal(receiver.id(), signal);
    }
    finish(receiver);
}

#[test]
fn a_foreign_queue_is_listed_as_such_and_left_alone() {
    let foreign = Dead::create(format!("/lamq-test-{}-tools-foreign", id()), 0o600, 1);
    if names_are_seen() {
        let queue = &ls(&foreign.0)["queues"][0];
        assert_eq!((&queue["lamq"], &queue["owner"]["state"]), (&false.into(), &"foreign".into()));
        assert_eq!((&queue["mode"], &queue["waiting"]), (&"0600".into(), &1.into()));
        let table = stdout(&run(&["ls", &foreign.0]));
        assert!(table.contains("(foreign)") && table.contains("2 x 512") && !table.contains('\u{1b}'), "{table}");
        assert_eq!(stdout(&run(&["rm", "--stale", &foreign.0, "--force"])), "");
    }
    demand_refused(&run(&["rm", &foreign.0, "--force"]), &["its mode is 0600", "lamq did not make it"]);
    assert_eq!(waiting(&foreign.0), Some(1));
    foreign.remove();
}

#[test]
fn a_lock_that_a_child_of_the_dead_keeps_is_overridden_by_name_only() {
    // As if this process were the child: its lock carries a process that is dead.
    let mut dead = Command::new("true").spawn().unwrap();
    dead.wait().unwrap();
    let queue = Dead::new("tools-held", 0);
    let descriptor = hold(&queue.0, dead.id());
    demand_refused(
        &run(&["rm", &queue.0]),
        // Perhaps also in what another test is just about to start, between its fork and its exec.
        &[&format!("process {}", dead.id()), "its lock is still held", "--force", "open in: ", &id().to_string()],
    );
    _ = run(&["rm", "--stale", &queue.0, "--force"]);
    assert_eq!(waiting(&queue.0), Some(0));
    let output = run(&["rm", &queue.0, "--force"]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), format!("removed {}\n", queue.0)));
    assert_eq!(waiting(&queue.0), None);
    mq_close(descriptor).unwrap();
}

/// The mark of each check of the script below.
const SEEN: [&str; 5] = ["mounted", "killed", "removed", "elsewhere", "elsewhere, unprivileged"];

/// In an IPC namespace of its own, where an mqueue file system is mounted and nothing else is.
const MOUNTED: &str = r#"
set -eu
mount -t tmpfs none /mnt
mkdir "/mnt/of queues"
mount -t mqueue none "/mnt/of queues"
shows() { grep -- "$1" >/dev/null; } # reads to the end
plain() { setpriv --bounding-set=-all --inh-caps=-all "$@"; }
"$LAMQ" recv /here & receiver=$!
until [ -e "/mnt/of queues/here" ]; do sleep 0.01; done
plain "$LAMQ" ls --json | shows '"name": "/here"' && echo mounted
kill -9 $receiver
wait $receiver || true
plain "$LAMQ" ls --json | shows '"state": "nobody"' && echo killed
# The mount of one namespace says nothing of the queues of another.
unshare --ipc sh -c '
    "$LAMQ" recv /there & receiver=$!
    for try in $(seq 1000); do
        "$LAMQ" ls | grep /there >/dev/null && echo elsewhere && break
        sleep 0.01
    done
    kill $receiver
    wait $receiver
'
unshare --ipc setpriv --bounding-set=-all --inh-caps=-all "$LAMQ" ls 2>&1 | shows 'not seen: queues that no process has open' &&
    echo 'elsewhere, unprivileged'
plain "$LAMQ" rm --stale | shows '^removed /here$' && echo removed
"#;

#[test]
fn what_is_mounted_is_seen_without_privilege_and_believed_only_of_the_own_namespace() {
    let _permits = Permit::take_several(2);
    let namespaces = ["--user", "--map-root-user", "--ipc", "--mount"];
    if !Command::new("unshare").args(namespaces).arg("true").status().is_ok_and(|status| status.success()) {
        println!("no namespaces here: not checked");
        return;
    }
    let script = Command::new("unshare")
        .args(namespaces)
        .args(["sh", "-c", MOUNTED])
        .env("LAMQ", env!("CARGO_BIN_EXE_lamq"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let output = finish(script.unwrap());
    let said = stdout(&output);
    for mark in SEEN {
        assert!(said.lines().any(|line| line == mark), "not {mark}: {said}{}", stderr(&output));
    }
}

#[test]
fn a_sender_s_queue_has_no_name_and_is_counted() {
    let name = Name::new("tools-nameless");
    let receiver = Receiver::bind(name.name.as_str()).unwrap();
    let mut sender = lamq(&["send", &name.name]);
    until("it has joined", || receiver.recv_event(Some(Duration::from_millis(1))).is_ok());
    let inbox = format!("/lamq.{}.0", sender.id());
    until("it gave up its name (POS-10)", || waiting(&inbox).is_none());
    let listed = ls(&inbox);
    let queue = &listed["nameless"][0];
    assert_eq!((&queue["name"], &listed["queues"]), (&inbox.as_str().into(), &json!([])), "{listed}");
    assert!(queue["open_in"].as_array().unwrap().contains(&sender.id().into()), "{queue}");
    let doctor = run(&["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let processes = report["processes"].as_array().unwrap();
    let share = |pid: u32| processes.iter().find(|share| share["pid"] == pid).unwrap_or_else(|| panic!("{report}"));
    assert_eq!((&share(sender.id())["queues"], &share(sender.id())["bytes"]), (&1.into(), &6080.into()));
    assert_eq!(share(sender.id())["command"], "lamq");
    assert!(share(id())["bytes"].as_u64() >= Some(82_320), "{report}");
    drop(sender.stdin.take());
    assert_eq!(finish(sender).status.code(), Some(0));
}

#[test]
fn the_doctor_s_exit_code_says_whether_a_receiver_fits() {
    let output = run(&["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["version"], 1);
    let room = report["room"]["receivers"].as_u64().unwrap_or(u64::MAX) > 0;
    assert_eq!((output.status.code(), report["verdict"] == "room"), (Some(i32::from(!room)), room), "{report}");
    for field in ["kernel", "ipc_namespace", "mounts", "limits", "users", "processes", "problems", "unseen"] {
        assert!(!report[field].is_null(), "{field}: {report}");
    }
}

#[test]
fn the_doctor_says_what_to_type_where_a_user_may_have_too_few_bytes() {
    let mut limited = Command::new("prlimit");
    limited.args(["--msgqueue=82319:82319", env!("CARGO_BIN_EXE_lamq"), "doctor"]);
    limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = finish(limited.spawn().unwrap());
    let (text, said) = (stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(said.starts_with("lamq: There is no room for a receiver: its inbox costs 82320 bytes"), "{said}");
    for words in ["of 82319", "limits.conf", "RLIMIT_MSGQUEUE", "room for receivers (10 x 8136)     0"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn arguments_of_the_tools_that_make_no_sense_are_refused() {
    for arguments in
        [&["rm"][..], &["rm", "no-slash"], &["rm", "/x", "--stale"], &["rm", "--stale", "x"], &["ls", "/x", "/y"]]
    {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
    }
}

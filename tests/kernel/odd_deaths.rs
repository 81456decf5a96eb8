//! Peers that are neither alive nor simply gone: zombies, those that dump core, and those in another pid namespace.

use crate::{
    deaths::during,
    owner::{bind, descriptors},
    process::{Process, say},
    world::{Name, Raw, WATCHDOG, wait_until},
};
use lamq::{ConnectError, Departure, Disconnected, Ended, Event, OpenError, Receiver, SendFailure, Sender};
use lamq_proves::proves;
use nix::sys::{
    resource::{Resource, getrlimit, setrlimit},
    signal::Signal,
};
use std::{
    env, fs,
    process::{self, Command},
    time::Duration,
};

/// How long a call would wait that is not told.
const HOUR: Duration = Duration::from_secs(3600);

/// Another process that has sent a message, which was taken.
fn sender_in(process: Process, receiver: &Receiver) -> Process {
    assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap().number(), 1);
    process.expect("delivered");
    process
}

#[track_caller]
fn demand_died(event: Result<Event, lamq::RecvTimeoutError>) {
    match event {
        Ok(Event::Departed { departure, last, .. }) => assert_eq!((departure, last), (Departure::Died, 1)),
        other => panic!("{other:?}"),
    }
}

#[proves("DTH-1", "DTH-3")]
#[test]
fn a_zombie_is_dead_and_its_name_can_be_had() {
    let name = Name::new("zombie");
    let zombie = Process::start("own", name.as_str());
    zombie.expect("bound");
    let sender = Sender::builder().wait(WATCHDOG).connect(name.as_str()).unwrap();
    (0..2).for_each(|_| _ = sender.send_timeout([7; 200], WATCHDOG).unwrap());
    let send = move || sender.send_timeout([7; 200], HOUR).map_err(|error| error.failure);
    let outcome = during(send, || zombie.signal(Signal::SIGKILL)).1;
    assert_eq!(outcome, Err(SendFailure::Disconnected(Disconnected { why: Ended::PeerDied })));
    wait_until("it is a zombie", || zombie.status("State").starts_with('Z'));
    let error = Sender::builder().wait(Duration::ZERO).connect(name.as_str()).unwrap_err();
    assert!(matches!(error, ConnectError::NoReceiver { .. }), "{error}");
    let receiver = bind(name.as_str()).unwrap();

    // The same of a sender.
    let zombie = sender_in(Process::start("speak-then-stay", &format!("1 {}", name.as_str())), &receiver);
    demand_died(during(move || receiver.recv_event(Some(HOUR)), || zombie.signal(Signal::SIGKILL)).1);
    assert!(zombie.status("State").starts_with('Z'));
}

#[proves("DTH-1")]
#[test]
fn nothing_is_left_open_in_the_program_that_an_owner_has_become() {
    let name = Name::new("executed-owner");
    let mut process = Process::start("receive-and-execute", name.as_str());
    process.expect("bound");
    let queue = Raw::open(name.as_str()).unwrap();
    assert!(queue.lock_at(0).is_some());
    process.say("go");
    wait_until("the lock is free", || queue.lock_at(0).is_none());
    let links = descriptors(process.id());
    assert!(!links.iter().any(|link| link.contains("lamq") || link.contains("anon_inode")), "{links:?}");
    assert!(!process.has_ended());
    // The name can be had again, though the pid in the old lock lives on.
    drop(bind(name.as_str()).unwrap());
}

/// A directory of this test; removed at the end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = env::temp_dir().join(format!("lamq-test-{}-{test}", process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

/// Role: as `speak-then-stay` with one message, with a core that is worth dumping.
pub(crate) fn speak_and_dump(name: &str) {
    let most = getrlimit(Resource::RLIMIT_CORE).unwrap().1;
    setrlimit(Resource::RLIMIT_CORE, most, most).unwrap();
    let ballast = vec![1_u8; 32 << 20];
    crate::deaths::speak_then_stay(&format!("1 {name}"));
    assert_eq!(ballast.iter().map(|byte| usize::from(*byte)).sum::<usize>(), ballast.len());
}

#[proves("DTH-3", "DTH-4")]
#[test]
fn a_sender_that_dumps_core_is_dead_when_the_dump_is_done() {
    let (name, folder) = (Name::new("core"), Folder::new("core"));
    // Not SIGQUIT: what a shell starts in the background ignores it, and so does what that starts.
    for signal in [Signal::SIGABRT, Signal::SIGTRAP] {
        let receiver = bind(name.as_str()).unwrap();
        let mut command = Command::new(env::current_exe().unwrap());
        command.current_dir(&folder.0);
        let process = Process::start_from(command, "speak-and-dump", name.as_str());
        let mut process = sender_in(process, &receiver);
        let stat = format!("/proc/{}/stat", process.id());
        // Nobody has waited for it, so a zombie is what is left. Until then it is alive, and the dump may have to wait for the disk.
        let is_done = || fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") Z "));
        let act = || {
            process.signal(signal);
            wait_until("the dump is done", is_done);
        };
        demand_died(during(move || receiver.recv_event(Some(HOUR)), act).1);
        wait_until("it has ended", || process.has_ended());
    }
    println!("dumps: {:?}", fs::read_dir(&folder.0).unwrap().map(|dump| dump.unwrap().path()).collect::<Vec<_>>());
}

/// A role in a pid namespace of its own; none where that is not allowed.
pub(crate) fn in_pid_namespace(role: &str, argument: &str) -> Option<Process> {
    let namespaces = ["--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--"];
    let allowed = Command::new("unshare").args(namespaces).arg("true").status().is_ok_and(|status| status.success());
    if !allowed {
        println!("not run: this user may not make namespaces");
    }
    allowed.then(|| {
        let mut command = Command::new("unshare");
        command.args(namespaces).arg(env::current_exe().unwrap());
        Process::start_from(command, role, argument)
    })
}

/// Role: cannot see the receiver's process.
pub(crate) fn connect_from_elsewhere(argument: &str) {
    let (pid, name) = argument.split_once(' ').unwrap();
    let pid: u32 = pid.parse().unwrap();
    let error = Sender::builder().wait(WATCHDOG).connect(name).unwrap_err();
    let invisible = |source: &OpenError| matches!(source, OpenError::Invisible { pid: told } if *told == pid);
    assert!(matches!(&error, ConnectError::Open { source, .. } if invisible(source)), "{error}");
}

#[proves("POS-8", "DTH-1")]
#[test]
fn a_receiver_that_cannot_be_seen_is_a_definite_error_and_is_not_greeted() {
    let name = Name::new("unseen-receiver");
    let receiver = bind(name.as_str()).unwrap();
    let argument = format!("{} {}", process::id(), name.as_str());
    if let Some(process) = in_pid_namespace("connect-from-elsewhere", &argument) {
        process.finish();
        assert!(receiver.try_recv().is_err());
        assert_eq!(receiver.stats().frames, 0);
    }
}

/// Role: owns a queue where it cannot see who comes, and says how many it has not answered once the test asks.
pub(crate) fn own_elsewhere(name: &str) {
    let receiver = bind(name).unwrap();
    say("bound");
    while crate::process::hear() {
        wait_until("a greeting came", || receiver.stats().untrusted_greeting > 0);
        let stats = receiver.stats();
        say(format_args!("accepted {}", stats.accepted));
    }
}

/// The owner's pid is that of somebody else here, or of nobody.
#[proves("GRT-4", "POS-8")]
#[test]
fn a_receiver_that_cannot_see_its_sender_does_not_answer() {
    let name = Name::new("unseen-sender");
    let Some(mut process) = in_pid_namespace("own-elsewhere", name.as_str()) else { return };
    process.expect("bound");
    let owner = Raw::open(name.as_str()).unwrap().lock_at(0).unwrap().l_len % (1 << 22);
    match Sender::builder().wait(Duration::from_millis(500)).connect(name.as_str()).unwrap_err() {
        ConnectError::Open { source: OpenError::Invisible { pid }, .. } => assert_eq!(i64::from(pid), owner),
        ConnectError::Stalled { pid, .. } => {
            assert_eq!(i64::from(pid), owner);
            process.say("whom have you seen?");
            assert_eq!(process.expect("accepted"), "0");
        }
        error => panic!("{error}"),
    }
    process.finish();
}

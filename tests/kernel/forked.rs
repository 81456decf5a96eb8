//! Processes that fork, with ends of channels in their hands.

use crate::{
    odd_deaths::in_pid_namespace,
    owner::bind,
    process::{Process, say},
    world::{Name, WATCHDOG, wait_until},
};
use lamq::{
    ConnectError, Disconnected, Ended, Endpoint, FlushFailure, Message, Receiver, Select, SendFailure, Sender,
    TryRecvError,
};
use lamq_proves::proves;
use nix::{
    libc,
    sys::{
        resource::{Resource, setrlimit},
        signal::{Signal, kill},
        wait::{WaitStatus, waitpid},
    },
    unistd::{ForkResult, Pid, fork, pause},
};
use std::{
    fs,
    os::fd::AsRawFd,
    panic, process,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

/// How often a process forks whose threads are in the middle of calls.
const FORKS: u32 = 100;

/// Forks; returns the child to the parent, and nothing to the child.
fn forked() -> Option<Pid> {
    // SAFETY: other threads of this process may hold locks that nobody releases in the child. Those of the allocator and of standard
    // error are not among them (the C library takes care of its own, and no other thread writes). That the library under test waits for
    // none of its own is what is to be proved.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => Some(child),
        ForkResult::Child => {
            // Else it would only end the thread, and that would pass for a success.
            panic::set_hook(Box::new(|panic| {
                say(panic);
                leave(1);
            }));
            None
        }
    }
}

/// Ends a child without what the standard library does at the end: that waits for a lock, which a thread of the parent may have held.
fn leave(code: i32) -> ! {
    // SAFETY: it ends the process and touches nothing.
    unsafe { libc::_exit(code) }
}

#[track_caller]
fn demand_success(child: Pid) {
    assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
}

/// How many queues this process has open.
fn queues_open() -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    links.filter(|link| link.to_string_lossy().starts_with("/lamq")).count()
}

/// What the ends of the parent answer in its child; then it drops them.
fn demand_that_nothing_works(receiver: Receiver, sender: Sender, endpoint: Endpoint, name: &str) {
    assert_eq!(queues_open(), 0);
    let refused = sender.send("x").unwrap_err();
    assert_eq!((refused.message, refused.failure), ("x", SendFailure::Forked));
    assert_eq!(sender.try_send("x").unwrap_err().failure, SendFailure::Forked);
    assert_eq!(sender.send_or_drop("x", Duration::ZERO).unwrap_err().failure, SendFailure::Forked);
    assert_eq!(sender.reserve(1).unwrap_err(), SendFailure::Forked);
    assert!(sender.send_sync("x").unwrap_err().to_string().contains("forked"));
    assert_eq!(sender.flush().unwrap_err().why, FlushFailure::Forked);
    assert_eq!((sender.stats().sent, sender.has_room(0), sender.unacknowledged().len()), (0, false, 0));
    assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Disconnected);
    assert!(receiver.recv().is_err() && receiver.recv_delivery().is_err() && receiver.is_empty());
    assert!(receiver.try_as_fd().unwrap_err().to_string().contains("forked"));
    assert!(Select::new().recv(&receiver).is_err());
    assert_eq!(receiver.stats().frames, 0);
    let shared = Sender::builder().endpoint(&endpoint).connect(name).unwrap_err();
    assert!(matches!(shared, ConnectError::Forked), "{shared}");
    let in_vain = Sender::builder().endpoint(&endpoint).connect(format!("{name}-nobody")).unwrap_err();
    assert!(matches!(in_vain, ConnectError::Forked), "{in_vain}");
    receiver.acknowledge();
    receiver.close();
    assert_eq!(sender.close(WATCHDOG).unwrap_err().why, FlushFailure::Forked);
    drop((receiver, endpoint));
}

/// What a child makes itself; its own child is a child again.
fn demand_that_new_ones_work(name: &str) {
    let receiver = bind(name).unwrap();
    let sender = Sender::builder().wait(WATCHDOG).connect(name).unwrap();
    sender.send("of the child").unwrap();
    if let Some(grandchild) = forked() {
        demand_success(grandchild);
    } else {
        assert_eq!((sender.send("x").unwrap_err().failure, queues_open()), (SendFailure::Forked, 0));
        leave(0);
    }
    assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"of the child");
    sender.close(WATCHDOG).unwrap();
}

/// Role: forks while its ends are at rest.
pub(crate) fn fork_at_rest(name: &str) {
    let (receiver, endpoint) = (bind(name).unwrap(), Endpoint::new().unwrap());
    let sender = Sender::builder().endpoint(&endpoint).connect(name).unwrap();
    sender.send("before").unwrap();
    assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"before");
    assert!(queues_open() > 0);
    // The last of them lie where a call need not enter the endpoint.
    assert!((2..=5).map(|_| sender.send("staged").unwrap()).eq(2..=5));
    if let Some(child) = forked() {
        demand_success(child);
    } else {
        demand_that_nothing_works(receiver, sender, endpoint, name);
        demand_that_new_ones_work(&format!("{name}-child"));
        leave(0);
    }
    assert_eq!(sender.send("after").unwrap(), 6);
    let taken: Vec<_> = (2..=6).map(|_| receiver.recv_timeout(WATCHDOG).unwrap()).collect();
    assert!(taken.iter().map(Message::number).eq(2..=6));
    assert_eq!((&*taken[3], &*taken[4]), (&b"staged"[..], &b"after"[..]));
    sender.flush_timeout(WATCHDOG).unwrap();
}

/// Role: forks again and again while its threads are in the middle of calls.
pub(crate) fn fork_at_work(name: &str) {
    let receiver = bind(name).unwrap();
    let sender = Sender::builder().connect(name).unwrap();
    let all_forked = AtomicBool::new(false);
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            while !all_forked.load(Ordering::Relaxed) {
                sender.send_timeout("one of many", WATCHDOG).unwrap();
            }
            sender.send_timeout("last", WATCHDOG).unwrap()
        });
        let taking = scope.spawn(|| {
            for expected in 1.. {
                let message = receiver.recv_timeout(WATCHDOG).unwrap();
                assert_eq!(message.number(), expected);
                if &*message == b"last" {
                    return expected;
                }
            }
            unreachable!("the last one comes")
        });
        for _ in 0..FORKS {
            if let Some(child) = forked() {
                demand_success(child);
            } else {
                assert_eq!(sender.send("x").unwrap_err().failure, SendFailure::Forked);
                assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Disconnected);
                leave(0);
            }
        }
        all_forked.store(true, Ordering::Relaxed);
        assert_eq!(sending.join().unwrap(), taking.join().unwrap());
    });
}

/// Role: forks again and again while a thread opens and closes queues.
pub(crate) fn fork_at_opening(name: &str) {
    let all_forked = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !all_forked.load(Ordering::Relaxed) {
                drop(bind(name).unwrap());
            }
        });
        let has_none = (0..5 * FORKS).all(|_| match forked() {
            Some(child) => waitpid(child, None) == Ok(WaitStatus::Exited(child, 0)),
            None => leave(i32::from(queues_open() > 0)),
        });
        all_forked.store(true, Ordering::Relaxed);
        assert!(has_none);
    });
}

#[proves("FRK-2")]
#[test]
fn a_child_has_no_queue_that_was_just_being_opened_or_closed() {
    let name = Name::new("forked-at-opening");
    Process::start("fork-at-opening", name.as_str()).finish();
}

#[proves("FRK-1", "FRK-2", "FRK-3")]
#[test]
fn a_child_has_nothing_of_its_parent_and_the_parent_loses_nothing() {
    let name = Name::new("forked-at-rest");
    Process::start("fork-at-rest", name.as_str()).finish();
}

#[proves("FRK-1")]
#[test]
fn a_child_does_not_wait_for_threads_that_it_has_not() {
    let name = Name::new("forked-at-work");
    Process::start("fork-at-work", name.as_str()).finish();
}

/// Role: forks when its descriptors are beyond what it may have by now.
pub(crate) fn fork_beyond_the_limit(name: &str) {
    let below = fs::File::open("/dev/null").unwrap();
    let _receiver = bind(name).unwrap();
    let limit = u64::try_from(below.as_raw_fd()).unwrap() + 1;
    drop(below);
    if let Some(child) = forked() {
        demand_success(child);
    } else {
        assert_eq!(queues_open(), 0);
        leave(0);
    }
    setrlimit(Resource::RLIMIT_NOFILE, limit, limit).unwrap();
    if let Some(child) = forked() {
        demand_success(child);
    } else {
        assert_eq!(queues_open(), 0);
        leave(0);
    }
}

#[proves("FRK-2")]
#[test]
fn a_child_that_may_have_fewer_descriptors_has_no_queue_either() {
    let name = Name::new("forked-beyond");
    Process::start("fork-beyond-the-limit", name.as_str()).finish();
}

/// Role: is process 1, and so is its child, which drops what it has inherited.
pub(crate) fn fork_a_namesake(name: &str) {
    let receiver = bind(name).unwrap();
    let sender = Sender::builder().wait(WATCHDOG).connect(name).unwrap();
    // SAFETY: it takes no memory.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID) }, 0);
    if let Some(child) = forked() {
        demand_success(child);
    } else {
        assert_eq!(process::id(), 1);
        drop((sender, receiver));
        leave(0);
    }
    assert_eq!(sender.send("after").unwrap(), 1);
    assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"after");
    drop(Sender::builder().wait(WATCHDOG).connect(name).unwrap());
}

#[proves("FRK-1")]
#[test]
fn a_child_is_one_though_it_has_the_id_of_its_parent() {
    let name = Name::new("forked-namesake");
    if let Some(process) = in_pid_namespace("fork-a-namesake", name.as_str()) {
        process.finish();
    }
}

/// Role: owns a queue, and leaves a child behind that lives until the test kills it.
pub(crate) fn own_and_fork(name: &str) {
    let _receiver = bind(name).unwrap();
    if let Some(child) = forked() {
        say(format_args!("child {child}"));
    }
    loop {
        pause();
    }
}

/// A process that is not our child; killed when dropped.
struct Orphan(Pid);

impl Orphan {
    /// Zombies are none: whoever adopts an orphan may not reap it.
    fn lives(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        _ = kill(self.0, Signal::SIGKILL);
    }
}

#[proves("FRK-2", "DTH-3")]
#[test]
fn a_dead_owner_is_dead_though_its_child_lives() {
    let name = Name::new("forked-owner");
    let mut owner = Process::start("own-and-fork", name.as_str());
    let child = Orphan(Pid::from_raw(owner.expect("child").parse().unwrap()));
    let sender = Sender::builder().wait(WATCHDOG).connect(name.as_str()).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| while sender.send_timeout([0; 400], WATCHDOG).is_ok() {});
        wait_until("the sender finds no room", || sender.stats().stalls > 0);
        owner.kill();
        waiting.join().unwrap();
    });
    let why = sender.send("x").unwrap_err().failure;
    assert_eq!(why, SendFailure::Disconnected(Disconnected { why: Ended::PeerDied }));
    drop(bind(name.as_str()).unwrap());
    assert!(child.lives());
}

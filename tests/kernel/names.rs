//! Who may remove a name, and who notices that it was removed.

use crate::{
    owner::bind,
    process::Process,
    world::{Dice, MODE, Name, Raw, WATCHDOG, dead_pid, wait_until},
};
use lamq::{
    BindError, ConnectError, QueueName, Receiver, Sender,
    link::{Geometry, Link, Owner, Posix},
};
use lamq_protocol::Epoch;
use lamq_proves::proves;
use nix::{
    mqueue::mq_unlink,
    sys::{signal::Signal, stat::fstat},
};
use std::{
    fs, process, thread,
    time::{Duration, Instant},
};

fn inode(name: &str) -> u64 {
    Raw::open(name).unwrap().stat().st_ino
}

/// Of an owner that is not lamq's.
fn epoch() -> Epoch {
    Epoch::new(7).unwrap()
}

#[proves("POS-7")]
#[test]
fn a_receiver_that_lost_its_name_leaves_the_name_to_whoever_has_it_now() {
    let name = Name::new("renamed");
    let first = bind(name.as_str()).unwrap();
    name.remove();
    let second = bind(name.as_str()).unwrap();
    let of_second = inode(name.as_str());
    drop(first);
    assert_eq!(inode(name.as_str()), of_second);
    drop(second);

    // The same when the new one is not of lamq, and the old one is closed before it is dropped.
    let third = bind(name.as_str()).unwrap();
    name.remove();
    let foreign = Raw::create_as(name.as_str(), 0o600, 1, 16).unwrap();
    third.close();
    drop(third);
    assert_eq!(inode(name.as_str()), foreign.stat().st_ino);
    name.remove();
}

#[proves("POS-4", "POS-5", "POS-7")]
#[test]
fn whoever_is_refused_leaves_the_queue_and_what_is_in_it() {
    let name = Name::new("refused");
    // Each has another geometry than `bind` asks for: a dead owner's queue would be made anew.
    let foreign = |mode| Raw::create_as(name.as_str(), mode, 1, 600).unwrap();
    let refuse = |queue: Raw| {
        assert!(queue.send(b"precious", 0));
        let refusal = bind(name.as_str()).unwrap_err();
        let now = Raw::open(name.as_str()).unwrap();
        assert_eq!((now.stat().st_ino, now.waiting()), (queue.stat().st_ino, 1));
        name.remove();
        refusal
    };
    for mode in [0o600, 0o1660, 0o1400 | 0o200 | 0o4000] {
        let refusal = refuse(foreign(mode));
        assert!(matches!(refusal, BindError::Untrusted { .. }), "{refusal}");
        assert!(refusal.to_string().contains(&format!("{mode:o}")), "{refusal}");
    }
    let owned = foreign(MODE);
    assert!(owned.lock(process::id(), epoch()));
    let refusal = refuse(owned);
    assert!(matches!(refusal, BindError::InUse { pid, .. } if pid == process::id()), "{refusal}");
    // The lock of a dead process, which a child of it may still hold, is a lock.
    let held = foreign(MODE);
    assert!(held.lock(dead_pid(), epoch()));
    let refusal = refuse(held);
    assert!(matches!(refusal, BindError::HeldByChild { .. }), "{refusal}");
    // And without a lock it is made anew.
    let dead = foreign(MODE);
    let inode = dead.stat().st_ino;
    let receiver = bind(name.as_str()).unwrap();
    assert_ne!(Raw::open(name.as_str()).unwrap().stat().st_ino, inode);
    drop(receiver);
}

/// Role: the name of the inbox that a sender of this process would make first has an owner; it takes the next.
pub(crate) fn connect_beside(name: &str) {
    let wanted = Name::of_sender(process::id());
    let owned = Raw::create(wanted.as_str()).unwrap();
    assert!(owned.lock(process::id(), epoch()));
    let sender = Sender::builder().wait(WATCHDOG).connect(name).unwrap();
    sender.send("hello").unwrap();
    sender.close(WATCHDOG).unwrap();
    assert_eq!((inode(wanted.as_str()), owned.waiting()), (owned.stat().st_ino, 0));
    wanted.remove();
}

#[proves("POS-7")]
#[test]
fn a_sender_leaves_the_name_it_wanted_to_its_owner() {
    let name = Name::new("beside");
    let builder = Receiver::builder().slots(2).frame_size(512).end_with_last_sender();
    let receiver = builder.bind(name.as_str()).unwrap();
    let process = Process::start("connect-beside", name.as_str());
    assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"hello");
    assert!(receiver.recv_timeout(WATCHDOG).is_err());
    process.finish();
}

#[proves("DTH-1", "DTH-3")]
#[test]
fn a_sender_whose_receiver_left_without_an_answer_finds_the_next_one() {
    let name = Name::new("left");
    let first = Raw::create(name.as_str()).unwrap();
    assert!(first.lock(process::id(), epoch()));
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let sender = Sender::builder().wait(WATCHDOG).connect(name.as_str()).unwrap();
            sender.send("hello").unwrap();
            sender.close(WATCHDOG).unwrap();
        });
        wait_until("it has greeted", || first.waiting() == 1);
        name.remove();
        drop(first); // its process lives on
        let receiver = bind(name.as_str()).unwrap();
        assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"hello");
        sending.join().unwrap();
    });
}

/// Role: greets a receiver that takes nothing, a few times in vain, and asks it.
pub(crate) fn connect_in_vain(name: &str) {
    let threads = || fs::read_dir("/proc/self/task").unwrap().count();
    let before = threads();
    for _ in 0..3 {
        let builder = Sender::builder().wait(Duration::from_millis(20));
        let error = builder.ping(name).unwrap_err();
        assert!(matches!(error, ConnectError::Stalled { .. }), "{error}");
        assert!(!Name::of_sender(process::id()).exists(), "its inbox waits to be answered");
        assert_eq!(threads(), before);
        let error = builder.connect(name).unwrap_err();
        assert!(matches!(error, ConnectError::Stalled { .. }), "{error}");
        assert!(!Name::of_sender(process::id()).exists(), "its inbox waits to be answered");
        assert_eq!(threads(), before);
    }
}

#[test]
fn a_sender_that_could_not_even_greet_leaves_nothing() {
    let name = Name::new("in-vain");
    let full = Raw::create(name.as_str()).unwrap();
    assert!(full.lock(process::id(), epoch()));
    while full.send(b"no more room", 0) {}
    Process::start("connect-in-vain", name.as_str()).finish();
    name.remove();
}

/// How often a binder without the check of POS-6 has to fall into the trap, until the one with it has proven itself.
const TRAPPED: u32 = 25;

/// Role: becomes the owner of a queue again and again, with and without the check, and is stopped anywhere.
pub(crate) fn bind_often(name: &str) {
    let queue_name = QueueName::new(name).unwrap();
    let geometry = Geometry { slots: 4, frame_size: 512 };
    let (mut trapped, mut bound, start) = (0, 0, Instant::now());
    while trapped < TRAPPED || bound < TRAPPED {
        assert!(start.elapsed() < WATCHDOG, "{trapped} times trapped, {bound} times bound");
        trapped += u32::from(bind_without_check(name));
        _ = Raw::create(name); // looks like a dead owner's
        // A living owner is no fault here; to start over is what the rule demands.
        let Ok(inbox) = Posix.bind(&queue_name, Owner::new(process::id(), epoch()), geometry) else { continue };
        bound += 1;
        let owned = fstat(inbox.readable()).unwrap();
        assert!(owned.st_nlink == 1 && owned.st_ino == inode(name), "an owner without the name");
    }
}

#[proves("POS-6")]
#[test]
fn a_binder_never_owns_a_queue_that_lost_its_name_meanwhile() {
    let name = Name::new("meanwhile");
    let mut binder = Process::start("bind-often", name.as_str());
    let mut dice = Dice::new();
    while !binder.has_ended() {
        // Stopped between its open and its lock, say: meanwhile the queue is taken over and removed.
        binder.signal(Signal::SIGSTOP);
        while !binder.status("State").starts_with(['T', 'Z']) {}
        if let Ok(queue) = Raw::open(name.as_str())
            && queue.lock(process::id(), epoch())
            && queue.stat().st_nlink == 1
        {
            name.remove();
        }
        binder.signal(Signal::SIGCONT);
        let (running, time) = (Instant::now(), Duration::from_nanos(dice.word() % 200_000));
        while running.elapsed() < time {}
    }
    binder.finish();
    if name.exists() {
        name.remove();
    }
}

/// Whether a binder that opens, locks and does not look again owns a queue without a name.
fn bind_without_check(name: &str) -> bool {
    _ = Raw::create(name);
    let Ok(queue) = Raw::open(name) else { return false };
    if !queue.lock(process::id(), epoch()) {
        return false;
    }
    let trapped = queue.stat().st_nlink == 0;
    if !trapped {
        mq_unlink(name).unwrap();
    }
    trapped
}

//! Asking a receiver in another process leaves nothing in the kernel, whatever comes of it.

use crate::{
    owner::{bind, descriptors},
    process::{Process, say},
    world::{Name, Raw, WATCHDOG, wait_until},
};
use lamq::ConnectError;
use lamq_protocol::Epoch;
use lamq_proves::proves;
use nix::sys::signal::Signal;
use std::{fs, process, thread, time::Duration};

/// Threads and descriptors of this process.
fn held() -> (usize, Vec<String>) {
    (fs::read_dir("/proc/self/task").unwrap().count(), descriptors(process::id()))
}

/// Role: asks for a receiver that is there, then for one that is stopped, which the test sees to.
pub(crate) fn ask(name: &str) {
    let before = held();
    let demand_nothing_left = || {
        assert!(!Name::of_sender(process::id()).exists(), "its inbox waits to be answered");
        assert_eq!(held(), before);
    };
    let pids: Vec<_> = (0..5).map(|_| lamq::ping(name, WATCHDOG).unwrap().pid).collect();
    demand_nothing_left();
    say(format_args!("answered by {pids:?}"));
    crate::process::hear();
    for _ in 0..3 {
        let error = lamq::ping(name, Duration::from_millis(20)).unwrap_err();
        assert!(matches!(error, ConnectError::Stalled { pid, .. } if pid == pids[0]), "{error}");
        demand_nothing_left();
    }
}

#[proves("GRT-7")]
#[test]
fn nothing_is_left_of_a_question_on_either_side() {
    let name = Name::new("asked");
    let mut receiver = Process::start("receive", &format!("022 {}", name.as_str()));
    receiver.expect("bound");
    // Of what it has open, without counting: it opens its inbox once more when it first sleeps there (POS-14).
    let open = |pid| {
        let mut links = descriptors(pid);
        links.dedup();
        links
    };
    let before = open(receiver.id());
    let mut asker = Process::start("ask", name.as_str());
    assert_eq!(asker.expect("answered by"), format!("{:?}", [receiver.id(); 5]));
    wait_until("the last outbox is closed", || open(receiver.id()) == before);
    receiver.signal(Signal::SIGSTOP);
    wait_until("it is stopped", || receiver.status("State").starts_with('T'));
    asker.say("it is stopped");
    asker.finish();
    // Questions that nobody waits for any more: there is no inbox to answer to, and no harm in it.
    receiver.signal(Signal::SIGCONT);
    wait_until("it has looked at them", || Raw::open(name.as_str()).unwrap().waiting() == 0);
    assert_eq!(lamq::ping(name.as_str(), WATCHDOG).unwrap().senders, 0);
    wait_until("the last outbox is closed", || open(receiver.id()) == before);
    receiver.kill();
    name.remove();
}

#[proves("DTH-3")]
#[test]
fn whoever_asks_one_who_leaves_is_answered_by_the_next() {
    let name = Name::new("asked-left");
    let first = Raw::create(name.as_str()).unwrap();
    assert!(first.lock(process::id(), Epoch::new(7).unwrap()));
    thread::scope(|scope| {
        let asking = scope.spawn(|| lamq::ping(name.as_str(), WATCHDOG));
        wait_until("it has asked", || first.waiting() == 1);
        name.remove();
        drop(first); // its process lives on
        let receiver = bind(name.as_str()).unwrap();
        assert_eq!(asking.join().unwrap().unwrap().pid, process::id());
        assert_eq!(receiver.stats().pings, 1);
    });
}

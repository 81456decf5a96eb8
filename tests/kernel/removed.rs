//! Queues that are taken away: by somebody who removes the name, or by the owner's own process, which becomes another program.

use crate::{
    owner::bind,
    process::{Process, hear, say},
    world::{Name, Raw, WATCHDOG, dead_pid, wait_until},
};
use lamq::{Departure, Disconnected, Ended, Event, Message, SendFailure, Sender};
use lamq_protocol::Epoch;
use lamq_proves::proves;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::Signal,
};
use std::{
    fs,
    os::{fd::AsFd, unix::process::CommandExt},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

fn connect(name: &Name) -> Sender {
    Sender::builder().wait(WATCHDOG).connect(name.as_str()).unwrap()
}

/// Until there is a queue of that name again.
fn until_it_is_back(name: &Name) {
    wait_until("there is a new queue", || name.exists());
}

/// How many queues this process has open that have lost this name.
fn orphans_open(name: &Name) -> usize {
    let lost = format!("{} (deleted)", name.as_str());
    let links = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    links.filter(|link| link.as_os_str() == lost.as_str()).count()
}

fn demand_message(message: &Message, number: u64, body: &str) {
    assert_eq!((message.number(), &**message), (number, body.as_bytes()));
}

#[proves("POS-12", "POS-13")]
#[test]
fn a_receiver_that_waits_makes_its_queue_anew_and_its_sessions_go_on() {
    let name = Name::new("removed");
    let receiver = bind(name.as_str()).unwrap();
    let before = connect(&name);
    thread::scope(|scope| {
        let receiving = scope.spawn(|| [(); 2].map(|()| receiver.recv_timeout(WATCHDOG).unwrap()));
        name.remove();
        until_it_is_back(&name);
        before.send("from before").unwrap();
        wait_until("it is taken", || before.stats().delivered == 1);
        let after = connect(&name);
        after.send("from after").unwrap();
        let [first, second] = receiving.join().unwrap();
        demand_message(&first, 1, "from before");
        demand_message(&second, 1, "from after");
        before.send("still here").unwrap();
        demand_message(&receiver.recv_timeout(WATCHDOG).unwrap(), 2, "still here");
        assert!(orphans_open(&name) > 0);
        thread::scope(|scope| {
            scope.spawn(|| before.close(WATCHDOG).unwrap());
            wait_until("the old queue is given up", || receiver.try_recv().is_err() && orphans_open(&name) == 0);
        });
        after.send("the last").unwrap();
        demand_message(&receiver.recv_timeout(WATCHDOG).unwrap(), 2, "the last");
    });
    drop(receiver);
    assert!(!name.exists());
}

#[proves("POS-13", "CAL-9")]
#[test]
fn a_receiver_that_is_asleep_elsewhere_makes_its_queue_anew_and_hears_of_newcomers() {
    let name = Name::new("removed-asleep");
    let receiver = bind(name.as_str()).unwrap();
    let before = connect(&name);
    while receiver.try_recv().is_ok() {}
    let descriptor = receiver.as_fd();
    // More often than there may be old queues at a time: `before` needs a single one of them.
    for round in 1..=6 {
        name.remove();
        until_it_is_back(&name);
        let after = connect(&name);
        while receiver.try_recv().is_ok() {}
        after.send("hello").unwrap();
        let found = poll(&mut [PollFd::new(descriptor, PollFlags::POLLIN)], PollTimeout::from(60_000_u16)).unwrap();
        assert_eq!(found, 1);
        demand_message(&receiver.recv_timeout(WATCHDOG).unwrap(), 1, "hello");
        before.send("from before").unwrap();
        demand_message(&receiver.recv_timeout(WATCHDOG).unwrap(), round, "from before");
    }
}

#[proves("POS-12", "POS-13")]
#[test]
fn a_name_that_has_another_owner_by_now_is_left_to_it_and_taken_back_later() {
    let name = Name::new("removed-and-taken");
    let process = Process::start("receive", &format!("0 {}", name.as_str()));
    process.expect("bound");
    let before = connect(&name);
    process.signal(Signal::SIGSTOP);
    wait_until("it is stopped", || process.status("State").starts_with('T'));
    name.remove();
    let other = bind(name.as_str()).unwrap();
    process.signal(Signal::SIGCONT);
    before.send("from before").unwrap();
    before.flush_timeout(WATCHDOG).unwrap();
    let after = connect(&name);
    after.send("for the other").unwrap();
    demand_message(&other.recv_timeout(WATCHDOG).unwrap(), 1, "for the other");
    drop(other);
    until_it_is_back(&name);
    let again = connect(&name);
    again.send("for the first").unwrap();
    again.flush_timeout(WATCHDOG).unwrap();
    let lock = Raw::open(name.as_str()).unwrap().lock_at(0).unwrap();
    assert_eq!(lock.l_len & ((1 << 22) - 1), i64::from(process.id()));
    drop((before, again, process));
    name.remove();
}

#[proves("POS-13")]
#[test]
fn a_newcomer_has_its_turn_beside_those_who_fill_the_old_queue() {
    let name = Name::new("removed-and-full");
    let receiver = bind(name.as_str()).unwrap();
    let before = [(); 2].map(|()| connect(&name));
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for sender in &before {
            scope.spawn(|| while sender.send([0; 400]).is_ok() {});
        }
        demand_message(&receiver.recv_timeout(WATCHDOG).unwrap(), 1, &"\0".repeat(400));
        name.remove();
        let come = scope.spawn(|| {
            until_it_is_back(&name);
            let after = connect(&name);
            after.send("from after").unwrap();
            let outcome = after.flush_timeout(WATCHDOG);
            is_over.store(true, Ordering::Relaxed);
            outcome
        });
        let start = Instant::now();
        while !is_over.load(Ordering::Relaxed) && start.elapsed() < WATCHDOG / 6 {
            thread::sleep(Duration::from_micros(200)); // it is slower than they are
            receiver.recv_timeout(WATCHDOG).unwrap();
        }
        let had_its_turn = is_over.load(Ordering::Relaxed);
        receiver.close();
        assert!(had_its_turn, "the newcomer had no turn in {:?}", start.elapsed());
        come.join().unwrap().unwrap();
    });
}

#[proves("POS-13", "SHR-1")]
#[test]
fn a_sender_that_shares_a_queue_without_a_name_is_answered() {
    let (name, own) = (Name::new("far"), Name::new("removed-own"));
    let (receiver, sharing) = (bind(name.as_str()).unwrap(), bind(own.as_str()).unwrap());
    own.remove();
    let builder = Sender::builder().endpoint(&sharing.endpoint()).resume(WATCHDOG).wait(Duration::from_secs(5));
    let sender = builder.connect(name.as_str()).unwrap();
    sender.send("first").unwrap();
    demand_message(&receiver.recv_timeout(WATCHDOG).unwrap(), 1, "first");
    sender.flush_timeout(WATCHDOG).unwrap();
    own.remove();
    drop(receiver);
    let receiver = bind(name.as_str()).unwrap();
    sender.send_timeout("second", Duration::from_secs(5)).unwrap();
    demand_message(&receiver.recv_timeout(WATCHDOG).unwrap(), 2, "second");
}

#[proves("POS-13", "CAL-4")]
#[test]
fn a_name_that_somebody_has_who_cannot_be_seen_is_not_waited_for() {
    let name = Name::new("removed-and-unseen");
    let receiver = bind(name.as_str()).unwrap();
    name.remove();
    let other = Raw::create(name.as_str()).unwrap();
    assert!(other.lock(dead_pid(), Epoch::new(7).unwrap()));
    let (start, mut longest) = (Instant::now(), Duration::ZERO);
    while start.elapsed() < Duration::from_millis(2500) {
        let call = Instant::now();
        assert!(receiver.try_recv().is_err());
        longest = longest.max(call.elapsed());
        thread::sleep(Duration::from_millis(1));
    }
    assert!(longest < Duration::from_millis(150), "a call that does not wait took {longest:?}");
    name.remove();
    drop(other);
    until_it_is_back(&name);
}

/// Becomes a program that knows nothing of queues, and ends when the test says no more.
fn become_another_program() -> ! {
    panic!("{}", Command::new("cat").exec());
}

/// Role: receives a few messages, then becomes another program.
pub(crate) fn receive_and_execute(name: &str) {
    let receiver = bind(name).unwrap();
    say("bound");
    hear();
    drop(receiver.try_recv());
    become_another_program();
}

/// Role: sends a message, then becomes another program.
pub(crate) fn send_and_execute(name: &str) {
    let sender = Sender::connect(name).unwrap();
    sender.send("the last words").unwrap();
    sender.flush_timeout(WATCHDOG).unwrap();
    hear();
    become_another_program();
}

#[proves("DTH-3", "DTH-5")]
#[test]
fn a_sender_that_becomes_another_program_is_gone() {
    let name = Name::new("executed-sender");
    let receiver = bind(name.as_str()).unwrap();
    let mut process = Process::start("send-and-execute", name.as_str());
    demand_message(&receiver.recv_timeout(WATCHDOG).unwrap(), 1, "the last words");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| receiver.recv_event(Some(WATCHDOG)).unwrap());
        process.say("now");
        let departed = waiting.join().unwrap();
        assert!(matches!(departed, Event::Departed { departure: Departure::Died, last: 1, .. }), "{departed:?}");
    });
    assert!(!process.has_ended());
}

#[proves("DTH-3", "DTH-5")]
#[test]
fn a_receiver_that_becomes_another_program_is_gone() {
    let name = Name::new("executed-receiver");
    let mut process = Process::start("receive-and-execute", name.as_str());
    process.expect("bound");
    let sender = connect(&name);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            loop {
                if let Err(error) = sender.send_timeout([0; 400], WATCHDOG) {
                    return error.failure;
                }
            }
        });
        wait_until("the sender finds no room", || sender.stats().stalls > 0);
        process.say("now");
        let failure = waiting.join().unwrap();
        assert_eq!(failure, SendFailure::Disconnected(Disconnected { why: Ended::PeerDied }));
    });
    assert!(!process.has_ended());
    drop(bind(name.as_str()).unwrap());
}

//! What is removed while others begin to own it.

use crate::{
    common::until,
    tools::{Dead, create, hold},
};
use lamq::{
    ConnectError, QueueName, Receiver, Sender,
    inspect::{self, Ownership},
};
use nix::mqueue::mq_close;
use std::{
    process::id,
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

const RECEIVERS: usize = 8;

/// Enough to find a cleaner that does not look again after it has taken the lock.
const ROUNDS: usize = 200;

/// A race for one name, in rounds.
struct Race {
    name: QueueName,
    start: Barrier,
    /// How many receivers know, over all rounds, what came of it.
    bound: AtomicUsize,
    /// The round that the test has looked at.
    looked: AtomicUsize,
    /// How often each cleaner has tried.
    cleaned: [AtomicUsize; 4],
    over: AtomicBool,
}

impl Race {
    /// Whether it became the owner; it stays that until the test has looked.
    fn receive(&self, round: usize) -> bool {
        self.start.wait();
        let receiver = Receiver::builder().slots(2).frame_size(512).bind(&self.name);
        self.bound.fetch_add(1, Ordering::SeqCst);
        until("the test has looked", || self.looked.load(Ordering::SeqCst) == round);
        receiver.is_ok()
    }

    fn clean(&self, cleaner: usize) {
        while !self.over.load(Ordering::SeqCst) {
            _ = inspect::remove(&self.name, true);
            self.cleaned[cleaner].fetch_add(1, Ordering::SeqCst);
        }
    }

    /// How many became owners, and what the name says meanwhile.
    fn round(&self, round: usize) -> (usize, Option<Ownership>) {
        create(self.name.as_str(), 0o1600, 0);
        thread::scope(|scope| {
            let receivers: Vec<_> = (0..RECEIVERS).map(|_| scope.spawn(|| self.receive(round))).collect();
            until("all have tried", || self.bound.load(Ordering::SeqCst) == round * RECEIVERS);
            // A cleaner that was about to take the lock when the queue changed hands has taken it after this.
            let before = self.cleaned.each_ref().map(|count| count.load(Ordering::SeqCst));
            let went_on = |(count, before): (&AtomicUsize, _)| count.load(Ordering::SeqCst) > before + 1;
            until("all cleaners went on", || self.cleaned.iter().zip(before).all(went_on));
            let ownership = inspect::queue(&self.name).ok().map(|report| report.ownership);
            self.looked.store(round, Ordering::SeqCst);
            (receivers.into_iter().map(|one| usize::from(one.join().unwrap())).sum(), ownership)
        })
    }
}

#[test]
fn cleaning_beside_receivers_that_start_leaves_exactly_one_which_has_the_name() {
    let dead = Dead(format!("/lamq-test-{}-tools-race", id()));
    let race = Race {
        name: QueueName::new(dead.0.as_str()).unwrap(),
        start: Barrier::new(RECEIVERS),
        bound: AtomicUsize::new(0),
        looked: AtomicUsize::new(0),
        cleaned: [const { AtomicUsize::new(0) }; 4],
        over: AtomicBool::new(false),
    };
    let fault = thread::scope(|scope| {
        for cleaner in 0..race.cleaned.len() {
            let race = &race;
            scope.spawn(move || race.clean(cleaner));
        }
        let one = |outcome: &_| *outcome == (1, Some(Ownership::Alive { pid: id() }));
        let fault = (1..=ROUNDS).map(|round| (round, race.round(round))).find(|(_, outcome)| !one(outcome));
        race.over.store(true, Ordering::SeqCst);
        fault
    });
    assert_eq!(fault, None, "round, owners, what the name says");
}

#[test]
fn a_sender_waits_while_somebody_cleans_up() {
    let dead = Dead(format!("/lamq-test-{}-tools-cleaner", id()));
    create(&dead.0, 0o1600, 0);
    let cleaner = hold(&dead.0, 0);
    let refused = Sender::builder().wait(Duration::from_millis(20)).connect(dead.0.as_str()).unwrap_err();
    assert!(matches!(refused, ConnectError::NoReceiver { .. }), "{refused}");
    mq_close(cleaner).unwrap();
    inspect::remove(&QueueName::new(dead.0.as_str()).unwrap(), false).unwrap();
}

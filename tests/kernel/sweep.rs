//! Processes are killed before each of the system calls that they make, one run for each; then others take their place.
//!
//! A kill before a call stands for the one behind the call before it, too. A point is a call and its occurrence in the process, as
//! a run without a kill has them. `LAMQ_SWEEP=all` kills at all of them, otherwise it is a sample, which `LAMQ_SEED` chooses:
//! `LAMQ_SWEEP=all cargo test --test kernel sweep -- --show-output`.

mod cleaner;
mod history;
pub(crate) mod points;
mod roles;

pub(crate) use roles::{clean, receive, send};

use crate::{
    process::Process,
    trace::Tracer,
    world::{MODE, Name, Raw},
};
use history::{Account, Record};
use lamq::inspect::{self, RemoveError};
use lamq_proves::proves;
use points::{Point, Sweep};
use roles::Life;

/// One way to be killed.
struct Scene {
    life: Life,
    name: Name,
    /// Of how many slots a queue lies there, with a frame in it, that a dead receiver has left.
    left: Option<i32>,
}

/// Whose calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Sender,
    Receiver,
}

/// What a run has shown.
pub(crate) struct Walk {
    /// The calls of the victim.
    points: Vec<Point>,
    /// Whether it was killed.
    killed: bool,
}

impl Scene {
    fn new(life: Life, what: &str) -> Self {
        Self { life, name: Name::new(&format!("sweep-{}-{what}", life.word())), left: None }
    }

    fn argument(&self, label: &str) -> String {
        format!("{label} {} {}", self.life.word(), self.name.as_str())
    }

    fn trace(&self, role: &str, label: &str) -> Tracer {
        Tracer::start(&[(role, &self.argument(label))])
    }

    /// Another process, at work.
    fn start(&self, role: &str, label: &str) -> Process {
        let mut process = Process::start(role, &self.argument(label));
        process.expect("ready");
        process.say("go");
        process
    }

    fn bound(&self, until: &str) -> Process {
        let receiver = self.start("sweep-receive", until);
        receiver.expect("bound");
        receiver
    }

    /// A sender is killed; its receiver goes on with the next one.
    fn kill_sender(&self, point: Option<&Point>) -> Walk {
        let receiver = self.bound("final");
        let mut tracer = self.trace("sweep-send", "first");
        let victim = tracer.process(0).id();
        tracer.process(0).say("go");
        let walk = points::walk(&mut tracer, point, |_| {});
        let said = ended(tracer);
        let (next, account) = self.send_all();
        let record = Record::of(&receiver.end());
        record.demand_clean_end(victim, self.life);
        assert!(walk.killed || Account::of(&said).done);
        assert!(self.life != Life::Plain || account.stalls > 0, "it never has to wait for its receiver: {account:?}");
        assert!(account.done && record.has_whole(next, self.life), "{record:?}");
        self.demand_nothing_left(&[victim]);
        walk
    }

    /// A receiver is killed; its sender ends or resumes, and the next receiver serves the next sender, too.
    fn kill_receiver(&self, point: Option<&Point>) -> Walk {
        if let Some(slots) = self.left {
            assert!(Raw::create_as(self.name.as_str(), MODE, slots, 512).unwrap().send(b"of the dead", 0));
        }
        let mut tracer = self.trace("sweep-receive", "first");
        let sender = self.start("sweep-send", "first");
        let id = sender.id();
        tracer.process(0).say("go");
        let walk = points::walk(&mut tracer, point, |_| {});
        let first = Record::of(&ended(tracer));
        if !walk.killed {
            assert!(Account::of(&sender.end()).done && first.has_whole(id, self.life), "{first:?}");
            return walk;
        }
        let receiver = self.bound("final");
        let account = Account::of(&sender.end());
        let (next, next_account) = self.send_all();
        let second = Record::of(&receiver.end());
        if self.life == Life::Resuming {
            assert!(account.done, "{account:?}");
            first.demand_continued(&second, id, Some(self.life));
        } else {
            account.demand_truth(id, self.life, [&first, &second]);
        }
        assert!(next_account.done && second.has_whole(next, self.life), "{second:?}");
        self.demand_nothing_left(&[id]);
        walk
    }

    /// A sender that resumes is killed, or has finished, before or while or after it goes on with the next receiver.
    fn kill_resuming(&self, point: Option<&Point>) -> Walk {
        let (mut first, mut second) = (self.bound("first"), None);
        let mut tracer = self.trace("sweep-send", "first");
        let victim = tracer.process(0).id();
        tracer.process(0).say("go");
        let mut change = |first: &mut Process| {
            if second.is_none() {
                first.kill();
                second = Some(self.bound("final"));
            }
        };
        let change_at = Point { call: nix::libc::SYS_mq_timedsend, nth: 4 };
        let walk = points::walk(&mut tracer, point, |here| {
            if *here == change_at {
                change(&mut first);
            }
        });
        change(&mut first);
        let account = (!walk.killed).then(|| Account::of(&ended(tracer)));
        let (next, next_account) = self.send_all();
        let first = Record::of(&first.end_anyhow());
        let second = Record::of(&second.expect("it has changed").end());
        assert!(account.is_none_or(|account| account.done), "{first:?} {second:?}");
        first.demand_continued(&second, victim, (!walk.killed).then_some(self.life));
        assert!(next_account.done && second.has_whole(next, self.life), "{second:?}");
        self.demand_nothing_left(&[victim]);
        walk
    }

    /// Both are killed at once, at a point of the victim; both are started anew.
    fn kill_both(&self, victim: Victim, point: Option<&Point>) -> Walk {
        let (mut tracer, mut other) = match victim {
            Victim::Sender => {
                let receiver = self.bound("first");
                (self.trace("sweep-send", "first"), receiver)
            }
            Victim::Receiver => (self.trace("sweep-receive", "first"), self.start("sweep-send", "first")),
        };
        let ids = [tracer.process(0).id(), other.id()];
        tracer.process(0).say("go");
        let walk = points::walk(&mut tracer, point, |here| {
            if point == Some(here) {
                other.kill();
            }
        });
        let said = [ended(tracer), other.end_anyhow()];
        if !walk.killed {
            return walk;
        }
        let sender = if victim == Victim::Sender { ids[0] } else { ids[1] };
        let first = Record::of(&said[usize::from(victim == Victim::Sender)]);
        let receiver = self.bound("final");
        let (next, account) = self.send_all();
        let second = Record::of(&receiver.end());
        assert!(first.last_of(sender) <= self.life.last());
        assert_eq!(second.last_of(sender), 0, "the dead say nothing: {second:?}");
        assert!(account.done && second.has_whole(next, self.life), "{second:?}");
        self.demand_nothing_left(&ids);
        walk
    }

    /// The next sender does all of its work. Its process, and what it says.
    fn send_all(&self) -> (u32, Account) {
        let sender = self.start("sweep-send", "final");
        let id = sender.id();
        (id, Account::of(&sender.end()))
    }

    /// What a killed sender has left, the library removes; a receiver's queue is the next one's, which has removed it.
    fn demand_nothing_left(&self, pids: &[u32]) {
        assert!(!self.name.exists(), "the queue is left");
        for name in pids.iter().map(|pid| Name::of_sender(*pid)) {
            match inspect::remove(&name.as_str().try_into().unwrap(), false) {
                Ok(_) | Err(RemoveError::NoQueue { .. }) => assert!(!name.exists()),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// What the traced process has said, which has ended.
fn ended(tracer: Tracer) -> Vec<String> {
    tracer.end().remove(0).end_anyhow()
}

#[proves("PRO-1", "PRO-3", "DTH-4")]
#[test]
fn a_sender_may_be_killed_anywhere() {
    for life in Life::ALL {
        let scene = Scene::new(life, "sender");
        Sweep::of(&format!("sender, {}", life.word())).run(|point| scene.kill_sender(point));
    }
}

#[proves("PRO-1", "PRO-2", "DTH-3", "RSM-5")]
#[test]
fn a_receiver_may_be_killed_anywhere() {
    for life in [Life::Plain, Life::Packed, Life::Rendezvous] {
        let scene = Scene::new(life, "receiver");
        Sweep::of(&format!("receiver, {}", life.word())).run(|point| scene.kill_receiver(point));
    }
}

#[test]
fn a_receiver_that_takes_a_queue_over_may_be_killed_anywhere() {
    // Of its own shape, and of another.
    for left in [2, 3] {
        let scene = Scene { left: Some(left), ..Scene::new(Life::Rendezvous, "taker") };
        Sweep::of(&format!("receiver, on what was left, of {left} slots")).run(|point| scene.kill_receiver(point));
    }
}

#[proves("RSM-1", "RSM-2", "DTH-3")]
#[test]
fn a_receiver_whose_sender_resumes_may_be_killed_anywhere() {
    let scene = Scene::new(Life::Resuming, "receiver");
    Sweep::of("receiver, resuming").run(|point| scene.kill_receiver(point));
}

#[proves("RSM-1", "RSM-2")]
#[test]
fn a_sender_may_be_killed_anywhere_while_it_resumes() {
    let scene = Scene::new(Life::Resuming, "changed");
    Sweep::of("sender, while it resumes").run(|point| scene.kill_resuming(point));
}

#[test]
fn sender_and_receiver_may_be_killed_at_once_anywhere() {
    for victim in [Victim::Sender, Victim::Receiver] {
        let scene = Scene::new(Life::Plain, &format!("both-{victim:?}"));
        Sweep::of(&format!("both, at the calls of the {victim:?}").to_lowercase())
            .run(|point| scene.kill_both(victim, point));
    }
}

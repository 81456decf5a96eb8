//! Whoever cleans up is killed, too.

use super::points::{self, Point, Sweep};
use crate::{
    owner::bind,
    process::Process,
    trace::Tracer,
    world::{Name, Raw, dead_pid},
};
use lamq::inspect::{self, Ownership};
use lamq_proves::proves;

/// Two queues of dead receivers, one of them with a frame; one of a dead sender, with a frame; and one of a living receiver.
struct Yard {
    empty: Name,
    waiting: Name,
    answers: Name,
    live: Name,
}

impl Yard {
    fn lay_out(&self) {
        _ = Raw::create(self.empty.as_str()).unwrap();
        for name in [&self.waiting, &self.answers] {
            assert!(Raw::create(name.as_str()).unwrap().send(b"a frame of somebody", 0));
        }
    }

    fn kill_cleaner(&self, point: Option<&Point>) -> super::Walk {
        self.lay_out();
        let names = [&self.empty, &self.live, &self.waiting, &self.answers].map(Name::as_str).join(" ");
        let mut tracer = Tracer::start(&[("sweep-clean", &names)]);
        tracer.process(0).say("go");
        let walk = points::walk(&mut tracer, point, |_| {});
        drop(tracer);
        self.demand_spared();
        let mut next = Process::start("sweep-clean", &names);
        next.expect("ready");
        next.say("go");
        next.finish();
        assert!(!self.empty.exists() && !self.answers.exists(), "the next cleaner ends the work");
        self.demand_spared();
        self.waiting.remove();
        walk
    }

    /// What has an owner, and what the next receiver may want.
    fn demand_spared(&self) {
        let live = inspect::queue(&self.live.as_str().try_into().unwrap()).unwrap();
        assert_eq!(live.ownership, Ownership::Alive { pid: std::process::id() });
        let waiting = inspect::queue(&self.waiting.as_str().try_into().unwrap()).unwrap();
        assert_eq!((waiting.waiting, waiting.is_stale()), (1, true));
    }
}

#[proves("POS-7")]
#[test]
fn a_cleaner_may_be_killed_anywhere() {
    let name = |which: &str| Name::new(&format!("sweep-cleaner-{which}"));
    let (empty, waiting, live) = (name("empty"), name("waiting"), name("live"));
    let yard = Yard { empty, waiting, answers: Name::of_sender(dead_pid()), live };
    let receiver = bind(yard.live.as_str()).unwrap();
    Sweep::of("cleaner").run(|point| yard.kill_cleaner(point));
    assert!(receiver.is_empty());
}

//! Messages that the application acknowledges one by one, in another order than they came in.

use super::{Cue, Ground, WATCHDOG, ground::BRIEF};
use lamq::Level;
use std::time::Instant;

on_every_link! { deliveries proves "ACK-9", "CAL-3" }

const ROUNDS: u64 = 4;
const EACH: u64 = 4;

fn send(ground: &Ground, cue: &mut Cue) {
    let sender = ground.sender().level(Level::Processed).connect(ground.name()).unwrap();
    for round in 1..=ROUNDS {
        let (before, all) = (EACH * (round - 1), EACH * round);
        (before..all).for_each(|number| assert_eq!(sender.send_timeout([5; 100], WATCHDOG).unwrap(), number + 1));
        cue.expect("all but the oldest");
        let start = Instant::now();
        loop {
            let error = sender.flush_timeout(BRIEF).unwrap_err();
            assert_eq!((error.accepted.get(), error.acknowledged.get()), (all, before));
            if sender.stats().delivered == all {
                break; // and still it has not returned
            }
            assert!(start.elapsed() < WATCHDOG, "{:?}", sender.stats());
        }
        cue.say("not yet");
        sender.flush_timeout(WATCHDOG).unwrap();
        assert_eq!(sender.stats().processed, all);
    }
    sender.close(WATCHDOG).unwrap();
    cue.say("closed");
}

fn receive(ground: &Ground, cue: &mut Cue) {
    let receiver = ground.receiver().bind(ground.name()).unwrap();
    for round in 1..=ROUNDS {
        let mut deliveries: Vec<_> = (0..EACH).map(|_| receiver.recv_delivery_timeout(WATCHDOG).unwrap()).collect();
        let oldest = deliveries.remove(0);
        assert_eq!(oldest.number(), EACH * (round - 1) + 1);
        deliveries.into_iter().rev().for_each(|delivery| delivery.ack().unwrap());
        cue.say("all but the oldest");
        cue.expect("not yet");
        oldest.ack().unwrap();
    }
    cue.expect("closed");
}

//! A flush returns when all is delivered, and not before.

use super::{
    Cue, Ground, WATCHDOG,
    ground::{BRIEF, take},
};

on_every_link! { a_flush proves "CAL-3", "PRO-2" }

const ROUNDS: u64 = 8;

fn send(ground: &Ground, cue: &mut Cue) {
    let sender = ground.connect();
    for round in 1..=ROUNDS {
        (0..3).for_each(|_| _ = sender.send_timeout([2; 50], WATCHDOG).unwrap());
        let error = sender.flush_timeout(BRIEF).unwrap_err();
        assert_eq!((error.accepted.get(), error.acknowledged.get()), (3 * round, 3 * (round - 1)));
        cue.say("not yet");
        sender.flush_timeout(WATCHDOG).unwrap();
        assert_eq!(sender.stats().delivered, 3 * round);
    }
    sender.close(WATCHDOG).unwrap();
    cue.say("closed");
}

fn receive(ground: &Ground, cue: &mut Cue) {
    let receiver = ground.receiver().bind(ground.name()).unwrap();
    for _ in 1..=ROUNDS {
        cue.expect("not yet");
        (0..3).for_each(|_| _ = take(&receiver));
    }
    cue.expect("closed");
}

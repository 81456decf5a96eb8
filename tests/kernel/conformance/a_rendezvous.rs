//! A synchronous send returns when its message was taken, and not before.

use super::{
    Cue, Ground, WATCHDOG,
    ground::{BRIEF, take},
};
use lamq::{FlushFailure, SendSyncError};

on_every_link! { a_rendezvous proves "CAL-7", "CAL-8", "ACK-8" }

const ROUNDS: u64 = 15;

fn send(ground: &Ground, cue: &mut Cue) {
    let sender = ground.connect();
    for number in 1..=ROUNDS {
        let error = sender.send_sync_timeout([1], BRIEF).unwrap_err();
        let SendSyncError::Unknown { ticket, why: FlushFailure::Timeout } = error else { panic!("{error}") };
        assert_eq!(sender.stats().delivered, number - 1);
        cue.say("not yet");
        assert_eq!(ticket.wait(WATCHDOG).unwrap().number(), number);
    }
    sender.close(WATCHDOG).unwrap();
    cue.say("closed");
}

fn receive(ground: &Ground, cue: &mut Cue) {
    let receiver = ground.receiver().bind(ground.name()).unwrap();
    for number in 1..=ROUNDS {
        cue.expect("not yet");
        assert_eq!(take(&receiver).number(), number);
        // On a lossy link the keeper says again what got lost.
    }
    cue.expect("closed");
}

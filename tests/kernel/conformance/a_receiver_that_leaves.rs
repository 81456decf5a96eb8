//! A receiver that leaves ends its sender's calls, which know what was delivered if anybody could tell them.

use super::{Cue, Ground, WATCHDOG, ground::take};
use lamq::{FlushFailure, SendFailure, SendSyncError};

on_every_link! { a_receiver_that_leaves proves "PRO-2", "CAL-8", "CLO-4", "CLO-5" }

fn send(ground: &Ground, cue: &mut Cue) {
    let sender = ground.connect();
    sender.send_timeout("taken", WATCHDOG).unwrap();
    sender.flush_timeout(WATCHDOG).unwrap();
    cue.say("flushed");
    let ended = (0..).find_map(|_| sender.send_sync_timeout("too late", WATCHDOG).err()).unwrap();
    let ended = match ended {
        SendSyncError::NotSent(error) => matches!(error.failure, SendFailure::Disconnected(_)),
        SendSyncError::Unknown { why, .. } => matches!(why, FlushFailure::Disconnected(_)),
    };
    assert!(ended);
    cue.say(sender.stats().delivered);
}

fn receive(ground: &Ground, cue: &mut Cue) {
    let receiver = ground.receiver().bind(ground.name()).unwrap();
    assert_eq!(&*take(&receiver), b"taken");
    cue.expect("flushed");
    drop(receiver);
    assert_eq!(cue.expect_number::<u64>(), 1, "what was not taken does not count");
}

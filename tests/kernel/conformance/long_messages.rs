//! Messages longer than a frame, and than the window, between short ones.

use super::{
    Cue, Ground, WATCHDOG,
    ground::{next, take},
};

on_every_link! { long_messages proves "PRO-1", "DAT-2", "LRG-2", "LRG-4" }

const WINDOW: u64 = 2000;

const LENGTHS: [usize; 11] = [0, 1, 452, 453, 1000, 10, 2000, 2001, 4000, 3, 9000];

fn body(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

fn send(ground: &Ground, cue: &mut Cue) {
    let sender = ground.connect();
    for length in LENGTHS {
        sender.send_timeout(body(length), WATCHDOG).unwrap();
    }
    sender.close(WATCHDOG).unwrap();
    cue.say("closed");
}

fn receive(ground: &Ground, cue: &mut Cue) {
    let receiver = ground.receiver().window(WINDOW).end_with_last_sender().bind(ground.name()).unwrap();
    for length in LENGTHS {
        assert!(*take(&receiver) == body(length), "{length} bytes");
    }
    assert!(next(&receiver).is_none());
    cue.expect("closed");
}

//! A stream arrives whole and in order; on a link with faults there are some, and all are made good for.

use super::{Cue, Ground, WATCHDOG, ground::next};

on_every_link! { a_stream proves "PRO-1", "RTX-1", "RTX-2", "RTX-3" }

/// One for each frame.
fn body(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(40)
}

fn send(ground: &Ground, cue: &mut Cue) {
    let sender = ground.connect();
    for number in 1..=100 {
        assert_eq!(sender.send_timeout(body(number), WATCHDOG).unwrap(), number);
    }
    let sent = sender.stats().sent;
    sender.close(WATCHDOG).unwrap();
    cue.say(sent);
}

fn receive(ground: &Ground, cue: &mut Cue) {
    let receiver = ground.receiver().end_with_last_sender().bind(ground.name()).unwrap();
    let mut last = 0;
    while let Some(message) = next(&receiver) {
        last += 1;
        assert_eq!((message.number(), message.to_vec()), (last, body(last)));
    }
    assert_eq!(last, cue.expect_number::<u64>());
    let stats = receiver.stats();
    assert_eq!((stats.early > 0, stats.duplicates > 0), (ground.is_lossy(), ground.is_lossy()), "{stats:?}");
}

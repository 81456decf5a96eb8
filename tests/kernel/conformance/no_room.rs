//! What finds no room is refused, or dropped and reported in its place.

use super::{Cue, Ground, WATCHDOG};
use lamq::{Event, SendFailure, Sent};
use std::time::Duration;

on_every_link! { no_room proves "CAL-2", "CRD-2", "DRP-1", "DRP-2", "NUM-2" }

const ROUNDS: usize = 5;

fn send(ground: &Ground, cue: &mut Cue) {
    let sender = ground.connect();
    let mut sent = 0;
    for _ in 0..ROUNDS {
        let refused = loop {
            match sender.try_send([3; 200]) {
                Ok(number) => sent = number,
                Err(refused) => break refused,
            }
        };
        assert_eq!((refused.message, refused.failure), ([3; 200], SendFailure::Full));
        let dropped = sender.send_or_drop([3; 200], Duration::ZERO).unwrap();
        sent += 1;
        // An acknowledgement that was on its way may have brought room.
        assert!([Sent::Dropped(sent), Sent::Accepted(sent)].contains(&dropped), "{dropped:?}");
        cue.say(sent);
        cue.say(sender.stats().dropped);
        cue.expect("all taken");
    }
    assert!(sender.stats().dropped > 0);
    sender.close(WATCHDOG).unwrap();
    cue.say("closed");
}

fn receive(ground: &Ground, cue: &mut Cue) {
    let receiver = ground.receiver().window(600).bind(ground.name()).unwrap();
    let mut seen = 0;
    for _ in 0..ROUNDS {
        let [sent, dropped] = [(); 2].map(|()| cue.expect_number::<u64>());
        while seen < sent {
            match receiver.recv_event(Some(WATCHDOG)).unwrap() {
                Event::Message(message) => {
                    seen += 1;
                    assert_eq!((message.number(), &*message), (seen, &[3; 200][..]));
                }
                Event::Gap { first, last, .. } => {
                    assert_eq!(first, seen + 1);
                    seen = last;
                }
                Event::Joined(_) => {}
                other => panic!("{other:?}"),
            }
        }
        let stats = receiver.stats();
        assert_eq!((stats.dropped_by_senders, stats.delivered), (dropped, sent - dropped));
        cue.say("all taken");
    }
    cue.expect("closed");
}

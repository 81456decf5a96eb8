//! A receiver without capacity: a send times out while nobody asks, and returns when its message was handed over.

use super::{
    Cue, Ground, WATCHDOG,
    ground::{BRIEF, next, take},
};
use lamq::{SendFailure, Sender};
use std::thread;

on_every_link! { without_capacity proves "RDV-1", "RDV-2", "NUM-2" }

/// How many each sender sends while the other waits, and then beside it.
const TURNS: u64 = 4;

/// Nobody asks: the message is handed back, and nothing has left.
#[track_caller]
fn send_in_vain(sender: &Sender) {
    let sent = sender.stats().sent;
    let error = sender.send_timeout("too soon", BRIEF).unwrap_err();
    assert_eq!((error.message, error.failure), ("too soon", SendFailure::Timeout));
    assert_eq!(sender.stats().sent, sent);
}

#[track_caller]
fn hand_over(sender: &Sender, mark: u8, number: u64) {
    assert_eq!(sender.send_timeout([mark; 30], WATCHDOG).unwrap(), number);
    assert_eq!(sender.stats().delivered, number);
}

fn send(ground: &Ground, cue: &mut Cue) {
    let senders = [0, 1].map(|mark| (mark, ground.connect()));
    for (_, sender) in &senders {
        send_in_vain(sender);
    }
    cue.say("in vain");
    for number in 1..=TURNS {
        for (mark, sender) in &senders {
            hand_over(sender, *mark, number);
        }
    }
    // Since the last one was taken nobody has asked. The other sender may still have the credit of that question.
    send_in_vain(&senders[1].1);
    cue.say("in vain");
    thread::scope(|scope| {
        for (mark, sender) in &senders {
            scope.spawn(move || (TURNS + 1..=2 * TURNS).for_each(|number| hand_over(sender, *mark, number)));
        }
    });
    for (_, sender) in senders {
        sender.close(WATCHDOG).unwrap();
    }
    cue.say("closed");
}

fn receive(ground: &Ground, cue: &mut Cue) {
    let receiver = ground.receiver().rendezvous().end_with_last_sender().bind(ground.name()).unwrap();
    cue.expect("in vain");
    assert_eq!(receiver.stats().data_frames, 0);
    for number in 1..=TURNS {
        for mark in [0, 1] {
            let message = take(&receiver);
            assert_eq!((message.number(), &*message), (number, &[mark; 30][..]));
        }
    }
    cue.expect("in vain");
    assert_eq!(receiver.stats().data_frames, 2 * TURNS);
    let mut last = [TURNS; 2];
    while let Some(message) = next(&receiver) {
        let last = &mut last[usize::from(message[0])];
        *last += 1;
        assert_eq!(message.number(), *last);
    }
    assert_eq!(last, [2 * TURNS; 2]);
    cue.expect("closed");
}

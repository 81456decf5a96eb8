//! Two senders at once, messages of every length: each stream arrives whole and in order, then its end.

use super::{Cue, Ground, WATCHDOG};
use lamq::{Departure, Event};
use std::thread;

on_every_link! { two_streams proves "PRO-1", "NUM-1", "CLO-1", "CLO-2" }

/// Some fit several in a frame, others take two.
fn body(mark: u8, number: u64) -> Vec<u8> {
    let length = (number * 211 + u64::from(mark) * 97) % 700;
    [&[mark], &number.to_le_bytes()[..], &vec![mark; usize::try_from(length).unwrap()]].concat()
}

fn send(ground: &Ground, cue: &mut Cue) {
    let senders = [0, 1].map(|mark| (mark, ground.connect()));
    let sending = senders.map(|(mark, sender)| {
        thread::spawn(move || {
            let count = 10 + u64::from(mark) * 3;
            for number in 1..=count {
                assert_eq!(sender.send_timeout(body(mark, number), WATCHDOG).unwrap(), number);
            }
            sender.close(WATCHDOG).unwrap();
            count
        })
    });
    for sending in sending {
        cue.say(sending.join().unwrap());
    }
}

fn receive(ground: &Ground, cue: &mut Cue) {
    let receiver = ground.receiver().end_with_last_sender().bind(ground.name()).unwrap();
    let (mut last, mut marks, mut left) = ([0; 2], Vec::new(), Vec::new());
    while let Ok(event) = receiver.recv_event(Some(WATCHDOG)) {
        match event {
            Event::Message(message) => {
                let mark = message[0];
                let last = &mut last[usize::from(mark)];
                *last += 1;
                assert_eq!((message.number(), message.to_vec()), (*last, body(mark, *last)));
                if *last == 1 {
                    marks.push((message.peer(), mark));
                }
            }
            Event::Departed { peer, departure, last: told } => {
                let (_, mark) = marks.iter().find(|(known, _)| *known == peer).expect("it has sent");
                assert_eq!((departure, told), (Departure::Left, last[usize::from(*mark)]));
                left.push(*mark);
            }
            Event::Joined(_) => {}
            other => panic!("{other:?}"),
        }
    }
    left.sort_unstable();
    assert_eq!(left, [0, 1]);
    assert_eq!(last, [(); 2].map(|()| cue.expect_number()));
}

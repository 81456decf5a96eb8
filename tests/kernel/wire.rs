//! What passes between two endpoints, frame by frame.

use crate::{
    owner::bind,
    process::{Process, say},
    tap::{Tap, Way},
    world::{Dice, Name, WATCHDOG},
};
use lamq::{Event, Receiver, Sender};
use lamq_protocol::{
    SessionId,
    wire::{Acknowledgement, Frame, Terms, Welcome},
};
use lamq_proves::proves;
use std::{collections::BTreeSet, thread};

/// Connects, sends a message each way, and leaves. Returns the ids in the sender's frames and in the receiver's.
fn ids_of_a_session(receiver: &Receiver, name: &str) -> (SessionId, SessionId) {
    let tap = Tap::default();
    let sending = {
        let (tap, name) = (tap.clone(), name.to_string());
        thread::spawn(move || {
            let sender = Sender::builder().wait(WATCHDOG).link(tap).connect(name).unwrap();
            sender.send("hello").unwrap();
            sender.close(WATCHDOG).unwrap();
        })
    };
    while !matches!(receiver.recv_event(Some(WATCHDOG)).unwrap(), Event::Departed { .. }) {}
    sending.join().unwrap();
    let (mut offered, mut granted, mut kinds) = (None, None, BTreeSet::new());
    for (way, header, frame) in tap.log().decoded() {
        kinds.insert(header.kind as u8);
        match &frame {
            Frame::Greeting(greeting) => offered = Some(greeting.reply_session),
            Frame::Welcome(welcome) => granted = Some(welcome.data_session),
            _ => {}
        }
        // Each frame goes under the id that its receiver has chosen; a greeting is the first word.
        let expected = match (way, &frame) {
            (Way::Out, Frame::Greeting(_)) => None,
            (Way::Out, _) => Some(granted.expect("a welcome before all data")),
            (Way::In, _) => Some(offered.expect("a greeting before all answers")),
        };
        assert_eq!(header.session, expected);
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [1, 2, 4, 5, 6]);
    (granted.unwrap(), offered.unwrap())
}

/// Role: another run of a sender and a receiver, which says the ids of one session.
pub(crate) fn meet(name: &str) {
    let (granted, offered) = ids_of_a_session(&bind(name).unwrap(), name);
    say(format_args!("ids {} {}", granted.get(), offered.get()));
}

#[proves("SES-1", "WEL-1")]
#[test]
fn ids_of_sessions_are_random_and_chosen_by_who_receives_under_them() {
    let name = Name::new("ids");
    let (mut granted, mut offered) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let receiver = bind(name.as_str()).unwrap();
        for _ in 0..15 {
            let (by_receiver, by_sender) = ids_of_a_session(&receiver, name.as_str());
            granted.push(by_receiver.get());
            offered.push(by_sender.get());
        }
    }
    for run in 0..2 {
        let name = Name::new(&format!("run{run}"));
        let process = Process::start("meet", name.as_str());
        let ids = process.expect("ids");
        let (by_receiver, by_sender) = ids.split_once(' ').unwrap();
        granted.push(by_receiver.parse().unwrap());
        offered.push(by_sender.parse().unwrap());
        process.finish();
    }
    let all: BTreeSet<_> = granted.iter().chain(&offered).collect();
    assert_eq!(all.len(), 64, "an id came twice");
    for ids in [granted, offered] {
        // Every bit takes both values: in 32 random numbers one of them fails to in 6 of 100 million runs.
        assert_eq!(ids.iter().fold(0, |any, id| any | id), u64::MAX, "{ids:x?}");
        assert_eq!(ids.iter().fold(u64::MAX, |all, id| all & id), 0, "{ids:x?}");
    }
}

/// What a sender was granted, and has used, frame by frame.
fn demand_within_credit(tap: &Tap) -> u64 {
    let (mut granted, mut used) = ((0, 0), (0, 0));
    for (_, _, frame) in tap.log().decoded() {
        match frame {
            Frame::Welcome(Welcome { terms: Terms { frame_credit, byte_credit, .. }, .. })
            | Frame::Acknowledgement(Acknowledgement { frame_credit, byte_credit, .. }) => {
                granted = (granted.0.max(frame_credit), granted.1.max(byte_credit));
            }
            Frame::Data(data) => {
                used = (used.0 + 1, used.1 + u64::from(data.body_bytes()));
                assert!(used.0 <= granted.0 && used.1 <= granted.1, "{used:?} of {granted:?} frames and bytes");
            }
            _ => {}
        }
    }
    used.0
}

#[proves("CRD-1", "CRD-2")]
#[test]
fn a_sender_never_transmits_a_frame_beyond_the_credit_it_was_given() {
    let mut dice = Dice::new();
    // Scarce frames, then scarce bytes.
    for (slots, window) in [(3, 1 << 18), (10, 600)] {
        let name = Name::new(&format!("credit{slots}"));
        let builder = Receiver::builder().slots(slots).frame_size(512).window(window).end_with_last_sender();
        let receiver = builder.bind(name.as_str()).unwrap();
        let tap = Tap::default();
        let lengths: Vec<_> = (0..4000).map(|_| dice.below(200)).collect();
        let sending = {
            let (tap, name, lengths) = (tap.clone(), name.as_str().to_string(), lengths.clone());
            thread::spawn(move || {
                let sender = Sender::builder().wait(WATCHDOG).link(tap).connect(name).unwrap();
                for length in lengths {
                    sender.send_timeout(vec![7; length], WATCHDOG).unwrap();
                }
                sender.close(WATCHDOG).unwrap();
            })
        };
        for length in &lengths {
            assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap().len(), *length);
        }
        assert!(receiver.recv_timeout(WATCHDOG).is_err());
        sending.join().unwrap();
        assert!(demand_within_credit(&tap) > 500);
    }
}

//! Section 21 of `SPEC.md`: going on with the next incarnation of a receiver.

use crate::{
    forge::{acknowledgement, close, data},
    losing::fates,
    net::{Channel, Net, Seen, Setup},
};
use lamq_protocol::{
    Event, Level, Number, Stamp,
    endpoint::SendRefused,
    send::{Manner, NoRoom},
    session::{Departure, Ended, Outbound},
    wire::{EndReason, Frame, Greeting, decode},
};
use lamq_proves::proves;
use proptest::prelude::*;

pub(crate) fn resuming(setup: &Setup) -> Net {
    Net::greeted(Setup { resumes: true, ..setup.clone() })
}

/// Number, body, and whether it may be a repetition, of every message that the receiving application is handed.
pub(crate) fn read(net: &mut Net) -> Vec<(u64, Vec<u8>, bool)> {
    let mut messages = Vec::new();
    loop {
        net.pump();
        while let Some(event) = net.receiver.core.next_event() {
            if let Event::Message { number, may_repeat, frame, body, .. } = event {
                messages.push((number.get(), frame[body].to_vec(), may_repeat));
            }
            net.transmit_from_receiver(false);
        }
        net.transmit_from_receiver(true);
        if net.receiver.inbox.len() == 0 && net.senders.iter().all(|sender| sender.node.inbox.len() == 0) {
            net.transmit_from_receiver(true);
            return messages;
        }
    }
}

fn message(number: u64, may_repeat: bool) -> (u64, Vec<u8>, bool) {
    (number, format!("message {number}").into_bytes(), may_repeat)
}

pub(crate) fn send(net: &mut Net, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        assert_eq!(net.send(0, format!("message {number}")), Ok(number));
    }
}

pub(crate) fn greeting(net: &Net) -> Greeting {
    let mut greetings = net.receiver.handled.iter().rev().filter_map(|frame| match decode(frame.clone()) {
        Ok((_, Frame::Greeting(greeting))) => Some(greeting),
        _ => None,
    });
    greetings.next().expect("one came")
}

#[proves("RSM-1", "RSM-2", "PRO-1")]
#[test]
fn what_was_not_acknowledged_goes_to_the_next_receiver_under_its_number() {
    let mut net = resuming(&Setup::default());
    send(&mut net, 1..=3);
    assert_eq!(read(&mut net), [message(1, false), message(2, false), message(3, false)]);
    send(&mut net, 4..=6);
    net.flush(0);
    net.replace_receiver();
    assert!(net.senders[0].outbound().is_lost());
    assert_eq!(net.ended(0), None);
    assert_eq!(net.send(0, "later"), Err(SendRefused::NoRoom(NoRoom::Credit)), "it has to wait, and took no number");
    net.resume(0);
    assert_eq!((greeting(&net).first.get(), greeting(&net).exposed.get()), (4, 6));
    send(&mut net, 7..=7);
    let again = [message(4, true), message(5, true), message(6, true), message(7, false)];
    assert_eq!(read(&mut net), again);
    assert_eq!(net.senders[0].outbound().window().settled().get(), 7);
    net.close(0);
    assert_eq!(net.recv_all(), [Seen::Departed(0, Departure::Left, 7)]);
    assert_eq!(net.ended(0), Some(Ended::Finished));
}

#[proves("RSM-1")]
#[test]
fn the_level_decides_what_is_sent_again() {
    for (level, first) in [(Level::Received, 3), (Level::Delivered, 3), (Level::Processed, 2)] {
        let mut net = resuming(&Setup { level, ..Setup::default() });
        send(&mut net, 1..=4);
        net.flush(0);
        net.pump();
        // Two are delivered, one is processed, all are received.
        assert!(net.recv().is_some() && net.recv().is_some());
        net.transmit_from_receiver(true);
        net.pump();
        net.replace_receiver();
        net.resume(0);
        let numbers: Vec<_> = read(&mut net).iter().map(|(number, ..)| *number).collect();
        assert_eq!(numbers, (first..=4).collect::<Vec<_>>(), "{level:?}");
    }
}

#[proves("RSM-1", "DRP-1")]
#[test]
fn pieces_gaps_and_what_is_staged_go_along() {
    let setup = Setup { window: 3000, max_message: 9000, ..Setup::default() };
    let mut net = resuming(&setup);
    net.drop_message(0).unwrap();
    net.drop_message(0).unwrap();
    net.send(0, vec![3; 2000]).unwrap();
    net.drop_message(0).unwrap();
    net.send(0, "five").unwrap();
    net.drop_message(0).unwrap();
    net.drop_message(0).unwrap();
    for round in 0..3 {
        net.replace_receiver();
        net.resume(0);
        // The first receivers take some frames, and hand nothing out.
        net.take_at_receiver(round);
    }
    net.send(0, "eight").unwrap();
    let seen = net.recv_all();
    let expected = [
        Seen::Joined(0),
        Seen::Gap(0, 1, 2),
        Seen::Message(0, 3, vec![3; 2000]),
        Seen::Gap(0, 4, 4),
        Seen::Message(0, 5, b"five".to_vec()),
        Seen::Gap(0, 6, 7),
        Seen::Message(0, 8, b"eight".to_vec()),
    ];
    assert_eq!(seen, expected);
}

#[proves("RSM-1")]
#[test]
fn more_than_the_next_window_is_sent_again_as_credit_comes() {
    let mut net = resuming(&Setup { window: 4000, slots: 6, ..Setup::default() });
    send(&mut net, 1..=40);
    net.replace_receiver();
    net.setup.window = 1024;
    net.setup.slots = 3;
    net.replace_receiver();
    net.resume(0);
    assert!(net.senders[0].outbound().window().transmitted() < Number::new(40), "it has not the room");
    assert_eq!(
        net.send(0, "too soon"),
        Err(SendRefused::NoRoom(NoRoom::Credit)),
        "what is to be sent again comes first"
    );
    let numbers: Vec<_> = read(&mut net).iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
    send(&mut net, 41..=41);
}

#[proves("RSM-1", "CLO-1")]
#[test]
fn who_was_closing_closes_behind_what_is_sent_again() {
    let mut net = resuming(&Setup::default());
    send(&mut net, 1..=2);
    net.close(0);
    net.replace_receiver();
    assert_eq!(net.senders[0].outbound().shut(), Some(Ended::Finished), "no more messages");
    net.resume(0);
    let seen = net.recv_all();
    let body = |number| Seen::Message(0, number, format!("message {number}").into_bytes());
    assert_eq!(seen, [Seen::Joined(0), body(1), body(2), Seen::Departed(0, Departure::Left, 2)]);
    assert_eq!(net.ended(0), Some(Ended::Finished));
    // One that closes while it is lost does the same.
    let mut net = resuming(&Setup::default());
    send(&mut net, 1..=1);
    net.replace_receiver();
    net.close(0);
    net.resume(0);
    assert_eq!(net.recv_all(), [Seen::Joined(0), body(1), Seen::Departed(0, Departure::Left, 1)]);
}

#[proves("RSM-1")]
#[test]
fn a_receiver_that_leaves_is_followed_too() {
    let mut net = resuming(&Setup::default());
    send(&mut net, 1..=2);
    net.flush(0);
    net.pump();
    assert!(net.recv().is_some());
    net.receiver.core.leave();
    net.transmit_from_receiver(true);
    net.pump();
    assert_eq!(net.senders[0].outbound().seeks(), Some(Ended::ClosedByPeer));
    net.replace_receiver();
    net.resume(0);
    assert_eq!(read(&mut net), [message(2, true)]);
}

#[proves("RSM-3")]
#[test]
fn who_finds_no_other_receiver_ends_as_it_would_have() {
    let mut net = resuming(&Setup::default());
    send(&mut net, 1..=2);
    net.replace_receiver();
    let session = net.senders[0].session;
    assert!(net.senders[0].outbound().is_lost());
    net.senders[0].node.core.give_up(session);
    assert_eq!(net.ended(0), Some(Ended::PeerDied));
    assert_eq!(net.send(0, "x"), Err(SendRefused::Ended(Ended::PeerDied)));
    // Also when one was found, and did not answer.
    let mut net = resuming(&Setup::default());
    send(&mut net, 1..=1);
    net.replace_receiver();
    net.setup.max_sessions = 0;
    net.replace_receiver();
    net.senders[0].is_alive = false;
    net.resume(0);
    net.senders[0].node.core.give_up(session);
    assert_eq!(net.ended(0), Some(Ended::PeerDied));
}

#[proves("RSM-4")]
#[test]
fn a_violation_or_a_refusal_is_no_loss() {
    let mut net = resuming(&Setup::default());
    send(&mut net, 1..=1);
    let session = net.senders[0].session;
    net.give_sender(0, acknowledgement(9, [9, 9, 9, 99, 99]).encode(session, Stamp::new(1)));
    assert_eq!(net.ended(0), Some(Ended::PeerViolated(EndReason::Acknowledgement)));
    let mut net = resuming(&Setup::default());
    net.give_sender(0, close(session, 0, 0, EndReason::Credit));
    assert_eq!(net.ended(0), Some(Ended::Accused(EndReason::Credit)));
    let mut net = resuming(&Setup::default());
    net.setup.max_sessions = 0;
    net.replace_receiver();
    net.resume(0);
    assert!(matches!(net.ended(0), Some(Ended::Refused(_))));
    // Nor is one that cannot be made good: the next one takes only shorter messages.
    let mut net = resuming(&Setup::default());
    net.send(0, vec![0; 100]).unwrap();
    net.setup.max_message = 99;
    net.replace_receiver();
    net.resume(0);
    assert_eq!(net.ended(0), Some(Ended::TooLongForNext));
    assert_eq!(net.recv_all(), [Seen::Joined(0), Seen::Departed(0, Departure::Accused(EndReason::TooLong), 0)]);
}

#[proves("RSM-1", "FRM-2")]
#[test]
fn late_words_of_the_lost_receiver_are_of_no_session() {
    let mut net = resuming(&Setup::default());
    send(&mut net, 1..=1);
    net.replace_receiver();
    net.resume(0);
    let session = net.senders[0].session;
    let before = net.senders[0].outbound().clone();
    net.give_sender(0, acknowledgement(1, [1, 1, 1, 9, 999]).encode(session, Stamp::new(1)));
    net.give_sender(0, close(session, 0, 1, EndReason::Finished));
    assert_eq!(*net.senders[0].outbound(), before);
    assert_eq!(net.senders[0].node.counters().unknown_session, 2);
    assert_eq!(read(&mut net), [message(1, true)]);
}

#[proves("RSM-5")]
#[test]
fn what_is_handed_back_is_told_apart_by_whether_it_left() {
    let mut net = Net::greeted(Setup { slots: 3, ..Setup::default() });
    let bodies = |outbound: &Outbound| {
        let parcels = outbound.window().unacknowledged().into_iter();
        parcels.map(|parcel| (parcel.number.get(), parcel.body.len())).collect::<Vec<_>>()
    };
    net.send(0, [0; 10]).unwrap();
    net.recv_all();
    net.senders[0].is_alive = false; // nothing leaves for a moment
    let session = net.senders[0].session;
    let core = &mut net.senders[0].node.core;
    core.send(session, &[0; 20], Manner::default()).unwrap();
    assert_eq!(net.senders[0].outbound().window().exposed().get(), 1);
    assert_eq!(bodies(net.senders[0].outbound()), [(2, 20)]);
    net.senders[0].is_alive = true;
    net.transmit_from_sender(0);
    assert_eq!(net.senders[0].outbound().window().exposed().get(), 2);
    net.replace_receiver();
    assert_eq!(net.ended(0), Some(Ended::PeerDied));
    assert_eq!(bodies(net.senders[0].outbound()), [(2, 20)], "kept for whoever asks");
}

#[proves("RSM-2")]
#[test]
fn a_stream_begins_where_the_greeting_says_and_nowhere_else() {
    let mut net = resuming(&Setup::default());
    send(&mut net, 1..=4);
    net.recv_all();
    net.replace_receiver();
    net.resume(0);
    assert_eq!(net.recv_all(), [Seen::Joined(0)]);
    let at_receiver = net.senders[0].at_receiver.unwrap();
    net.give_receiver(data(at_receiver, 1, 4, &[b"settled before"]));
    assert_eq!(net.recv_all(), [Seen::Departed(0, Departure::Violated(EndReason::Sequence), 4)]);
}

#[proves("RSM-1", "RDV-1")]
#[test]
fn without_capacity_what_is_sent_again_waits_for_the_application_too() {
    let mut net = resuming(&Setup { channel: Channel::WithoutCapacity, ..Setup::default() });
    assert_eq!(net.recv(), None);
    net.transmit_from_receiver(false);
    net.pump();
    assert_eq!(net.send(0, "message 1"), Ok(1));
    net.replace_receiver();
    net.resume(0);
    net.pump();
    assert_eq!(net.senders[0].outbound().window().transmitted(), Number::NONE);
    assert_eq!(read(&mut net), [message(1, true)]);
}

proptest! {
    /// Whatever is lost, and however often the receiver is killed: in the end each message was handed out, in order, and what came
    /// again was marked.
    #[proves("RSM-1", "RSM-2", "PRO-1")]
    #[test]
    fn nothing_is_lost_with_any_number_of_receivers(
        steps in prop::collection::vec((0..5_u8, 0..1500_usize), 1..60),
        fates in fates(),
        lossy in any::<bool>(),
    ) {
        let setup = Setup { lossy, window: 2000, max_message: 5000, slots: 5, ..Setup::default() };
        let mut net = resuming(&setup);
        if lossy {
            net.receiver.inbox.fates.extend(fates);
        }
        let (mut sent, mut handed) = (Vec::new(), Vec::new());
        let take = |net: &mut Net, handed: &mut Vec<usize>| {
            // Within one incarnation they follow on one another.
            let mut last = None;
            for (number, body, may_repeat) in read(net) {
                let number = usize::try_from(number).unwrap();
                assert!(last.is_none_or(|last| number == last + 1));
                assert!(may_repeat || number == handed.len() + 1, "{number} again, and not marked");
                assert!(number <= handed.len() + 1, "{} is missing before {number}", handed.len() + 1);
                last = Some(number);
                if number > handed.len() {
                    handed.push(body.len());
                }
            }
        };
        for (step, length) in steps {
            match step {
                0 | 1 => if net.send(0, vec![7; length]).is_ok() { sent.push(length) },
                2 => net.pump(),
                3 => take(&mut net, &mut handed),
                _ => {
                    net.replace_receiver();
                    net.resume(0);
                }
            }
        }
        for _ in 0..50 {
            take(&mut net, &mut handed);
            net.answer_timeout(0);
            net.flush(0);
        }
        prop_assert_eq!(&handed, &sent);
        prop_assert_eq!(net.senders[0].outbound().window().settled().get(), sent.len() as u64);
    }
}

//! Section 18 of `SPEC.md`: frames that are lost, doubled or overtaken.

use crate::{
    forge::data,
    net::{Fate, Net, Seen, Setup},
};
use lamq_protocol::{
    FrameNumber, Level, Number, Stamp,
    send::Manner,
    session::{Departure, Ended},
    wire::{Close, EARLY_FRAMES, EndReason, Frame, decode},
};
use lamq_proves::proves;
use proptest::prelude::*;

/// How often each data frame came to the receiver, by its number.
fn arrivals(net: &Net) -> Vec<u64> {
    let data = |frame: &Vec<u8>| match decode(frame.as_slice()).unwrap().1 {
        Frame::Data(data) => Some(data.frame().get()),
        _ => None,
    };
    net.receiver.handled.iter().filter_map(data).collect()
}

#[proves("RTX-1", "RTX-3")]
#[test]
fn a_frame_that_somebody_took_is_sent_again_once_when_one_behind_it_arrives() {
    let mut net = Net::pair();
    net.receiver.inbox.fates.extend([Fate::Arrive, Fate::Lose, Fate::Lose]);
    for number in 1..=5 {
        net.send(0, [number; 400]).unwrap();
        net.stage_timeout(0);
    }
    net.pump();
    assert_eq!(arrivals(&net), [1, 4, 5, 2, 3], "each report is of the same two");
    let seen = net.recv_all();
    assert_eq!(seen, (1..=5).map(|n| Seen::Message(0, n.into(), vec![n; 400])).collect::<Vec<_>>());
    assert_eq!((net.receiver.counters().early, net.receiver.counters().duplicates), (2, 0));
}

#[proves("RTX-1")]
#[test]
fn what_is_lost_again_is_sent_again_when_something_sent_later_arrives() {
    let mut net = Net::pair();
    net.receiver.inbox.fates.extend([Fate::Lose, Fate::Arrive, Fate::Lose]);
    for number in 1..=2 {
        net.send(0, [number; 400]).unwrap();
        net.stage_timeout(0);
    }
    net.pump();
    assert_eq!(arrivals(&net), [2], "frame 1 was lost twice");
    net.send(0, [3; 400]).unwrap();
    net.stage_timeout(0);
    net.pump();
    assert_eq!(arrivals(&net), [2, 3, 1]);
    assert_eq!(net.recv_all().len(), 3);
}

#[proves("RTX-2")]
#[test]
fn an_ask_finds_what_was_lost_at_the_end() {
    let mut net = Net::greeted(Setup { lossy: true, ..Setup::default() });
    net.receiver.inbox.fates.push_back(Fate::Lose);
    net.send(0, "lost").unwrap();
    net.flush(0);
    assert_eq!(net.recv_all(), []);
    assert!(net.senders[0].outbound().awaits_something());
    net.answer_timeout(0);
    assert_eq!(net.recv_all(), [Seen::Message(0, 1, b"lost".to_vec())]);
    assert!(!net.senders[0].outbound().awaits_something());
    // The answer is lost, not the message: nothing is sent again.
    net.senders[0].node.inbox.fates.extend([Fate::Lose; 4]);
    net.send(0, "told").unwrap();
    net.recv_all();
    net.senders[0].node.inbox.fates.clear();
    net.answer_timeout(0);
    net.recv_all();
    assert_eq!(arrivals(&net), [1, 2]);
    assert!(!net.senders[0].outbound().awaits_something());
}

#[proves("RTX-3")]
#[test]
fn frames_that_are_too_early_are_dropped_and_come_again() {
    let mut net = Net::greeted(Setup { slots: 200, ..Setup::default() });
    let session = net.senders[0].at_receiver.unwrap();
    for frame in 2..=EARLY_FRAMES + 3 {
        net.give_receiver(data(session, frame, frame, &[b"x"]));
    }
    assert_eq!((net.receiver.counters().early, net.receiver.counters().too_early), (EARLY_FRAMES, 2));
    net.give_receiver(data(session, 1, 1, &[b"x"]));
    let seen = std::iter::from_fn(|| net.recv()).count();
    assert_eq!(seen as u64, EARLY_FRAMES + 1);
}

#[proves("RTX-4")]
#[test]
fn a_sender_that_did_not_hear_of_the_end_is_told_again() {
    for lossy in [true, false] {
        let mut net = Net::greeted(Setup { lossy, ..Setup::default() });
        let session = net.senders[0].at_receiver.unwrap();
        net.send(0, "x").unwrap();
        net.recv_all();
        net.give_receiver(data(session, 2, 9, &[b"contradicts"]));
        net.senders[0].node.inbox.fates.extend([Fate::Lose; 2]);
        net.recv_all();
        net.senders[0].node.inbox.fates.clear();
        assert_eq!(net.ended(0), None, "it was not heard");
        net.send(0, "goes on").unwrap();
        assert_eq!(net.recv_all(), []);
        assert_eq!(net.ended(0), lossy.then_some(Ended::Accused(EndReason::Sequence)));
        net.kill(0);
        net.mourn(0);
        net.recv_all();
        assert_eq!(net.receiver.core.senders().len(), 0, "then it is forgotten");
    }
}

#[proves("RTX-1", "DAT-3", "PRO-1")]
#[test]
fn what_was_only_overtaken_and_sent_again_is_a_duplicate() {
    let mut net = Net::pair();
    net.receiver.inbox.fates.extend([Fate::Arrive, Fate::Arrive, Fate::Overtake(2)]);
    for number in 1..=3 {
        net.send(0, [number; 400]).unwrap();
        net.stage_timeout(0);
    }
    net.take_at_receiver(1);
    net.transmit_from_receiver(false);
    net.take_at_sender(0, 1);
    net.transmit_from_sender(0);
    let seen = net.recv_all();
    assert_eq!(seen, (1..=3).map(|n| Seen::Message(0, n.into(), vec![n; 400])).collect::<Vec<_>>());
    assert_eq!(arrivals(&net), [3, 1, 2, 1, 2]);
    assert_eq!((net.receiver.counters().duplicates, net.receiver.counters().violations), (2, 0));
}

#[proves("RTX-2", "LRG-4")]
#[test]
fn each_frame_of_a_session_may_be_the_one_that_is_lost() {
    for (to_receiver, lost) in [true, false].into_iter().flat_map(|to| (0..8).map(move |lost| (to, lost))) {
        let mut net = Net::new(Setup { lossy: true, window: 1000, max_message: 3000, ..Setup::default() });
        let inbox = if to_receiver { &mut net.receiver.inbox } else { &mut net.senders[0].node.inbox };
        inbox.fates = (0..lost).map(|_| Fate::Arrive).chain([Fate::Lose]).collect();
        let mut seen = Vec::new();
        net.connect(0);
        let mut carry = |net: &mut Net| {
            for _ in 0..3 {
                seen.extend(net.recv_all());
                net.answer_timeout(0);
            }
        };
        carry(&mut net);
        net.send(0, "one").unwrap();
        carry(&mut net);
        assert!(net.send(0, [2; 2000]).is_err(), "it asks");
        carry(&mut net);
        net.send(0, [2; 2000]).unwrap();
        net.close(0);
        carry(&mut net);
        let messages = [Seen::Message(0, 1, b"one".to_vec()), Seen::Message(0, 2, vec![2; 2000])];
        let expected = [vec![Seen::Joined(0)], messages.to_vec(), vec![Seen::Departed(0, Departure::Left, 2)]].concat();
        assert_eq!(seen, expected, "frame {lost}, to the receiver: {to_receiver}");
        assert_eq!(net.ended(0), Some(Ended::Finished), "frame {lost}, to the receiver: {to_receiver}");
    }
}

#[proves("RTX-2")]
#[test]
fn lost_credit_and_a_lost_refusal_are_asked_for() {
    let mut net = Net::greeted(Setup { lossy: true, window: 3, ..Setup::default() });
    net.send(0, "one").unwrap();
    assert!(net.send(0, "two").is_err());
    net.senders[0].node.inbox.fates.extend([Fate::Lose; 4]);
    net.recv_all();
    assert!(net.send(0, "two").is_err());
    net.senders[0].node.inbox.fates.clear();
    net.answer_timeout(0);
    net.recv_all();
    assert_eq!(net.send(0, "two"), Ok(2));
    let mut net = Net::new(Setup { lossy: true, max_sessions: 0, ..Setup::default() });
    net.senders[0].node.inbox.fates.push_back(Fate::Lose);
    net.greet(0);
    assert_eq!(net.ended(0), None);
    net.answer_timeout(0);
    net.pump();
    assert!(matches!(net.ended(0), Some(Ended::Refused(_))));
    assert!(!net.senders[0].outbound().awaits_something());
}

#[proves("RTX-2", "ACK-8")]
#[test]
fn a_delivery_that_is_waited_for_is_asked_about_whatever_the_level() {
    let mut net = Net::greeted(Setup { lossy: true, level: Level::Received, ..Setup::default() });
    net.send_as(0, "x", Manner { awaited: true, ..Manner::default() }).unwrap();
    net.pump();
    net.transmit_from_receiver(true);
    net.take_at_sender(0, 1);
    assert_eq!(net.senders[0].outbound().window().settled().get(), 1);
    net.senders[0].node.inbox.fates.extend([Fate::Lose; 4]);
    net.recv_all();
    net.senders[0].node.inbox.fates.clear();
    net.answer_timeout(0);
    net.recv_all();
    assert_eq!(net.senders[0].outbound().window().acknowledged().delivered.get(), 1);
    assert!(!net.senders[0].outbound().awaits_something());
}

#[proves("RTX-4")]
#[test]
fn sessions_that_are_kept_for_the_last_word_take_no_place_and_are_not_kept_for_ever() {
    let setup = Setup { lossy: true, senders: 80, max_sessions: 1, ..Setup::default() };
    let mut net = Net::new(setup);
    for index in 0..80 {
        net.greet(index);
        net.send(index, "x").unwrap();
        net.close(index);
        assert_eq!(net.recv_all().len(), 3, "joined, a message, left");
        assert_eq!(net.ended(index), Some(Ended::Finished));
        assert_eq!(net.receiver.core.senders().len(), (index + 1).min(64));
    }
    let oldest: Vec<_> = (0..16).map(|index| net.senders[index].at_receiver.unwrap()).collect();
    assert_eq!(net.ended, oldest);
}

#[proves("RTX-4", "CLO-6")]
#[test]
fn a_receiver_that_has_left_says_so_again_and_its_close_tells_what_it_delivered() {
    let mut net = Net::greeted(Setup { lossy: true, ..Setup::default() });
    (0..3).for_each(|_| _ = net.send(0, "x").unwrap());
    net.flush(0);
    net.transmit_from_receiver(true);
    net.pump();
    assert!(net.recv().is_some() && net.recv().is_some());
    net.senders[0].node.inbox.fates.extend([Fate::Lose; 4]);
    net.receiver.core.leave();
    net.transmit_from_receiver(true);
    net.take_at_sender(0, usize::MAX);
    net.senders[0].node.inbox.fates = [Fate::Lose].into(); // the acknowledgement, not the close behind it
    assert_eq!(net.ended(0), None);
    net.answer_timeout(0);
    net.pump();
    assert_eq!(net.ended(0), Some(Ended::ClosedByPeer));
    assert_eq!(net.senders[0].outbound().window().acknowledged().delivered.get(), 2);
    net.mourn(0);
    net.transmit_from_receiver(true);
    assert_eq!((net.receiver.core.senders().len(), net.ended.len()), (0, 1), "nobody is left to tell");
}

#[proves("CLO-6")]
#[test]
fn a_close_cannot_acknowledge_what_was_never_sent() {
    let mut net = Net::pair();
    net.send(0, "x").unwrap();
    let close = Close { last: Number::new(2), reason: EndReason::Finished, frame: FrameNumber::NONE };
    let session = net.senders[0].session;
    net.give_sender(0, close.encode(session, Stamp::new(1)));
    assert_eq!(net.ended(0), Some(Ended::ClosedByPeer));
    assert_eq!(net.senders[0].outbound().window().acknowledged().delivered.get(), 0);
}

#[proves("RTX-2")]
#[test]
fn who_closes_before_its_greeting_is_answered_greets_again() {
    for to_receiver in [true, false] {
        let mut net = Net::new(Setup { lossy: true, ..Setup::default() });
        let inbox = if to_receiver { &mut net.receiver.inbox } else { &mut net.senders[0].node.inbox };
        inbox.fates.push_back(Fate::Lose);
        net.greet(0);
        net.close(0);
        net.pump();
        assert_eq!(net.ended(0), None);
        net.answer_timeout(0);
        assert_eq!(net.recv_all(), [Seen::Joined(0), Seen::Departed(0, Departure::Left, 0)]);
        assert_eq!(net.ended(0), Some(Ended::Finished));
    }
}

#[proves("LAM-3", "RTX-3")]
#[test]
fn a_close_that_comes_early_raises_the_clock_too() {
    let mut net = Net::pair();
    let session = net.senders[0].at_receiver.unwrap();
    let close = Close { last: Number::new(1), reason: EndReason::Finished, frame: FrameNumber::new(2) };
    net.give_receiver(close.encode(session, Stamp::new(500)));
    net.give_receiver(data(session, 1, 1, &[b"x"]));
    while net.recv().is_some() {}
    assert!(net.receiver.core.now() >= Stamp::new(500), "{}", net.receiver.core.now());
}

pub(crate) fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        5 => Just(Fate::Arrive),
        2 => Just(Fate::Lose),
        1 => Just(Fate::Double),
        2 => (1..4_usize).prop_map(Fate::Overtake),
    ];
    prop::collection::vec(fate, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[proves("RTX-1", "RTX-2", "RTX-3", "PRO-1", "CLO-2", "DRP-1")]
    #[test]
    fn whatever_a_lossy_link_does_all_arrives_once_and_in_order_and_both_sides_end(
        to_receiver in fates(),
        to_sender in fates(),
        lengths in prop::collection::vec(prop_oneof![4 => (0..300_usize).prop_map(Some), 1 => (300..3000_usize).prop_map(Some), 1 => Just(None)], 1..25),
    ) {
        let setup = Setup { lossy: true, window: 2000, max_message: 3000, ..Setup::default() };
        let mut net = Net::new(setup);
        net.receiver.inbox.fates.extend(to_receiver);
        net.senders[0].node.inbox.fates.extend(to_sender);
        net.connect(0);
        let (mut seen, mut expected, mut left) = (Vec::new(), vec![Seen::Joined(0)], lengths.iter());
        let mut next = left.next();
        for _ in 0..400 {
            if let Some(length) = next {
                let number = expected.len() as u64;
                let accepted = match length {
                    Some(length) => {
                        let body = vec![u8::try_from(number % 251).unwrap(); *length];
                        net.send(0, &body).ok().map(|number| Seen::Message(0, number, body))
                    }
                    None if net.senders[0].outbound().is_open() => net.drop_message(0).ok().map(|n| Seen::Gap(0, n, n)),
                    None => None,
                };
                if let Some(accepted) = accepted {
                    expected.push(accepted);
                    next = left.next();
                }
            } else if net.ended(0).is_none() {
                net.close(0);
            }
            seen.extend(net.recv_all());
            net.answer_timeout(0);
        }
        expected.push(Seen::Departed(0, Departure::Left, lengths.len() as u64));
        let seen = seen.into_iter().flat_map(|seen| match seen {
            Seen::Gap(index, first, last) => (first..=last).map(|n| Seen::Gap(index, n, n)).collect(),
            other => vec![other],
        });
        prop_assert_eq!(seen.collect::<Vec<_>>(), expected);
        prop_assert_eq!(net.ended(0), Some(Ended::Finished));
        prop_assert_eq!(net.receiver.counters().violations, 0);
        net.kill(0);
        net.mourn(0);
        net.recv_all();
        prop_assert_eq!(net.receiver.core.senders().len(), 0);
    }
}

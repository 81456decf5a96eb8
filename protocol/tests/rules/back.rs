//! Section 20 of `SPEC.md`: a stream back.

use crate::{
    forge::{acknowledgement, data, terms},
    losing::fates,
    net::{Channel, Net, Seen, Setup},
};
use lamq_protocol::{
    Epoch, FrameNumber, Level, SessionId, Stamp,
    session::{Departure, Ended, Outbound},
    wire::{Back, EndReason, Frame, Priority, Welcome, decode},
};
use lamq_proves::proves;
use proptest::prelude::*;

/// Where the receiver is, in the eyes of those that it sends to.
const THERE: usize = usize::MAX;

fn both_ways(setup: &Setup) -> Net {
    let mut net = Net::greeted(Setup { channel: Channel::BothWays, ..setup.clone() });
    for index in 0..net.senders.len() {
        assert_eq!(net.recv_back(index), [Seen::Joined(THERE)]);
    }
    net
}

fn message(number: u64, body: &str) -> Seen {
    Seen::Message(0, number, body.into())
}

fn message_back(number: u64, body: &str) -> Seen {
    Seen::Message(THERE, number, body.into())
}

/// The receiver's end of the stream back.
fn back(net: &Net) -> &Outbound {
    net.receiver.core.outbound(net.senders[0].at_receiver.unwrap()).expect("it was asked for")
}

/// Ends the receiver's side of the stream back.
fn close_back(net: &mut Net) {
    let session = net.senders[0].at_receiver.unwrap();
    net.receiver.core.with_outbound(session, Outbound::close).unwrap();
    net.transmit_from_receiver(false);
}

#[proves("DPX-1")]
#[test]
fn whoever_asks_for_a_stream_back_gets_one_and_nobody_else() {
    let mut net = both_ways(&Setup::default());
    assert_eq!(net.send_back(0, "hello"), Ok(1));
    assert_eq!(net.recv_back(0), [message_back(1, "hello")]);
    assert_eq!(back(&net).window().settled().get(), 1, "it is acknowledged");
    let peer = net.senders[0].node.core.senders().next().unwrap().1.peer();
    assert_eq!((peer.pid, Some(peer.stream.epoch)), (1, Epoch::new(1 << 16 | 1)));

    let mut net = Net::pair();
    assert!(net.receiver.core.outbound(net.senders[0].at_receiver.unwrap()).is_none());
    assert!(net.send_back(0, "unasked").is_err());
}

#[proves("DPX-1")]
#[test]
fn the_terms_of_the_greeting_bound_what_is_sent_back() {
    let mut net = both_ways(&Setup { window: 512, max_message: 100, slots: 4, ..Setup::default() });
    assert!(net.send_back(0, [0; 101]).is_err(), "longer than the greeter takes");
    let sent = (0..100).take_while(|_| net.send_back(0, [0; 100]).is_ok()).count();
    assert_eq!(sent, 5, "512 bytes");
    assert_eq!(net.recv_back(0).len(), 5);
    assert_eq!(net.send_back(0, [0; 100]), Ok(6), "credit comes as it is read");
}

#[proves("DPX-1")]
#[test]
fn two_streams_back_have_different_names() {
    let mut net = both_ways(&Setup { senders: 2, ..Setup::default() });
    let stream = |net: &Net, index: usize| net.senders[index].node.core.senders().next().unwrap().1.peer().stream;
    assert_ne!(stream(&net, 0), stream(&net, 1));
    for index in [0, 1] {
        net.send_back(index, format!("for {index}")).unwrap();
        assert_eq!(net.recv_back(index), [message_back(1, &format!("for {index}"))]);
    }
}

#[proves("WEL-3")]
#[test]
fn a_welcome_with_a_stream_back_that_nobody_asked_for_changes_nothing_nor_one_without() {
    for channel in [Channel::Plain, Channel::BothWays] {
        let mut net = Net::new(Setup { channel, ..Setup::default() });
        net.connect(0);
        net.transmit_from_sender(0);
        let epoch = Epoch::new(9).unwrap();
        let data_session = SessionId::new(9).unwrap();
        let unasked = Back { level: Level::Delivered, index: 0 };
        let back = (channel == Channel::Plain).then_some(unasked);
        let welcome = Welcome { data_session, epoch, pid: 9, terms: terms(8, 1000), back };
        net.give_sender(0, welcome.encode(net.senders[0].session, Stamp::new(1)));
        assert!(!net.senders[0].outbound().is_open());
        assert_eq!(net.senders[0].node.counters().repeated_welcome, 1);
    }
}

#[proves("DPX-4")]
#[test]
fn nothing_is_sent_back_before_the_welcome() {
    let mut net = Net::new(Setup { channel: Channel::BothWays, sender_slots: 1, ..Setup::default() });
    net.connect(0);
    net.transmit_from_sender(0);
    // Somebody else's frame takes the only slot.
    let inbox = &mut net.senders[0].node.inbox;
    assert!(inbox.put(Priority::Ordered, b"a stranger's"));
    net.take_at_receiver(1);
    net.send_back(0, "early").unwrap();
    net.take_at_sender(0, 1);
    net.receiver.core.retry(net.senders[0].at_receiver.unwrap());
    assert_eq!(net.recv_back(0), [Seen::Joined(THERE), message_back(1, "early")]);
    let kinds: Vec<_> = net.senders[0].node.handled.iter().filter_map(|frame| decode(frame.as_slice()).ok()).collect();
    assert!(matches!(kinds[0].1, Frame::Welcome(_)));
}

#[proves("DPX-3")]
#[test]
fn either_direction_may_end_first_and_the_other_goes_on() {
    for back_first in [false, true] {
        let mut net = both_ways(&Setup::default());
        let left = Departure::Left;
        if back_first {
            net.send_back(0, "last").unwrap();
            close_back(&mut net);
            assert_eq!(net.recv_back(0), [message_back(1, "last"), Seen::Departed(THERE, left, 1)]);
            assert_eq!(back(&net).ended(), Some(Ended::Finished));
        } else {
            net.send(0, "last").unwrap();
            net.close(0);
            assert_eq!(net.recv_all(), [message(1, "last"), Seen::Departed(0, left, 1)]);
            assert_eq!(net.ended(0), Some(Ended::Finished));
        }
        assert!(net.ended.is_empty() && net.senders[0].ended.is_empty(), "the links are still needed");
        for number in 2..=4 {
            if back_first {
                let number = number - 1;
                assert_eq!(net.send(0, "on"), Ok(number));
                assert_eq!(net.recv_all(), [message(number, "on")]);
            } else {
                let number = number - 1;
                assert_eq!(net.send_back(0, "on"), Ok(number));
                assert_eq!(net.recv_back(0), [message_back(number, "on")]);
            }
        }
        if back_first {
            net.close(0);
            assert_eq!(net.recv_all(), [Seen::Departed(0, left, 3)]);
        } else {
            close_back(&mut net);
            assert_eq!(net.recv_back(0), [Seen::Departed(THERE, left, 3)]);
        }
        net.recv_all();
        assert_eq!((net.ended.len(), net.senders[0].ended.len()), (1, 1), "once, when both are over");
    }
}

#[proves("DPX-3", "CLO-4")]
#[test]
fn who_stops_receiving_may_go_on_sending() {
    let mut net = both_ways(&Setup::default());
    net.receiver.core.leave();
    net.transmit_from_receiver(true);
    net.pump();
    assert_eq!(net.ended(0), Some(Ended::ClosedByPeer));
    assert_eq!(net.send_back(0, "still here"), Ok(1));
    assert_eq!(net.recv_back(0), [message_back(1, "still here")]);
    net.senders[0].node.core.leave();
    net.transmit_from_sender(0);
    net.pump();
    assert_eq!(back(&net).ended(), Some(Ended::ClosedByPeer));
    assert_eq!((net.ended.len(), net.senders[0].ended.len()), (1, 1));
}

#[proves("DPX-2", "SES-3")]
#[test]
fn a_violation_in_one_direction_ends_both() {
    type Break = fn(&mut Net);
    let cases: [(&str, Break, EndReason); 4] = [
        (
            "data",
            |net| net.give_receiver(data(net.senders[0].at_receiver.unwrap(), 1, 5, &[b"x"])),
            EndReason::Sequence,
        ),
        ("data back", |net| net.give_sender(0, data(net.senders[0].session, 1, 5, &[b"x"])), EndReason::Sequence),
        (
            "acknowledgement",
            |net| {
                let forged = acknowledgement(9, [9, 9, 9, 99, 99]);
                net.give_sender(0, forged.encode(net.senders[0].session, Stamp::new(1)));
            },
            EndReason::Acknowledgement,
        ),
        (
            "acknowledgement of the stream back",
            |net| {
                let forged = acknowledgement(9, [9, 9, 9, 99, 99]);
                net.give_receiver(forged.encode(net.senders[0].at_receiver.unwrap(), Stamp::new(1)));
            },
            EndReason::Acknowledgement,
        ),
    ];
    for (name, break_rule, reason) in cases {
        let mut net = both_ways(&Setup { senders: 2, ..Setup::default() });
        break_rule(&mut net);
        let (there, here) = (net.recv_all(), net.recv_back(0));
        let by_sender = ["data", "acknowledgement of the stream back"].contains(&name);
        let (found, told) = (Departure::Violated(reason), Departure::Accused(reason));
        let (at_receiver, at_sender) = if by_sender { (found, told) } else { (told, found) };
        assert_eq!(there, [Seen::Departed(0, at_receiver, 0)], "{name}");
        assert_eq!(here, [Seen::Departed(THERE, at_sender, 0)], "{name}");
        let (found, told) = (Some(Ended::PeerViolated(reason)), Some(Ended::Accused(reason)));
        let (at_receiver, at_sender) = if by_sender { (found, told) } else { (told, found) };
        assert_eq!((back(&net).ended(), net.ended(0)), (at_receiver, at_sender), "{name}");
        net.recv_all();
        assert_eq!((net.ended.len(), net.senders[0].ended.len()), (1, 1), "{name}");
        net.send(1, "undisturbed").unwrap();
        assert_eq!(net.recv_all().len(), 1, "{name}");
    }
}

#[proves("DTH-3", "DTH-4")]
#[test]
fn a_death_ends_both_directions() {
    let mut net = both_ways(&Setup::default());
    net.send(0, "last words").unwrap();
    net.kill(0);
    net.mourn(0);
    assert_eq!(net.recv_all(), [message(1, "last words"), Seen::Departed(0, Departure::Died, 1)]);
    assert_eq!(back(&net).ended(), Some(Ended::PeerDied));
    assert_eq!(net.ended.len(), 1);
    let mut net = both_ways(&Setup::default());
    net.send_back(0, "last words").unwrap();
    net.pump();
    let session = net.senders[0].session;
    net.senders[0].node.core.handle_death(session);
    assert_eq!(net.recv_back(0), [message_back(1, "last words"), Seen::Departed(THERE, Departure::Died, 1)]);
    assert_eq!(net.ended(0), Some(Ended::PeerDied));
    assert_eq!(net.senders[0].ended.len(), 1);
}

proptest! {
    /// Both streams at once, over links that lose: each is a prefix, and in the end complete.
    #[proves("PRO-1", "DPX-1", "RTX-2")]
    #[test]
    fn both_streams_are_complete_over_a_link_that_loses(
        steps in prop::collection::vec((0..3_u8, 0..600_usize), 1..60),
        fates in fates(),
        fates_back in fates(),
    ) {
        let mut net = both_ways(&Setup { lossy: true, ..Setup::default() });
        net.receiver.inbox.fates.extend(fates);
        net.senders[0].node.inbox.fates.extend(fates_back);
        let (mut forth, mut back_again) = (0, 0);
        let (mut there, mut here) = (Vec::new(), Vec::new());
        for (step, length) in steps {
            match step {
                0 => forth += u64::from(net.send(0, vec![1; length]).is_ok()),
                1 => back_again += u64::from(net.send_back(0, vec![2; length]).is_ok()),
                _ => {
                    there.extend(net.recv_all());
                    here.extend(net.recv_back(0));
                }
            }
        }
        for _ in 0..100 {
            there.extend(net.recv_all());
            here.extend(net.recv_back(0));
            net.answer_timeout(0);
            let session = net.senders[0].at_receiver.unwrap();
            if back(&net).awaits_something() {
                net.receiver.core.with_outbound(session, Outbound::handle_answer_timeout);
                net.transmit_from_receiver(true);
            }
        }
        let numbers = |seen: &[Seen]| seen.iter().map(|seen| match seen {
            Seen::Message(_, number, _) => *number,
            other => panic!("{other:?}"),
        }).collect::<Vec<_>>();
        prop_assert_eq!(numbers(&there), (1..=forth).collect::<Vec<_>>());
        prop_assert_eq!(numbers(&here), (1..=back_again).collect::<Vec<_>>());
        prop_assert_eq!(back(&net).window().settled().get(), back_again);
    }
}

#[test]
fn a_frame_number_tells_a_senders_close_from_a_receivers() {
    let mut net = both_ways(&Setup::default());
    net.close(0);
    net.pump();
    let frame = net.receiver.handled.last().unwrap();
    let Ok((_, Frame::Close(close))) = decode(frame.as_slice()) else { panic!("a close") };
    assert_eq!(close.frame, FrameNumber::new(1));
    assert_eq!(back(&net).ended(), None);
}

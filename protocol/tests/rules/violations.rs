//! A violation ends its session on both sides under one name, and no other session notices (SES-3).

use crate::{
    forge::{acknowledgement, close, data, data_from},
    net::{Net, Seen, Setup},
};
use lamq_protocol::{
    FrameNumber, Level, Number, SessionId, Stamp,
    endpoint::SendRefused,
    lamport::MAX_LEAD,
    session::{Departure, Ended},
    wire::{Close, EndReason, Frame, decode},
};
use lamq_proves::proves;

/// What a sender may do wrong, each with a name of its own.
fn wrongs_of_a_sender(session: SessionId) -> [(EndReason, Vec<u8>); 5] {
    [
        (EndReason::Sequence, data(session, 2, 3, &[b"x"])),
        (EndReason::Credit, data(session, 2, 2, &[&[0; 5000]])),
        (EndReason::Stamp, data_from(session, 2, 2, MAX_LEAD * 2, &[b"x"])),
        (EndReason::Final, close(session, 2, 7, EndReason::Finished)),
        (EndReason::TooLong, data(session, 2, 2, &[&[0; 5001]])),
    ]
}

/// What a receiver may do wrong.
fn wrongs_of_a_receiver(session: SessionId) -> [(EndReason, Vec<u8>); 3] {
    let far = Stamp::new(MAX_LEAD * 2);
    [
        (EndReason::Acknowledgement, acknowledgement(9, [9, 0, 0, 99, 9999]).encode(session, Stamp::new(1)).to_vec()),
        (EndReason::Stamp, acknowledgement(0, [0; 5]).encode(session, far).to_vec()),
        (
            EndReason::Stamp,
            Close { last: Number::NONE, reason: EndReason::Finished, frame: FrameNumber::NONE }.encode(session, far),
        ),
    ]
}

/// Two senders, each with a message that was received and not read.
fn two() -> Net {
    let mut net = Net::greeted(Setup { senders: 2, window: 4096, max_message: 5000, ..Setup::default() });
    net.send(0, "bad's one").unwrap();
    net.send(1, "good's one").unwrap();
    net.pump();
    net
}

/// Sender 1 finishes its work; what the application then sees of both.
fn finish(mut net: Net) -> [Vec<Seen>; 2] {
    net.send(1, "good's two").unwrap();
    net.close(1);
    let seen = net.recv_all();
    assert_eq!(net.ended(1), Some(Ended::Finished));
    assert_eq!(net.receiver.core.senders().len(), 0, "both sessions are gone");
    let of = |wanted: usize| {
        let is_of =
            |seen: &&Seen| matches!(seen, Seen::Message(index, ..) | Seen::Departed(index, ..) if *index == wanted);
        seen.iter().filter(is_of).cloned().collect()
    };
    [of(0), of(1)]
}

fn goods_work() -> Vec<Seen> {
    let message = |number, body: &str| Seen::Message(1, number, body.into());
    vec![message(1, "good's one"), message(2, "good's two"), Seen::Departed(1, Departure::Left, 2)]
}

#[proves("SES-3", "PRO-3", "DAT-4", "CRD-5", "LAM-4", "CLO-3", "LRG-1")]
#[test]
fn a_sender_that_breaks_a_rule_is_ended_by_its_name_and_the_other_goes_on() {
    for (reason, frame) in wrongs_of_a_sender(two().senders[0].at_receiver.unwrap()) {
        let mut net = two();
        net.give_receiver(frame);
        net.pump();
        assert_eq!(net.ended(0), Some(Ended::Accused(reason)));
        assert_eq!(net.send(0, "x"), Err(SendRefused::Ended(Ended::Accused(reason))));
        assert_eq!(net.receiver.counters().violations, 1);
        let [bads, goods] = finish(net);
        let received = Seen::Message(0, 1, b"bad's one".to_vec());
        assert_eq!(bads, [received, Seen::Departed(0, Departure::Violated(reason), 1)], "what came before counts");
        assert_eq!(goods, goods_work());
    }
}

#[proves("SES-3", "ACK-6", "LAM-4")]
#[test]
fn a_receiver_that_breaks_a_rule_is_left_by_its_name_and_the_other_sender_goes_on() {
    for (reason, frame) in wrongs_of_a_receiver(two().senders[0].session) {
        let mut net = two();
        net.give_sender(0, frame);
        assert_eq!(net.ended(0), Some(Ended::PeerViolated(reason)));
        assert_eq!(net.send(0, "x"), Err(SendRefused::Ended(Ended::PeerViolated(reason))));
        assert_eq!(net.senders[0].node.counters().violations, 1);
        let [bads, goods] = finish(net);
        assert_eq!(bads.last(), Some(&Seen::Departed(0, Departure::Accused(reason), 1)), "the receiver hears it too");
        assert_eq!(goods, goods_work());
    }
}

#[proves("SES-2", "SES-3")]
#[test]
fn an_ended_session_takes_nothing_more() {
    let mut net = two();
    let session = net.senders[0].at_receiver.unwrap();
    net.give_receiver(data(session, 2, 3, &[b"out of order"]));
    let unknown = net.receiver.counters().unknown_session;
    for (_, frame) in wrongs_of_a_sender(session) {
        net.give_receiver(frame);
    }
    net.give_receiver(data(session, 2, 2, &[b"what was missing"]));
    assert_eq!(net.receiver.counters().violations, 1, "one is enough");
    assert_eq!(net.receiver.counters().unknown_session, unknown + 6);
    let [bads, _] = finish(net);
    assert_eq!(bads.len(), 2);
}

/// The sender has ended its session when it reads the close: it could only count what comes behind.
#[test]
fn a_receiver_says_nothing_behind_its_accusation() {
    let mut net = two();
    net.give_receiver(close(net.senders[0].at_receiver.unwrap(), 2, 9, EndReason::Finished));
    net.recv_all();
    let last = net.senders[0].node.handled.last().unwrap().clone();
    let Frame::Close(close) = decode(last).unwrap().1 else { panic!("a close") };
    assert_eq!(close.reason, EndReason::Final);
    assert_eq!(net.senders[0].node.counters().unknown_session, 0);
}

#[proves("SES-3")]
#[test]
fn an_accusation_waits_for_room_and_is_dropped_when_the_accused_dies() {
    let accuse = || {
        let mut net = two();
        let frame = wrongs_of_a_receiver(net.senders[0].session)[0].1.clone();
        net.give_sender(0, frame);
        net
    };
    let mut net = accuse();
    let session = net.senders[0].session;
    let core = &mut net.senders[0].node.core;
    for _ in 0..2 {
        assert_eq!(core.transmit(false, &mut |_, _, _| false), [session], "no room");
        assert_eq!(core.poll_ended(), None, "its link is still needed");
    }
    let mut sent = 0;
    let mut count = |_, _, _: &[u8]| {
        sent += 1;
        true
    };
    assert_eq!(core.transmit(false, &mut count), []);
    core.retry(session);
    core.transmit(false, &mut count);
    assert_eq!((sent, core.poll_ended(), core.poll_ended()), (1, Some(session), None));
    let mut net = accuse();
    let core = &mut net.senders[0].node.core;
    core.handle_death(session);
    core.transmit(false, &mut |_, _, _| panic!("nobody is there to be accused"));
    assert_eq!(core.poll_ended(), Some(session));
}

#[proves("SES-2")]
#[test]
fn after_an_accusation_of_either_side_the_session_is_removed_at_every_level() {
    for level in [Level::Received, Level::Delivered, Level::Processed] {
        for auto_process in [true, false] {
            let mut net = Net::greeted(Setup { level, auto_process, senders: 2, ..Setup::default() });
            net.send(0, "x").unwrap();
            net.send(1, "y").unwrap();
            net.pump();
            net.give_receiver(close(net.senders[0].at_receiver.unwrap(), 2, 9, EndReason::Finished));
            net.give_sender(1, wrongs_of_a_receiver(net.senders[1].session)[0].1.clone());
            net.recv_all();
            assert_eq!(net.receiver.core.senders().len(), 0, "{level:?}, auto {auto_process}");
            assert_eq!(net.ended.len(), 2);
            assert_eq!(net.senders.iter().map(|sender| sender.ended.len()).sum::<usize>(), 2);
        }
    }
}

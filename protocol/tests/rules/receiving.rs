//! What a receiver does with a frame: it is the next one, an early one, a duplicate, or a violation.

use crate::{
    forge::{close, data, decode_data, receive, session, shaped},
    net::{Net, Seen, Setup},
};
use lamq_protocol::{
    FrameNumber, Level, Number, SessionId,
    recv::{Pace, RecvWindow, Verdict},
    session::Departure,
    wire::{Acknowledgement, EndReason, Shape},
};
use lamq_proves::proves;

/// A window that has granted this much.
fn window(frame_credit: u64, byte_credit: u64) -> RecvWindow {
    let mut window = RecvWindow::new(Level::Delivered, byte_credit);
    window.told(Acknowledgement { frame_credit, byte_credit, ..Acknowledgement::default() });
    window
}

/// Frame `frame` arrives, with messages from number `first` on.
fn arrive(window: &mut RecvWindow, frame: u64, first: u64, bodies: &[&[u8]]) -> Result<Verdict, EndReason> {
    receive(window, &decode_data(data(session(), frame, first, bodies)))
}

/// A window that has taken messages 1 to 3 in frame 1 and message 4 in frame 2.
fn four_received() -> RecvWindow {
    let mut window = window(200, 900);
    arrive(&mut window, 1, 1, &[b"1", b"2", b"3"]).unwrap();
    arrive(&mut window, 2, 4, &[b"4"]).unwrap();
    window
}

#[proves("DAT-3")]
#[test]
fn a_frame_whose_number_was_received_before_is_a_duplicate_whatever_is_in_it() {
    let mut window = four_received();
    assert_eq!(arrive(&mut window, 4, 6, &[b"6"]), Ok(Verdict::Early));
    let before = window.clone();
    for (frame, first, bodies) in
        [(1, 1, &[&b"1"[..], b"2", b"3"][..]), (2, 4, &[b"4"]), (4, 6, &[b"6"]), (1, 5, &[b"5"])]
    {
        assert_eq!(arrive(&mut window, frame, first, bodies), Ok(Verdict::Duplicate), "frame {frame}");
        assert_eq!(window.arrive(FrameNumber::new(frame), true), Ok(Verdict::Duplicate), "close {frame}");
        assert_eq!(window, before, "nothing changed");
    }
    assert_eq!(window.arrive(FrameNumber::NONE, true), Ok(Verdict::Duplicate), "there is no such frame");
}

#[proves("DAT-4")]
#[test]
fn a_frame_whose_records_do_not_follow_those_of_the_frame_before_is_a_violation() {
    for first in [1, 2, 4, 6, u64::MAX - 2] {
        let verdict = arrive(&mut four_received(), 3, first, &[b"x"]);
        assert_eq!(verdict, Err(EndReason::Sequence), "{first} behind 4");
    }
    assert_eq!(arrive(&mut window(9, 900), 1, 2, &[b"2"]), Err(EndReason::Sequence), "number 1 is missing");
    assert_eq!(arrive(&mut four_received(), 3, 5, &[b"5"]), Ok(Verdict::Next));
    let gap = |next, gap| {
        let records = [(Shape { gap, ..Shape::default() }, &b"x"[..])];
        receive(&mut four_received(), &decode_data(shaped(session(), 3, next, 9, &records)))
    };
    assert_eq!(gap(5, 3), Ok(Verdict::Next), "5 to 7 were dropped");
    assert_eq!(gap(6, 3), Err(EndReason::Sequence), "6 to 8 were dropped, and 5 is missing");
    assert_eq!(gap(4, 3), Err(EndReason::Sequence), "4 was not dropped");
}

/// A frame of one message, or of a piece of it.
fn piece(window: &mut RecvWindow, frame: u64, number: u64, rest: bool, more: bool) -> Result<Verdict, EndReason> {
    let records = [(Shape { rest, more, ..Shape::default() }, &b"piece"[..])];
    receive(window, &decode_data(shaped(session(), frame, number, frame, &records)))
}

#[proves("DAT-2", "DAT-4")]
#[test]
fn the_pieces_of_a_message_follow_each_other_without_anything_between_them() {
    let inside = || {
        let mut window = four_received();
        assert_eq!(piece(&mut window, 3, 5, false, true), Ok(Verdict::Next));
        assert_eq!(window.received(), Number::new(4), "5 is not received before its last piece");
        window
    };
    for (why, number, rest, more) in [
        ("message 5 from the beginning", 5, false, false),
        ("message 5 from the beginning, in pieces", 5, false, true),
        ("message 6", 6, false, false),
        ("a piece of message 6", 6, true, false),
        ("a piece of message 4", 4, true, true),
    ] {
        assert_eq!(piece(&mut inside(), 4, number, rest, more), Err(EndReason::Sequence), "{why}");
    }
    assert_eq!(piece(&mut four_received(), 3, 5, true, false), Err(EndReason::Sequence), "a rest of nothing");
    assert_eq!(inside().take_close(Number::new(4)), Err(EndReason::Final), "a close inside of a message");
    let mut window = inside();
    assert_eq!(piece(&mut window, 4, 5, true, true), Ok(Verdict::Next));
    assert_eq!(piece(&mut window, 5, 5, true, false), Ok(Verdict::Next));
    assert_eq!(window.received(), Number::new(5));
    assert_eq!(piece(&mut window, 6, 6, false, false), Ok(Verdict::Next));
}

#[proves("CLO-3")]
#[test]
fn nothing_follows_a_close() {
    let mut window = four_received();
    for last in [3, 5] {
        assert_eq!(window.clone().take_close(Number::new(last)), Err(EndReason::Final));
    }
    assert_eq!(window.take_close(Number::new(4)), Ok(()));
    assert_eq!((window.expected().get(), window.current(1).frames.get()), (4, 3), "it has a place among the frames");
    assert_eq!(window.clone().take_close(Number::new(4)), Err(EndReason::Final));
    assert_eq!(arrive(&mut window, 4, 5, &[b"5"]), Err(EndReason::Sequence));
}

#[proves("CRD-5")]
#[test]
fn data_beyond_the_granted_credit_is_a_violation() {
    let mut by_frames = window(2, 900);
    assert_eq!(arrive(&mut by_frames, 1, 1, &[b"1"]), Ok(Verdict::Next));
    assert_eq!(arrive(&mut by_frames.clone(), 3, 3, &[b"3"]), Err(EndReason::Credit), "also when it is early");
    assert_eq!(arrive(&mut by_frames, 2, 2, &[b"2"]), Ok(Verdict::Next));
    assert_eq!(arrive(&mut by_frames, 2, 2, &[b"2"]), Ok(Verdict::Duplicate), "a duplicate costs nothing");
    assert_eq!(by_frames.clone().arrive(FrameNumber::new(3), true), Ok(Verdict::Next), "nor does a close");
    assert_eq!(arrive(&mut by_frames, 3, 3, &[b""]), Err(EndReason::Credit), "the third of two frames");
    let mut by_bytes = window(9, 10);
    assert_eq!(arrive(&mut by_bytes, 1, 1, &[b"12345", b"6789"]), Ok(Verdict::Next));
    assert_eq!(arrive(&mut by_bytes.clone(), 2, 3, &[b"0", b"1"]), Err(EndReason::Credit), "the eleventh of ten bytes");
    assert_eq!(arrive(&mut by_bytes, 2, 3, &[b"0", b""]), Ok(Verdict::Next));
}

#[proves("RTX-3")]
#[test]
fn a_frame_before_its_time_is_reported_if_it_is_one_of_the_next_64() {
    let mut window = four_received();
    window.told(Acknowledgement { frame_credit: 200, ..window.current(1) });
    for (frame, early) in [(4, 0b1), (6, 0b101), (67, 1 << 63 | 0b101)] {
        assert_eq!(window.due(200).and_then(|due| due.at(Pace::Reading)), None);
        assert_eq!(arrive(&mut window, frame, frame + 2, &[b"x"]), Ok(Verdict::Early), "{frame}");
        let report = window.due(200).and_then(|due| due.at(Pace::Reading)).expect("it is reported at once");
        assert_eq!((report.frames.get(), report.early, report.received.get()), (2, early, 4));
        let named: Vec<_> = report.early_frames().map(FrameNumber::get).collect();
        assert_eq!(named, [4, 6, 67].into_iter().filter(|named| *named <= frame).collect::<Vec<_>>());
        window.told(Acknowledgement { frame_credit: 200, ..report });
    }
    let before = window.clone();
    assert_eq!(arrive(&mut window, 68, 70, &[b"x"]), Ok(Verdict::TooEarly));
    assert_eq!(window, before, "as if it had not come");
    assert_eq!(arrive(&mut window, 3, 5, &[b"x"]), Ok(Verdict::Next));
    assert_eq!(window.current(1).early, 1 << 62 | 0b10, "the same frames, behind another");
}

/// Frame `number` of a session, with the message of the same number.
fn single(session: SessionId, number: u64) -> Vec<u8> {
    data(session, number, number, &[format!("{number}").as_bytes()])
}

#[proves("RTX-3", "PRO-1")]
#[test]
fn what_follows_a_missing_frame_is_kept_and_handed_out_behind_it() {
    let mut net = Net::pair();
    let session = net.senders[0].at_receiver.unwrap();
    let message = |number: u64| Seen::Message(0, number, format!("{number}").into());
    for frame in [3, 2, 5, 3] {
        net.give_receiver(single(session, frame));
        assert_eq!(net.recv(), None, "frame 1 is missing");
    }
    assert_eq!((net.receiver.counters().early, net.receiver.counters().duplicates), (3, 1));
    assert_eq!(net.receiver.counters().data_frames, 0);
    net.give_receiver(close(session, 6, 5, EndReason::Finished));
    net.give_receiver(single(session, 1));
    let seen: Vec<_> = std::iter::from_fn(|| net.recv()).collect();
    assert_eq!(seen, [message(1), message(2), message(3)]);
    assert_eq!(net.receiver.counters().data_frames, 3);
    net.give_receiver(single(session, 4));
    let seen: Vec<_> = std::iter::from_fn(|| net.recv()).collect();
    assert_eq!(seen, [message(4), message(5), Seen::Departed(0, Departure::Left, 5)], "the close was kept too");
    assert_eq!(net.receiver.counters().violations, 0);
}

#[proves("DAT-4", "SES-2")]
#[test]
fn what_is_kept_and_turns_out_not_to_follow_is_a_violation_and_behind_a_close_is_nothing() {
    let mut net = Net::pair();
    let session = net.senders[0].at_receiver.unwrap();
    net.give_receiver(data(session, 2, 3, &[b"3"]));
    net.give_receiver(data(session, 3, 4, &[b"4"]));
    net.give_receiver(single(session, 1));
    let violated = Departure::Violated(EndReason::Sequence);
    assert_eq!(net.recv_all(), [Seen::Message(0, 1, b"1".to_vec()), Seen::Departed(0, violated, 1)]);
    let mut net = Net::pair();
    let session = net.senders[0].at_receiver.unwrap();
    net.give_receiver(data(session, 3, 2, &[b"behind the close"]));
    net.give_receiver(close(session, 2, 1, EndReason::Finished));
    net.give_receiver(single(session, 1));
    let seen: Vec<_> = std::iter::from_fn(|| net.recv()).collect();
    assert_eq!(seen, [Seen::Message(0, 1, b"1".to_vec()), Seen::Departed(0, Departure::Left, 1)]);
    assert_eq!(net.receiver.counters().violations, 0, "as when they come in order");
}

#[proves("DAT-3", "PRO-1")]
#[test]
fn duplicates_are_counted_and_reach_nobody() {
    let mut net = Net::pair();
    for body in ["one", "two", "three"] {
        net.send(0, body).unwrap();
        net.flush(0);
        net.pump();
    }
    let frames = net.receiver.handled.split_off(1);
    assert_eq!(frames.len(), 3, "one behind the greeting for each message");
    for frame in &frames {
        net.give_receiver(frame.clone());
    }
    let message = |number, body: &str| Seen::Message(0, number, body.into());
    assert_eq!(net.recv_all(), [message(1, "one"), message(2, "two"), message(3, "three")]);
    for frame in &frames {
        net.give_receiver(frame.clone());
    }
    assert_eq!(net.recv_all(), []);
    assert_eq!((net.receiver.counters().duplicates, net.receiver.counters().violations), (6, 0));
    assert_eq!(net.send(0, "four"), Ok(4));
    assert_eq!(net.recv_all(), [message(4, "four")]);
}

#[proves("PRO-4")]
#[test]
fn messages_of_several_senders_come_in_the_order_in_which_their_frames_arrived() {
    let mut net = Net::greeted(Setup { senders: 3, ..Setup::default() });
    for (index, body) in [(2, "a"), (0, "b"), (1, "c")] {
        net.send(index, body).unwrap();
    }
    net.pump();
    // Frames of one record and of several, from senders in any order.
    for (index, bodies) in [(1, &["d"][..]), (2, &["e", "f", "g"]), (0, &["h"]), (2, &["i", "j"]), (1, &["k"])] {
        let window = net.inbound(index).unwrap().window();
        let (frame, first) = (window.expected().get(), window.received().next().get());
        let bodies: Vec<_> = bodies.iter().map(|body| body.as_bytes()).collect();
        net.give_receiver(data(net.senders[index].at_receiver.unwrap(), frame, first, &bodies));
    }
    let order: Vec<_> = std::iter::from_fn(|| net.recv())
        .map(|seen| match seen {
            Seen::Message(index, _, body) => (index, String::from_utf8(body).unwrap()),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected =
        [(2, "a"), (0, "b"), (1, "c"), (1, "d"), (2, "e"), (2, "f"), (2, "g"), (0, "h"), (2, "i"), (2, "j"), (1, "k")];
    assert_eq!(order, expected.map(|(index, body)| (index, body.to_string())));
}

#[proves("FRM-2", "SES-2")]
#[test]
fn frames_of_a_session_that_is_not_there_are_counted_and_not_answered() {
    let mut net = Net::pair();
    let ended = net.senders[0].at_receiver.unwrap();
    net.close(0);
    net.recv_all();
    assert_eq!(net.receiver.core.senders().len(), 0);
    let replies = net.senders[0].node.handled.clone();
    let stranger = SessionId::new(0xBAD).unwrap();
    for session in [ended, stranger] {
        let before = (net.receiver.core.clone(), net.receiver.counters().unknown_session);
        net.give_receiver(data(session, 1, 1, &[b"x"]));
        net.give_receiver(close(session, 1, 0, EndReason::Finished));
        for reply in &replies {
            net.give_receiver(reply.clone());
        }
        assert_eq!(net.receiver.core, before.0, "nothing changed");
        assert_eq!(net.receiver.counters().unknown_session, before.1 + 2 + replies.len() as u64);
        assert!(!net.receiver.core.wants_transmit() && !net.receiver.core.wants_idle_transmit());
    }
    // The other way round: the sender has ended the session, and hears no more of it.
    let sender = &mut net.senders[0].node.core;
    let (before, counted) = (sender.clone(), sender.counters().unknown_session);
    for reply in &replies {
        assert_eq!(sender.handle_frame(reply.clone()), None);
    }
    assert_eq!(*sender, before);
    assert_eq!(sender.counters().unknown_session, counted + replies.len() as u64);
}

//! What a receiver does with a data frame: it is the next one, a duplicate, or a violation.

use crate::{
    forge::{close, data, decode_data, session},
    net::{Net, Seen, Setup},
};
use lamq_protocol::{
    Level,
    recv::{RecvWindow, Verdict},
    session::{Departure, Ended},
    wire::{Acknowledgement, EndReason},
};
use lamq_proves::proves;

/// A window that has granted this much.
fn window(frame_credit: u64, byte_credit: u64) -> RecvWindow {
    let mut window = RecvWindow::new(Level::Delivered, byte_credit);
    window.told(Acknowledgement { frame_credit, byte_credit, ..Acknowledgement::default() });
    window
}

fn receive(window: &mut RecvWindow, first: u64, bodies: &[&[u8]]) -> Result<Verdict, EndReason> {
    window.receive(&decode_data(data(session(), first, bodies)))
}

#[proves("DAT-3")]
#[test]
fn a_frame_with_nothing_new_is_a_duplicate() {
    let mut window = window(9, 900);
    receive(&mut window, 1, &[b"1", b"2", b"3"]).unwrap();
    receive(&mut window, 4, &[b"4"]).unwrap();
    let before = window.clone();
    for (first, bodies) in [(1, &[&b"1"[..], b"2", b"3"][..]), (4, &[b"4"]), (2, &[b"2"]), (3, &[b"3", b"4"])] {
        assert_eq!(receive(&mut window, first, bodies), Ok(Verdict::Duplicate), "from {first}");
        assert_eq!(window, before, "nothing changed");
    }
}

#[proves("DAT-4")]
#[test]
fn a_frame_that_leaves_a_gap_or_overlaps_is_a_violation() {
    let mut window = window(9, 900);
    assert_eq!(receive(&mut window.clone(), 2, &[b"2"]), Err(EndReason::Gap), "number 1 is missing");
    receive(&mut window, 1, &[b"1", b"2"]).unwrap();
    assert_eq!(receive(&mut window.clone(), 4, &[b"4"]), Err(EndReason::Gap), "number 3 is missing");
    assert_eq!(
        receive(&mut window.clone(), 2, &[b"2", b"3"]),
        Err(EndReason::Gap),
        "number 2 again, 3 for the first time"
    );
    assert_eq!(receive(&mut window.clone(), u64::MAX - 2, &[b"x"]), Err(EndReason::Gap));
    assert_eq!(receive(&mut window, 3, &[b"3"]), Ok(Verdict::Deliver));
}

#[proves("CRD-5")]
#[test]
fn data_beyond_the_granted_credit_is_a_violation() {
    let mut by_frames = window(2, 900);
    assert_eq!(receive(&mut by_frames, 1, &[b"1"]), Ok(Verdict::Deliver));
    assert_eq!(receive(&mut by_frames, 2, &[b"2"]), Ok(Verdict::Deliver));
    assert_eq!(receive(&mut by_frames, 2, &[b"2"]), Ok(Verdict::Duplicate), "a duplicate costs nothing");
    assert_eq!(receive(&mut by_frames, 3, &[b""]), Err(EndReason::Credit), "the third of two frames");
    let mut by_bytes = window(9, 10);
    assert_eq!(receive(&mut by_bytes, 1, &[b"12345", b"6789"]), Ok(Verdict::Deliver));
    assert_eq!(receive(&mut by_bytes.clone(), 3, &[b"0", b"1"]), Err(EndReason::Credit), "the eleventh of ten bytes");
    assert_eq!(receive(&mut by_bytes, 3, &[b"0", b""]), Ok(Verdict::Deliver));
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

#[proves("PRO-1", "DAT-4", "SES-3")]
#[test]
fn what_follows_a_lost_frame_is_not_delivered_and_both_sides_hear_why() {
    let mut net = Net::pair();
    net.send(0, "one").unwrap();
    net.pump();
    let session = net.senders[0].at_receiver.unwrap();
    net.give_receiver(data(session, 3, &[b"three"]));
    net.give_receiver(data(session, 2, &[b"two, too late"]));
    let gap = Departure::Violated(EndReason::Gap);
    assert_eq!(net.recv_all(), [Seen::Message(0, 1, b"one".to_vec()), Seen::Departed(0, gap, 1)]);
    assert_eq!(net.ended(0), Some(Ended::Accused(EndReason::Gap)));
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
        let first = net.inbound(index).unwrap().window().received().next().get();
        let bodies: Vec<_> = bodies.iter().map(|body| body.as_bytes()).collect();
        net.give_receiver(data(net.senders[index].at_receiver.unwrap(), first, &bodies));
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
    let stranger = lamq_protocol::SessionId::new(0xBAD).unwrap();
    for session in [ended, stranger] {
        let before = (net.receiver.core.clone(), net.receiver.counters().unknown_session);
        net.give_receiver(data(session, 1, &[b"x"]));
        net.give_receiver(close(session, 0, EndReason::Finished));
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

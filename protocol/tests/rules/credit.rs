//! Section 11 of `SPEC.md`, the receiver's side: how much it grants, and that it need not hold more.

use crate::{
    forge::{BODIES, data, decode_data, deliver, receive, session},
    net::{Net, Seen, Setup},
};
use lamq_protocol::{
    FrameNumber, Level, Number,
    recv::{RecvWindow, Verdict},
    send::NoRoom,
    session::Departure,
    wire::{Acknowledgement, Close, EndReason, Frame, decode},
};
use lamq_proves::proves;

/// Frames granted in every welcome and acknowledgement that a sender got.
fn grants(net: &Net, index: usize) -> Vec<u64> {
    let frames = net.senders[index].node.handled.iter();
    let grant = |frame: &Vec<u8>| match decode(frame.as_slice()).unwrap().1 {
        Frame::Welcome(welcome) => Some(welcome.terms.frame_credit),
        Frame::Acknowledgement(acknowledgement) => Some(acknowledgement.frame_credit),
        _ => None,
    };
    frames.filter_map(grant).collect()
}

/// Frames that a sender may still transmit, as the receiver last told it.
fn left(net: &Net, index: usize) -> u64 {
    grants(net, index).last().unwrap() - net.inbound(index).unwrap().window().received().get()
}

/// Each message goes in a frame of its own.
fn send_frames(net: &mut Net, index: usize, frames: u64) {
    for _ in 0..frames {
        net.send(index, "x").unwrap();
        net.stage_timeout(index);
        net.recv_all();
    }
}

#[proves("CRD-3")]
#[test]
fn the_inbox_is_shared_by_those_who_joined_and_each_gets_at_least_one_frame() {
    for (slots, shares) in [(10, vec![8, 4, 2, 2, 1, 1, 1, 1, 1, 1]), (3, vec![1, 1]), (1, vec![1])] {
        let net = Net::greeted(Setup { slots, senders: shares.len(), ..Setup::default() });
        let granted: Vec<_> = (0..shares.len()).map(|index| grants(&net, index)[0]).collect();
        assert_eq!(granted, shares, "{slots} slots");
    }
}

#[proves("CRD-3")]
#[test]
fn a_share_shrinks_when_another_joins_and_grows_when_it_falls_silent_for_64_frames() {
    let mut net = Net::new(Setup { senders: 2, ..Setup::default() });
    net.greet(0);
    net.recv_all();
    assert_eq!(left(&net, 0), 8);
    net.greet(1);
    net.recv_all();
    assert_eq!((left(&net, 0), left(&net, 1)), (8, 4), "what was granted is not taken back");
    send_frames(&mut net, 0, 4);
    assert_eq!(left(&net, 0), 4, "half of the inbox is for the other");
    send_frames(&mut net, 1, 1);
    send_frames(&mut net, 0, 63);
    assert_eq!(left(&net, 0), 4, "one of the last 64 frames is of the other");
    send_frames(&mut net, 0, 1);
    assert_eq!(left(&net, 0), 8, "none is");
    assert!(left(&net, 1) <= 8);
    send_frames(&mut net, 1, 1);
    assert_eq!((left(&net, 1), left(&net, 0)), (4, 8));
    send_frames(&mut net, 0, 5);
    assert_eq!(left(&net, 0), 4, "shared again");
}

#[proves("CRD-3")]
#[test]
fn grants_never_fall_and_never_exceed_what_was_received_plus_the_share() {
    let mut net = Net::new(Setup { senders: 5, ..Setup::default() });
    for joined in 1..=5 {
        net.greet(joined - 1);
        for index in (0..joined).cycle().take(40) {
            send_frames(&mut net, index, 1);
            assert!((1..=8).contains(&left(&net, index)));
        }
        let share = (8 / joined as u64).max(1);
        (0..joined).for_each(|index| send_frames(&mut net, index, 8));
        for index in 0..joined {
            assert!(left(&net, index) <= share, "of {joined}, sender {index} has {}", left(&net, index));
            assert!(grants(&net, index).is_sorted(), "a grant was taken back");
        }
    }
}

#[proves("CRD-4", "LIM-2")]
#[test]
fn bytes_are_granted_as_they_are_handed_out() {
    let window = 2000;
    let mut net = Net::greeted(Setup { window, slots: 100, ..Setup::default() });
    let mut sent = 0;
    while net.send(0, [0; 100]).is_ok() {
        sent += 100;
        net.pump();
        let known = net.senders[0].outbound().window().acknowledged();
        assert_eq!(known.byte_credit, window, "received, but not handed out");
    }
    assert_eq!(sent, window, "the receiver holds no more, and the sender knows");
    net.stage_timeout(0);
    net.pump();
    for handed in 1..=20 {
        net.recv().unwrap();
        let grant = net.inbound(0).unwrap().window().current(98).byte_credit;
        assert_eq!(grant, window + handed * 100);
    }
}

/// However a sender cuts its data, and even if it asks for nothing but frames without bytes.
#[proves("LIM-2")]
#[test]
fn a_sender_within_its_credit_cannot_make_the_receiver_hold_more_than_its_settings_say() {
    let setup = Setup { window: 16 << 10, ..Setup::default() };
    for body in [&b""[..], b"x", &[0; 452]] {
        let mut net = Net::greeted(setup.clone());
        let accepted = (1..=5000).take_while(|_| {
            let accepted = net.send(0, body).is_ok();
            net.stage_timeout(0);
            net.pump();
            accepted
        });
        let accepted = accepted.count();
        let held = net.inbound(0).unwrap().window().received().get();
        // The share of 8 frames, and one for each 512 bytes of the window; or else its bytes.
        let most = if body.is_empty() { 8 + 32 } else { (8 + 32).min((16 << 10) / body.len()) };
        assert_eq!(held, most as u64, "frames of {} bytes", body.len());
        assert_eq!(net.send(0, body), Err(NoRoom::Credit.into()));
        assert_eq!(net.recv_all().len(), accepted);
        assert!(net.send(0, body).is_ok(), "once they are read, more can come");
    }
}

#[proves("LIM-2", "CRD-5", "SES-3")]
#[test]
fn a_sender_that_ignores_its_credit_is_ended_before_more_is_held() {
    for (body, held) in [(&[0; 100][..], 4), (b"", 8)] {
        let mut net = Net::greeted(Setup { window: 400, ..Setup::default() });
        let session = net.senders[0].at_receiver.unwrap();
        for number in 1..=50 {
            net.give_receiver(data(session, number, number, &[body]));
        }
        let unknown = net.receiver.counters().unknown_session;
        assert_eq!(unknown, 50 - held as u64 - 1, "behind the first frame too many none was looked at");
        let seen = net.recv_all();
        let messages = seen.iter().filter(|seen| matches!(seen, Seen::Message(..))).count();
        assert_eq!(messages, held, "bodies of {} bytes", body.len());
        assert_eq!(seen.last(), Some(&Seen::Departed(0, Departure::Violated(EndReason::Credit), held as u64)));
        let told = net.senders[0].node.handled.last().map(|frame| decode(frame.as_slice()).unwrap().1);
        let close = Close { last: Number::NONE, reason: EndReason::Credit, frame: FrameNumber::NONE };
        assert_eq!(told, Some(Frame::Close(close)), "it was told at once, before any was read");
    }
}

#[test]
fn a_receiver_that_is_never_idle_still_lets_every_sender_go_on() {
    let mut net = Net::greeted(Setup { senders: 6, ..Setup::default() });
    let mut sent = [0_u64; 6];
    for round in 0..400 {
        let index = (round * round + round / 7) % 6;
        if net.send(index, [0; 300]).is_ok() {
            sent[index] += 1;
        }
        net.pump();
        // It reads one message less than there are, and says only what is due without a pause.
        if net.receiver.core.has_event() && round % 3 != 0 {
            net.recv();
            net.transmit_from_receiver(false);
        }
    }
    assert!(sent.iter().all(|sent| *sent > 20), "{sent:?}");
}

#[test]
fn a_window_without_end_is_granted_without_overflow() {
    let mut window = RecvWindow::new(Level::Delivered, u64::MAX);
    window.told(Acknowledgement { frame_credit: 1, byte_credit: u64::MAX, ..Acknowledgement::default() });
    assert_eq!(receive(&mut window, &decode_data(data(session(), 1, 1, &[b"x"]))), Ok(Verdict::Next));
    deliver(&mut window, 1);
    window.release_frame();
    let all = window.current(u64::MAX);
    assert_eq!((all.frame_credit, all.byte_credit), (u64::MAX, u64::MAX));
}

#[test]
fn what_the_harness_calls_one_frame_is_one() {
    let mut net = Net::pair();
    send_frames(&mut net, 0, 3);
    let frames = net.receiver.handled.iter().filter(|frame| frame.len() >= BODIES && frame[7] == 4);
    assert_eq!(frames.count(), 3);
}

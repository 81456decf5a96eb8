//! What a receiver holds, however much its senders send and ask for: not more than its settings say (LIM-2).

use crate::{
    forge::{data, shaped},
    net::{BACK, GREETER, Net, Seen, Setup},
};
use lamq_protocol::{
    Endpoint, SessionId, Stamp,
    endpoint::Settings,
    session::Departure,
    wire::{Ask, EndReason, Shape},
};
use lamq_proves::proves;
use std::{ops::Range, rc::Rc};

const WINDOW: u64 = 1000;

/// Two senders with a window of 1000 bytes, messages of up to 5000, and memory for one of these beyond the windows.
fn two() -> Net {
    let setup = Setup { window: WINDOW, max_message: 5000, large_memory: 5000, ..Setup::default() };
    Net::greeted(Setup { senders: 2, ..setup })
}

#[proves("LRG-2", "LIM-2")]
#[test]
fn no_ask_makes_a_receiver_hold_more_than_its_settings_say() {
    let mut net = two();
    let session = net.senders[0].at_receiver.unwrap();
    for (question, bytes) in [(1, u64::MAX), (2, 6001), (3, 1 << 40)] {
        net.give_receiver(Ask { question, bytes, given_back: 0 }.encode(session, Stamp::new(1)));
        net.transmit_from_receiver(true);
        let window = net.inbound(0).unwrap().window();
        assert!(window.excess_granted() <= 5000 && window.current(8).byte_credit <= 6000, "{bytes} bytes");
    }
    let mut ample = Net::greeted(Setup { window: WINDOW, max_message: 5000, ..Setup::default() });
    let session = ample.senders[0].at_receiver.unwrap();
    ample.give_receiver(Ask { question: 1, bytes: 6001, given_back: 0 }.encode(session, Stamp::new(1)));
    ample.receiver.core.transmit(true, &mut |_, _, _| true);
    assert_eq!(ample.inbound(0).unwrap().window().current(8).byte_credit, 6000, "a window and a message, and no more");
    // So that others need not wait behind what can never be.
    assert!(!ample.inbound(0).unwrap().window().wants());
    let mut small = Net::greeted(Setup { window: WINDOW, max_message: 5000, large_memory: 0, ..Setup::default() });
    assert!(small.send(0, [0; 5000]).is_err());
    small.pump();
    assert_eq!(small.senders[0].outbound().window().acknowledged().byte_credit, 5000, "one message always has room");
}

#[proves("LIM-2")]
#[test]
fn to_ask_again_and_again_takes_no_memory() {
    let mut net = two();
    assert!(net.send(1, [0; 5000]).is_err());
    net.pump();
    let session = net.senders[0].at_receiver.unwrap();
    let mut size_after = |questions: Range<u64>| {
        for question in questions {
            net.give_receiver(Ask { question, bytes: 5000, given_back: 0 }.encode(session, Stamp::new(1)));
        }
        format!("{:?}", net.receiver.core).len()
    };
    let size = size_after(100..101);
    assert!(size_after(101..999) < size + 100);
}

/// A piece of message 1 in frame `frame`.
fn piece(session: SessionId, frame: u64, length: usize) -> Vec<u8> {
    let shape = Shape { rest: frame > 1, more: true, ..Shape::default() };
    shaped(session, frame, 1, frame, &[(shape, &vec![0; length])])
}

#[proves("LIM-2", "LRG-1", "CRD-5")]
#[test]
fn a_message_that_never_ends_is_held_up_to_the_credit_and_the_limit() {
    for (asks, reason, pieces) in [(false, EndReason::Credit, 2), (true, EndReason::TooLong, 12)] {
        let mut net = two();
        let session = net.senders[0].at_receiver.unwrap();
        if asks {
            net.give_receiver(Ask { question: 1, bytes: 6000, given_back: 0 }.encode(session, Stamp::new(1)));
        }
        for frame in 1..=20 {
            net.receiver.core.transmit(true, &mut |_, _, _| true);
            let before = net.receiver.counters().data_frames;
            net.give_receiver(piece(session, frame, 400));
            assert_eq!(net.receiver.counters().data_frames - before, u64::from(frame <= pieces), "frame {frame}");
        }
        assert_eq!(net.recv(), Some(Seen::Departed(0, Departure::Violated(reason), 0)));
    }
}

/// So that a message can come in however few frames the inbox has room for, while the application does not read.
#[proves("LRG-2", "CRD-4")]
#[test]
fn the_frames_of_a_long_message_are_given_back_as_they_come() {
    let mut net = Net::greeted(Setup { slots: 3, ..Setup::default() });
    assert_eq!(net.send(0, vec![9; 100_000]), Ok(1));
    net.pump();
    assert_eq!(net.inbound(0).unwrap().window().received().get(), 1);
    let known = net.senders[0].outbound().window().acknowledged();
    assert_eq!((known.delivered.get(), known.byte_credit), (0, 256 << 10), "bytes are given back when it is read");
    assert_eq!(net.recv_all(), [Seen::Message(0, 1, vec![9; 100_000])]);
}

#[proves("LIM-2", "RTX-3")]
#[test]
fn what_waits_for_a_missing_frame_is_let_go_when_the_session_ends() {
    let mut net = Net::new(Setup::default());
    net.connect(0);
    net.transmit_from_sender(0);
    net.take_at_receiver(1);
    let settings = Settings {
        codec: lamq_protocol::endpoint::CODEC_RAW,
        epoch: net.receiver.core.epoch(), // the greeting is for it
        pid: 9,
        pid_namespace: 0,
        slots: 10,
        window: 1000,
        max_sessions: 1,
        max_message: 1000,
        large_memory: 0,
        lossy: false,
        auto_process: true,
        rendezvous: false,
        back: BACK,
    };
    let mut core: Endpoint<Rc<[u8]>> = Endpoint::new(settings);
    let arrival = core.handle_frame(net.receiver.handled[0].clone().into()).unwrap();
    let session = SessionId::new(7).unwrap();
    core.accept(&arrival.greeting, GREETER, session);
    let early: Rc<[u8]> = data(session, 2, 2, &[b"x"]).into();
    core.handle_frame(early.clone());
    assert_eq!(Rc::strong_count(&early), 2);
    core.handle_death(session);
    assert_eq!(Rc::strong_count(&early), 1);
}

//! Credit for messages longer than the window: who asks for it, who gets it, and what becomes of it.

use crate::{
    forge::{close, shaped},
    net::{Net, Seen, Setup},
};
use lamq_protocol::{
    SessionId, Stamp,
    send::NoRoom,
    session::Departure,
    wire::{Acknowledgement, Ask, EndReason, Frame, Shape, decode},
};
use lamq_proves::proves;
use proptest::prelude::*;

const WINDOW: u64 = 1000;

/// Senders with a window of 1000 bytes, messages of up to 5000, and memory for one of these beyond the windows.
fn senders(senders: usize) -> Net {
    let setup = Setup { senders, window: WINDOW, max_message: 5000, large_memory: 5000, ..Setup::default() };
    Net::greeted(setup)
}

fn credit(net: &Net, index: usize) -> u64 {
    net.senders[index].outbound().window().acknowledged().byte_credit
}

/// Frames go to and fro, and the application reads, by the contract of the core to the letter: nobody is asked for frames who
/// does not say that he has some.
fn serve(net: &mut Net) -> Vec<Seen> {
    let mut seen = Vec::new();
    loop {
        for index in 0..net.senders.len() {
            let core = &net.senders[index].node.core;
            if core.wants_transmit() || core.wants_idle_transmit() {
                net.transmit_from_sender(index); // also what found no room
            }
        }
        let mut moved = net.take_at_receiver(usize::MAX);
        while let Some(next) = net.recv() {
            seen.push(next);
            if net.receiver.core.wants_transmit() {
                net.transmit_from_receiver(false);
            }
        }
        if net.receiver.core.wants_transmit() || net.receiver.core.wants_idle_transmit() {
            net.transmit_from_receiver(true);
        }
        for index in 0..net.senders.len() {
            moved += net.take_at_sender(index, usize::MAX);
        }
        if moved == 0 && !net.receiver.core.wants_transmit() {
            return seen;
        }
    }
}

fn ask(net: &mut Net, index: usize, length: usize) {
    assert_eq!(net.send(index, vec![0; length]), Err(NoRoom::Credit.into()));
    net.pump();
}

#[proves("LRG-2")]
#[test]
fn who_asks_for_less_waits_for_who_asked_for_more_before() {
    let mut net = senders(3);
    ask(&mut net, 1, 5000);
    ask(&mut net, 0, 4000);
    ask(&mut net, 2, 1500);
    assert_eq!([0, 1, 2].map(|index| credit(&net, index)), [1000, 5000, 1000], "4,000 of 5,000 are gone");
    assert_eq!(net.send(1, [1; 5000]), Ok(1));
    assert_eq!(serve(&mut net), [Seen::Message(1, 1, vec![1; 5000])]);
    assert_eq!([0, 1, 2].map(|index| credit(&net, index)), [4000, 6000, 1500], "4,000 and 1,500 are 3,500 beyond");
}

type Ending = fn(&mut Net);

/// What becomes of sender 0, who has been granted 4000 bytes beyond its window, and may have sent a part of its message.
fn endings() -> [(&'static str, Ending); 5] {
    [
        ("its message was read", |net| assert_eq!(net.send(0, [0; 5000]), Ok(1))),
        ("it left", |net| net.close(0)),
        ("it died", |net| {
            net.kill(0);
            net.mourn(0);
        }),
        ("it died inside of its message", |net| {
            assert_eq!(net.send(0, [0; 5000]), Ok(1));
            net.take_at_receiver(4);
            net.kill(0);
            net.mourn(0);
            assert_eq!(net.inbound(0).unwrap().window().received().get(), 0);
        }),
        ("it broke a rule inside of its message", |net| {
            assert_eq!(net.send(0, [0; 5000]), Ok(1));
            net.take_at_receiver(4);
            net.give_receiver(close(net.senders[0].at_receiver.unwrap(), 5, 0, EndReason::Finished));
        }),
    ]
}

#[proves("LRG-2")]
#[test]
fn what_was_granted_is_there_for_others_when_it_is_read_or_will_never_come() {
    for lossy in [false, true] {
        for (why, ending) in endings() {
            let setup = Setup { window: WINDOW, max_message: 5000, large_memory: 5000, lossy, ..Setup::default() };
            let mut net = Net::greeted(Setup { senders: 2, ..setup });
            ask(&mut net, 0, 5000);
            ask(&mut net, 1, 5000);
            assert_eq!([0, 1].map(|index| credit(&net, index)), [5000, 1000]);
            ending(&mut net);
            serve(&mut net);
            assert_eq!(credit(&net, 1), 5000, "{why}, lossy {lossy}");
            assert_eq!(net.send(1, [1; 5000]), Ok(1));
            assert_eq!(serve(&mut net), [Seen::Message(1, 1, vec![1; 5000])], "{why}");
        }
    }
}

/// Before the application has read of it.
#[proves("LRG-2")]
#[test]
fn nothing_is_granted_to_the_dead() {
    let mut net = senders(3);
    (0..3).for_each(|index| ask(&mut net, index, 5000));
    net.send(0, [0; 5000]).unwrap();
    net.pump();
    net.kill(1);
    net.mourn(1);
    assert_eq!(net.recv(), Some(Seen::Message(0, 1, vec![0; 5000])));
    net.transmit_from_receiver(false);
    net.take_at_sender(2, usize::MAX);
    assert_eq!(credit(&net, 2), 5000);
}

#[proves("LIM-2")]
#[test]
fn to_ask_again_and_again_takes_no_memory() {
    let mut net = senders(2);
    ask(&mut net, 1, 5000);
    let session = net.senders[0].at_receiver.unwrap();
    let mut size_after = |questions: std::ops::Range<u64>| {
        for question in questions {
            net.give_receiver(Ask { question, bytes: 5000 }.encode(session, Stamp::new(1)));
        }
        format!("{:?}", net.receiver.core).len()
    };
    let size = size_after(100..101);
    // Counters grow by a digit or two.
    assert!(size_after(101..999) < size + 10);
}

#[proves("LRG-2")]
#[test]
fn who_leaves_or_dies_waits_no_longer() {
    for ending in [Net::close as fn(&mut Net, usize), |net, index| net.kill(index)] {
        let mut net = senders(3);
        for index in 0..3 {
            ask(&mut net, index, 5000);
        }
        ending(&mut net, 1);
        if !net.senders[1].is_alive {
            net.mourn(1);
        }
        net.send(0, [0; 5000]).unwrap();
        serve(&mut net);
        assert_eq!(credit(&net, 2), 5000);
    }
}

#[proves("LRG-4")]
#[test]
fn every_ask_is_answered_at_once_also_when_nothing_can_be_granted() {
    let mut net = senders(2);
    ask(&mut net, 0, 5000);
    net.send(0, [0; 5000]).unwrap();
    net.pump();
    assert_eq!(net.send(1, [1; 5000]), Err(NoRoom::Credit.into()));
    for question in 1..=3 {
        net.take_at_receiver(usize::MAX);
        assert!(net.receiver.core.wants_transmit() && net.receiver.core.has_event(), "the application is busy");
        net.transmit_from_receiver(false);
        net.take_at_sender(1, usize::MAX);
        let known = net.senders[1].outbound().window().acknowledged();
        assert_eq!((known.answered, known.byte_credit), (question, WINDOW));
        net.answer_timeout(1);
    }
}

#[proves("LRG-2", "LIM-2")]
#[test]
fn no_ask_makes_a_receiver_hold_more_than_its_settings_say() {
    let mut net = senders(2);
    let session = net.senders[0].at_receiver.unwrap();
    for (question, bytes) in [(1, u64::MAX), (2, 6001), (3, 1 << 40)] {
        net.give_receiver(Ask { question, bytes }.encode(session, Stamp::new(1)));
        net.transmit_from_receiver(true);
        let window = net.inbound(0).unwrap().window();
        assert!(window.excess_granted() <= 5000 && window.current(8).byte_credit <= 6000, "{bytes} bytes");
    }
    // What the application has to read before is not made up for by memory that there is.
    let mut ample = Net::greeted(Setup { window: WINDOW, max_message: 5000, ..Setup::default() });
    let session = ample.senders[0].at_receiver.unwrap();
    for (question, bytes, granted) in [(1, 6001, 1000), (2, 6000, 1000), (3, 7001, 1000)] {
        ample.give_receiver(Ask { question, bytes }.encode(session, Stamp::new(1)));
        ample.pump();
        assert_eq!(credit(&ample, 0), granted, "{bytes}: of a message of 5,000 bytes, 1,000 fit into the window");
    }
    let mut small = Net::greeted(Setup { window: WINDOW, max_message: 5000, large_memory: 0, ..Setup::default() });
    ask(&mut small, 0, 5000);
    assert_eq!(credit(&small, 0), 5000, "one message always has room");
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
        let mut net = senders(1);
        let session = net.senders[0].at_receiver.unwrap();
        if asks {
            net.give_receiver(Ask { question: 1, bytes: 6000 }.encode(session, Stamp::new(1)));
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

fn acknowledgements(net: &Net, index: usize) -> impl Iterator<Item = Acknowledgement> + '_ {
    net.senders[index].node.handled.iter().filter_map(|frame| match decode(frame.as_slice()).unwrap().1 {
        Frame::Acknowledgement(acknowledgement) => Some(acknowledgement),
        _ => None,
    })
}

proptest! {
    /// Every sender waits for room, for one message after the other.
    #[proves("LRG-2", "LRG-3", "PRO-1")]
    #[test]
    fn whatever_is_waited_for_comes(
        lengths in prop::collection::vec(prop::collection::vec(prop_oneof![0..400_usize, 900..=5000_usize], 1..8), 1..4),
        large_memory in 0..9000_u64,
        slots in 3..12_u64,
    ) {
        let setup = Setup { window: WINDOW, max_message: 5000, large_memory, slots, ..Setup::default() };
        let mut net = Net::greeted(Setup { senders: lengths.len(), ..setup });
        let mut sent = vec![0; lengths.len()];
        let mut seen = Vec::new();
        for _ in 0..200 {
            for (index, lengths) in lengths.iter().enumerate() {
                let Some(&length) = lengths.get(sent[index]) else { continue };
                let session = net.senders[index].session;
                let accepted = net.send(index, vec![0; length]).is_ok();
                net.senders[index].node.core.await_room(session, length, !accepted);
                sent[index] += usize::from(accepted);
                net.stage_timeout(index);
            }
            let granted: u64 = net.receiver.core.senders().map(|(_, inbound)| inbound.window().excess_granted()).sum();
            prop_assert!(granted <= large_memory.max(5000));
            seen.extend(serve(&mut net));
        }
        for (index, lengths) in lengths.iter().enumerate() {
            let own = seen.iter().filter_map(|seen| match seen {
                Seen::Message(of, number, body) if *of == index => Some((*number, body.len())),
                _ => None,
            });
            prop_assert_eq!(own.collect::<Vec<_>>(), (1..).zip(lengths.iter().copied()).collect::<Vec<_>>());
            let credits: Vec<_> = acknowledgements(&net, index).map(|acknowledged| acknowledged.byte_credit).collect();
            prop_assert!(credits.is_sorted(), "a grant was taken back");
        }
    }
}

//! Credit for messages longer than the window: who asks for it, who gets it, and what becomes of it.

use crate::{
    forge::close,
    net::{Net, Seen, Setup},
};
use lamq_protocol::{
    send::NoRoom,
    wire::{Acknowledgement, EndReason, Frame, decode},
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

#[proves("LRG-2")]
#[test]
fn what_is_granted_later_is_told_although_the_application_is_busy() {
    let mut net = senders(2);
    net.send(0, [0; 1000]).unwrap();
    ask(&mut net, 0, 5000);
    ask(&mut net, 1, 1001); // a byte more than the window, when none is left
    net.send(0, [0; 5000]).unwrap();
    net.pump();
    net.send(1, "x").unwrap(); // too little to be acknowledged for itself
    net.take_at_receiver(usize::MAX);
    assert_eq!(
        [net.recv(), net.recv()],
        [(1, 1000), (2, 5000)].map(|(number, length)| Some(Seen::Message(0, number, vec![0; length])))
    );
    assert!(net.receiver.core.has_event());
    net.transmit_from_receiver(false);
    net.take_at_sender(1, usize::MAX);
    assert_eq!(credit(&net, 1), 1001);
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
                let core = &mut net.senders[index].node.core;
                if accepted {
                    core.end_wait(session, length);
                } else {
                    core.await_room(session, length, false);
                }
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

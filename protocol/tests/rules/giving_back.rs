//! Section 11 of `SPEC.md`: credit that was granted for a message that is not sent after all.

use crate::net::{Fate, Net, Seen, Setup};
use lamq_protocol::{
    Stamp,
    endpoint::SendRefused,
    send::NoRoom,
    session::Departure,
    wire::{Ask, EndReason},
};
use lamq_proves::proves;
use proptest::prelude::*;

const WINDOW: u64 = 1000;
const NO_ROOM: Result<u64, SendRefused> = Err(SendRefused::NoRoom(NoRoom::Credit));

/// Senders with a window of 1000 bytes, messages of up to 5000, and memory for one of these beyond the windows.
fn senders(senders: usize) -> Net {
    Net::greeted(setup(senders))
}

fn setup(senders: usize) -> Setup {
    Setup { senders, window: WINDOW, max_message: 5000, large_memory: 5000, ..Setup::default() }
}

/// What a sender may send at present.
fn unused(net: &Net, index: usize) -> u64 {
    let used = net.inbound(index).unwrap().window().current(0);
    assert_eq!(used.byte_credit, net.senders[index].outbound().window().acknowledged().byte_credit);
    let longest = |net: &mut Net| (0..=5000).rev().find(|length| net.send(index, vec![0; *length]).is_ok());
    longest(&mut net.clone()).map_or(0, |length| length as u64)
}

/// Whether a sender that waits for room for a message of this length has it.
fn has(net: &Net, index: usize, length: usize) -> bool {
    net.clone().send(index, vec![0; length]).is_ok()
}

/// A call waits for room for a message of this length, and then no more.
fn wait(net: &mut Net, index: usize, length: usize) {
    assert_eq!(net.send(index, vec![0; length]), NO_ROOM);
    let session = net.senders[index].session;
    assert!(net.senders[index].node.core.await_room(session, length, false));
    net.pump();
}

fn give_up(net: &mut Net, index: usize, length: usize) {
    let session = net.senders[index].session;
    net.senders[index].node.core.end_wait(session, length);
    net.pump();
}

#[proves("LRG-5")]
#[test]
fn what_was_granted_to_who_gives_up_goes_to_the_next() {
    let mut net = senders(2);
    wait(&mut net, 0, 5000);
    wait(&mut net, 1, 5000);
    assert_eq!((has(&net, 0, 5000), has(&net, 1, 5000)), (true, false), "one after the other");
    give_up(&mut net, 0, 5000);
    assert_eq!((unused(&net, 0), has(&net, 1, 5000)), (1000, true));
    assert_eq!(net.send(1, vec![1; 5000]), Ok(1));
    assert_eq!(net.recv_all(), [Seen::Message(1, 1, vec![1; 5000])]);
    // And nobody is the worse for it.
    for index in [0, 1] {
        give_up(&mut net, index, 5000);
        wait(&mut net, index, 4000);
        assert!(net.send(index, vec![2; 4000]).is_ok());
        give_up(&mut net, index, 4000);
        net.recv_all();
        assert_eq!(unused(&net, index), 1000);
    }
}

#[proves("LRG-5")]
#[test]
fn who_gives_up_before_anything_was_granted_loses_its_place() {
    let mut net = senders(3);
    (0..3).for_each(|index| wait(&mut net, index, 5000));
    give_up(&mut net, 1, 5000);
    give_up(&mut net, 0, 5000);
    assert_eq!([0, 1].map(|index| unused(&net, index)), [1000; 2]);
    assert!(has(&net, 2, 5000));
}

#[proves("LRG-5")]
#[test]
fn a_grant_that_comes_too_late_is_given_back_at_once() {
    let mut net = senders(2);
    wait(&mut net, 0, 5000);
    wait(&mut net, 1, 5000);
    // It is granted while the other one gives up.
    assert_eq!(net.send(0, vec![0; 5000]), Ok(1));
    let session = net.senders[1].session;
    net.senders[1].node.core.end_wait(session, 5000);
    net.take_at_receiver(usize::MAX);
    while net.recv().is_some() {}
    net.transmit_from_receiver(true);
    net.recv_all();
    give_up(&mut net, 0, 5000);
    assert_eq!((unused(&net, 0), unused(&net, 1)), (1000, 1000));
    wait(&mut net, 0, 5000);
    assert!(has(&net, 0, 5000), "all of the memory is free");
}

#[proves("LRG-5")]
#[test]
fn credit_that_nobody_comes_back_for_is_given_back() {
    let mut net = senders(2);
    // It only tried.
    assert_eq!(net.send(0, vec![0; 5000]), NO_ROOM);
    net.pump();
    let session = net.senders[0].session;
    let core = &mut net.senders[0].node.core;
    assert_eq!(core.wants_idly().collect::<Vec<_>>(), [(session, 5000)]);
    core.end_want(session);
    assert_eq!(core.wants_idly().count(), 0);
    net.pump();
    wait(&mut net, 1, 5000);
    assert_eq!((unused(&net, 0), has(&net, 1, 5000)), (1000, true));
    // It reserved, and gave that back.
    let session = net.senders[1].session;
    let reservation = net.senders[1].node.core.reserve(session, 5000).unwrap();
    give_up(&mut net, 1, 5000);
    wait(&mut net, 0, 5000);
    assert!(!has(&net, 0, 5000), "it is still reserved");
    let session = net.senders[1].session;
    net.senders[1].node.core.give_back(session, reservation);
    net.pump();
    assert_eq!((has(&net, 0, 5000), unused(&net, 1)), (true, 1000));
}

#[proves("LRG-5", "RTX-2")]
#[test]
fn what_is_given_back_is_said_again_if_that_gets_lost() {
    let mut net = Net::greeted(Setup { lossy: true, ..setup(2) });
    wait(&mut net, 0, 5000);
    wait(&mut net, 1, 5000);
    net.receiver.inbox.fates.push_back(Fate::Lose);
    give_up(&mut net, 0, 5000);
    assert!(!has(&net, 1, 5000));
    net.answer_timeout(0);
    net.pump();
    assert_eq!((unused(&net, 0), has(&net, 1, 5000)), (1000, true));
}

#[proves("LRG-6")]
#[test]
fn more_than_was_granted_cannot_be_given_back_nor_can_it_be_taken_again() {
    for (first, second) in [(1001, None), (500, Some(499)), (500, Some(1001))] {
        let mut net = senders(2);
        let session = net.senders[0].at_receiver.unwrap();
        for (question, given_back) in (1..).zip([Some(first), second].into_iter().flatten()) {
            net.give_receiver(Ask { question, bytes: 0, given_back }.encode(session, Stamp::new(1)));
        }
        let violated = Seen::Departed(0, Departure::Violated(EndReason::Credit), 0);
        assert_eq!(net.recv_all(), [violated], "{first}, {second:?}");
        net.send(1, "undisturbed").unwrap();
        assert_eq!(net.recv_all().len(), 1);
    }
}

proptest! {
    /// Whoever waits for a long message gets it in the end, whatever others have asked for and given up.
    #[proves("LRG-2", "LRG-5")]
    #[test]
    fn nobody_waits_for_ever(
        steps in prop::collection::vec((0..3_usize, 0..5_u8, 1..5001_usize), 1..80),
        last in 1..5001_usize,
    ) {
        let mut net = senders(3);
        for (index, step, length) in steps {
            match step {
                0 | 1 => _ = net.send(index, vec![0; length]),
                2 if net.send(index, vec![0; length]) == NO_ROOM => {
                    let session = net.senders[index].session;
                    let core = &mut net.senders[index].node.core;
                    if core.await_room(session, length, false) {
                        net.pump();
                        net.senders[index].node.core.end_wait(session, length);
                    }
                }
                3 => _ = net.recv_all(),
                _ => net.pump(),
            }
        }
        // All give up but one.
        for index in 0..3 {
            let session = net.senders[index].session;
            net.senders[index].node.core.end_want(session);
        }
        net.recv_all();
        for index in 0..3 {
            if net.send(index, vec![9; last]) == NO_ROOM {
                net.recv_all();
                prop_assert!(net.send(index, vec![9; last]).is_ok(), "{} for {}", last, index);
            }
            net.recv_all();
        }
    }
}

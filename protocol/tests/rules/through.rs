//! Cut-through: which messages are handed out as their frame comes. That it comes to the same as the long way is demanded of every frame
//! that the net handles ([`Node`](crate::net::Node)).

use crate::{
    forge::data_from,
    net::{Channel, Net, Seen, Setup},
};
use lamq_protocol::{lamport::MAX_LEAD, session::Departure, wire::EndReason};
use lamq_proves::proves;

/// How many of the messages that `act` has sent would have been handed through.
fn through(setup: Setup, act: impl FnOnce(&mut Net)) -> usize {
    let mut net = Net::greeted(setup);
    act(&mut net);
    net.receiver.through
}

/// One sender.
fn one() -> Setup {
    Setup::default()
}

#[proves("PRO-4", "DAT-2")]
#[test]
fn a_message_that_comes_alone_is_handed_through() {
    let count = through(one(), |net| {
        for _ in 0..5 {
            _ = net.send(0, b"alone");
            net.pump();
            assert_eq!(net.recv_all().len(), 1);
        }
    });
    assert_eq!(count, 5);
}

#[proves("PRO-4")]
#[test]
fn behind_something_that_waits_nothing_is_handed_through() {
    let count = through(Setup { senders: 2, ..one() }, |net| {
        _ = net.send(0, b"first");
        _ = net.send(1, b"second");
        net.pump();
        assert_eq!(net.recv_all().len(), 2);
    });
    assert_eq!(count, 1);
}

#[proves("PRO-4", "DRP-1")]
#[test]
fn what_brings_more_than_a_message_is_not_handed_through() {
    let count = through(one(), |net| {
        _ = net.drop_message(0);
        _ = net.send(0, b"behind a gap");
        net.pump();
        assert_eq!(net.recv_all().len(), 2, "the gap and the message");
        _ = net.send(0, [7; 2000]);
        net.pump();
        assert_eq!(net.recv_all().len(), 1, "in pieces");
    });
    assert_eq!(count, 0);
}

#[proves("PRO-2", "RDV-1")]
#[test]
fn where_to_ask_says_nothing_of_the_message_before_nothing_is_handed_through() {
    for setup in [Setup { auto_process: false, ..one() }, Setup { channel: Channel::WithoutCapacity, ..one() }] {
        let count = through(setup, |net| {
            assert_eq!(net.recv_all().len(), 0);
            net.pump();
            _ = net.send(0, b"alone");
            net.pump();
            assert_eq!(net.recv_all().len(), 1);
        });
        assert_eq!(count, 0);
    }
}

#[proves("LAM-4", "CRD-5")]
#[test]
fn what_breaks_a_rule_is_not_handed_through() {
    let ended = |net: &mut Net| match net.recv() {
        Some(Seen::Departed(0, Departure::Violated(reason), _)) => Some(reason),
        Some(Seen::Message(..)) => None,
        seen => panic!("{seen:?}"),
    };
    let mut net = Net::pair();
    let session = net.senders[0].at_receiver.unwrap();
    net.give_receiver(data_from(session, 1, 1, 2 * MAX_LEAD, &[b"far ahead"]));
    assert_eq!(ended(&mut net), Some(EndReason::Stamp));
    let mut net = Net::pair();
    let session = net.senders[0].at_receiver.unwrap();
    let without_credit = (1..100).find_map(|number| {
        net.give_receiver(data_from(session, number, number, number, &[b"one more"]));
        ended(&mut net)
    });
    assert_eq!(without_credit, Some(EndReason::Credit), "no acknowledgement has left");
}

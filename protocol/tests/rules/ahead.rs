//! What may be begun ahead of the credit, and who must not be starved by it.

use crate::{
    bench::{Bench, PLENTY},
    net::{Net, Seen, Setup},
};
use lamq_protocol::{Level, send::Manner};
use lamq_proves::proves;

const AWAITED: Manner = Manner { awaited: true, reserved: None };

#[proves("CRD-7")]
#[test]
fn a_short_message_does_not_go_behind_the_end_of_a_long_one_that_is_far_ahead_of_the_credit() {
    let mut bench = Bench::open(Level::Delivered, 2, PLENTY);
    assert_eq!((bench.push(1), bench.push(2000)), (Ok(1), Ok(2)), "its first frame is the second");
    assert!(bench.window.is_staging(), "the end of it, in a frame that is more than one beyond the credit");
    assert!(!bench.window.has_room(1, &bench.clock));
    assert!(bench.push(1).is_err());
}

#[proves("CRD-7", "DAT-5")]
#[test]
fn the_end_of_a_long_message_that_has_nothing_before_it_is_not_lent() {
    // Of frames that are not read two and the share of two are granted.
    let mut net = Net::greeted(Setup { slots: 4, window: 1024, ..Setup::default() });
    for number in 1..=2 {
        assert_eq!(net.send(0, "x"), Ok(number));
        net.pump();
    }
    assert_eq!((net.send(0, "x"), net.send(0, "x"), net.send(0, [7; 600])), (Ok(3), Ok(4), Ok(5)));
    net.pump();
    let session = net.senders[0].session;
    let core = &mut net.senders[0].node.core;
    let window = core.outbound(session).unwrap().window();
    assert!(window.is_staging() && window.staged().is_none() && !window.is_behind(), "it is ahead of the credit");
    assert!(core.lend_stage(session).is_none());
    assert_eq!(net.send(0, "x"), Ok(6));
    assert!(!net.senders[0].outbound().window().is_staging(), "one more message closes it");
}

#[proves("CRD-8")]
#[test]
fn who_waits_for_a_delivery_is_not_starved_by_others_with_messages_of_the_same_length() {
    let mut bench = Bench::open(Level::Delivered, 1, PLENTY);
    assert_eq!((bench.push(8), bench.push(8)), (Ok(1), Ok(2)), "the second is ahead of the credit");
    bench.transmit();
    assert!(bench.push_as(8, AWAITED).is_err(), "no frame is begun ahead of the credit for it");
    assert!(bench.window.await_room(8, true));
    assert!(bench.push(8).is_err(), "the next frame is for whoever waits");
    assert!(!bench.window.has_room(8, &bench.clock));
    assert!(!bench.window.await_room(8, false), "the other one does not wait in its place");
    bench.hear([1, 1, 1, 2, PLENTY]);
    bench.transmit();
    bench.hear([2, 2, 2, 3, PLENTY]);
    assert!(bench.push(8).is_err());
    assert_eq!(bench.push_as(8, AWAITED), Ok(3));
    bench.window.end_wait(8);
    assert_eq!(bench.push(8), Ok(4));
}

#[proves("DRP-2")]
#[test]
fn a_gap_behind_what_was_begun_ahead_of_the_credit_is_told_when_credit_comes() {
    let mut net = Net::greeted(Setup { slots: 3, ..Setup::default() });
    assert_eq!((net.send(0, "one"), net.send(0, "two"), net.drop_message(0)), (Ok(1), Ok(2), Ok(3)));
    assert_eq!(net.recv_all().last(), Some(&Seen::Gap(0, 3, 3)));
}

#[proves("CRD-7", "DAT-6")]
#[test]
fn a_frame_that_is_begun_ahead_of_the_credit_is_not_closed_though_all_before_it_has_arrived() {
    let mut bench = Bench::open(Level::Delivered, 1, PLENTY);
    assert_eq!(bench.push(8), Ok(1));
    assert_eq!(bench.transmit(), [(1, 1)]);
    bench.hear([1, 1, 1, 1, PLENTY]);
    assert_eq!((bench.push(8), bench.push(8)), (Ok(2), Ok(3)));
    assert!(bench.window.is_staging() && !bench.window.is_behind());
    bench.hear([1, 1, 1, 2, PLENTY]);
    assert_eq!(bench.transmit(), [(2, 3)], "in one frame");
}

#[proves("ACK-4", "ACK-8")]
#[test]
fn whose_delivery_is_waited_for_asks_for_that_and_nothing_else() {
    let mut bench = Bench::open(Level::Delivered, 9, PLENTY);
    let mut asks = |manner| {
        bench.push_as(8, manner).unwrap();
        let left = bench.leaving_data();
        let last = left[0].last().get();
        bench.received(last);
        (left[0].awaits(), left[0].solicits())
    };
    assert_eq!((asks(AWAITED), asks(Manner::default())), ((true, false), (false, true)));
}

//! Messages that a sender drops for want of room: gaps, told in their place.

use crate::{
    bench::{Bench, PLENTY},
    forge::acknowledgement,
    net::{Net, Seen, Setup},
};
use lamq_protocol::{Level, wire::Item};
use lamq_proves::proves;

fn message(number: u64, body: &str) -> Seen {
    Seen::Message(0, number, body.into())
}

/// Gaps and messages of every frame that leaves: first and last number.
fn leaving(bench: &mut Bench) -> Vec<Vec<(&'static str, u64, u64)>> {
    let name = |item| match item {
        Item::Gap(first, last) => ("gap", first.get(), last.get()),
        Item::Message(record) => ("message", record.number.get(), record.number.get()),
        Item::Piece { record, .. } => ("piece", record.number.get(), record.number.get()),
    };
    let frames = bench.leaving_data();
    let items = frames.iter().map(|data| {
        let mut cursor = data.cursor();
        std::iter::from_fn(|| data.next_item(&mut cursor)).map(name).collect()
    });
    items.collect()
}

#[proves("DRP-1", "NUM-2")]
#[test]
fn a_dropped_message_has_a_number_and_the_receiver_hears_of_it_in_its_place() {
    let mut net = Net::pair();
    assert_eq!(net.drop_message(0), Ok(1));
    assert_eq!(net.send(0, "two"), Ok(2));
    assert_eq!([net.drop_message(0), net.drop_message(0)], [Ok(3), Ok(4)]);
    assert_eq!(net.send(0, "five"), Ok(5));
    assert_eq!(net.send(0, "six"), Ok(6));
    let seen = net.recv_all();
    assert_eq!(
        seen,
        [Seen::Gap(0, 1, 1), message(2, "two"), Seen::Gap(0, 3, 4), message(5, "five"), message(6, "six")]
    );
    assert_eq!((net.receiver.counters().dropped_by_senders, net.receiver.counters().delivered), (3, 3));
}

#[proves("DRP-1")]
#[test]
fn a_gap_shares_the_frame_of_the_message_behind_it_or_begins_the_next_one() {
    let mut bench = Bench::open(Level::Delivered, PLENTY, PLENTY);
    bench.push(1).unwrap();
    bench.push(100).unwrap();
    bench.window.drop_message();
    bench.push(100).unwrap();
    bench.window.drop_message();
    bench.push(400).unwrap();
    bench.window.drop_message();
    bench.push(1000).unwrap();
    bench.window.seal(false);
    let frames = leaving(&mut bench);
    assert_eq!(frames[1], [("message", 2, 2), ("gap", 3, 3), ("message", 4, 4)]);
    assert_eq!(frames[2], [("gap", 5, 5), ("message", 6, 6)], "no room for a piece");
    assert_eq!(frames[3], [("gap", 7, 7), ("piece", 8, 8)]);
    assert_eq!(frames[4..].concat(), [("piece", 8, 8), ("piece", 8, 8)]);
}

#[proves("DRP-2")]
#[test]
fn a_gap_behind_the_last_message_is_told_as_soon_as_there_is_credit_and_once() {
    let mut bench = Bench::open(Level::Delivered, 1, PLENTY);
    bench.push(452).unwrap();
    assert_eq!(bench.transmit(), [(1, 1)]);
    assert_eq!([bench.window.drop_message().get(), bench.window.drop_message().get()], [2, 3]);
    bench.window.announce(&mut bench.clock);
    assert_eq!(leaving(&mut bench).len(), 0, "no credit");
    bench.window.acknowledge(&acknowledgement(1, [1, 1, 1, 2, PLENTY])).unwrap();
    let before = bench.clock.now();
    bench.window.announce(&mut bench.clock);
    assert!(bench.clock.now() > before, "it has a stamp of its own");
    assert_eq!(leaving(&mut bench), [[("gap", 2, 3)]]);
    assert!(!bench.window.is_settled());
    bench.window.announce(&mut bench.clock);
    assert_eq!(leaving(&mut bench).len(), 0, "it was told");
    bench.window.acknowledge(&acknowledgement(2, [3, 3, 3, 3, PLENTY])).unwrap();
    assert!(bench.window.is_settled(), "up to the dropped ones");
}

#[proves("DRP-2", "CLO-1")]
#[test]
fn the_close_waits_until_a_gap_before_it_can_be_told() {
    let mut net = Net::greeted(Setup { slots: 3, ..Setup::default() }); // one frame at a time
    assert_eq!(net.send(0, [0; 452]), Ok(1));
    assert_eq!(net.drop_message(0), Ok(2));
    net.close(0);
    net.take_at_receiver(usize::MAX);
    assert_eq!(net.receiver.inbox.len(), 0, "neither gap nor close");
    let seen = net.recv_all();
    let departed = Seen::Departed(0, lamq_protocol::session::Departure::Left, 2);
    assert_eq!(seen[1..], [Seen::Gap(0, 2, 2), departed]);
    assert_eq!(net.ended(0), Some(lamq_protocol::session::Ended::Finished));
}

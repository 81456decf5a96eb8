//! Messages longer than a frame: pieces, the limit, and credit that is asked for.

use crate::{
    bench::{Bench, MAX_MESSAGE, PLENTY},
    forge::{data, session},
    net::{Net, Seen, Setup},
};
use lamq_protocol::{
    Level, Number, Stamp,
    number::FrameNumber,
    send::NoRoom,
    session::Departure,
    wire::{EndReason, Fault, Frame, Item, OpenFrame, Shape, decode},
};
use lamq_proves::proves;

const MORE: Shape = Shape { gap: 0, rest: false, more: true, void: false };
const REST: Shape = Shape { gap: 0, rest: true, more: false, void: false };

/// A frame of such records, message `first` and those behind it.
fn records(frame: u64, first: u64, records: &[(Shape, &[u8])]) -> Vec<u8> {
    let mut open = OpenFrame::new(Vec::new(), 1 << 20, Number::new(first));
    for ((shape, body), stamp) in records.iter().zip(first..) {
        open.push(*shape, body, Stamp::new(stamp));
    }
    open.seal(session(), FrameNumber::new(frame), false)
}

fn long(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at * 7 % 251).expect("small")).collect()
}

#[proves("DAT-2", "PRO-1")]
#[test]
fn messages_of_every_length_arrive_whole_and_in_order() {
    let mut net = Net::pair();
    for (length, number) in (400..1500).step_by(3).chain([2 << 10, 10_000, 100_000]).zip(1..) {
        let body = long(length);
        assert_eq!(net.send(0, &body), Ok(number), "{length} bytes");
        assert_eq!(net.recv_all(), [Seen::Message(0, number, body)]);
    }
    assert_eq!(net.receiver.counters().violations, 0);
}

#[proves("DAT-2")]
#[test]
fn the_first_piece_shares_its_frame_with_what_was_before_and_the_last_with_what_follows() {
    let mut bench = Bench::open(Level::Delivered, PLENTY, PLENTY);
    for length in [1, 100, 1000, 50] {
        bench.push(length).unwrap();
    }
    bench.window.seal(false);
    let frames = bench.leaving_data();
    let shapes = frames.iter().map(|data| {
        let mut cursor = data.cursor();
        let items = std::iter::from_fn(|| data.next_item(&mut cursor));
        items
            .map(|item| match item {
                Item::Piece { rest, more, .. } => (rest, more),
                _ => (false, false),
            })
            .collect::<Vec<_>>()
    });
    let (whole, first, middle, last) = ((false, false), (false, true), (true, true), (true, false));
    assert_eq!(shapes.collect::<Vec<_>>(), [vec![whole], vec![whole, first], vec![middle], vec![last, whole]]);
    assert!(frames[1..3].iter().all(|data| data.buffer().len() == 512), "full");
}

#[proves("DAT-1", "DAT-2")]
#[test]
fn pieces_where_none_can_be_are_malformed() {
    let entry = |frame: &[u8], record: usize| frame.len() - 4 * (2 - record);
    let sound = records(1, 1, &[(Shape::default(), b"one"), (Shape::default(), b"two")]);
    assert!(decode(sound.as_slice()).is_ok());
    for (why, record, flags) in [
        ("the rest of a message is not first", 1, 0x10),
        ("a message goes on that is not last", 0, 0x20),
        ("nothing, with a body", 0, 0x08),
        ("an unknown flag", 0, 0x04),
    ] {
        let at = entry(&sound, record) + 3;
        let forged = crate::forge::altered(sound.clone(), at, &[flags]);
        assert_eq!(decode(forged.as_slice()).unwrap_err(), Fault::Field, "{why}");
    }
    let gap = |gap| Shape { gap, ..Shape::default() };
    let mut open = OpenFrame::new(Vec::new(), 512, Number::new(1));
    open.push(gap(2), b"x", Stamp::new(1));
    let frame = open.seal(session(), FrameNumber::new(1), false); // message 3
    assert!(decode(frame.as_slice()).is_ok());
    for (why, first, gap) in
        [("before the first number", 2_u64, 2_u64), ("no gap", 3, 0), ("far too many", 3, u64::MAX)]
    {
        let forged = crate::forge::altered(frame.clone(), 32, &first.to_le_bytes());
        let forged = crate::forge::altered(forged, frame.len() - 8, &gap.to_le_bytes());
        assert_eq!(decode(forged.as_slice()).unwrap_err(), Fault::Field, "{why}");
    }
}

#[proves("DAT-4", "LRG-1")]
#[test]
fn pieces_that_do_not_belong_together_are_a_violation() {
    let max_message = 10;
    for (why, reason, frames) in [
        ("a rest of nothing", EndReason::Sequence, vec![records(1, 1, &[(REST, b"x")])]),
        (
            "another message before the rest",
            EndReason::Sequence,
            vec![records(1, 1, &[(MORE, b"x")]), records(2, 2, &[(Shape::default(), b"y")])],
        ),
        ("too long in one", EndReason::TooLong, vec![data(session(), 1, 1, &[&[0; 11]])]),
        (
            "too long together",
            EndReason::TooLong,
            vec![records(1, 1, &[(MORE, &[0; 6])]), records(2, 1, &[(REST, &[0; 5])])],
        ),
    ] {
        let mut net = Net::greeted(Setup { max_message, ..Setup::default() });
        let at_receiver = net.senders[0].at_receiver.unwrap();
        for frame in frames {
            net.give_receiver(crate::forge::altered(frame, 8, &at_receiver.get().to_le_bytes()));
        }
        assert_eq!(net.recv_all(), [Seen::Departed(0, Departure::Violated(reason), 0)], "{why}");
    }
}

#[proves("LIM-1")]
#[test]
fn a_message_longer_than_the_receiver_takes_is_refused_where_it_is_sent() {
    let mut bench = Bench::open(Level::Delivered, PLENTY, PLENTY);
    let limit = MAX_MESSAGE as usize;
    assert_eq!(bench.push(limit + 1), Err(NoRoom::TooLong { length: limit + 1, limit }));
    assert_eq!(bench.push(limit), Ok(1));
}

#[proves("LRG-2", "LRG-4", "LIM-2")]
#[test]
fn a_message_longer_than_the_window_is_asked_for_and_granted_whole() {
    let setup = Setup { window: 1000, max_message: 5000, ..Setup::default() };
    let mut net = Net::greeted(setup);
    let body = long(5000);
    assert_eq!(net.send(0, &body), Err(NoRoom::Credit.into()), "it asks");
    net.pump();
    let known = *net.senders[0].outbound().window().acknowledged();
    assert_eq!((known.answered, known.byte_credit), (1, 5000), "answered at once");
    assert_eq!(net.send(0, &body), Ok(1));
    assert_eq!(net.recv_all(), [Seen::Message(0, 1, body)]);
    net.send(0, "x").unwrap();
    net.recv_all();
    let inbound = net.inbound(0).unwrap().window();
    assert_eq!((inbound.excess_granted(), inbound.current(8).byte_credit), (0, 6001), "back to the window");
}

#[proves("LRG-2")]
#[test]
fn who_asks_first_is_served_first_and_nobody_in_part() {
    let setup = Setup { senders: 2, window: 1000, max_message: 5000, large_memory: 6000, ..Setup::default() };
    let mut net = Net::greeted(setup);
    let credit = |net: &Net, index: usize| net.senders[index].outbound().window().acknowledged().byte_credit;
    let body = long(4500);
    for index in [1, 0] {
        assert!(net.send(index, &body).is_err());
        net.pump();
    }
    assert_eq!((credit(&net, 1), credit(&net, 0)), (4500, 1000), "7,000 beyond the windows would be too much");
    assert_eq!(net.send(1, &body), Ok(1));
    net.pump();
    assert_eq!(credit(&net, 0), 1000, "it has come, and nobody has read it");
    assert_eq!(net.recv_all(), [Seen::Message(1, 1, body.clone())]);
    assert_eq!(credit(&net, 0), 4500);
    // What was granted to somebody who dies is there for others.
    assert!(net.send(1, &body).is_err());
    net.pump();
    assert_eq!(credit(&net, 1), 5500, "its window and no more");
    net.kill(0);
    net.mourn(0);
    net.recv_all();
    assert_eq!(credit(&net, 1), 9000);
}

#[proves("LRG-3")]
#[test]
fn while_a_long_message_is_waited_for_no_short_one_takes_its_credit() {
    let mut bench = Bench::open(Level::Delivered, PLENTY, 1000);
    assert_eq!(bench.push(2000), Err(NoRoom::Credit));
    assert_eq!(bench.push(1), Ok(1), "nobody waits");
    bench.window.await_room(2000);
    assert_eq!(bench.push(1), Err(NoRoom::Credit));
    assert_eq!(bench.window.reserve(1), Err(NoRoom::Credit));
    bench.window.end_wait(1999);
    assert_eq!(bench.push(1), Err(NoRoom::Credit), "another one");
    bench.window.end_wait(2000);
    assert_eq!(bench.push(1), Ok(2));
    bench.window.await_room(452);
    assert_eq!(bench.push(1), Ok(3), "one that fits into a frame can wait with the others");
}

#[test]
fn an_ask_says_what_is_needed_in_total_and_is_not_repeated_for_the_same() {
    let mut net = Net::greeted(Setup { window: 1000, max_message: 5000, ..Setup::default() });
    net.send(0, [0; 100]).unwrap();
    for _ in 0..3 {
        assert!(net.send(0, long(2000)).is_err());
    }
    net.take_at_receiver(usize::MAX);
    let asks = net.receiver.handled.iter().filter_map(|frame| match decode(frame.as_slice()).unwrap().1 {
        Frame::Ask(ask) => Some((ask.question, ask.bytes)),
        _ => None,
    });
    assert_eq!(asks.collect::<Vec<_>>(), [(1, 2100)]);
}

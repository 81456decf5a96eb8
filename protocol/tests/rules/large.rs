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
    session::{Departure, Ended},
    wire::{EndReason, Frame, Item, OpenFrame, Shape, decode},
};
use lamq_proves::proves;
use proptest::prelude::*;

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

#[test]
fn a_few_bytes_at_the_end_of_a_frame_are_no_place_for_a_piece() {
    for (staged, begins) in [(512 - 48 - 4 - 4 - 64, 2), (512 - 48 - 4 - 4 - 63, 3)] {
        let mut bench = Bench::open(Level::Delivered, PLENTY, PLENTY);
        for length in [1, staged, 1000] {
            bench.push(length).unwrap();
        }
        bench.window.seal(false);
        let frames = bench.leaving_data();
        let begin = frames.iter().find(|data| data.ends_inside()).unwrap().frame().get();
        assert_eq!(begin, begins, "behind {staged} bytes");
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

#[proves("LRG-2")]
#[test]
fn memory_that_one_has_left_is_granted_to_the_next_at_once() {
    let (level, max_message) = (Level::Received, 64_000);
    let setup = Setup { senders: 2, level, window: 1 << 14, max_message, large_memory: 64_000, ..Setup::default() };
    let mut net = Net::greeted(setup);
    let send = |net: &mut Net, index, length| {
        _ = net.send(index, long(length)); // it asks
        net.pump();
        let outcome = net.send(index, long(length));
        net.pump();
        outcome.is_ok()
    };
    assert!(send(&mut net, 0, 32_000) && send(&mut net, 0, 32_000) && !send(&mut net, 1, 40_000));
    assert!(!net.receiver.core.wants_transmit());
    assert_eq!(net.recv(), Some(Seen::Message(0, 1, long(32_000))));
    // Nothing is due to the first one, which has credit for all that it was granted. But a shell transmits only if there is something.
    assert!(net.receiver.core.wants_transmit(), "there is room for what the second one has asked for");
    assert!(send(&mut net, 1, 40_000));
}

#[proves("LRG-3")]
#[test]
fn while_a_long_message_is_waited_for_no_short_one_takes_its_credit() {
    let mut bench = Bench::open(Level::Delivered, PLENTY, 1000);
    assert_eq!(bench.push(2000), Err(NoRoom::Credit));
    assert_eq!(bench.push(1), Ok(1), "nobody waits");
    bench.window.await_room(2000, false);
    assert_eq!(bench.push(1), Err(NoRoom::Credit));
    assert_eq!(bench.window.reserve(1), Err(NoRoom::Credit));
    bench.window.end_wait(1999);
    assert_eq!(bench.push(1), Err(NoRoom::Credit), "another one");
    bench.window.end_wait(2000);
    assert_eq!(bench.push(1), Ok(2));
    bench.window.await_room(452, false);
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

#[proves("LRG-1")]
#[test]
fn each_message_of_a_frame_is_measured_by_itself() {
    let mut net = Net::greeted(Setup { max_message: 10, ..Setup::default() });
    let at_receiver = net.senders[0].at_receiver.unwrap();
    let frames = [
        records(1, 1, &[(Shape::default(), b"12345"), (MORE, b"123456")]),
        records(2, 2, &[(REST, b"7890"), (Shape::default(), b"1234567890"), (MORE, b"1234567890")]),
        records(3, 4, &[(REST, b"1")]),
    ];
    for (frame, violations) in frames.into_iter().zip([0, 0, 1]) {
        net.give_receiver(crate::forge::altered(frame, 8, &at_receiver.get().to_le_bytes()));
        assert_eq!(net.receiver.counters().violations, violations);
    }
    let seen: Vec<_> = std::iter::from_fn(|| net.recv()).collect();
    assert_eq!(seen.len(), 4, "{seen:?}");
    assert_eq!(seen[3], Seen::Departed(0, Departure::Violated(EndReason::TooLong), 3));
}

/// Something that a sender does, or its receiver.
#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    Drop,
    Flush,
    Time,
    Carry,
    Read,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    const EDGES: &[usize] = &[0, 399, 400, 451, 452, 453, 459, 460, 461, 912, 919, 920, 921, 1000, 1001, 5000];
    let length = prop_oneof![2 => 0..100_usize, 2 => 0..=5000_usize, 2 => prop::sample::select(EDGES)];
    let step = prop_oneof![
        6 => length.prop_map(Step::Send),
        1 => Just(Step::Drop),
        1 => Just(Step::Flush),
        1 => Just(Step::Time),
        2 => Just(Step::Carry),
        2 => Just(Step::Read),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[proves("PRO-1", "DAT-2", "DRP-1", "LRG-2", "LIM-2")]
    #[test]
    fn whatever_the_lengths_all_arrives_whole_and_in_order(
        steps in steps(), window in prop_oneof![500..2000_u64, Just(1 << 18)], slots in 3..12_u64,
    ) {
        let setup = Setup { window, slots, max_message: 5000, large_memory: 6000, ..Setup::default() };
        let mut net = Net::greeted(setup);
        let (mut expected, mut seen) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Send(length) => {
                    let body: Vec<_> = long(length + expected.len()).split_off(expected.len());
                    let mut sent = net.send(0, &body);
                    if sent.is_err() {
                        seen.extend(net.recv_all());
                        sent = net.send(0, &body);
                    }
                    prop_assert_eq!(sent, Ok(expected.len() as u64 + 1), "there is room when all was read");
                    expected.push(Some(body));
                }
                Step::Drop => {
                    net.drop_message(0).unwrap();
                    expected.push(None);
                }
                Step::Flush => net.flush(0),
                Step::Time => net.stage_timeout(0),
                Step::Carry => net.pump(),
                Step::Read => seen.extend(net.recv()),
            }
            prop_assert!(net.inbound(0).unwrap().window().excess_granted() <= 6000);
        }
        net.close(0);
        seen.extend(net.recv_all());
        let of = |seen| match seen {
            Seen::Message(0, _, body) => vec![Some(body)],
            Seen::Gap(0, first, last) => (first..=last).map(|_| None).collect(),
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(seen.pop(), Some(Seen::Departed(0, Departure::Left, expected.len() as u64)));
        prop_assert_eq!(seen.into_iter().flat_map(of).collect::<Vec<_>>(), expected);
        prop_assert_eq!(net.ended(0), Some(Ended::Finished));
        prop_assert_eq!((net.receiver.core.senders().len(), net.receiver.counters().violations), (0, 0));
    }
}

/// A shell that is told so would not say that it is idle.
#[proves("ACK-3")]
#[test]
fn the_beginning_of_a_message_is_nothing_to_hand_out() {
    let mut net = Net::pair();
    let session = net.senders[0].at_receiver.unwrap();
    let behind_gap = Shape { gap: 1, ..MORE };
    for (frame, content) in [
        records(1, 1, &[(Shape::default(), b"one"), (MORE, b"begins")]),
        records(2, 2, &[(REST, b"ends"), (behind_gap, b"begins")]),
    ]
    .into_iter()
    .zip([vec![1], vec![2, 3]])
    {
        net.give_receiver(crate::forge::altered(frame, 8, &session.get().to_le_bytes()));
        for number in content {
            assert!(net.receiver.core.has_event());
            let seen = net.recv().unwrap();
            assert!(matches!(seen, Seen::Message(0, n, _) | Seen::Gap(0, n, _) if n == number), "{seen:?}");
        }
        assert!(!net.receiver.core.has_event(), "behind it there is only a beginning");
    }
    assert_eq!(net.inbound(0).unwrap().window().unread(), 0);
}

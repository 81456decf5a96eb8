//! Messages that a sender drops for want of room: they have numbers, and the receiving application is told of each.

use crate::{
    bench::{Bench, PLENTY},
    net::{Net, Seen, Setup},
};
use lamq_protocol::{
    Event, Level,
    endpoint::SendRefused,
    send::NoRoom,
    session::{Departure, Ended},
    wire::{DataFrame, Frame, Item, decode},
};
use lamq_proves::proves;

fn message(number: u64, body: &str) -> Seen {
    Seen::Message(0, number, body.into())
}

/// What is in a frame: the numbers of each gap, of each message.
fn items(data: &DataFrame<Vec<u8>>) -> Vec<(u64, u64)> {
    let mut cursor = data.cursor();
    let numbers = |item| match item {
        Item::Gap(first, last) => (first.get(), last.get()),
        Item::Message(record) | Item::Piece { record, .. } => (record.number.get(), record.number.get()),
    };
    std::iter::from_fn(|| data.next_item(&mut cursor)).map(numbers).collect()
}

/// A net in which the sender may have one frame and four bytes on the way; message 1 is, and there is no room for another.
fn no_room(level: Level) -> Net {
    let mut net = Net::greeted(Setup { slots: 3, window: 4, level, ..Setup::default() });
    assert_eq!(net.send(0, "one"), Ok(1));
    assert_eq!(net.send(0, "no"), Err(SendRefused::NoRoom(NoRoom::Credit)));
    net
}

#[proves("DRP-1")]
#[test]
fn a_gap_is_told_in_its_place_within_a_frame_and_between_frames() {
    let mut bench = Bench::open(Level::Delivered, PLENTY, PLENTY);
    assert_eq!(bench.push(1), Ok(1));
    assert_eq!(bench.push(1), Ok(2));
    assert_eq!([bench.window.drop_message().get(), bench.window.drop_message().get()], [3, 4]);
    assert_eq!(bench.push(1), Ok(5));
    assert_eq!(bench.push(1), Ok(6));
    assert_eq!(bench.window.drop_message().get(), 7);
    assert_eq!(bench.push(440), Ok(8), "in a frame of its own");
    bench.window.seal(false);
    let frames = bench.leaving_data();
    assert_eq!(
        frames.iter().map(items).collect::<Vec<_>>(),
        [vec![(1, 1)], vec![(2, 2), (3, 4), (5, 5), (6, 6)], vec![(7, 7), (8, 8)]]
    );
    assert_eq!((frames[2].first().get(), frames[2].last().get()), (7, 8), "it accounts for what was dropped before it");
    assert_eq!(bench.window.accepted().get(), 8);
}

#[proves("DRP-1", "PRO-1")]
#[test]
fn the_application_is_told_of_each_dropped_message_once_and_in_order() {
    let mut net = Net::pair();
    for (number, body) in [(1, Some("one")), (2, Some("two")), (3, None), (4, None), (5, Some("five")), (6, None)] {
        let given = if let Some(body) = body { net.send(0, body) } else { net.drop_message(0) };
        assert_eq!(given, Ok(number));
    }
    net.flush(0);
    let seen = net.recv_all();
    let gap = |first, last| Seen::Gap(0, first, last);
    assert_eq!(seen, [message(1, "one"), message(2, "two"), gap(3, 4), message(5, "five"), gap(6, 6)]);
    assert_eq!(net.receiver.counters().dropped_by_senders, 3);
    assert_eq!(net.receiver.counters().delivered, 3);
    assert_eq!(net.send(0, "seven"), Ok(7));
    assert_eq!(net.recv_all(), [message(7, "seven")], "it was told once");
}

#[proves("DRP-1")]
#[test]
fn the_first_messages_of_all_may_be_dropped_also_before_the_welcome() {
    let mut net = Net::pair();
    assert_eq!([net.drop_message(0), net.drop_message(0)], [Ok(1), Ok(2)]);
    assert_eq!(net.send(0, "three"), Ok(3));
    assert_eq!(net.recv_all(), [Seen::Gap(0, 1, 2), message(3, "three")]);
    let mut net = Net::new(Setup::default());
    net.connect(0);
    assert_eq!(net.drop_message(0), Ok(1));
    net.pump();
    assert_eq!(net.recv_all(), [Seen::Joined(0), Seen::Gap(0, 1, 1)], "as soon as there is credit");
    let mut net = Net::new(Setup::default());
    net.connect(0);
    net.transmit_from_sender(0);
    assert_eq!(net.drop_message(0), Ok(1));
    net.close(0);
    assert_eq!(net.recv_all(), [Seen::Joined(0), Seen::Gap(0, 1, 1), Seen::Departed(0, Departure::Left, 1)]);
    assert_eq!(net.ended(0), Some(Ended::Finished));
}

#[proves("DRP-1")]
#[test]
fn a_gap_before_a_message_in_pieces_is_told_too() {
    let mut net = Net::pair();
    net.drop_message(0).unwrap();
    assert_eq!(net.send(0, [7; 2000]), Ok(2));
    net.flush(0);
    assert_eq!(net.recv_all(), [Seen::Gap(0, 1, 1), Seen::Message(0, 2, vec![7; 2000])]);
    // The same in a frame with others, and handed out before the message has come.
    net.send(0, "three").unwrap();
    net.send(0, "four").unwrap();
    net.drop_message(0).unwrap();
    assert_eq!(net.send(0, [8; 1000]), Ok(6));
    net.take_at_receiver(2);
    let seen: Vec<_> = std::iter::from_fn(|| net.recv()).collect();
    assert_eq!(seen, [message(3, "three"), message(4, "four"), Seen::Gap(0, 5, 5)]);
    assert!(!net.receiver.core.has_event(), "a piece is no event");
    net.flush(0);
    assert_eq!(net.recv_all(), [Seen::Message(0, 6, vec![8; 1000])]);
}

#[proves("DRP-2")]
#[test]
fn a_gap_behind_the_last_message_is_told_as_soon_as_there_is_credit() {
    for level in [Level::Received, Level::Delivered, Level::Processed] {
        let mut net = no_room(level);
        assert_eq!([net.drop_message(0), net.drop_message(0)], [Ok(2), Ok(3)]);
        net.flush(0);
        net.stage_timeout(0);
        net.take_at_receiver(usize::MAX);
        assert_eq!(net.inbound(0).unwrap().window().received().get(), 1, "there is none");
        assert_eq!(net.recv_all(), [message(1, "one"), Seen::Gap(0, 2, 3)]);
        let window = net.senders[0].outbound().window();
        assert_eq!((window.settled().get(), window.accepted().get()), (3, 3), "{level:?}: as if it had been sent");
        assert_eq!(window.frames_kept(), 0);
        assert_eq!(net.receiver.counters().dropped_by_senders, 2);
        assert_eq!(net.send(0, "four"), Ok(4));
        assert_eq!(net.recv_all(), [message(4, "four")], "{level:?}: it was told once");
    }
}

#[proves("DRP-2")]
#[test]
fn with_credit_a_gap_is_told_at_the_next_occasion_at_the_latest() {
    type Occasion = fn(&mut Net);
    let occasions: [(&str, Occasion); 3] = [
        ("flush", |net| net.flush(0)),
        ("time-out", |net| net.stage_timeout(0)),
        ("acknowledgement", |net| {
            net.receiver.core.transmit(true, &mut |_, _, frame| {
                assert!(net.senders[0].node.core.handle_frame(frame.to_vec()).is_none());
                true
            });
            net.transmit_from_sender(0);
        }),
    ];
    for (name, occasion) in occasions {
        let mut net = Net::pair();
        net.send(0, "one").unwrap();
        net.pump();
        net.drop_message(0).unwrap();
        occasion(&mut net);
        net.stage_timeout(0);
        net.take_at_receiver(usize::MAX);
        assert_eq!(net.inbound(0).unwrap().window().received().get(), 2, "{name}");
    }
}

/// The record that tells of it takes room that nobody else may have.
#[proves("CRD-1", "DRP-2")]
#[test]
fn to_tell_of_a_gap_takes_a_frame_of_the_credit() {
    let mut bench = Bench::open(Level::Delivered, 2, PLENTY);
    bench.push(1).unwrap();
    bench.window.drop_message();
    bench.window.announce(&mut bench.clock);
    assert_eq!(bench.window.staged().map(lamq_protocol::Number::get), Some(2));
    bench.window.seal(false);
    bench.window.drop_message();
    bench.window.announce(&mut bench.clock);
    assert_eq!(bench.window.staged(), None, "no credit for a third frame");
    assert_eq!(bench.transmit(), [(1, 1), (2, 2)]);
    bench.hear([2, 0, 0, 3, PLENTY]);
    bench.window.announce(&mut bench.clock);
    bench.window.announce(&mut bench.clock);
    assert_eq!(bench.transmit(), [(3, 3)], "once");
    assert!(!bench.window.is_settled());
    bench.hear([3, 3, 0, 3, PLENTY]);
    assert!(bench.window.is_settled(), "up to the dropped ones");
    assert_eq!((bench.push(1), bench.transmit(), bench.window.settled().get()), (Ok(4), vec![], 3));
}

#[proves("DRP-2", "CLO-1")]
#[test]
fn a_gap_is_told_before_the_close_also_when_there_was_no_credit() {
    let mut net = Net::pair();
    net.send(0, "one").unwrap();
    net.drop_message(0).unwrap();
    net.close(0);
    let departed = |last| Seen::Departed(0, Departure::Left, last);
    assert_eq!(net.recv_all(), [message(1, "one"), Seen::Gap(0, 2, 2), departed(2)]);
    assert_eq!(net.ended(0), Some(Ended::Finished));
    for level in [Level::Received, Level::Delivered, Level::Processed] {
        let mut net = no_room(level);
        net.drop_message(0).unwrap();
        net.close(0);
        net.take_at_receiver(usize::MAX);
        let closes = |net: &Net| net.receiver.handled.iter().filter(|frame| frame[7] == 6).count();
        assert_eq!(closes(&net), 0, "the gap comes first");
        assert_eq!(net.drop_message(0), Err(SendRefused::Ended(Ended::Finished)));
        assert_eq!(net.recv_all(), [message(1, "one"), Seen::Gap(0, 2, 2), departed(2)], "{level:?}");
        assert_eq!((closes(&net), net.ended(0)), (1, Some(Ended::Finished)));
        let last = net.receiver.handled.last().unwrap().clone();
        assert!(matches!(decode(last).unwrap().1, Frame::Close(close) if close.last.get() == 2));
    }
}

#[proves("NUM-2")]
#[test]
fn who_has_ended_gives_no_numbers() {
    let mut net = no_room(Level::Delivered);
    net.receiver.core.leave();
    net.pump();
    assert_eq!(net.drop_message(0), Err(SendRefused::Ended(Ended::ClosedByPeer)));
    assert_eq!(net.senders[0].outbound().window().accepted().get(), 1);
}

#[proves("LAM-1", "LAM-2")]
#[test]
fn stamps_rise_across_gaps() {
    let mut net = Net::pair();
    let mut stamps = Vec::new();
    for round in 0..4 {
        for drops in [0, 1, 3] {
            net.send(0, format!("{round}")).unwrap();
            (0..drops).for_each(|_| _ = net.drop_message(0).unwrap());
            if round % 2 == 0 {
                net.flush(0);
            }
        }
        net.stage_timeout(0);
        net.pump();
        while let Some(event) = net.receiver.core.next_event() {
            if let Event::Message { stamp, .. } = event {
                assert!(net.receiver.core.now() > stamp);
                stamps.push(stamp);
            }
        }
        net.recv_all();
    }
    assert_eq!(stamps.len(), 12);
    assert!(stamps.is_sorted_by(|one, next| one < next), "{stamps:?}");
}

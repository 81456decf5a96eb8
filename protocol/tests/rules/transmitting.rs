//! When that which a sender accepted leaves it, and until when it is kept.

use crate::{
    bench::{Bench, PLENTY},
    forge::{acknowledgement, decode_data},
    net::Net,
};
use lamq_protocol::{
    Level, Number, SessionId, Stamp,
    send::Manner,
    wire::{Acknowledgement, DataFrame, EndReason, Frame, Priority, decode},
};
use lamq_proves::proves;

#[proves("DAT-5")]
#[test]
fn a_message_with_nothing_unacknowledged_before_it_leaves_at_once() {
    let mut bench = Bench::open(Level::Processed, PLENTY, PLENTY);
    bench.push(1).unwrap();
    assert_eq!(bench.transmit(), [(1, 1)], "the first ever");
    bench.push(1).unwrap();
    assert_eq!(bench.transmit(), [], "staged");
    bench.received(1);
    assert_eq!(bench.transmit(), [(2, 2)]);
    bench.received(2);
    bench.push(1).unwrap();
    assert_eq!(bench.transmit(), [(3, 3)], "received is enough, whatever the level");
}

#[proves("DAT-6")]
#[test]
fn a_staged_frame_leaves_for_each_of_its_causes_and_not_before() {
    let staged = || {
        let mut bench = Bench::open(Level::Delivered, PLENTY, PLENTY);
        bench.push(1).unwrap();
        bench.push(200).unwrap();
        bench.push(200).unwrap();
        assert_eq!(bench.transmit(), [(1, 1)], "numbers 2 and 3 are staged");
        assert_eq!(bench.window.staged(), Some(Number::new(2)));
        bench
    };
    let mut bench = staged();
    bench.push(68).unwrap();
    assert_eq!(bench.transmit(), [(2, 3)], "the next does not fit");
    assert_eq!(bench.window.staged(), Some(Number::new(4)));
    let mut bench = staged();
    bench.push(52).unwrap();
    assert_eq!(bench.transmit(), [(2, 4)], "not even a message without bytes would fit");
    let mut bench = staged();
    bench.received(1);
    assert_eq!(bench.transmit(), [(2, 3)], "every earlier frame is acknowledged");
    for solicit in [true, false] {
        let mut bench = staged();
        bench.window.seal(solicit);
        let asks: Vec<_> = bench.leaving_data().iter().map(DataFrame::solicits).collect();
        assert_eq!(asks, [solicit], "a flush asks to be told, a time-out does not");
    }
}

#[proves("DAT-6", "ACK-4")]
#[test]
fn flush_close_and_time_out_send_what_is_staged() {
    for (name, action, asks) in [
        ("flush", Net::flush as fn(&mut Net, usize), true),
        ("close", Net::close, true),
        ("time-out", Net::stage_timeout, false),
    ] {
        let mut net = Net::pair();
        net.send(0, "one").unwrap();
        net.send(0, "two").unwrap();
        net.take_at_receiver(usize::MAX);
        action(&mut net, 0);
        net.take_at_receiver(1);
        let data = decode_data(net.receiver.handled.last().unwrap().clone());
        assert_eq!((data.first().get(), data.solicits()), (2, asks), "{name}");
    }
}

#[proves("ACK-5")]
#[test]
fn an_acknowledgement_with_nothing_higher_is_stale() {
    let mut bench = Bench::open(Level::Delivered, 9, 900);
    bench.push(1).unwrap();
    bench.transmit();
    let news = bench.said([1, 1, 0, 10, 901]);
    assert_eq!(bench.window.acknowledge(&news), Ok(true));
    let before = bench.window.clone();
    for stale in [news, acknowledgement(1, [1, 0, 0, 10, 900]), acknowledgement(0, [0; 5])] {
        assert_eq!(bench.window.acknowledge(&stale), Ok(false));
        assert_eq!(bench.window, before, "nothing changed");
    }
}

#[proves("ACK-6")]
#[test]
fn an_impossible_acknowledgement_is_a_violation() {
    for level in [Level::Received, Level::Delivered, Level::Processed] {
        let mut bench = Bench::open(level, 9, 900);
        for (length, seals) in [(1, true), (1, false), (1, true), (1, true), (1, true)] {
            bench.push(length).unwrap();
            if seals {
                bench.window.seal(false);
            }
        }
        let mut room = 3;
        bench.window.transmit(Stamp::new(1), &mut |_| {
            room -= 1;
            room >= 0
        });
        // Frame 1 has message 1, frame 2 has 2 and 3, frame 3 has 4, frame 4 has 5 and has not left.
        bench.window.acknowledge(&acknowledgement(2, [3, 3, 1, 9, 900])).unwrap();
        let asked = |answered| Acknowledgement { answered, ..acknowledgement(3, [4, 3, 1, 9, 900]) };
        let early = |bit: u64| Acknowledgement { early: 1 << bit, ..acknowledgement(2, [3, 3, 1, 9, 900]) };
        for (why, impossible) in [
            ("frame 4 was accepted, and not transmitted", acknowledgement(4, [5, 3, 1, 9, 900])),
            ("no such frame", acknowledgement(u64::MAX, [4, 3, 1, 9, 900])),
            ("frame 4 cannot have come early", early(0)),
            ("nor can frame 67", early(63)),
            ("number 5 was accepted, and not transmitted", acknowledgement(3, [5, 3, 1, 9, 900])),
            ("no such number", acknowledgement(3, [u64::MAX, 3, 1, 9, 900])),
            ("number 4 is not in frame 2", acknowledgement(2, [4, 3, 1, 9, 900])),
            ("nor is it in frame 0", acknowledgement(0, [4, 4, 4, 9, 900])),
            ("number 4 is in frame 3", acknowledgement(3, [3, 3, 1, 9, 900])),
            ("nothing was asked", asked(1)),
            ("frames and received fell", acknowledgement(1, [1, 3, 1, 10, 900])),
            ("delivered fell", acknowledgement(3, [4, 2, 1, 9, 900])),
            ("processed fell", acknowledgement(3, [4, 3, 0, 9, 900])),
            ("frame credit fell", acknowledgement(3, [4, 3, 1, 8, 900])),
            ("byte credit fell", acknowledgement(3, [4, 3, 1, 9, 899])),
            ("delivered before received", acknowledgement(3, [4, 5, 1, 9, 900])),
            ("processed before delivered", acknowledgement(3, [4, 3, 4, 9, 900])),
        ] {
            let verdict = bench.window.clone().acknowledge(&impossible);
            assert_eq!(verdict, Err(EndReason::Acknowledgement), "{why}");
        }
        let possible = acknowledgement(3, [4, 4, 4, 10, 901]);
        assert_eq!(bench.window.acknowledge(&possible), Ok(true), "all that is possible");
    }
}

#[proves("ACK-6", "CRD-1")]
#[test]
fn a_message_in_pieces_is_transmitted_and_received_with_its_last_one() {
    let mut bench = Bench::open(Level::Received, 2, PLENTY);
    bench.push(1200).unwrap();
    bench.window.seal(false);
    assert_eq!(bench.transmit(), [(1, 1), (1, 1)], "the third frame has no credit");
    assert_eq!(bench.window.transmitted(), Number::NONE);
    let ends = acknowledgement(2, [1, 0, 0, 9, PLENTY]);
    assert_eq!(bench.window.clone().acknowledge(&ends), Err(EndReason::Acknowledgement), "its end has not left");
    bench.hear([0, 0, 0, 9, PLENTY]);
    assert_eq!((bench.window.frames_kept(), bench.transmit().len()), (3, 1));
    assert_eq!(bench.window.transmitted(), Number::new(1));
    bench.hear([1, 0, 0, 9, PLENTY + 1]);
    assert_eq!(bench.window.frames_kept(), 0);
}

#[proves("ACK-7")]
#[test]
fn a_frame_is_kept_until_its_last_record_is_acknowledged_at_the_level() {
    for (level, first, half_of_second, second) in [
        (Level::Received, [1, 0, 0], [1, 1, 1], [3, 1, 1]),
        (Level::Delivered, [3, 1, 0], [3, 2, 0], [3, 3, 0]),
        (Level::Processed, [3, 3, 1], [3, 3, 2], [3, 3, 3]),
    ] {
        let mut bench = Bench::open(level, PLENTY, PLENTY);
        bench.push(1).unwrap();
        bench.push(100).unwrap();
        bench.push(100).unwrap();
        bench.window.seal(false);
        assert_eq!(bench.transmit(), [(1, 1), (2, 3)]);
        let kept = [[0; 3], first, half_of_second, second].map(|[received, delivered, processed]| {
            let said = bench.said([received, delivered, processed, PLENTY, PLENTY]);
            bench.window.acknowledge(&said).unwrap();
            bench.window.bytes_kept()
        });
        assert_eq!(kept, [53 + 256, 256, 256, 0], "{level:?}");
    }
    let mut bench = Bench::open(Level::Received, PLENTY, PLENTY);
    bench.push(1).unwrap();
    bench.push(200).unwrap();
    bench.window.seal(false);
    bench.transmit();
    let early = Acknowledgement { early: 1, ..acknowledgement(0, [0, 0, 0, PLENTY, PLENTY]) };
    bench.window.acknowledge(&early).unwrap();
    assert_eq!((bench.window.frames_kept(), bench.window.settled().get()), (2, 0), "frame 2 came before frame 1");
}

#[proves("CLO-1")]
#[test]
fn the_close_follows_all_data_and_names_the_last_number() {
    let mut net = Net::pair();
    net.send(0, "one").unwrap();
    net.send(0, "two").unwrap();
    net.take_at_receiver(usize::MAX);
    let session: SessionId = net.senders[0].session;
    let core = &mut net.senders[0].node.core;
    core.with_outbound(session, lamq_protocol::session::Outbound::close);
    let mut left = Vec::new();
    let mut full_link = |_, priority, frame: &[u8]| {
        left.push((priority, decode(frame.to_vec()).unwrap().1));
        left.len() == 2 || left.len() >= 4
    };
    // A link that takes every other frame: what it did not take is offered again, in order.
    (0..4).for_each(|_| _ = core.transmit(false, &mut full_link));
    let [(_, Frame::Data(refused)), (_, Frame::Data(taken)), (_, Frame::Close(early)), (priority, Frame::Close(close))] =
        left.as_slice()
    else {
        panic!("data, the same data, close, the same close: {left:?}")
    };
    assert_eq!((refused, early), (taken, close));
    assert_eq!(taken.last().get(), 2);
    assert_eq!((close.last.get(), close.reason, *priority), (2, EndReason::Finished, Priority::Ordered));
}

#[proves("ACK-8")]
#[test]
fn a_message_whose_delivery_is_waited_for_is_not_staged_and_says_so() {
    let mut bench = Bench::open(Level::Delivered, 8, 1000);
    bench.push(1).unwrap();
    bench.push(2).unwrap();
    assert_eq!(bench.window.staged().map(Number::get), Some(2), "behind the first");
    bench.push_as(3, Manner { awaited: true, ..Manner::default() }).unwrap();
    bench.push(4).unwrap();
    let awaits = |data: &DataFrame<_>| (data.last().get(), data.awaits(), data.solicits());
    let awaits: Vec<_> = bench.leaving_data().iter().map(awaits).collect();
    assert_eq!(awaits, [(1, false, true), (3, true, false)]);
    assert_eq!(bench.window.staged().map(Number::get), Some(4));
}

#[proves("DAT-7")]
#[test]
fn a_frame_that_leaves_before_it_is_full_asks_for_the_acknowledgement_that_frees_the_next() {
    let mut bench = Bench::open(Level::Delivered, 8, PLENTY);
    let asks = |bench: &mut Bench| {
        let asks = |data: &DataFrame<_>| (data.last().get(), data.solicits());
        bench.leaving_data().iter().map(asks).collect::<Vec<_>>()
    };
    bench.push(1).unwrap();
    assert_eq!(asks(&mut bench), [(1, true)], "on its own");
    (2..=4).for_each(|_| _ = bench.push(200).unwrap());
    assert_eq!(asks(&mut bench), [(3, false)], "full");
    bench.received(3);
    assert_eq!(asks(&mut bench), [(4, true)], "staged until the one before was acknowledged");
}

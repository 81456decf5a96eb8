//! Section 18 of `SPEC.md`, the sender's side: which frames it sends again, and how often.

use crate::{
    bench::{Bench, PLENTY},
    forge::acknowledgement,
};
use lamq_protocol::{
    Level, Stamp,
    wire::{Acknowledgement, EndReason, Frame},
};
use lamq_proves::proves;

/// Early frames as an acknowledgement names them, behind `frames`.
fn report(frames: u64, received: u64, early: impl IntoIterator<Item = u64>) -> Acknowledgement {
    let early = early.into_iter().map(|frame| 1 << (frame - frames - 2)).sum();
    Acknowledgement { early, ..acknowledgement(frames, [received, 0, 0, PLENTY, PLENTY]) }
}

/// Frames of one message each, all transmitted.
fn singles(count: u64) -> Bench {
    let mut bench = Bench::open(Level::Delivered, PLENTY, PLENTY);
    for number in 1..=count {
        bench.push(1).unwrap();
        bench.window.seal(false);
        assert_eq!(bench.transmit(), [(number, number)]);
    }
    bench
}

#[proves("RTX-1")]
#[test]
fn a_frame_is_sent_again_once_however_often_it_is_reported_as_missing() {
    let mut bench = singles(9);
    let mut again = Vec::new();
    for last in 3..=9 {
        let news = bench.window.acknowledge(&report(1, 1, 3..=last));
        assert_eq!(news, Ok(true));
        again.extend(bench.transmit());
        assert_eq!(bench.window.acknowledge(&report(1, 1, 3..=last)), Ok(false), "nothing new");
        again.extend(bench.transmit());
    }
    assert_eq!(again, [(2, 2)]);
    // What was sent behind the second time and arrives shows that it was lost again.
    bench.push(1).unwrap();
    bench.window.seal(false);
    assert_eq!(bench.transmit(), [(10, 10)]);
    bench.window.acknowledge(&report(1, 1, 3..=10)).unwrap();
    assert_eq!(bench.transmit(), [(2, 2)]);
    bench.window.acknowledge(&report(10, 10, [])).unwrap();
    assert_eq!(bench.transmit(), []);
}

#[proves("RTX-1")]
#[test]
fn what_arrives_before_it_was_sent_again_is_not_sent_again() {
    let mut bench = singles(4);
    bench.window.acknowledge(&report(0, 0, [2, 4])).unwrap();
    bench.window.acknowledge(&report(2, 2, [4])).unwrap();
    assert_eq!(bench.transmit(), [(3, 3)], "frame 1 has come meanwhile");
    let mut bench = singles(2);
    bench.push(1).unwrap();
    bench.window.seal(false);
    bench.window.acknowledge(&report(0, 0, [2])).unwrap();
    let mut room = 1;
    let mut left = Vec::new();
    for _ in 0..2 {
        bench.window.transmit(Stamp::new(1), &mut |frame| {
            left.push(frame[24]);
            room -= 1;
            room >= 0
        });
        room = 9;
    }
    assert_eq!(left, [1, 3, 3], "the lost one first; what found no room is offered again");
}

#[proves("RTX-2")]
#[test]
fn an_answer_shows_as_lost_what_was_sent_before_the_ask_and_nothing_else() {
    let ask = |bench: &mut Bench| {
        bench.window.handle_timeout();
        let asks =
            bench.leaving().into_iter().filter_map(|frame| if let Frame::Ask(ask) = frame { Some(ask) } else { None });
        asks.map(|ask| ask.question).collect::<Vec<_>>()
    };
    let mut bench = singles(3);
    assert_eq!(ask(&mut bench), [1]);
    assert_eq!(bench.leaving(), [], "asked once");
    bench.push(1).unwrap();
    bench.window.seal(false);
    assert_eq!(bench.transmit(), [(4, 4)]);
    let answer = |answered| Acknowledgement { answered, ..report(1, 1, []) };
    assert_eq!(bench.window.clone().acknowledge(&answer(2)), Err(EndReason::Acknowledgement), "it was not asked");
    assert_eq!(bench.window.acknowledge(&answer(1)), Ok(true));
    assert_eq!(bench.transmit(), [(2, 2), (3, 3)], "not frame 4, which may be on the way");
    assert_eq!(bench.window.acknowledge(&answer(1)), Ok(false));
    assert_eq!(bench.transmit(), []);
    // An old answer says nothing of what has been sent since.
    assert_eq!([ask(&mut bench), ask(&mut bench)], [[2], [3]]);
    assert_eq!(bench.window.acknowledge(&answer(2)), Ok(true));
    assert_eq!(bench.transmit(), []);
    assert_eq!(bench.window.acknowledge(&answer(3)), Ok(true));
    assert_eq!(bench.transmit(), [(2, 2), (3, 3), (4, 4)]);
}

//! Section 9 of `SPEC.md`: what is in a data frame.

use crate::forge::{BODIES, WHOLE, data_from, decode_data, sealed, session};
use lamq_protocol::{
    FrameNumber, Number, Stamp,
    wire::{DataFrame, Fault, Frame, Item, MAX_RECORDS, OpenFrame, Shape, decode, record_limit},
};
use lamq_proves::proves;
use proptest::prelude::*;
use std::ops::Range;

/// An index entry: the length, and the stamp where it has one.
type Entry = (u32, Option<u64>);

/// What a data frame claims; by default what is true.
struct Claim {
    stamp: u64,
    body_bytes: u32,
    count: u16,
    entries: Vec<Entry>,
}

/// The claim of two records of 3 and 5 bytes, stamped 10 and 11, before a byte of it is bent.
fn two_records() -> Claim {
    Claim { stamp: 10, body_bytes: 8, count: 2, entries: vec![(3, None), (5, None)] }
}

impl Claim {
    /// A frame with 8 bytes of bodies that makes this claim.
    fn frame(&self) -> Vec<u8> {
        let mut frame = data_from(session(), 1, 1, self.stamp, &[b"onethree"]);
        frame[40..44].copy_from_slice(&self.body_bytes.to_le_bytes());
        frame[44..46].copy_from_slice(&self.count.to_le_bytes());
        frame.truncate(BODIES + 8);
        for (length, stamp) in &self.entries {
            let flag = if stamp.is_some() { 0x8000_0000 } else { 0 };
            frame.extend((length | flag).to_le_bytes());
            frame.extend(stamp.iter().flat_map(|stamp| stamp.to_le_bytes()));
        }
        sealed(frame)
    }

    fn fault(&self) -> Option<Fault> {
        decode(self.frame()).err()
    }
}

/// Number, stamp, place of every record; all are whole messages.
fn records<B: AsRef<[u8]>>(data: &DataFrame<B>) -> Vec<(u64, u64, Range<usize>)> {
    let mut cursor = data.cursor();
    std::iter::from_fn(|| data.next_item(&mut cursor))
        .map(|item| if let Item::Message(record) = item { record } else { panic!("a message, not {item:?}") })
        .map(|record| (record.number.get(), record.stamp.get(), record.body))
        .collect()
}

#[proves("DAT-1")]
#[test]
fn lengths_must_add_up_to_the_bodies_and_the_index_must_end_with_the_frame() {
    assert_eq!(two_records().fault(), None);
    for (why, claim) in [
        ("the lengths give a byte less", Claim { entries: vec![(3, None), (4, None)], ..two_records() }),
        ("the lengths give a byte more", Claim { entries: vec![(3, None), (6, None)], ..two_records() }),
        ("the bodies end a byte early", Claim { body_bytes: 7, ..two_records() }),
        ("the bodies end a byte late", Claim { body_bytes: 9, ..two_records() }),
        ("the bodies end behind the frame", Claim { body_bytes: 100, ..two_records() }),
        ("an entry is left over", Claim { count: 1, ..two_records() }),
        ("an entry is missing", Claim { count: 3, ..two_records() }),
        ("an empty record is missing", Claim { entries: vec![(3, None), (5, None), (0, None)], ..two_records() }),
    ] {
        assert!(matches!(claim.fault(), Some(Fault::Length | Fault::Field)), "{why}: {:?}", claim.fault());
    }
    let mut cut = two_records().frame();
    cut.pop();
    assert_eq!(decode(sealed(cut)), Err(Fault::Length), "half an entry");
    let stamped = Claim { entries: vec![(3, None), (5, Some(20))], ..two_records() };
    let mut cut = stamped.frame();
    cut.pop();
    assert_eq!(decode(sealed(cut)), Err(Fault::Length), "half a stamp");
}

#[proves("DAT-1")]
#[test]
fn stamps_must_rise() {
    let second_at = |stamp| Claim { entries: vec![(3, None), (5, Some(stamp))], ..two_records() }.fault();
    assert_eq!(second_at(12), None);
    assert_eq!(second_at(u64::MAX), None);
    assert_eq!(second_at(10), Some(Fault::Field), "the stamp of the first record again");
    assert_eq!(second_at(9), Some(Fault::Field), "earlier than the first record");
    assert_eq!(second_at(11), Some(Fault::Field), "what it would be anyway is not written");
    let first = Claim { entries: vec![(3, Some(10)), (5, None)], ..two_records() };
    assert_eq!(first.fault(), Some(Fault::Field), "the stamp of the first record is in the header");
    let at_the_end = Claim { stamp: u64::MAX, ..two_records() };
    assert_eq!(at_the_end.fault(), Some(Fault::Field), "there is no later stamp");
    let after_the_end = Claim { count: 3, entries: vec![(3, None), (5, Some(u64::MAX)), (0, None)], ..two_records() };
    assert_eq!(after_the_end.fault(), Some(Fault::Field), "there is no later stamp");
}

#[proves("FRM-3")]
#[test]
fn a_claim_of_four_gigabytes_is_refused_by_what_is_there() {
    let huge = Claim { body_bytes: u32::MAX, ..two_records() };
    assert_eq!(huge.fault(), Some(Fault::Length));
    let many = Claim { count: u16::MAX, ..two_records() };
    assert_eq!(many.fault(), Some(Fault::Length));
    let long = Claim { entries: vec![(0xFF_FFFF, None), (0xFF_FFFF, None)], ..two_records() };
    assert_eq!(long.fault(), Some(Fault::Length));
    // What is well-formed is not copied either: the frame stays in the buffer it came in.
    let frame = two_records().frame();
    let (_, Frame::Data(data)) = decode(frame.as_slice()).unwrap() else { panic!("data") };
    assert!(std::ptr::eq(*data.buffer(), frame.as_slice()));
}

#[proves("LIM-1")]
#[test]
fn the_longest_message_fills_a_frame_to_the_last_byte() {
    for frame_size in [512, 8192] {
        let limit = record_limit(frame_size);
        assert_eq!(limit, frame_size - 60);
        // However many were dropped before it.
        let shape = Shape { gap: 1 << 50, ..WHOLE };
        let mut open = OpenFrame::new(Vec::new(), frame_size, Number::new(1));
        assert!(!open.fits(shape, limit + 1, Stamp::new(1)));
        assert!(open.fits(shape, limit, Stamp::new(1)));
        assert_eq!(open.room(shape, Stamp::new(1)), Some(limit));
        open.push(shape, &vec![0; limit], Stamp::new(1));
        assert!(!open.fits(WHOLE, 0, Stamp::new(2)));
        let bytes = open.seal(session(), FrameNumber::new(1), false);
        assert_eq!((bytes.len(), bytes.capacity()), (frame_size, frame_size), "it was given its room once");
    }
    assert_eq!(record_limit(1 << 30), 0xFF_FFFF, "a length has 24 bits");
    let open = OpenFrame::new(Vec::new(), 512, Number::new(1));
    assert!(!open.fits(WHOLE, usize::MAX, Stamp::new(1)), "however much is asked for");
}

#[test]
fn a_frame_takes_no_more_records_than_its_count_can_tell() {
    let mut open = OpenFrame::new(Vec::new(), 1 << 20, Number::new(1));
    for stamp in 1..=u64::from(u16::MAX) {
        assert!(open.fits(WHOLE, 0, Stamp::new(stamp)));
        open.push(WHOLE, b"", Stamp::new(stamp));
    }
    assert!(!open.fits(WHOLE, 0, Stamp::new(1 << 16)));
    let data = decode_data(open.seal(session(), FrameNumber::new(1), false));
    assert_eq!(records(&data).len(), MAX_RECORDS);
    assert_eq!(data.last().get(), u64::from(u16::MAX));
}

/// From one stamp to the next: mostly there is nothing in between.
fn steps() -> impl Strategy<Value = u64> {
    prop_oneof![3 => Just(1), 1 => 1..1_u64 << 40]
}

proptest! {
    #[proves("DAT-2")]
    #[test]
    fn records_come_back_in_order_with_their_numbers_stamps_and_bodies(
        frame in 1..u64::MAX,
        first in 1..u64::MAX - 100,
        stamp in 0..1_u64 << 60,
        messages in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), steps()), 1..60),
        solicit in any::<bool>(),
    ) {
        let mut open = OpenFrame::new(vec![0xAA; 99], 1 << 16, Number::new(first));
        let mut expected = Vec::new();
        let mut now = stamp;
        for ((body, step), number) in messages.iter().zip(first..) {
            open.push(WHOLE, body, Stamp::new(now));
            expected.push((number, now, body.as_slice()));
            now += step;
        }
        let length = open.frame_bytes();
        let number = FrameNumber::new(frame);
        let frame = open.seal(session(), number, solicit);
        prop_assert_eq!(frame.len(), length);
        let data = decode_data(frame.clone());
        let found: Vec<_> = records(&data).into_iter().map(|(number, stamp, at)| (number, stamp, &frame[at])).collect();
        prop_assert_eq!(&found, &expected);
        let (last, last_stamp, _) = *expected.last().unwrap();
        prop_assert_eq!((data.frame(), data.first().get(), data.last().get()), (number, first, last));
        prop_assert_eq!((data.last_stamp().get(), data.solicits()), (last_stamp, solicit));
        prop_assert_eq!(data.body_bytes() as usize, messages.iter().map(|(body, _)| body.len()).sum::<usize>());
    }
}

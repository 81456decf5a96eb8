//! Section 9 of `SPEC.md`: gaps and pieces in the index of a data frame, and what they cannot be.

use crate::forge::{BODIES, WHOLE, data_from, decode_data, sealed, session, shaped};
use lamq_protocol::{
    Number, Stamp,
    wire::{Fault, Item, OpenFrame, Shape, decode},
};
use lamq_proves::proves;
use proptest::prelude::*;
use std::ops::Range;

const STAMP: u32 = 1 << 31;
const GAP: u32 = 1 << 30;
const MORE: u32 = 1 << 29;
const REST: u32 = 1 << 28;
const VOID: u32 = 1 << 27;

/// A frame from number 10 on, stamped from 20 on, whose bodies are as long as the entries of the index say: flags, length,
/// and the words behind it.
fn fault(entries: &[(u32, u32, &[u64])]) -> Option<Fault> {
    let bytes: u32 = entries.iter().map(|(_, length, _)| length).sum();
    let mut frame = data_from(session(), 1, 10, 20, &[&vec![0; bytes as usize]]);
    frame[44..46].copy_from_slice(&u16::try_from(entries.len()).unwrap().to_le_bytes());
    frame.truncate(BODIES + bytes as usize);
    for (flags, length, words) in entries {
        frame.extend((flags | length).to_le_bytes());
        frame.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }
    decode(sealed(frame)).err()
}

const FIELD: Option<Fault> = Some(Fault::Field);

#[proves("DAT-1", "DAT-2")]
#[test]
fn a_piece_stands_at_the_edge_of_its_frame_and_is_not_empty() {
    let whole = (0, 3, &[][..]);
    let piece = |flags| (flags, 3, &[][..]);
    for good in [
        &[piece(REST | MORE)][..],
        &[piece(REST), whole],
        &[whole, piece(MORE)],
        &[piece(REST), whole, piece(MORE)],
        &[piece(REST), piece(MORE)],
    ] {
        assert_eq!(fault(good), None, "{good:?}");
    }
    assert_eq!(fault(&[whole, piece(REST)]), FIELD, "a rest that is not first");
    assert_eq!(fault(&[whole, piece(REST | MORE)]), FIELD, "a rest that is not first");
    assert_eq!(fault(&[piece(MORE), whole]), FIELD, "more, and not the last");
    assert_eq!(fault(&[piece(REST | MORE), whole]), FIELD, "more, and not the last");
    for flags in [REST, MORE, REST | MORE] {
        assert_eq!(fault(&[(flags, 0, &[])]), FIELD, "a piece of nothing");
    }
}

#[proves("DAT-1", "DAT-2")]
#[test]
fn a_gap_leaves_a_number_before_it_and_is_one() {
    assert_eq!(fault(&[(GAP, 3, &[9])]), None, "1 to 9 were dropped, 10 is there");
    assert_eq!(fault(&[(0, 3, &[]), (GAP, 3, &[1 << 60])]), None);
    assert_eq!(fault(&[(GAP, 3, &[0])]), FIELD, "a gap of nothing");
    assert_eq!(fault(&[(GAP, 3, &[10])]), FIELD, "there is no number 0");
    assert_eq!(fault(&[(GAP, 3, &[u64::MAX])]), FIELD);
    assert_eq!(fault(&[(0, 3, &[]), (GAP, 3, &[u64::MAX])]), FIELD, "beyond the last number there is");
    assert!(fault(&[(0, 3, &[]), (GAP, 3, &[u64::MAX - 11])]).is_some(), "the last number there is has none behind it");
    assert_eq!(fault(&[(0, 3, &[]), (GAP, 3, &[u64::MAX - 12])]), None);
    assert_eq!(fault(&[(GAP | REST, 3, &[1])]), FIELD, "a gap inside of a message");
    assert_eq!(fault(&[(GAP | MORE, 3, &[1])]), None, "a gap before a message");
    assert_eq!(fault(&[(GAP, 3, &[])]), Some(Fault::Length), "which gap?");
    assert_eq!(fault(&[(0, 3, &[]), (GAP | STAMP, 3, &[99])]), Some(Fault::Length), "stamp or gap?");
}

#[proves("DAT-1")]
#[test]
fn a_void_record_is_empty_and_no_piece() {
    assert_eq!(fault(&[(VOID, 0, &[])]), None);
    assert_eq!(fault(&[(VOID | GAP, 0, &[3])]), None);
    assert_eq!(fault(&[(0, 3, &[]), (VOID, 0, &[]), (0, 3, &[])]), None);
    assert_eq!(fault(&[(VOID, 1, &[])]), FIELD, "a message that was dropped has no length");
    for flags in [VOID | MORE, VOID | REST] {
        assert_eq!(fault(&[(flags, 0, &[])]), FIELD);
        assert_eq!(fault(&[(flags, 3, &[])]), FIELD);
    }
}

#[proves("DAT-2")]
#[test]
fn the_stamp_of_an_entry_stands_before_its_gap() {
    let mut open = OpenFrame::new(Vec::new(), 512, Number::new(1));
    open.push(WHOLE, b"one", Stamp::new(20));
    open.push(Shape { gap: 7, ..WHOLE }, b"nine", Stamp::new(300));
    let frame = open.seal(session(), lamq_protocol::FrameNumber::new(1), false);
    let entry = &frame[48 + 7 + 4..];
    assert_eq!(entry[..4], (STAMP | GAP | 4).to_le_bytes());
    assert_eq!((&entry[4..12], &entry[12..]), (&300_u64.to_le_bytes()[..], &7_u64.to_le_bytes()[..]));
}

#[proves("DAT-2")]
#[test]
fn no_record_fits_behind_a_piece_that_goes_on_nor_a_rest_behind_anything() {
    let mut open = OpenFrame::new(Vec::new(), 512, Number::new(1));
    let rest = Shape { rest: true, ..WHOLE };
    assert!(open.fits(rest, 1, Stamp::new(1)));
    open.push(WHOLE, b"x", Stamp::new(1));
    assert!(open.fits(WHOLE, 1, Stamp::new(2)) && !open.fits(rest, 1, Stamp::new(2)));
    open.push(Shape { more: true, ..WHOLE }, b"x", Stamp::new(2));
    assert_eq!(open.room(WHOLE, Stamp::new(3)), None);
    assert_eq!((open.last().get(), open.last_whole().get()), (2, 1));
}

#[proves("DAT-2")]
#[test]
fn a_frame_says_where_it_begins_and_ends() {
    let shape = |gap, rest, more, void| Shape { gap, rest, more, void };
    let frame = |records: &[(Shape, &[u8])]| decode_data(shaped(session(), 1, 10, 1, records));
    let inside = frame(&[(shape(0, true, true, false), b"x")]);
    assert_eq!((inside.first().get(), inside.last().get(), inside.last_whole().get()), (10, 10, 9));
    assert!(inside.starts_inside() && inside.ends_inside() && inside.is_inside());
    let begins = frame(&[(shape(0, false, true, false), b"x")]);
    assert!(!begins.starts_inside() && begins.is_inside(), "nothing to hand out");
    let gap = frame(&[(shape(3, false, true, false), b"x")]);
    assert_eq!((gap.first().get(), gap.last().get(), gap.last_whole().get()), (10, 13, 12));
    assert!(!gap.is_inside(), "10 to 12 were dropped, which is to be told");
    let ends = frame(&[(shape(0, true, false, false), b"x")]);
    assert!(ends.starts_inside() && !ends.ends_inside() && !ends.is_inside());
    let void = frame(&[(WHOLE, b"x"), (shape(2, false, false, true), b"")]);
    assert_eq!((void.first().get(), void.last_whole().get()), (10, 13));
}

/// What a record is, in the place it has in its frame.
fn shapes(count: usize) -> impl Strategy<Value = Vec<(Shape, Vec<u8>)>> {
    let gap = prop_oneof![3 => Just(0), 1 => 1..1_u64 << 40];
    let bodies = prop::collection::vec(any::<u8>(), 1..20);
    let record = (gap, prop::bool::weighted(0.2), any::<[bool; 2]>(), bodies);
    prop::collection::vec(record, count).prop_map(move |records| {
        let shape = |(place, (gap, void, [rest, more], body)): (usize, (u64, bool, [bool; 2], Vec<u8>))| {
            let (rest, more) = (rest && place == 0 && !void, more && place + 1 == count && !void);
            let gap = if rest { 0 } else { gap };
            (Shape { gap, rest, more, void }, if void { Vec::new() } else { body })
        };
        records.into_iter().enumerate().map(shape).collect()
    })
}

proptest! {
    #[proves("DAT-2")]
    #[test]
    fn what_goes_into_a_frame_comes_out_of_it(next in 1..1_u64 << 50, records in (1..8_usize).prop_flat_map(shapes)) {
        let mut expected = Vec::new();
        let mut number = next;
        for (shape, body) in &records {
            let dropped = shape.gap + u64::from(shape.void);
            if dropped > 0 {
                expected.push((number, number + dropped - 1, None));
            }
            number += shape.gap;
            if !shape.void {
                expected.push((number, number, Some((shape.rest, shape.more, body.clone()))));
            }
            number += 1;
        }
        let bodies: Vec<_> = records.iter().map(|(shape, body)| (*shape, body.as_slice())).collect();
        let data = decode_data(shaped(session(), 5, next, 77, &bodies));
        let mut cursor = data.cursor();
        let body = |place: Range<usize>| data.buffer()[place].to_vec();
        let found = std::iter::from_fn(|| data.next_item(&mut cursor)).map(|item| match item {
            Item::Gap(first, last) => (first.get(), last.get(), None),
            Item::Message(record) => (record.number.get(), record.number.get(), Some((false, false, body(record.body)))),
            Item::Piece { record, rest, more } => {
                (record.number.get(), record.number.get(), Some((rest, more, body(record.body))))
            }
        });
        prop_assert_eq!(found.collect::<Vec<_>>(), expected);
        prop_assert!(data.is_exhausted(&cursor));
        prop_assert_eq!((data.first().get(), data.last().get()), (next, number - 1));
    }
}

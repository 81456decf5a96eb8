//! Room that is set aside for a message which is not there yet.

use crate::bench::{Bench, MAX_MESSAGE, PLENTY};
use lamq_protocol::{
    Level, Number,
    send::{Manner, NoRoom, Reservation},
};
use lamq_proves::proves;

fn redeem(bench: &mut Bench, reservation: Reservation, length: usize) -> Result<u64, NoRoom> {
    let manner = Manner { awaited: false, reserved: Some(reservation) };
    bench.window.push(&vec![0; length], &mut bench.clock, manner).map(Number::get)
}

#[proves("CRD-1", "CRD-2", "NUM-1")]
#[test]
fn what_is_reserved_nobody_else_can_take_and_it_has_no_number_yet() {
    let mut bench = Bench::open(Level::Delivered, 2, 100);
    let reservation = bench.window.reserve(60).unwrap();
    assert_eq!(bench.window.reserve(41), Err(NoRoom::Credit), "there are 40 bytes");
    assert_eq!(bench.push(41), Err(NoRoom::Credit));
    assert_eq!(bench.push(10), Ok(1), "a frame is left");
    bench.window.seal(false);
    assert_eq!(bench.push(10), Err(NoRoom::Credit), "the other frame is reserved");
    assert_eq!(redeem(&mut bench, reservation, 60), Ok(2), "numbered when it is sent");
    assert_eq!(bench.push(31), Err(NoRoom::Credit));
    assert_eq!(bench.push(30), Ok(3));
}

#[proves("CRD-1")]
#[test]
fn what_is_given_back_or_not_used_up_is_there_for_others() {
    let mut bench = Bench::open(Level::Delivered, 1, 100);
    let reservation = bench.window.reserve(100).unwrap();
    assert_eq!(bench.push(0), Err(NoRoom::Credit));
    bench.window.give_back(reservation);
    let reservation = bench.window.reserve(100).unwrap();
    assert_eq!(redeem(&mut bench, reservation, 20), Ok(1));
    assert_eq!(bench.push(80), Err(NoRoom::Credit), "the frame has left");
    let mut bench = Bench::open(Level::Delivered, 2, 100);
    let reservation = bench.window.reserve(100).unwrap();
    assert_eq!(redeem(&mut bench, reservation, 20), Ok(1));
    assert_eq!(bench.push(80), Ok(2));
}

#[proves("LIM-1", "NUM-2")]
#[test]
fn a_message_longer_than_what_was_reserved_is_refused() {
    let mut bench = Bench::open(Level::Delivered, 2, 100);
    let reservation = bench.window.reserve(10).unwrap();
    assert_eq!(redeem(&mut bench, reservation, 11), Err(NoRoom::TooLong { length: 11, limit: 10 }));
    assert_eq!(bench.push(100), Ok(1), "nothing is reserved any more");
    let limit = MAX_MESSAGE as usize;
    assert_eq!(bench.window.reserve(limit + 1), Err(NoRoom::TooLong { length: limit + 1, limit }));
}

/// A message in pieces may use up more frames than there is credit for; who has reserved before is not harmed.
#[proves("CRD-1")]
#[test]
fn a_reservation_is_good_even_when_a_long_message_has_used_up_all_frames() {
    let mut bench = Bench::open(Level::Delivered, 3, PLENTY);
    let reservation = bench.window.reserve(10).unwrap();
    assert_eq!(bench.push(4000), Ok(1), "in nine frames");
    bench.window.await_room(4000);
    assert_eq!(redeem(&mut bench, reservation, 10), Ok(2));
    assert_eq!(bench.transmit().len(), 3, "no frame exceeds the credit");
}

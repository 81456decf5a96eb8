//! Room that is set aside for a message before it is there.

use crate::{
    bench::{Bench, PLENTY},
    forge::{session, terms},
    net::{Net, Seen, Setup},
};
use lamq_protocol::{
    Level,
    endpoint::SendRefused,
    send::{Manner, NoRoom, Reservation, SendSettings},
    session::Ended,
};
use lamq_proves::proves;

fn with(reserved: Reservation) -> Manner {
    Manner { reserved: Some(reserved), ..Manner::default() }
}

#[proves("CRD-1", "CRD-2", "NUM-1")]
#[test]
fn what_is_reserved_nobody_else_can_take_and_it_has_no_number() {
    let mut by_frames = Bench::open(Level::Delivered, 2, PLENTY);
    let first = by_frames.window.reserve(100).unwrap();
    let second = by_frames.window.reserve(0).unwrap();
    assert_eq!(first.length(), 100);
    assert_eq!(by_frames.push(452), Ok(1), "number 1 is still free");
    assert_eq!(
        by_frames.push(0),
        Err(NoRoom::Credit),
        "the other two of three frames, one ahead of its credit, are reserved"
    );
    assert_eq!(by_frames.window.reserve(0), Err(NoRoom::Credit));
    assert!(!by_frames.window.has_room(0, &by_frames.clock));
    assert_eq!(by_frames.push_as(100, with(first)), Ok(2));
    assert_eq!(by_frames.push(300), Ok(3), "into the frame of the one before");
    assert_eq!(by_frames.push(100), Err(NoRoom::Credit));
    assert_eq!(by_frames.push_as(0, with(second)), Ok(4));
    let mut by_bytes = Bench::open(Level::Delivered, PLENTY, 100);
    let reserved = by_bytes.window.reserve(60).unwrap();
    assert_eq!(by_bytes.push(41), Err(NoRoom::Credit));
    assert_eq!(by_bytes.window.reserve(41), Err(NoRoom::Credit));
    assert!(by_bytes.window.has_room(40, &by_bytes.clock) && !by_bytes.window.has_room(41, &by_bytes.clock));
    assert_eq!(by_bytes.push(40), Ok(1));
    assert_eq!(by_bytes.push_as(60, with(reserved)), Ok(2));
    assert_eq!(by_bytes.push(1), Err(NoRoom::Credit));
}

#[proves("CRD-6")]
#[test]
fn what_is_reserved_counts_as_kept() {
    let settings =
        SendSettings { frame_size: 512, level: Level::Delivered, retain: 1000, lossy: false, resumes: false };
    let mut bench = Bench::new(settings);
    bench.window.open(session(), &terms(PLENTY, PLENTY));
    let reserved = bench.window.reserve(600).unwrap();
    assert_eq!(bench.push(401), Err(NoRoom::Credit));
    assert_eq!(bench.push(400), Ok(1));
    assert_eq!(bench.window.reserve(1), Err(NoRoom::Credit));
    assert_eq!(bench.push_as(600, with(reserved)), Ok(2), "it was promised");
    assert_eq!(bench.push(0), Err(NoRoom::Credit));
}

#[proves("CRD-1")]
#[test]
fn a_reservation_holds_also_when_a_long_message_has_used_up_all_frames() {
    let mut bench = Bench::open(Level::Delivered, 2, 10_000);
    let reserved = bench.window.reserve(300).unwrap();
    assert_eq!(bench.push(4000), Ok(1), "its first frame has credit");
    assert_eq!(bench.push(452), Err(NoRoom::Credit));
    assert_eq!(bench.transmit().len(), 2, "the others wait for theirs");
    assert_eq!(bench.push_as(300, with(reserved)), Ok(2));
    bench.window.seal(false);
    assert_eq!(bench.transmit(), []);
    bench.window.acknowledge(&crate::forge::acknowledgement(2, [0, 0, 0, 99, 10_000])).unwrap();
    assert_eq!(bench.transmit().last(), Some(&(2, 2)));
}

#[proves("CRD-2", "NUM-2")]
#[test]
fn what_is_given_back_others_can_take() {
    let mut bench = Bench::open(Level::Delivered, 1, 100);
    let reserved = bench.window.reserve(100).unwrap();
    assert_eq!(bench.push(1), Err(NoRoom::Credit));
    bench.window.give_back(reserved);
    assert_eq!(bench.push(100), Ok(1));
    assert_eq!(bench.window.reserve(1), Err(NoRoom::Credit));
}

#[proves("LIM-1", "NUM-2")]
#[test]
fn a_longer_message_than_reserved_is_refused_and_a_shorter_one_gives_the_rest_back() {
    let mut bench = Bench::open(Level::Delivered, 1, 100);
    let reserved = bench.window.reserve(60).unwrap();
    let now = bench.clock.now();
    assert_eq!(bench.push_as(61, with(reserved)), Err(NoRoom::TooLong { length: 61, limit: 60 }));
    assert_eq!((bench.window.accepted().get(), bench.clock.now()), (0, now));
    let reserved = bench.window.reserve(100).expect("what was reserved is used up, and not lost");
    assert_eq!(bench.push_as(10, with(reserved)), Ok(1));
    bench.window.acknowledge(&crate::forge::acknowledgement(0, [0, 0, 0, 2, 100])).unwrap();
    assert_eq!(bench.push(90), Ok(2));
    assert_eq!(bench.window.reserve(5001), Err(NoRoom::TooLong { length: 5001, limit: 5000 }));
}

#[proves("LRG-3")]
#[test]
fn what_is_reserved_goes_before_a_long_message_that_waits() {
    let mut bench = Bench::open(Level::Delivered, 9, 1000);
    let reserved = bench.window.reserve(300).unwrap();
    bench.window.await_room(900, false);
    assert_eq!(bench.push(1), Err(NoRoom::Credit));
    assert_eq!(bench.push_as(300, with(reserved)), Ok(1));
}

#[test]
fn a_reservation_at_an_endpoint_is_as_one_at_a_window() {
    let mut net = Net::greeted(Setup { window: 10, ..Setup::default() });
    let session = net.senders[0].session;
    let core = &mut net.senders[0].node.core;
    let reserved = core.reserve(session, 10).unwrap();
    assert_eq!(core.reserve(session, 10), Err(SendRefused::NoRoom(NoRoom::Credit)), "ten bytes");
    assert!(!core.has_room(session, 1));
    core.give_back(session, reserved);
    let reserved = core.reserve(session, 10).unwrap();
    assert_eq!(net.send(0, "x"), Err(SendRefused::NoRoom(NoRoom::Credit)));
    assert_eq!(net.send_as(0, "reserved", with(reserved)), Ok(1));
    assert_eq!(net.recv_all(), [Seen::Message(0, 1, b"reserved".to_vec())]);
    let reserved = net.senders[0].node.core.reserve(session, 10).unwrap();
    net.close(0);
    assert_eq!(net.send_as(0, "late", with(reserved)), Err(SendRefused::Ended(Ended::Finished)));
    assert_eq!(net.senders[0].node.core.reserve(session, 10), Err(SendRefused::Ended(Ended::Finished)));
    let mut waits = Net::new(Setup::default());
    waits.connect(0);
    let core = &mut waits.senders[0].node.core;
    assert_eq!(core.reserve(session, 1), Err(SendRefused::NoRoom(NoRoom::Credit)), "not yet welcomed");
}

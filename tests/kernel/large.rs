//! A message of 16 MiB, and short ones of another sender beside it.

use crate::world::{Name, WATCHDOG};
use lamq::{Event, Receiver, SendFailure, Sender};
use lamq_proves::proves;
use std::thread;

#[proves("LRG-2", "PRO-1")]
#[test]
fn sixteen_mebibytes_arrive_whole_and_let_the_messages_of_another_sender_through() {
    let name = Name::new("large");
    let receiver = Receiver::bind(name.as_str()).unwrap();
    let connect = || {
        let name = name.as_str().to_owned();
        let connecting = thread::spawn(move || Sender::builder().wait(WATCHDOG).connect(name).unwrap());
        while !matches!(receiver.recv_event(Some(WATCHDOG)).unwrap(), Event::Joined(_)) {}
        connecting.join().unwrap()
    };
    let (large, short) = (connect(), connect());
    let body: Vec<u8> = (0..16_u32 << 20).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let mut back = Some(body.clone());
    let (mut between, mut arrived) = (0, false);
    while !arrived {
        // The short ones always have something in the inbox, as far as their credit goes.
        while short.try_send([7; 64]).is_ok() {}
        if let Some(body) = back.take()
            && let Err(error) = large.try_send(body)
        {
            assert_eq!(error.failure, SendFailure::Full, "it has asked for room");
            back = Some(error.message);
        }
        _ = large.stats(); // takes what came, and sends what may be sent
        while let Ok(message) = receiver.try_recv() {
            if message.len() == 64 {
                between += 1;
            } else {
                assert!(*message == *body);
                arrived = true;
            }
        }
    }
    assert!(between > 0, "short messages came meanwhile");
}

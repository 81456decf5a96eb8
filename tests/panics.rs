//! Panics in code of the application that the library calls: codecs, and subscribers of its reports.

use lamq::{
    Receiver, Sender,
    codec::{Codec, CodecError, Decode, Encode},
    link::Memory,
};
use lamq_proves::proves;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(20);

/// Panics on the number 13, on either side.
struct Superstitious;

impl Codec for Superstitious {
    const ID: u8 = 200;
    const NAME: &'static str = "superstitious";
}

impl Encode<u8> for Superstitious {
    fn encode(value: &u8, body: &mut Vec<u8>) -> Result<(), CodecError> {
        body.extend_from_slice(b"half of it");
        assert_ne!(*value, 13, "on purpose");
        body.clear();
        body.push(*value + 1);
        Ok(())
    }
}

impl Decode<'_, u8> for Superstitious {
    fn decode(body: &[u8]) -> Result<u8, CodecError> {
        assert_ne!(body, [13], "on purpose");
        Ok(body[0] - 1)
    }
}

fn panics<R>(call: impl FnOnce() -> R) -> bool {
    catch_unwind(AssertUnwindSafe(call)).is_err()
}

#[proves("NUM-2", "COD-3")]
#[test]
fn a_codec_that_panics_costs_one_message_and_nothing_else() {
    let space = Memory::new();
    let builder = Receiver::builder().link(space.clone()).typed::<u8>().codec::<Superstitious>();
    let receiver = builder.bind("/superstitious").unwrap();
    let builder = Sender::builder().link(space).typed::<u8>().codec::<Superstitious>();
    let sender = builder.connect("/superstitious").unwrap();
    assert_eq!(sender.send(1).unwrap(), 1);
    assert!(panics(|| sender.send(13)), "cannot be encoded");
    assert!(panics(|| sender.send_sync(13)), "cannot be encoded");
    assert_eq!(sender.send(12).unwrap(), 2, "cannot be decoded");
    let permit = sender.reserve(100).unwrap();
    assert!(panics(|| permit.send(13)), "cannot be encoded");
    assert_eq!(sender.send(3).unwrap(), 3);
    let [first, second, third] = [(); 3].map(|()| receiver.recv().unwrap());
    assert_eq!((first.number(), first.decode().unwrap()), (1, 1));
    assert!(panics(|| second.decode()));
    assert_eq!(second.number(), 2);
    assert_eq!((third.number(), third.decode().unwrap()), (3, 3));
    sender.flush_timeout(WATCHDOG).unwrap();
    sender.close(WATCHDOG).unwrap();
}

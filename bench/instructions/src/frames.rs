//! Frames to bytes and back.

use crate::counted_part;
use lamq_protocol::{
    FrameNumber, Number, SessionId, Stamp,
    wire::{Frame, Item, OpenFrame, Shape, decode as decode_frame},
};
use std::hint::black_box;

/// A message.
pub(crate) const BODY: [u8; 64] = [7; 64];

/// The default of a receiver.
pub(crate) const FRAME_SIZE: usize = 8192;

const FRAMES: u64 = 100;

pub(crate) fn session() -> SessionId {
    SessionId::new(0x1122_3344_5566_7788).expect("it is not 0")
}

/// A full frame in these buffers, and how many messages it holds. The index goes back to its own.
fn full_frame(bytes: Vec<u8>, index: &mut Vec<u8>) -> (Vec<u8>, u64) {
    let mut open = OpenFrame::new(bytes, FRAME_SIZE, Number::new(1)).with_index(std::mem::take(index));
    let (mut stamp, mut messages) = (Stamp::new(1), 0);
    while open.fits(Shape::default(), BODY.len(), stamp) {
        open.push(Shape::default(), black_box(&BODY), stamp);
        stamp = stamp.next();
        messages += 1;
    }
    let (frame, buffer) = open.take_apart(session(), FrameNumber::new(1), false);
    *index = buffer;
    (frame, messages)
}

pub(crate) fn encode() -> u64 {
    let mut index = Vec::new();
    let (mut bytes, _) = full_frame(Vec::new(), &mut index); // so that the buffers need not grow
    counted_part(|| {
        let mut messages = 0;
        for _ in 0..FRAMES {
            let (frame, count) = full_frame(std::mem::take(&mut bytes), &mut index);
            bytes = black_box(frame);
            messages += count;
        }
        messages
    })
}

pub(crate) fn decode() -> u64 {
    let (bytes, _) = full_frame(Vec::new(), &mut Vec::new());
    counted_part(|| {
        let mut messages = 0;
        for _ in 0..FRAMES {
            let Ok((_, Frame::Data(data))) = decode_frame(black_box(&*bytes)) else { panic!("it is a data frame") };
            let mut cursor = data.cursor();
            while let Some(item) = data.next_item(&mut cursor) {
                let Item::Message(record) = item else { panic!("it is a message") };
                black_box(record);
                messages += 1;
            }
        }
        messages
    })
}

//! Frames that no honest endpoint sends, and an independent view on those that it does.

use lamq_protocol::{
    Number, SessionId, Stamp,
    wire::{Acknowledgement, Close, DataFrame, EndReason, Frame, OpenFrame, decode},
};
use std::ops::Range;

/// Where the bodies of a data frame begin.
pub(crate) const BODIES: usize = 40;

/// Some session.
pub(crate) fn session() -> SessionId {
    SessionId::new(0x5E55).expect("not 0")
}

/// A data frame of any length; its stamps are those from `stamp` on.
pub(crate) fn data_from(session: SessionId, first: u64, stamp: u64, bodies: &[&[u8]]) -> Vec<u8> {
    let mut frame = OpenFrame::new(Vec::new(), 1 << 20, Number::new(first));
    for (body, stamp) in bodies.iter().zip(stamp..=u64::MAX) {
        frame.push(body, Stamp::new(stamp));
    }
    frame.seal(session, false)
}

/// A data frame at an early time.
pub(crate) fn data(session: SessionId, first: u64, bodies: &[&[u8]]) -> Vec<u8> {
    data_from(session, first, first, bodies)
}

/// A close at an early time.
pub(crate) fn close(session: SessionId, last: u64, reason: EndReason) -> Vec<u8> {
    Close { last: Number::new(last), reason }.encode(session, Stamp::new(1))
}

/// Received, delivered, processed; frame credit, byte credit.
pub(crate) fn acknowledgement(values: [u64; 5]) -> Acknowledgement {
    let [received, delivered, processed, frame_credit, byte_credit] = values;
    let [received, delivered, processed] = [received, delivered, processed].map(Number::new);
    Acknowledgement { received, delivered, processed, frame_credit, byte_credit }
}

/// What a data frame says.
pub(crate) fn decode_data(frame: Vec<u8>) -> DataFrame<Vec<u8>> {
    match decode(frame).expect("a good frame").1 {
        Frame::Data(data) => data,
        other => panic!("a data frame, not {other:?}"),
    }
}

/// What the check does not cover, as far as the frame says.
pub(crate) fn bodies_of(frame: &[u8]) -> Range<usize> {
    let is_data = frame.len() >= BODIES && frame[7] == 4;
    let length = if is_data { u32::from_le_bytes(frame[32..36].try_into().expect("4 bytes")) as usize } else { 0 };
    let start = if is_data { BODIES } else { frame.len() };
    start..start.saturating_add(length).min(frame.len())
}

/// The frame with `bytes` at `at`, and the right check for it.
pub(crate) fn altered(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    sealed(frame)
}

/// The frame with the right check for what it has become.
pub(crate) fn sealed(mut frame: Vec<u8>) -> Vec<u8> {
    let check = check(&frame);
    frame[..4].copy_from_slice(&check.to_le_bytes());
    frame
}

/// The check as the specification has it: CRC-32 of ISO-HDLC over all but itself and the bodies, bit by bit.
pub(crate) fn check(frame: &[u8]) -> u32 {
    let bodies = bodies_of(frame);
    let covered = frame[4..bodies.start].iter().chain(&frame[bodies.end..]);
    !covered.fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

//! Frames that no honest endpoint sends, and an independent view on those that it does.

use lamq_protocol::{
    Number, SessionId, Stamp,
    number::FrameNumber,
    recv::{RecvWindow, Verdict},
    wire::{Acknowledgement, Close, DataFrame, EndReason, Frame, OpenFrame, Shape, Terms, decode},
};
use std::ops::Range;

/// Where the bodies of a data frame begin.
pub(crate) const BODIES: usize = 48;

/// Some session.
pub(crate) fn session() -> SessionId {
    SessionId::new(0x5E55).expect("not 0")
}

/// A data frame of any length; its stamps are those from `stamp` on.
pub(crate) fn data_from(session: SessionId, frame: u64, first: u64, stamp: u64, bodies: &[&[u8]]) -> Vec<u8> {
    let records: Vec<_> = bodies.iter().map(|body| (Shape::default(), *body)).collect();
    shaped(session, frame, first, stamp, &records)
}

/// A data frame of any length with records of any shape; `next` is the number of the first, if none was dropped before it.
pub(crate) fn shaped(session: SessionId, frame: u64, next: u64, stamp: u64, records: &[(Shape, &[u8])]) -> Vec<u8> {
    let mut open = OpenFrame::new(Vec::new(), 1 << 20, Number::new(next));
    for ((shape, body), stamp) in records.iter().zip(stamp..=u64::MAX) {
        open.push(*shape, body, Stamp::new(stamp));
    }
    open.seal(session, FrameNumber::new(frame), false)
}

/// A whole message.
pub(crate) const WHOLE: Shape = Shape { gap: 0, rest: false, more: false, void: false };

/// A data frame at an early time.
pub(crate) fn data(session: SessionId, frame: u64, first: u64, bodies: &[&[u8]]) -> Vec<u8> {
    data_from(session, frame, first, first, bodies)
}

/// A close at an early time; of a sender that is finished, as frame `frame`.
pub(crate) fn close(session: SessionId, frame: u64, last: u64, reason: EndReason) -> Vec<u8> {
    Close { last: Number::new(last), reason, frame: FrameNumber::new(frame) }.encode(session, Stamp::new(1))
}

/// Frames received; received, delivered, processed; frame credit, byte credit.
pub(crate) fn acknowledgement(frames: u64, values: [u64; 5]) -> Acknowledgement {
    let [received, delivered, processed, frame_credit, byte_credit] = values;
    let [received, delivered, processed] = [received, delivered, processed].map(Number::new);
    let frames = FrameNumber::new(frames);
    Acknowledgement { frames, received, delivered, processed, frame_credit, byte_credit, ..Acknowledgement::default() }
}

/// What a receiver grants at first, for messages of up to 5000 bytes.
pub(crate) const fn terms(frame_credit: u64, byte_credit: u64) -> Terms {
    Terms { frame_credit, byte_credit, max_message: 5000, rendezvous: false }
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
    let length = if is_data { u32::from_le_bytes(frame[40..44].try_into().expect("4 bytes")) as usize } else { 0 };
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

/// The check as the specification has it: CRC-32C over all but itself and the bodies, bit by bit.
pub(crate) fn check(frame: &[u8]) -> u32 {
    let bodies = bodies_of(frame);
    let covered = frame[4..bodies.start].iter().chain(&frame[bodies.end..]);
    !covered.fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 })
    })
}

/// A data frame arrives at a window, and is taken if it is the next one.
pub(crate) fn receive(window: &mut RecvWindow, data: &DataFrame<Vec<u8>>) -> Result<Verdict, EndReason> {
    let verdict = window.arrive(data.frame(), false)?;
    if verdict == Verdict::Next {
        window.take(data)?;
    }
    Ok(verdict)
}

/// The next message is handed out.
pub(crate) fn deliver(window: &mut RecvWindow, length: u64) {
    window.deliver(window.delivered().next(), length);
}

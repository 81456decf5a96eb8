//! An acknowledgement that travels behind a data frame, in the same message of the kernel (ACK-11).

use super::{
    Acknowledgement, Fault,
    data::{BODIES, BODY_BYTES, FLAG_CARRY, FLAGS},
    header::{self, Header, Kind, put, u16_at, u32_at},
};
use crate::lamport::Stamp;

/// A frame of more bytes is not copied for it: that costs more than a frame for the acknowledgement alone.
const LONGEST: usize = 1024;

/// Whether a frame can carry one where no more than `limit` bytes can be sent at once.
pub(crate) fn can(frame: &[u8], limit: usize) -> bool {
    frame.len() <= LONGEST
        && frame.len() + Acknowledgement::LENGTH <= limit
        && frame[super::KIND_AT] == Kind::Data as u8
}

/// The data frame with the acknowledgement behind it, in `buffer`.
pub(crate) fn load(frame: &[u8], acknowledgement: &[u8], buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.extend_from_slice(frame);
    buffer.extend_from_slice(acknowledgement);
    let flags = u16_at(buffer, FLAGS) | FLAG_CARRY;
    put(buffer, FLAGS, flags.to_le_bytes());
    let bodies_end = BODIES + u32_at(buffer, BODY_BYTES) as usize;
    header::seal(buffer, BODIES..bodies_end);
}

/// What is before the acknowledgement, and the acknowledgement.
pub(super) fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let before = bytes.len().checked_sub(Acknowledgement::LENGTH).ok_or(Fault::Length)?;
    Ok(bytes.split_at(before))
}

/// It is sound, and of the same session as the frame that carries it.
pub(super) fn verify(acknowledgement: &[u8], carrier: &Header) -> Result<(), Fault> {
    let header = Header::decode(acknowledgement)?;
    if header.kind != Kind::Acknowledgement || header.session != carrier.session {
        return Err(Fault::Field);
    }
    Acknowledgement::decode(acknowledgement).map(|_| ())
}

pub(super) fn read(acknowledgement: &[u8]) -> Result<(Stamp, Acknowledgement), Fault> {
    Ok((Header::decode(acknowledgement)?.stamp, Acknowledgement::decode(acknowledgement)?))
}

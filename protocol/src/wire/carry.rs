//! An acknowledgement that travels behind a data frame, in the same message of the kernel (ACK-11).

use super::{
    Acknowledgement, Fault,
    data::{self, FLAG_CARRY, FLAGS},
    header::{self, Kind, put, u16_at, u64_at},
};
use crate::lamport::Stamp;
use core::ops::Range;

/// Its stamp, and its fields: the session and the check are those of the frame.
const STAMP: Range<usize> = 0..8;
const LENGTH: usize = STAMP.end + Acknowledgement::FIELDS;

/// A frame of more bytes carries none: its buffer would have to grow for it.
const LONGEST: usize = 1024;

/// Whether a frame can carry one where no more than `limit` bytes can be sent at once.
pub(crate) fn can(frame: &[u8], limit: usize) -> bool {
    frame.len() <= LONGEST && frame.len() + LENGTH <= limit && frame[super::KIND_AT] == Kind::Data as u8
}

/// Puts the acknowledgement behind a data frame.
pub(crate) fn load(frame: &mut Vec<u8>, acknowledgement: &Acknowledgement, stamp: Stamp) {
    frame.reserve(LENGTH);
    frame.extend_from_slice(&stamp.get().to_le_bytes());
    frame.extend_from_slice(&acknowledgement.fields());
    let flags = u16_at(frame, FLAGS) | FLAG_CARRY;
    put(frame, FLAGS, flags.to_le_bytes());
    data::seal(frame);
}

/// Takes it off again. What is left lacks its check.
pub(crate) fn unload(frame: &mut Vec<u8>) {
    frame.truncate(frame.len() - LENGTH);
    let flags = u16_at(frame, FLAGS) & !FLAG_CARRY;
    put(frame, FLAGS, flags.to_le_bytes());
    header::unseal(frame);
}

/// What is before the acknowledgement, and the acknowledgement.
pub(super) fn split(bytes: &[u8]) -> Result<(&[u8], &[u8; LENGTH]), Fault> {
    bytes.split_last_chunk().ok_or(Fault::Length)
}

pub(super) fn read(carried: &[u8; LENGTH]) -> Option<(Stamp, Acknowledgement)> {
    let stamp = Stamp::new(u64_at(carried, STAMP));
    Some((stamp, Acknowledgement::of_fields(carried.last_chunk()?)))
}

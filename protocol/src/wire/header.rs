//! The 24 bytes that every frame starts with, and access to fields by their byte ranges.

use super::Fault;
use crate::{lamport::Stamp, number::SessionId};
use core::ops::Range;

/// The version this crate speaks.
pub const VERSION: u8 = 1;

/// Version byte of the frames whose layout is the same in every version: greeting and refusal.
pub const VERSION_ANY: u8 = 0;

const MAGIC: [u8; 2] = *b"lq";

const CHECK: Range<usize> = 0..4;
const MAGIC_AT: Range<usize> = 4..6;
const VERSION_AT: usize = 6;
pub(super) const KIND_AT: usize = 7;
const SESSION: Range<usize> = 8..16;
const STAMP: Range<usize> = 16..24;

/// Length of the header.
pub(super) const LENGTH: usize = 24;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Asks for a session.
    Greeting = 1,
    /// Grants one.
    Welcome = 2,
    /// Denies one.
    Refusal = 3,
    /// Messages.
    Data = 4,
    /// How far the receiver has come, and the credit.
    Acknowledgement = 5,
    /// The session is over.
    Close = 6,
    /// Asks where the receiver stands, and for credit.
    Ask = 7,
}

impl Kind {
    const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Greeting,
            2 => Self::Welcome,
            3 => Self::Refusal,
            4 => Self::Data,
            5 => Self::Acknowledgement,
            6 => Self::Close,
            7 => Self::Ask,
            _ => return None,
        })
    }

    const fn version(self) -> u8 {
        match self {
            Self::Greeting | Self::Refusal => VERSION_ANY,
            _ => VERSION,
        }
    }
}

/// The common part of every frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// What the frame is.
    pub kind: Kind,
    /// The session, by the id that the receiver of the frame chose; `None` in a greeting only.
    pub session: Option<SessionId>,
    /// Lamport time: of the first record in a data frame, of the sender's clock in all others.
    pub stamp: Stamp,
}

impl Header {
    /// Reads the header; the check is verified by the frame's own decoder, which knows what it covers.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() < LENGTH {
            return Err(Fault::TooShort);
        }
        if bytes[MAGIC_AT] != MAGIC {
            return Err(Fault::Magic);
        }
        let kind = Kind::from_byte(bytes[KIND_AT]).ok_or(Fault::Kind)?;
        if bytes[VERSION_AT] != kind.version() {
            return Err(Fault::Version);
        }
        Ok(Self { kind, session: SessionId::new(u64_at(bytes, SESSION)), stamp: Stamp::new(u64_at(bytes, STAMP)) })
    }

    /// Writes all but the check.
    pub(super) fn encode(&self, bytes: &mut [u8]) {
        bytes[MAGIC_AT].copy_from_slice(&MAGIC);
        bytes[VERSION_AT] = self.kind.version();
        bytes[KIND_AT] = self.kind as u8;
        put(bytes, SESSION, self.session.map_or(0, SessionId::get).to_le_bytes());
        put(bytes, STAMP, self.stamp.get().to_le_bytes());
    }
}

/// Writes the check over all that follows it but `bodies`.
pub(super) fn seal(bytes: &mut [u8], bodies: Range<usize>) {
    let check = check(bytes, bodies);
    put(bytes, CHECK, check.to_le_bytes());
}

/// Takes the check away.
pub(super) fn unseal(bytes: &mut [u8]) {
    put(bytes, CHECK, [0; 4]);
}

/// Verifies what [`seal`] wrote.
pub(super) fn verify(bytes: &[u8], bodies: Range<usize>) -> Result<(), Fault> {
    if u32_at(bytes, CHECK) == check(bytes, bodies) { Ok(()) } else { Err(Fault::Check) }
}

fn check(bytes: &[u8], bodies: Range<usize>) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[CHECK.end..bodies.start]), &bytes[bodies.end..])
}

/// The field at a range that the caller has checked to lie inside.
pub(super) fn u64_at(bytes: &[u8], at: Range<usize>) -> u64 {
    u64::from_le_bytes(bytes[at].try_into().expect("an 8-byte field"))
}

/// See [`u64_at`].
pub(super) fn u32_at(bytes: &[u8], at: Range<usize>) -> u32 {
    u32::from_le_bytes(bytes[at].try_into().expect("a 4-byte field"))
}

/// See [`u64_at`].
pub(super) fn u16_at(bytes: &[u8], at: Range<usize>) -> u16 {
    u16::from_le_bytes(bytes[at].try_into().expect("a 2-byte field"))
}

/// Writes a field.
pub(super) fn put<const N: usize>(bytes: &mut [u8], at: Range<usize>, value: [u8; N]) {
    bytes[at].copy_from_slice(&value);
}

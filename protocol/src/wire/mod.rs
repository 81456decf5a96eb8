//! Frames to bytes and back (SPEC.md, sections 5 to 12).
//!
//! A frame is decoded once, into a value that cannot be invalid. Decoding borrows or keeps the given buffer and allocates
//! nothing but the name in a greeting (FRM-3).

pub(crate) mod carry;
mod control;
pub(crate) mod data;
mod header;
mod index;
mod open;
mod progress;

pub use control::{Back, Greeting, Refusal, RefusalReason, Terms, Welcome};
pub use data::{DataFrame, Item, Record, RecordCursor, Run};
pub use header::{Header, Kind, VERSION, VERSION_ANY};
pub use open::{MAX_RECORDS, OpenFrame, Shape, record_limit};
pub use progress::{Acknowledgement, Ask, Close, EARLY_FRAMES, EndReason};

use crate::number::SessionId;
use header::KIND_AT;

/// The smallest message size a queue must have to serve as an inbox: room for the longest greeting.
pub const MIN_FRAME_SIZE: usize = 512;

/// Which of the kernel's priorities a frame travels at (POS-9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// All that is ordered: greetings, welcomes, refusals, data, closes.
    Ordered,
    /// Acknowledgements: absolute values that may overtake.
    Urgent,
}

impl Priority {
    /// The number given to `mq_send`.
    pub const fn number(self) -> u32 {
        match self {
            Self::Ordered => 0,
            Self::Urgent => 1,
        }
    }
}

/// What is wrong with a frame that was dropped (FRM-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Fault {
    /// Shorter than its kind allows.
    #[error("too short")]
    TooShort,
    /// Longer than its kind allows, or lengths inside that do not add up (DAT-1).
    #[error("wrong length")]
    Length,
    /// Not a frame of lamq.
    #[error("wrong magic")]
    Magic,
    /// A version we do not speak.
    #[error("unknown version")]
    Version,
    /// A kind that the version does not have.
    #[error("unknown kind")]
    Kind,
    /// The check does not match.
    #[error("wrong check")]
    Check,
    /// A field has a value that it cannot have; also a reserved bit that is set (FRM-4).
    #[error("wrong field")]
    Field,
}

impl Fault {
    /// Every fault, for tables of counters.
    pub const ALL: [Self; 7] =
        [Self::TooShort, Self::Length, Self::Magic, Self::Version, Self::Kind, Self::Check, Self::Field];
}

/// A decoded frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Frame<B> {
    /// Asks for a session.
    Greeting(Greeting),
    /// Grants one.
    Welcome(Welcome),
    /// Denies one.
    Refusal(Refusal),
    /// Messages; keeps the buffer.
    Data(DataFrame<B>),
    /// How far the receiver has come, and the credit.
    Acknowledgement(Acknowledgement),
    /// The session is over.
    Close(Close),
    /// Asks where the receiver stands, and for credit.
    Ask(Ask),
}

/// Decodes one frame.
///
/// # Errors
/// The first [`Fault`] found. Nothing of a faulty frame may be used.
pub fn decode<B: AsRef<[u8]>>(buffer: B) -> Result<(Header, Frame<B>), Fault> {
    let header = Header::decode(buffer.as_ref())?;
    let frame = match header.kind {
        Kind::Data => Frame::Data(decode_data(buffer, &header)?.1),
        _ => decode_other(buffer.as_ref(), &header)?,
    };
    Ok((header, frame))
}

/// What follows the header of a data frame.
#[inline]
pub(crate) fn decode_data<B: AsRef<[u8]>>(buffer: B, header: &Header) -> Result<(SessionId, DataFrame<B>), Fault> {
    let data = DataFrame::decode(buffer, header, true)?;
    Ok((session_of(header)?, data))
}

/// What follows the header of any other frame.
pub(crate) fn decode_other<B>(bytes: &[u8], header: &Header) -> Result<Frame<B>, Fault> {
    let frame = match header.kind {
        Kind::Greeting => Frame::Greeting(Greeting::decode(bytes)?),
        Kind::Welcome => Frame::Welcome(Welcome::decode(bytes)?),
        Kind::Refusal => Frame::Refusal(Refusal::decode(bytes)?),
        Kind::Acknowledgement => Frame::Acknowledgement(Acknowledgement::decode(bytes)?),
        Kind::Close => Frame::Close(Close::decode(bytes)?),
        Kind::Ask => Frame::Ask(Ask::decode(bytes)?),
        Kind::Data => return Err(Fault::Kind), // that takes the buffer
    };
    match (&frame, header.session) {
        (Frame::Greeting(_), None) => {}
        (Frame::Greeting(_), Some(_)) => return Err(Fault::Field),
        _ => _ = session_of(header)?,
    }
    Ok(frame)
}

/// Reads a data frame of our own, which may lack its check still; `None` if it is another one.
pub(crate) fn reread(bytes: &[u8]) -> Option<DataFrame<&[u8]>> {
    let header = Header::decode(bytes).ok().filter(|header| header.kind == Kind::Data)?;
    DataFrame::decode(bytes, &header, false).ok()
}

fn session_of(header: &Header) -> Result<SessionId, Fault> {
    header.session.ok_or(Fault::Field)
}

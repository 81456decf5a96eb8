//! Frames that carry no messages: greeting, welcome, refusal, acknowledgement, close.

use super::{
    Fault, Priority,
    header::{self, Header, Kind, put, u16_at, u32_at, u64_at},
};
use crate::{
    lamport::Stamp,
    number::{Epoch, Level, Number, SessionId, StreamId},
};
use core::ops::Range;

/// Asks for a session (SPEC.md, section 6).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Greeting {
    /// The versions the greeter speaks, lowest and highest.
    pub versions: (u8, u8),
    /// How bodies are encoded (section 18): 0 is raw bytes.
    pub codec: u8,
    /// The level the greeter waits for.
    pub level: Level,
    /// Process id of the greeter.
    pub pid: u32,
    /// The stream that the greeter wants to send.
    pub stream: StreamId,
    /// The id for frames of this session to the greeter.
    pub reply_session: SessionId,
    /// Inode number of the greeter's pid namespace.
    pub pid_namespace: u64,
    /// Name of the greeter's inbox: 1 to 255 bytes.
    pub inbox: Vec<u8>,
}

/// Grants a session (section 7).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Welcome {
    /// The id for frames of this session to the receiver.
    pub data_session: SessionId,
    /// Incarnation of the receiver.
    pub epoch: Epoch,
    /// How many data frames the sender may transmit in total.
    pub frame_credit: u64,
    /// How many body bytes the sender may transmit in total.
    pub byte_credit: u64,
    /// Process id of the receiver.
    pub pid: u32,
}

/// Denies a session (section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// Why, with what the greeter needs to know to do better (REF-1).
    pub reason: RefusalReason,
    /// The versions the refuser speaks.
    pub versions: (u8, u8),
}

/// Why a session was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RefusalReason {
    /// No version is spoken by both sides (GRT-1).
    #[error("the receiver speaks none of our protocol versions")]
    Version,
    /// The receiver decodes another codec (GRT-2).
    #[error("the receiver expects codec {expected}")]
    Codec {
        /// The receiver's codec.
        expected: u8,
    },
    /// The receiver has as many sessions as it allows (GRT-5).
    #[error("the receiver has {limit} senders already, which is its limit (its setting `max_senders`)")]
    TooManySessions {
        /// The receiver's limit.
        limit: u32,
    },
}

/// How far the receiver has come, and how much more may come (section 10). All values are absolute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Acknowledgement {
    /// Cumulative: taken from the link.
    pub received: Number,
    /// Cumulative: handed to the application.
    pub delivered: Number,
    /// Cumulative: the application is done with it.
    pub processed: Number,
    /// How many data frames the sender may transmit in total.
    pub frame_credit: u64,
    /// How many body bytes the sender may transmit in total.
    pub byte_credit: u64,
}

/// The session is over (section 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Close {
    /// From the sender: the last number it gave. From the receiver: the last number it delivered.
    pub last: Number,
    /// Why.
    pub reason: EndReason,
}

/// Why a side closed the session; all but the first name a violation by the other side (SES-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[repr(u16)]
pub enum EndReason {
    /// Regular end.
    #[error("finished")]
    Finished = 0,
    /// Numbers are missing before a data frame (DAT-4).
    #[error(
        "a data frame does not follow the one before it: a frame is missing, somebody else may have read the queue"
    )]
    Gap = 1,
    /// Data without credit (CRD-5).
    #[error("data beyond the granted credit")]
    Credit = 2,
    /// An impossible acknowledgement (ACK-6).
    #[error("an acknowledgement that contradicts what was sent or acknowledged before")]
    Acknowledgement = 3,
    /// A Lamport stamp too far ahead (LAM-4).
    #[error("a Lamport stamp more than 2^48 ahead")]
    Stamp = 4,
    /// A close whose final number is not the last number received (CLO-3).
    #[error("a close whose final number is not the last number received")]
    Final = 5,
}

mod greeting {
    use super::Range;
    pub(super) const VERSION_MIN: usize = 24;
    pub(super) const VERSION_MAX: usize = 25;
    pub(super) const CODEC: usize = 26;
    pub(super) const LEVEL: usize = 27;
    pub(super) const PID: Range<usize> = 28..32;
    pub(super) const EPOCH: Range<usize> = 32..40;
    pub(super) const REPLY_SESSION: Range<usize> = 40..48;
    pub(super) const PID_NAMESPACE: Range<usize> = 48..56;
    pub(super) const STREAM: Range<usize> = 56..60;
    pub(super) const NAME_LENGTH: Range<usize> = 60..62;
    pub(super) const RESERVED: Range<usize> = 62..64;
    pub(super) const NAME: usize = 64;
    pub(super) const NAME_MAX: usize = 255;
    const _: () = assert!(NAME + NAME_MAX <= super::super::MIN_FRAME_SIZE);
}

impl Greeting {
    /// The frame, at the greeter's clock.
    ///
    /// # Panics
    /// When the inbox name is longer than 255 bytes, which a queue's name cannot be.
    pub fn encode(&self, stamp: Stamp) -> Vec<u8> {
        assert!((1..=greeting::NAME_MAX).contains(&self.inbox.len()), "the name of a queue");
        let mut bytes = vec![0; greeting::NAME + self.inbox.len()];
        bytes[greeting::VERSION_MIN] = self.versions.0;
        bytes[greeting::VERSION_MAX] = self.versions.1;
        bytes[greeting::CODEC] = self.codec;
        bytes[greeting::LEVEL] = match self.level {
            Level::Received => 1,
            Level::Delivered => 2,
            Level::Processed => 3,
        };
        put(&mut bytes, greeting::PID, self.pid.to_le_bytes());
        put(&mut bytes, greeting::EPOCH, self.stream.epoch.get().to_le_bytes());
        put(&mut bytes, greeting::REPLY_SESSION, self.reply_session.get().to_le_bytes());
        put(&mut bytes, greeting::PID_NAMESPACE, self.pid_namespace.to_le_bytes());
        put(&mut bytes, greeting::STREAM, self.stream.index.to_le_bytes());
        let length = u16::try_from(self.inbox.len()).expect("at most 255");
        put(&mut bytes, greeting::NAME_LENGTH, length.to_le_bytes());
        bytes[greeting::NAME..].copy_from_slice(&self.inbox);
        finish(bytes, Kind::Greeting, None, stamp)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() <= greeting::NAME {
            return Err(Fault::TooShort);
        }
        let name = &bytes[greeting::NAME..];
        if name.len() > greeting::NAME_MAX || usize::from(u16_at(bytes, greeting::NAME_LENGTH)) != name.len() {
            return Err(Fault::Length);
        }
        verify_all(bytes)?;
        zero(&bytes[greeting::RESERVED])?;
        let versions = (bytes[greeting::VERSION_MIN], bytes[greeting::VERSION_MAX]);
        let level = match bytes[greeting::LEVEL] {
            1 => Level::Received,
            2 => Level::Delivered,
            3 => Level::Processed,
            _ => return Err(Fault::Field),
        };
        if versions.0 > versions.1 {
            return Err(Fault::Field);
        }
        let epoch = Epoch::new(u64_at(bytes, greeting::EPOCH)).ok_or(Fault::Field)?;
        Ok(Self {
            versions,
            codec: bytes[greeting::CODEC],
            level,
            pid: u32_at(bytes, greeting::PID),
            stream: StreamId { epoch, index: u32_at(bytes, greeting::STREAM) },
            reply_session: SessionId::new(u64_at(bytes, greeting::REPLY_SESSION)).ok_or(Fault::Field)?,
            pid_namespace: u64_at(bytes, greeting::PID_NAMESPACE),
            inbox: name.to_vec(),
        })
    }
}

impl Welcome {
    const LENGTH: usize = 64;
    const DATA_SESSION: Range<usize> = 24..32;
    const EPOCH: Range<usize> = 32..40;
    const FRAME_CREDIT: Range<usize> = 40..48;
    const BYTE_CREDIT: Range<usize> = 48..56;
    const PID: Range<usize> = 56..60;
    const RESERVED: Range<usize> = 60..64;

    /// The frame, for the greeting's reply session, at the receiver's clock.
    pub fn encode(&self, session: SessionId, stamp: Stamp) -> Vec<u8> {
        let mut bytes = vec![0; Self::LENGTH];
        put(&mut bytes, Self::DATA_SESSION, self.data_session.get().to_le_bytes());
        put(&mut bytes, Self::EPOCH, self.epoch.get().to_le_bytes());
        put(&mut bytes, Self::FRAME_CREDIT, self.frame_credit.to_le_bytes());
        put(&mut bytes, Self::BYTE_CREDIT, self.byte_credit.to_le_bytes());
        put(&mut bytes, Self::PID, self.pid.to_le_bytes());
        finish(bytes, Kind::Welcome, Some(session), stamp)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        exactly(bytes, Self::LENGTH)?;
        zero(&bytes[Self::RESERVED])?;
        Ok(Self {
            data_session: SessionId::new(u64_at(bytes, Self::DATA_SESSION)).ok_or(Fault::Field)?,
            epoch: Epoch::new(u64_at(bytes, Self::EPOCH)).ok_or(Fault::Field)?,
            frame_credit: u64_at(bytes, Self::FRAME_CREDIT),
            byte_credit: u64_at(bytes, Self::BYTE_CREDIT),
            pid: u32_at(bytes, Self::PID),
        })
    }
}

impl Refusal {
    const LENGTH: usize = 32;
    const REASON: Range<usize> = 24..26;
    const VERSION_MIN: usize = 26;
    const VERSION_MAX: usize = 27;
    const DETAIL: Range<usize> = 28..32;

    /// The frame, for the greeting's reply session, at the receiver's clock.
    pub fn encode(&self, session: SessionId, stamp: Stamp) -> Vec<u8> {
        let mut bytes = vec![0; Self::LENGTH];
        let (reason, detail): (u16, u32) = match self.reason {
            RefusalReason::Version => (1, 0),
            RefusalReason::Codec { expected } => (2, expected.into()),
            RefusalReason::TooManySessions { limit } => (3, limit),
        };
        put(&mut bytes, Self::REASON, reason.to_le_bytes());
        bytes[Self::VERSION_MIN] = self.versions.0;
        bytes[Self::VERSION_MAX] = self.versions.1;
        put(&mut bytes, Self::DETAIL, detail.to_le_bytes());
        finish(bytes, Kind::Refusal, Some(session), stamp)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        exactly(bytes, Self::LENGTH)?;
        let detail = u32_at(bytes, Self::DETAIL);
        let reason = match u16_at(bytes, Self::REASON) {
            1 if detail == 0 => RefusalReason::Version,
            2 => RefusalReason::Codec { expected: u8::try_from(detail).map_err(|_| Fault::Field)? },
            3 => RefusalReason::TooManySessions { limit: detail },
            _ => return Err(Fault::Field),
        };
        Ok(Self { reason, versions: (bytes[Self::VERSION_MIN], bytes[Self::VERSION_MAX]) })
    }
}

impl Acknowledgement {
    const LENGTH: usize = 64;
    const RECEIVED: Range<usize> = 24..32;
    const DELIVERED: Range<usize> = 32..40;
    const PROCESSED: Range<usize> = 40..48;
    const FRAME_CREDIT: Range<usize> = 48..56;
    const BYTE_CREDIT: Range<usize> = 56..64;

    /// Acknowledgements may overtake (POS-9).
    pub const PRIORITY: Priority = Priority::Urgent;

    /// What is acknowledged at a level.
    pub const fn at(&self, level: Level) -> Number {
        match level {
            Level::Received => self.received,
            Level::Delivered => self.delivered,
            Level::Processed => self.processed,
        }
    }

    /// The five values, in the order of the frame.
    pub(crate) const fn values(&self) -> [u64; 5] {
        let Self { received, delivered, processed, frame_credit, byte_credit } = *self;
        [received.get(), delivered.get(), processed.get(), frame_credit, byte_credit]
    }

    /// The frame, for the sender's session id, at the receiver's clock.
    pub fn encode(&self, session: SessionId, stamp: Stamp) -> Vec<u8> {
        let mut bytes = vec![0; Self::LENGTH];
        put(&mut bytes, Self::RECEIVED, self.received.get().to_le_bytes());
        put(&mut bytes, Self::DELIVERED, self.delivered.get().to_le_bytes());
        put(&mut bytes, Self::PROCESSED, self.processed.get().to_le_bytes());
        put(&mut bytes, Self::FRAME_CREDIT, self.frame_credit.to_le_bytes());
        put(&mut bytes, Self::BYTE_CREDIT, self.byte_credit.to_le_bytes());
        finish(bytes, Kind::Acknowledgement, Some(session), stamp)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        exactly(bytes, Self::LENGTH)?;
        Ok(Self {
            received: Number::new(u64_at(bytes, Self::RECEIVED)),
            delivered: Number::new(u64_at(bytes, Self::DELIVERED)),
            processed: Number::new(u64_at(bytes, Self::PROCESSED)),
            frame_credit: u64_at(bytes, Self::FRAME_CREDIT),
            byte_credit: u64_at(bytes, Self::BYTE_CREDIT),
        })
    }
}

impl Close {
    const LENGTH: usize = 40;
    const LAST: Range<usize> = 24..32;
    const REASON: Range<usize> = 32..34;
    const RESERVED: Range<usize> = 34..40;

    /// The frame, for the other side's session id, at our clock.
    pub fn encode(&self, session: SessionId, stamp: Stamp) -> Vec<u8> {
        let mut bytes = vec![0; Self::LENGTH];
        put(&mut bytes, Self::LAST, self.last.get().to_le_bytes());
        put(&mut bytes, Self::REASON, (self.reason as u16).to_le_bytes());
        finish(bytes, Kind::Close, Some(session), stamp)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        exactly(bytes, Self::LENGTH)?;
        zero(&bytes[Self::RESERVED])?;
        let reason = match u16_at(bytes, Self::REASON) {
            0 => EndReason::Finished,
            1 => EndReason::Gap,
            2 => EndReason::Credit,
            3 => EndReason::Acknowledgement,
            4 => EndReason::Stamp,
            5 => EndReason::Final,
            _ => return Err(Fault::Field),
        };
        Ok(Self { last: Number::new(u64_at(bytes, Self::LAST)), reason })
    }
}

fn finish(mut bytes: Vec<u8>, kind: Kind, session: Option<SessionId>, stamp: Stamp) -> Vec<u8> {
    Header { kind, session, stamp }.encode(&mut bytes);
    let end = bytes.len();
    header::seal(&mut bytes, end..end);
    bytes
}

/// Length and check of a frame of fixed length.
fn exactly(bytes: &[u8], length: usize) -> Result<(), Fault> {
    match bytes.len() {
        n if n < length => Err(Fault::TooShort),
        n if n > length => Err(Fault::Length),
        _ => verify_all(bytes),
    }
}

fn verify_all(bytes: &[u8]) -> Result<(), Fault> {
    header::verify(bytes, bytes.len()..bytes.len())
}

/// FRM-4, seen from the reader: what is reserved is zero in version 1.
fn zero(bytes: &[u8]) -> Result<(), Fault> {
    if bytes.iter().all(|&byte| byte == 0) { Ok(()) } else { Err(Fault::Field) }
}

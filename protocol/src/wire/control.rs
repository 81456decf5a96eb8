//! How a session begins, or does not: greeting, welcome, refusal.

use super::{
    Fault,
    header::{self, Header, Kind, put, u16_at, u32_at, u64_at},
};
use crate::{
    lamport::Stamp,
    number::{Epoch, Level, Number, SessionId, StreamId},
};
use core::ops::Range;

/// Asks for a session, or whether there could be one (SPEC.md, section 6).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Greeting {
    /// The versions the greeter speaks, lowest and highest.
    pub versions: (u8, u8),
    /// How bodies are encoded (section 19): 0 is raw bytes.
    pub codec: u8,
    /// The level the greeter waits for; `None`: it wants no session, and only asks (GRT-6).
    pub level: Option<Level>,
    /// Process id of the greeter.
    pub pid: u32,
    /// The stream that the greeter wants to send.
    pub stream: StreamId,
    /// The id for frames of this session to the greeter.
    pub reply_session: SessionId,
    /// Inode number of the greeter's pid namespace.
    pub pid_namespace: u64,
    /// The terms on which the greeter would receive a stream back (DPX-1); `None`: it wants none.
    pub back: Option<Terms>,
    /// Number of the first message that will come; those before are settled (RSM-2).
    pub first: Number,
    /// The last number of which an earlier receiver may have got something; 0 if there was none.
    pub exposed: Number,
    /// The low 40 bits of the epoch of whoever is greeted (GRT-8).
    pub to: u64,
    /// Name of the greeter's inbox: 1 to 255 bytes.
    pub inbox: Vec<u8>,
}

/// What a receiver grants a sender at first, and what it takes from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Terms {
    /// How many data frames the sender may transmit in total.
    pub frame_credit: u64,
    /// How many body bytes the sender may transmit in total.
    pub byte_credit: u64,
    /// The longest message in bytes that the receiver takes.
    pub max_message: u32,
    /// Whether the channel has no capacity: each message is taken by the receiving application while its sender waits (RDV-1).
    pub rendezvous: bool,
}

/// The stream that a receiver sends back (DPX-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Back {
    /// The level that it waits for.
    pub level: Level,
    /// Index of the stream in its epoch.
    pub index: u32,
}

/// Grants a session (section 7).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Welcome {
    /// The id for frames of this session to the receiver.
    pub data_session: SessionId,
    /// Incarnation of the receiver.
    pub epoch: Epoch,
    /// Process id of the receiver.
    pub pid: u32,
    /// What it grants.
    pub terms: Terms,
    /// What it sends back, if that was asked for.
    pub back: Option<Back>,
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
    /// The greeter wanted none (GRT-6).
    #[error("the receiver was only asked, and has {sessions} senders")]
    AskedOnly {
        /// How many sessions the receiver has.
        sessions: u32,
    },
    /// The greeter's process ids are not the receiver's (GRT-9).
    #[error("the receiver is in another pid namespace, so neither could see the other die; run both in one")]
    PidNamespace,
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
    pub(super) const FLAGS: Range<usize> = 62..64;
    pub(super) const FLAG_BACK: u16 = 1;
    pub(super) const FLAG_RENDEZVOUS: u16 = 2;
    pub(super) const FRAME_CREDIT: Range<usize> = 64..72;
    pub(super) const BYTE_CREDIT: Range<usize> = 72..80;
    pub(super) const MAX_MESSAGE: Range<usize> = 80..84;
    pub(super) const RESERVED: Range<usize> = 84..88;
    pub(super) const FIRST: Range<usize> = 88..96;
    pub(super) const EXPOSED: Range<usize> = 96..104;
    pub(super) const TO: Range<usize> = 104..112;
    pub(super) const NAME: usize = 112;
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
        bytes[greeting::LEVEL] = level_byte(self.level);
        put(&mut bytes, greeting::PID, self.pid.to_le_bytes());
        put(&mut bytes, greeting::EPOCH, self.stream.epoch.get().to_le_bytes());
        put(&mut bytes, greeting::REPLY_SESSION, self.reply_session.get().to_le_bytes());
        put(&mut bytes, greeting::PID_NAMESPACE, self.pid_namespace.to_le_bytes());
        put(&mut bytes, greeting::STREAM, self.stream.index.to_le_bytes());
        let length = u16::try_from(self.inbox.len()).expect("at most 255");
        put(&mut bytes, greeting::NAME_LENGTH, length.to_le_bytes());
        put(&mut bytes, greeting::FIRST, self.first.get().to_le_bytes());
        put(&mut bytes, greeting::EXPOSED, self.exposed.get().to_le_bytes());
        put(&mut bytes, greeting::TO, self.to.to_le_bytes());
        if let Some(terms) = self.back {
            let rendezvous = if terms.rendezvous { greeting::FLAG_RENDEZVOUS } else { 0 };
            put(&mut bytes, greeting::FLAGS, (greeting::FLAG_BACK | rendezvous).to_le_bytes());
            put(&mut bytes, greeting::FRAME_CREDIT, terms.frame_credit.to_le_bytes());
            put(&mut bytes, greeting::BYTE_CREDIT, terms.byte_credit.to_le_bytes());
            put(&mut bytes, greeting::MAX_MESSAGE, terms.max_message.to_le_bytes());
        }
        bytes[greeting::NAME..].copy_from_slice(&self.inbox);
        finish(&mut bytes, Kind::Greeting, None, stamp);
        bytes
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
        let level = level_of(bytes[greeting::LEVEL])?;
        let back = match u16_at(bytes, greeting::FLAGS) {
            0 => {
                zero(&bytes[greeting::FRAME_CREDIT.start..greeting::RESERVED.start])?;
                None
            }
            flags if flags & !greeting::FLAG_RENDEZVOUS == greeting::FLAG_BACK => Some(Terms {
                frame_credit: u64_at(bytes, greeting::FRAME_CREDIT),
                byte_credit: u64_at(bytes, greeting::BYTE_CREDIT),
                max_message: u32_at(bytes, greeting::MAX_MESSAGE),
                rendezvous: flags & greeting::FLAG_RENDEZVOUS != 0,
            }),
            _ => return Err(Fault::Field),
        };
        let first = Number::new(u64_at(bytes, greeting::FIRST));
        if versions.0 > versions.1 || first == Number::NONE {
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
            back,
            first,
            exposed: Number::new(u64_at(bytes, greeting::EXPOSED)),
            to: u64_at(bytes, greeting::TO),
            inbox: name.to_vec(),
        })
    }
}

impl Welcome {
    const LENGTH: usize = 72;
    const DATA_SESSION: Range<usize> = 24..32;
    const EPOCH: Range<usize> = 32..40;
    const FRAME_CREDIT: Range<usize> = 40..48;
    const BYTE_CREDIT: Range<usize> = 48..56;
    const PID: Range<usize> = 56..60;
    const MAX_MESSAGE: Range<usize> = 60..64;
    const FLAGS: usize = 64;
    const FLAG_RENDEZVOUS: u8 = 1;
    const BACK_LEVEL: usize = 65;
    const RESERVED: Range<usize> = 66..68;
    const BACK_INDEX: Range<usize> = 68..72;

    /// The frame, for the greeting's reply session, at the receiver's clock.
    pub fn encode(&self, session: SessionId, stamp: Stamp) -> Vec<u8> {
        let mut bytes = vec![0; Self::LENGTH];
        put(&mut bytes, Self::DATA_SESSION, self.data_session.get().to_le_bytes());
        put(&mut bytes, Self::EPOCH, self.epoch.get().to_le_bytes());
        put(&mut bytes, Self::FRAME_CREDIT, self.terms.frame_credit.to_le_bytes());
        put(&mut bytes, Self::BYTE_CREDIT, self.terms.byte_credit.to_le_bytes());
        put(&mut bytes, Self::PID, self.pid.to_le_bytes());
        put(&mut bytes, Self::MAX_MESSAGE, self.terms.max_message.to_le_bytes());
        bytes[Self::FLAGS] = if self.terms.rendezvous { Self::FLAG_RENDEZVOUS } else { 0 };
        if let Some(back) = self.back {
            bytes[Self::BACK_LEVEL] = level_byte(Some(back.level));
            put(&mut bytes, Self::BACK_INDEX, back.index.to_le_bytes());
        }
        finish(&mut bytes, Kind::Welcome, Some(session), stamp);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        exactly(bytes, Self::LENGTH)?;
        zero(&bytes[Self::RESERVED])?;
        let index = u32_at(bytes, Self::BACK_INDEX);
        let back = level_of(bytes[Self::BACK_LEVEL])?.map(|level| Back { level, index });
        if bytes[Self::FLAGS] & !Self::FLAG_RENDEZVOUS != 0 || (back.is_none() && index != 0) {
            return Err(Fault::Field);
        }
        Ok(Self {
            data_session: SessionId::new(u64_at(bytes, Self::DATA_SESSION)).ok_or(Fault::Field)?,
            epoch: Epoch::new(u64_at(bytes, Self::EPOCH)).ok_or(Fault::Field)?,
            pid: u32_at(bytes, Self::PID),
            terms: Terms {
                frame_credit: u64_at(bytes, Self::FRAME_CREDIT),
                byte_credit: u64_at(bytes, Self::BYTE_CREDIT),
                max_message: u32_at(bytes, Self::MAX_MESSAGE),
                rendezvous: bytes[Self::FLAGS] != 0,
            },
            back,
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
            RefusalReason::AskedOnly { sessions } => (4, sessions),
            RefusalReason::PidNamespace => (5, 0),
        };
        put(&mut bytes, Self::REASON, reason.to_le_bytes());
        bytes[Self::VERSION_MIN] = self.versions.0;
        bytes[Self::VERSION_MAX] = self.versions.1;
        put(&mut bytes, Self::DETAIL, detail.to_le_bytes());
        finish(&mut bytes, Kind::Refusal, Some(session), stamp);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        exactly(bytes, Self::LENGTH)?;
        let detail = u32_at(bytes, Self::DETAIL);
        let reason = match u16_at(bytes, Self::REASON) {
            1 if detail == 0 => RefusalReason::Version,
            2 => RefusalReason::Codec { expected: u8::try_from(detail).map_err(|_| Fault::Field)? },
            3 => RefusalReason::TooManySessions { limit: detail },
            4 => RefusalReason::AskedOnly { sessions: detail },
            5 if detail == 0 => RefusalReason::PidNamespace,
            _ => return Err(Fault::Field),
        };
        Ok(Self { reason, versions: (bytes[Self::VERSION_MIN], bytes[Self::VERSION_MAX]) })
    }
}

const fn level_byte(level: Option<Level>) -> u8 {
    match level {
        None => 0,
        Some(Level::Received) => 1,
        Some(Level::Delivered) => 2,
        Some(Level::Processed) => 3,
    }
}

const fn level_of(byte: u8) -> Result<Option<Level>, Fault> {
    Ok(match byte {
        0 => None,
        1 => Some(Level::Received),
        2 => Some(Level::Delivered),
        3 => Some(Level::Processed),
        _ => return Err(Fault::Field),
    })
}

pub(super) fn finish(bytes: &mut [u8], kind: Kind, session: Option<SessionId>, stamp: Stamp) {
    Header { kind, session, stamp }.encode(bytes);
    let end = bytes.len();
    header::seal(bytes, end..end);
}

/// Length and check of a frame of fixed length.
pub(super) fn exactly(bytes: &[u8], length: usize) -> Result<(), Fault> {
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
pub(super) fn zero(bytes: &[u8]) -> Result<(), Fault> {
    if bytes.iter().all(|&byte| byte == 0) { Ok(()) } else { Err(Fault::Field) }
}

//! Data frames (SPEC.md, section 9): bodies one after the other, an index of their lengths behind them.

use super::{
    Fault,
    header::{self, Header, Kind, put, u16_at, u32_at, u64_at},
};
use crate::{
    lamport::Stamp,
    number::{Number, SessionId},
};
use core::ops::Range;

const FIRST: Range<usize> = 24..32;
const BODY_BYTES: Range<usize> = 32..36;
const COUNT: Range<usize> = 36..38;
const FLAGS: Range<usize> = 38..40;
const BODIES: usize = 40;

const FLAG_SOLICIT: u16 = 1;
const FLAG_AWAIT: u16 = 2;

const ENTRY: usize = 4;
const ENTRY_STAMP: usize = 8;
const ENTRY_LENGTH: u32 = 0x00FF_FFFF;
const ENTRY_FLAG_STAMP: u32 = 0x8000_0000;

const _: () = assert!(FIRST.start == header::LENGTH && FLAGS.end == BODIES);

/// The most records a frame can carry.
pub const MAX_RECORDS: usize = u16::MAX as usize;

/// The longest message that fits into one frame of `frame_size` bytes (LIM-1).
pub const fn record_limit(frame_size: usize) -> usize {
    let room = frame_size.saturating_sub(BODIES + ENTRY);
    if room < ENTRY_LENGTH as usize { room } else { ENTRY_LENGTH as usize }
}

/// A frame under construction: records are appended in place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OpenFrame {
    /// Space for the header, then the bodies.
    bytes: Vec<u8>,
    index: Vec<u8>,
    limit: usize,
    first: Number,
    first_stamp: Stamp,
    last_stamp: Stamp,
    count: u16,
    awaits: bool,
}

impl OpenFrame {
    /// An empty frame of at most `limit` bytes, built in `buffer`.
    pub fn new(mut buffer: Vec<u8>, limit: usize, first: Number) -> Self {
        // It grows with what is put into it: a frame is kept until it is acknowledged, and most are short (CRD-6).
        buffer.clear();
        buffer.resize(BODIES, 0);
        let stamp = Stamp::default();
        Self {
            bytes: buffer,
            index: Vec::new(),
            limit,
            first,
            first_stamp: stamp,
            last_stamp: stamp,
            count: 0,
            awaits: false,
        }
    }

    /// Whether a message of `length` bytes with this stamp still fits.
    pub fn fits(&self, length: usize, stamp: Stamp) -> bool {
        let entry = if self.follows(stamp) { ENTRY } else { ENTRY + ENTRY_STAMP };
        let room = self.limit.checked_sub(self.frame_bytes() + entry);
        usize::from(self.count) < MAX_RECORDS && room.is_some_and(|room| length <= room)
    }

    /// Appends a message that [`fits`](Self::fits).
    ///
    /// # Panics
    /// When the message is longer than 4 GiB, which none that fits is.
    pub fn push(&mut self, body: &[u8], stamp: Stamp) {
        debug_assert!(self.fits(body.len(), stamp));
        let length = u32::try_from(body.len()).expect("fits a frame");
        if self.follows(stamp) {
            self.index.extend_from_slice(&length.to_le_bytes());
        } else {
            self.index.extend_from_slice(&(length | ENTRY_FLAG_STAMP).to_le_bytes());
            self.index.extend_from_slice(&stamp.get().to_le_bytes());
        }
        if self.count == 0 {
            self.first_stamp = stamp;
        }
        self.bytes.extend_from_slice(body);
        self.last_stamp = stamp;
        self.count += 1;
    }

    /// Asks to be told as soon as the last record is delivered (ACK-8).
    pub const fn await_delivery(&mut self) {
        self.awaits = true;
    }

    /// Number of the first record.
    pub const fn first(&self) -> Number {
        self.first
    }

    /// Number of the last record.
    pub const fn last(&self) -> Number {
        Number::new(self.first.get() + self.count as u64 - 1)
    }

    /// Length of the frame, were it finished now.
    pub const fn frame_bytes(&self) -> usize {
        self.bytes.len() + self.index.len()
    }

    /// Finishes the frame for `session`; `solicit` asks the receiver for an acknowledgement (ACK-4).
    ///
    /// # Panics
    /// When the bodies are longer than 4 GiB, which none that fitted are.
    pub fn seal(mut self, session: SessionId, solicit: bool) -> Vec<u8> {
        let bodies = BODIES..self.bytes.len();
        self.bytes.extend_from_slice(&self.index);
        let bytes = &mut self.bytes;
        Header { kind: Kind::Data, session: Some(session), stamp: self.first_stamp }.encode(bytes);
        put(bytes, FIRST, self.first.get().to_le_bytes());
        put(bytes, BODY_BYTES, u32::try_from(bodies.len()).expect("fits a frame").to_le_bytes());
        put(bytes, COUNT, self.count.to_le_bytes());
        let flags = if solicit { FLAG_SOLICIT } else { 0 } | if self.awaits { FLAG_AWAIT } else { 0 };
        put(bytes, FLAGS, flags.to_le_bytes());
        header::seal(bytes, bodies);
        self.bytes
    }

    /// Whether the index needs no explicit stamp.
    fn follows(&self, stamp: Stamp) -> bool {
        self.count == 0 || stamp == self.last_stamp.next()
    }
}

/// A received data frame whose framing has been verified.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DataFrame<B> {
    buffer: B,
    first: Number,
    first_stamp: Stamp,
    last_stamp: Stamp,
    count: u16,
    body_bytes: u32,
    solicit: bool,
    awaits: bool,
}

/// One message inside a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number in the stream.
    pub number: Number,
    /// Its Lamport stamp.
    pub stamp: Stamp,
    /// Where its body lies in the frame's buffer.
    pub body: Range<usize>,
}

/// How far the records of a frame have been read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordCursor {
    taken: u16,
    body: usize,
    entry: usize,
    stamp: Stamp,
}

impl<B: AsRef<[u8]>> DataFrame<B> {
    /// Verifies the whole framing (DAT-1), so that reading records can no longer fail.
    pub(super) fn decode(buffer: B, first_stamp: Stamp) -> Result<Self, Fault> {
        let bytes = buffer.as_ref();
        if bytes.len() < BODIES + ENTRY {
            return Err(Fault::TooShort);
        }
        let body_bytes = u32_at(bytes, BODY_BYTES);
        let bodies_end = BODIES.saturating_add(body_bytes as usize);
        if bodies_end > bytes.len() {
            return Err(Fault::Length);
        }
        header::verify(bytes, BODIES..bodies_end)?;
        let (first, count, flags) = (u64_at(bytes, FIRST), u16_at(bytes, COUNT), u16_at(bytes, FLAGS));
        if first == 0
            || count == 0
            || flags & !(FLAG_SOLICIT | FLAG_AWAIT) != 0
            || first.checked_add(u64::from(count)).is_none()
        {
            return Err(Fault::Field);
        }
        let last_stamp = verify_index(&bytes[bodies_end..], count, u64::from(body_bytes), first_stamp)?;
        let (first, solicit, awaits) = (Number::new(first), flags & FLAG_SOLICIT != 0, flags & FLAG_AWAIT != 0);
        Ok(Self { buffer, first, first_stamp, last_stamp, count, body_bytes, solicit, awaits })
    }

    /// Number of the first record.
    pub const fn first(&self) -> Number {
        self.first
    }

    /// Number of the last record.
    pub const fn last(&self) -> Number {
        Number::new(self.first.get() + self.count as u64 - 1)
    }

    /// The largest stamp in the frame.
    pub const fn last_stamp(&self) -> Stamp {
        self.last_stamp
    }

    /// Length of all bodies together.
    pub const fn body_bytes(&self) -> u32 {
        self.body_bytes
    }

    /// Whether the sender asks for an acknowledgement (ACK-4).
    pub const fn solicits(&self) -> bool {
        self.solicit
    }

    /// Whether the sender waits for the delivery of the last record (ACK-8).
    pub const fn awaits(&self) -> bool {
        self.awaits
    }

    /// The buffer given to [`decode`](super::decode).
    pub const fn buffer(&self) -> &B {
        &self.buffer
    }

    /// Before the first record.
    pub const fn cursor(&self) -> RecordCursor {
        RecordCursor { taken: 0, body: BODIES, entry: BODIES + self.body_bytes as usize, stamp: self.first_stamp }
    }

    /// The next record, `None` behind the last (DAT-2).
    pub fn next_record(&self, cursor: &mut RecordCursor) -> Option<Record> {
        if cursor.taken == self.count {
            return None;
        }
        let bytes = self.buffer.as_ref();
        let entry = u32_at(bytes, cursor.entry..cursor.entry + ENTRY);
        cursor.entry += ENTRY;
        if entry & ENTRY_FLAG_STAMP != 0 {
            cursor.stamp = Stamp::new(u64_at(bytes, cursor.entry..cursor.entry + ENTRY_STAMP));
            cursor.entry += ENTRY_STAMP;
        }
        let start = cursor.body;
        cursor.body += (entry & ENTRY_LENGTH) as usize;
        let number = Number::new(self.first.get() + u64::from(cursor.taken));
        let record = Record { number, stamp: cursor.stamp, body: start..cursor.body };
        cursor.taken += 1;
        cursor.stamp = cursor.stamp.next();
        Some(record)
    }

    /// Whether the cursor stands behind the last record.
    pub const fn is_exhausted(&self, cursor: &RecordCursor) -> bool {
        cursor.taken == self.count
    }
}

/// Walks the whole index once: `count` entries, no more bytes, lengths that add up, stamps that rise.
fn verify_index(mut index: &[u8], count: u16, body_bytes: u64, first_stamp: Stamp) -> Result<Stamp, Fault> {
    let mut bytes = 0_u64;
    let mut last: Option<Stamp> = None;
    for _ in 0..count {
        let (entry, rest) = index.split_first_chunk::<ENTRY>().ok_or(Fault::Length)?;
        let entry = u32::from_le_bytes(*entry);
        index = rest;
        if entry & !(ENTRY_LENGTH | ENTRY_FLAG_STAMP) != 0 {
            return Err(Fault::Field);
        }
        bytes += u64::from(entry & ENTRY_LENGTH);
        let follows = last.map_or(first_stamp, Stamp::next);
        let mut stamp = follows;
        if entry & ENTRY_FLAG_STAMP != 0 {
            let (explicit, rest) = index.split_first_chunk::<ENTRY_STAMP>().ok_or(Fault::Length)?;
            stamp = Stamp::new(u64::from_le_bytes(*explicit));
            index = rest;
            // One that says the same as the rule would is not wrong, but no sender writes it: one form for one meaning.
            if last.is_none() || stamp <= follows {
                return Err(Fault::Field);
            }
        }
        // The stamp after the greatest is itself.
        if last == Some(stamp) {
            return Err(Fault::Field);
        }
        last = Some(stamp);
    }
    if bytes == body_bytes && index.is_empty() { last.ok_or(Fault::Length) } else { Err(Fault::Length) }
}

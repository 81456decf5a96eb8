//! Data frames (SPEC.md, section 9): bodies one after the other, an index of their lengths behind them.

use super::{
    Acknowledgement, Fault, carry,
    header::{self, Header, u16_at, u32_at, u64_at},
    index::{self, ENTRY, ENTRY_LENGTH, Entry, MORE, REST, Summary, VOID},
};
use crate::{
    lamport::Stamp,
    number::{FrameNumber, Number},
};
use core::ops::Range;

pub(super) const FRAME: Range<usize> = 24..32;
pub(super) const FIRST: Range<usize> = 32..40;
pub(super) const BODY_BYTES: Range<usize> = 40..44;
pub(super) const COUNT: Range<usize> = 44..46;
pub(super) const FLAGS: Range<usize> = 46..48;
pub(super) const BODIES: usize = 48;

pub(super) const FLAG_SOLICIT: u16 = 1;
pub(super) const FLAG_AWAIT: u16 = 2;
/// An acknowledgement follows the index.
pub(super) const FLAG_CARRY: u16 = 4;

const _: () = assert!(FRAME.start == header::LENGTH && FLAGS.end == BODIES);

/// A received data frame whose framing has been verified.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DataFrame<B> {
    buffer: B,
    frame: FrameNumber,
    count: u16,
    body_bytes: u32,
    solicit: bool,
    awaits: bool,
    carries: bool,
    first_stamp: Stamp,
    index: Summary,
}

/// What a frame brings, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// These numbers have no message: the sender dropped them.
    Gap(Number, Number),
    /// A message.
    Message(Record),
    /// A piece of a message that is longer than a frame.
    Piece {
        /// Where it lies.
        record: Record,
        /// Not the first piece.
        rest: bool,
        /// Not the last piece.
        more: bool,
    },
}

/// A message or a piece of one inside a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Number of the message in the stream.
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
    /// Of the next record, if it has none of its own.
    stamp: Stamp,
    /// Of the next record, if none was dropped before it.
    number: Number,
    /// Whether what was dropped before the next record has been told.
    gap_told: bool,
}

/// Writes the check of a data frame that is otherwise whole.
pub(crate) fn seal(bytes: &mut [u8]) {
    let bodies_end = BODIES + u32_at(bytes, BODY_BYTES) as usize;
    header::seal(bytes, BODIES..bodies_end);
}

/// What lies between two cursors, if that is nothing but whole messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// How many messages.
    pub messages: u64,
    /// How many bytes they have together.
    pub bytes: u64,
    /// The number of the last one.
    pub last: Number,
    /// The stamp after that of the last one.
    pub follows: Stamp,
}

impl RecordCursor {
    /// From here to `end`, which is not the same, by [`DataFrame::next_message`].
    pub(crate) fn run_to(&self, end: &Self) -> Run {
        Run {
            messages: u64::from(end.taken - self.taken),
            bytes: (end.body - self.body) as u64,
            last: end.number.before(),
            follows: end.stamp,
        }
    }
}

impl<B: AsRef<[u8]>> DataFrame<B> {
    /// Verifies the whole framing (DAT-1), so that reading records can no longer fail, and the check if there is one.
    #[inline]
    pub(super) fn decode(buffer: B, header: &Header, is_sealed: bool) -> Result<Self, Fault> {
        let bytes = buffer.as_ref();
        if bytes.len() < BODIES + ENTRY {
            return Err(Fault::TooShort);
        }
        let body_bytes = u32_at(bytes, BODY_BYTES);
        let bodies_end = BODIES.saturating_add(body_bytes as usize);
        if bodies_end > bytes.len() {
            return Err(Fault::Length);
        }
        if is_sealed {
            header::verify(bytes, BODIES..bodies_end)?;
        }
        let frame = FrameNumber::new(u64_at(bytes, FRAME));
        let (first, count, flags) = (u64_at(bytes, FIRST), u16_at(bytes, COUNT), u16_at(bytes, FLAGS));
        if frame == FrameNumber::NONE
            || first == 0
            || count == 0
            || flags & !(FLAG_SOLICIT | FLAG_AWAIT | FLAG_CARRY) != 0
        {
            return Err(Fault::Field);
        }
        let mut index = &bytes[bodies_end..];
        let (solicit, awaits) = (flags & FLAG_SOLICIT != 0, flags & FLAG_AWAIT != 0);
        let carries = flags & FLAG_CARRY != 0;
        if carries {
            index = carry::split(index)?.0;
        }
        let (first, first_stamp) = (Number::new(first), header.stamp);
        let index = index::verify(index, count, u64::from(body_bytes), first, first_stamp)?;
        Ok(Self { buffer, frame, count, body_bytes, solicit, awaits, carries, first_stamp, index })
    }

    /// Its number in the session, from 1.
    pub const fn frame(&self) -> FrameNumber {
        self.frame
    }

    /// The first number that it accounts for.
    pub const fn first(&self) -> Number {
        self.index.from
    }

    /// Number of the last record, also if that is not the last piece of its message.
    pub const fn last(&self) -> Number {
        self.index.last
    }

    /// Number of the last message that ends in this frame or before it.
    pub const fn last_whole(&self) -> Number {
        if self.index.ends_inside { self.index.last.before() } else { self.index.last }
    }

    /// How many messages end in it, which are all that it makes known but gaps.
    pub const fn messages(&self) -> u16 {
        self.index.messages
    }

    /// Whether the first record is not the first piece of its message.
    pub const fn starts_inside(&self) -> bool {
        self.index.starts_inside
    }

    /// Whether the last record is not the last piece of its message.
    pub const fn ends_inside(&self) -> bool {
        self.index.ends_inside
    }

    /// Whether the frame holds one piece and nothing else, not even a gap, and its message does not end there.
    pub fn is_inside(&self) -> bool {
        self.index.ends_inside && self.index.from == self.index.last
    }

    /// The largest stamp in the frame.
    pub const fn last_stamp(&self) -> Stamp {
        self.index.last_stamp
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

    /// The acknowledgement that came along, for the stream in the other direction, and its stamp (ACK-11).
    pub fn carried(&self) -> Option<(Stamp, Acknowledgement)> {
        let bytes = Some(self.buffer.as_ref()).filter(|_| self.carries)?;
        carry::read(carry::split(bytes).ok()?.1)
    }

    /// The buffer given to [`decode`](super::decode).
    pub const fn buffer(&self) -> &B {
        &self.buffer
    }

    /// The same, with nothing of the frame left.
    pub fn into_buffer(self) -> B {
        self.buffer
    }

    /// The message, if the frame brings one and nothing else, not even a gap.
    pub(crate) fn only_message(&self) -> Option<Record> {
        let Summary { from, last, last_stamp, messages, starts_inside, .. } = self.index;
        let is_only = self.count == 1 && messages == 1 && !starts_inside && from == last;
        is_only.then_some(Record { number: last, stamp: last_stamp, body: BODIES..BODIES + self.body_bytes as usize })
    }

    /// Before the first record.
    pub const fn cursor(&self) -> RecordCursor {
        RecordCursor {
            taken: 0,
            body: BODIES,
            entry: BODIES + self.body_bytes as usize,
            stamp: self.first_stamp,
            number: self.index.from,
            gap_told: false,
        }
    }

    /// What is next, `None` behind the last record (DAT-2).
    pub fn next_item(&self, cursor: &mut RecordCursor) -> Option<Item> {
        if cursor.taken == self.count {
            return None;
        }
        let (entry, _) = Entry::split(&self.buffer.as_ref()[cursor.entry..]).ok()?;
        let number = cursor.number.after(entry.gap);
        let is_void = entry.flags & VOID != 0;
        if entry.gap > 0 && !is_void && !cursor.gap_told {
            cursor.gap_told = true;
            return Some(Item::Gap(cursor.number, number.before()));
        }
        let first = cursor.number;
        let stamp = entry.stamp.unwrap_or(cursor.stamp);
        let body = cursor.body..cursor.body + entry.length;
        *cursor = RecordCursor {
            taken: cursor.taken + 1,
            body: body.end,
            entry: cursor.entry + entry.size,
            stamp: stamp.next(),
            number: number.next(),
            gap_told: false,
        };
        if is_void {
            return Some(Item::Gap(first, number));
        }
        let record = Record { number, stamp, body };
        let (rest, more) = (entry.flags & REST != 0, entry.flags & MORE != 0);
        Some(if rest || more { Item::Piece { record, rest, more } } else { Item::Message(record) })
    }

    /// The next record, if that is a whole message and no gap is to be told before it; else the cursor stays.
    #[inline]
    pub fn next_message(&self, cursor: &mut RecordCursor) -> Option<Record> {
        if cursor.taken == self.count {
            return None;
        }
        let rest = self.buffer.as_ref().get(cursor.entry..)?;
        let entry = u32::from_le_bytes(*rest.first_chunk::<ENTRY>()?);
        if entry & !ENTRY_LENGTH != 0 {
            return self.next_flagged_message(cursor);
        }
        // As most are: its length says it all.
        let (number, stamp) = (cursor.number, cursor.stamp);
        let body = cursor.body..cursor.body + entry as usize;
        cursor.taken += 1;
        cursor.body = body.end;
        cursor.entry += ENTRY;
        (cursor.number, cursor.stamp) = (number.next(), stamp.next());
        Some(Record { number, stamp, body })
    }

    fn next_flagged_message(&self, cursor: &mut RecordCursor) -> Option<Record> {
        let mut ahead = cursor.clone();
        let Some(Item::Message(record)) = self.next_item(&mut ahead) else { return None };
        *cursor = ahead;
        Some(record)
    }

    /// How many records are left behind the cursor.
    pub const fn records_behind(&self, cursor: &RecordCursor) -> u16 {
        self.count - cursor.taken
    }

    /// Whether nothing is left behind the cursor but, perhaps, the beginning of a message that ends in a later frame.
    pub fn is_exhausted(&self, cursor: &RecordCursor) -> bool {
        let left = self.count - cursor.taken;
        // A gap before that is still to be told.
        let is_beginning = || matches!(self.next_item(&mut cursor.clone()), Some(Item::Piece { more: true, .. }));
        left == 0 || (left == 1 && self.index.ends_inside && is_beginning())
    }
}

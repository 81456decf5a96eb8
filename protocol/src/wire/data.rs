//! Data frames (SPEC.md, section 9): bodies one after the other, an index of their lengths behind them.

use super::{
    Acknowledgement, Fault, carry,
    header::{self, Header, u16_at, u32_at, u64_at},
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

pub(super) const ENTRY: usize = 4;
pub(super) const ENTRY_STAMP: usize = 8;
pub(super) const ENTRY_GAP: usize = 8;
pub(super) const ENTRY_LENGTH: u32 = 0x00FF_FFFF;

pub(super) const STAMP: u32 = 1 << 31;
pub(super) const GAP: u32 = 1 << 30;
pub(super) const MORE: u32 = 1 << 29;
pub(super) const REST: u32 = 1 << 28;
pub(super) const VOID: u32 = 1 << 27;
const KNOWN: u32 = ENTRY_LENGTH | STAMP | GAP | MORE | REST | VOID;

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

/// What the index says as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Summary {
    /// The first number that the frame accounts for: of its first record, or of the first that was dropped before it.
    from: Number,
    last: Number,
    last_stamp: Stamp,
    /// How many messages end in it.
    messages: u16,
    starts_inside: bool,
    ends_inside: bool,
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

impl<B: AsRef<[u8]>> DataFrame<B> {
    /// Verifies the whole framing (DAT-1), so that reading records can no longer fail.
    pub(super) fn decode(buffer: B, header: &Header) -> Result<Self, Fault> {
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
            let (before, acknowledgement) = carry::split(index)?;
            carry::verify(acknowledgement, header)?;
            index = before;
        }
        let (first, first_stamp) = (Number::new(first), header.stamp);
        let index = verify_index(index, count, u64::from(body_bytes), first, first_stamp)?;
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
        carry::read(carry::split(bytes).ok()?.1).ok()
    }

    /// The buffer given to [`decode`](super::decode).
    pub const fn buffer(&self) -> &B {
        &self.buffer
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

/// One entry of the index, as it stands there.
struct Entry {
    length: usize,
    flags: u32,
    stamp: Option<Stamp>,
    gap: u64,
    size: usize,
}

impl Entry {
    fn split(index: &[u8]) -> Result<(Self, &[u8]), Fault> {
        let (entry, mut left) = index.split_first_chunk::<ENTRY>().ok_or(Fault::Length)?;
        let entry = u32::from_le_bytes(*entry);
        let mut word = |flag| -> Result<Option<u64>, Fault> {
            if entry & flag == 0 {
                return Ok(None);
            }
            let (word, rest) = left.split_first_chunk::<8>().ok_or(Fault::Length)?;
            left = rest;
            Ok(Some(u64::from_le_bytes(*word)))
        };
        let (stamp, gap) = (word(STAMP)?.map(Stamp::new), word(GAP)?);
        if gap == Some(0) || entry & !KNOWN != 0 {
            return Err(Fault::Field);
        }
        let length = (entry & ENTRY_LENGTH) as usize;
        let size = index.len() - left.len();
        Ok((Self { length, flags: entry & !ENTRY_LENGTH, stamp, gap: gap.unwrap_or(0), size }, left))
    }

    /// Whether its flags can go together, and with its place in the frame.
    fn is_sound(&self, is_first: bool, is_last: bool) -> bool {
        let has = |flag| self.flags & flag != 0;
        let piece = has(MORE) || has(REST);
        (!piece || self.length > 0)
            && (!has(VOID) || self.length == 0) // so it is no piece
            && (!has(REST) || (is_first && self.gap == 0))
            && (!has(MORE) || is_last)
    }
}

/// Walks the whole index once: `count` entries, no more bytes, lengths that add up, numbers and stamps that rise.
fn verify_index(
    mut index: &[u8],
    count: u16,
    body_bytes: u64,
    first: Number,
    first_stamp: Stamp,
) -> Result<Summary, Fault> {
    let mut bytes = 0_u64;
    let mut known: Option<Summary> = None;
    let mut place = 0;
    while place < count {
        if let Some(known) = &mut known {
            let (run, run_bytes) = plain_run(index, count - place);
            if run > 0 {
                known.extend(run)?;
                bytes += run_bytes;
                place += run;
                index = &index[usize::from(run) * ENTRY..];
                continue;
            }
        }
        let (entry, rest) = Entry::split(index)?;
        index = rest;
        bytes += entry.length as u64;
        if !entry.is_sound(place == 0, place + 1 == count) {
            return Err(Fault::Field);
        }
        let follows = known.as_ref().map_or(first_stamp, |known| known.last_stamp.next());
        // One that says the same as the rule would is not wrong, but no sender writes it: one form for one meaning.
        if entry.stamp.is_some_and(|stamp| known.is_none() || stamp <= follows) {
            return Err(Fault::Field);
        }
        let stamp = entry.stamp.unwrap_or(follows);
        let messages = known.as_ref().map_or(0, |known| known.messages) + u16::from(entry.flags & (MORE | VOID) == 0);
        let summary = if let Some(known) = known {
            let last = known.last.get().checked_add(entry.gap).and_then(|number| number.checked_add(1));
            // The stamp after the greatest is itself.
            let last = last.filter(|_| stamp > known.last_stamp).map(Number::new).ok_or(Fault::Field)?;
            Summary { last, last_stamp: stamp, messages, ends_inside: entry.flags & MORE != 0, ..known }
        } else {
            let from = first.get().checked_sub(entry.gap).filter(|from| *from > 0).ok_or(Fault::Field)?;
            let (starts_inside, ends_inside) = (entry.flags & REST != 0, entry.flags & MORE != 0);
            Summary { from: Number::new(from), last: first, last_stamp: stamp, messages, starts_inside, ends_inside }
        };
        known = Some(summary);
        place += 1;
    }
    known.filter(|known| bytes == body_bytes && index.is_empty() && known.last.get() < u64::MAX).ok_or(Fault::Length)
}

/// How many entries without flags come next, at most so many, and the length of all their bodies: as a rule the whole index.
fn plain_run(index: &[u8], most: u16) -> (u16, u64) {
    let (mut run, mut bytes) = (0, 0);
    for entry in index.as_chunks::<ENTRY>().0.iter().take(most.into()) {
        let entry = u32::from_le_bytes(*entry);
        if entry & !ENTRY_LENGTH != 0 {
            break;
        }
        run += 1;
        bytes += u64::from(entry);
    }
    (run, bytes)
}

impl Summary {
    /// So many whole messages follow, without gaps, and with stamps that rise by one.
    fn extend(&mut self, messages: u16) -> Result<(), Fault> {
        let more = u64::from(messages);
        let (last, stamp) = (self.last.get().checked_add(more), self.last_stamp.get().checked_add(more));
        let (last, stamp) = last.zip(stamp).ok_or(Fault::Field)?;
        (self.last, self.last_stamp) = (Number::new(last), Stamp::new(stamp));
        self.messages += messages;
        self.ends_inside = false; // a piece that goes on is the last of its frame
        Ok(())
    }
}

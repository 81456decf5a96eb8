//! The index of a data frame: one entry a record, and what they say together.

use super::Fault;
use crate::{lamport::Stamp, number::Number};

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

/// What the index says as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Summary {
    /// The first number that the frame accounts for: of its first record, or of the first that was dropped before it.
    pub(super) from: Number,
    pub(super) last: Number,
    pub(super) last_stamp: Stamp,
    /// How many messages end in it.
    pub(super) messages: u16,
    pub(super) starts_inside: bool,
    pub(super) ends_inside: bool,
}

/// One entry of the index, as it stands there.
pub(super) struct Entry {
    pub(super) length: usize,
    pub(super) flags: u32,
    pub(super) stamp: Option<Stamp>,
    pub(super) gap: u64,
    pub(super) size: usize,
}

impl Entry {
    pub(super) fn split(index: &[u8]) -> Result<(Self, &[u8]), Fault> {
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
pub(super) fn verify(
    mut index: &[u8],
    count: u16,
    body_bytes: u64,
    first: Number,
    first_stamp: Stamp,
) -> Result<Summary, Fault> {
    if let Ok(entry) = index.try_into().map(u32::from_le_bytes)
        && count == 1
        && u64::from(entry) == body_bytes
        && entry & !ENTRY_LENGTH == 0
        && first.get() < u64::MAX
    {
        return Ok(Summary::of_one(first, first_stamp)); // one message, and nothing else
    }
    let mut bytes = 0_u64;
    let mut known: Option<Summary> = None;
    let mut place = 0;
    while place < count {
        let (run, run_bytes) = plain_run(index, count - place);
        if run > 0 {
            let more = known.map(|known| known.extended(run));
            known = Some(more.unwrap_or_else(|| Summary::of_one(first, first_stamp).extended(run - 1))?);
            bytes += run_bytes;
            place += run;
            index = &index[usize::from(run) * ENTRY..];
            continue;
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
    /// Of a whole message, with no gap before it.
    const fn of_one(number: Number, stamp: Stamp) -> Self {
        Self { from: number, last: number, last_stamp: stamp, messages: 1, starts_inside: false, ends_inside: false }
    }

    /// So many whole messages follow, without gaps, and with stamps that rise by one.
    fn extended(self, messages: u16) -> Result<Self, Fault> {
        let more = u64::from(messages);
        let (last, stamp) = (self.last.get().checked_add(more), self.last_stamp.get().checked_add(more));
        let (last, stamp) = last.zip(stamp).ok_or(Fault::Field)?;
        let messages = self.messages + messages;
        // A piece that goes on is the last of its frame.
        Ok(Self { last: Number::new(last), last_stamp: Stamp::new(stamp), messages, ends_inside: false, ..self })
    }
}

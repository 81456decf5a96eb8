//! A data frame under construction.

use super::{
    data::{self, BODIES, BODY_BYTES, COUNT, FIRST, FLAG_AWAIT, FLAG_SOLICIT, FLAGS, FRAME},
    header::{Header, Kind, put},
    index::{ENTRY, ENTRY_GAP, ENTRY_LENGTH, ENTRY_STAMP, GAP, MORE, REST, STAMP, VOID},
};
use crate::{
    lamport::Stamp,
    number::{FrameNumber, Number, SessionId},
};

/// The most records a frame can carry.
pub const MAX_RECORDS: usize = u16::MAX as usize;

/// The longest message that fits into one frame of `frame_size` bytes, whatever was dropped before it.
pub const fn record_limit(frame_size: usize) -> usize {
    let room = frame_size.saturating_sub(BODIES + ENTRY + ENTRY_GAP);
    if room < ENTRY_LENGTH as usize { room } else { ENTRY_LENGTH as usize }
}

/// What a record is; by default a whole message right behind the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shape {
    /// How many numbers before it were dropped.
    pub gap: u64,
    /// Not the first piece of its message: only as the first record of a frame.
    pub rest: bool,
    /// Not the last piece of its message: only as the last record of a frame.
    pub more: bool,
    /// No message: its own number was dropped too.
    pub void: bool,
}

/// A frame under construction: records are appended in place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OpenFrame {
    /// Space for the header, then the bodies.
    bytes: Vec<u8>,
    index: Vec<u8>,
    limit: usize,
    first: Number,
    /// The number of the next record, if none is dropped before it.
    next: Number,
    first_stamp: Stamp,
    last_stamp: Stamp,
    count: u16,
    /// Whether the first record is not the first piece of its message.
    starts_inside: bool,
    /// Whether the last record is not the last piece of its message.
    ends_inside: bool,
    awaits: bool,
}

impl OpenFrame {
    /// What a record takes besides its body, at least.
    pub const ENTRY: usize = ENTRY;

    /// An empty frame of at most `limit` bytes, built in `buffer`. `next` is the number of its first record, if none is
    /// dropped before it.
    pub fn new(mut buffer: Vec<u8>, limit: usize, next: Number) -> Self {
        buffer.clear();
        buffer.resize(BODIES, 0);
        let stamp = Stamp::default();
        Self {
            bytes: buffer,
            index: Vec::new(),
            limit,
            first: next,
            next,
            first_stamp: stamp,
            last_stamp: stamp,
            count: 0,
            starts_inside: false,
            ends_inside: false,
            awaits: false,
        }
    }

    /// With an index that is built in this buffer.
    #[must_use]
    pub fn with_index(mut self, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        self.index = buffer;
        self
    }

    /// How many bytes a further record can have; `None` if there is no room for one.
    pub fn room(&self, shape: Shape, stamp: Stamp) -> Option<usize> {
        if usize::from(self.count) == MAX_RECORDS || self.ends_inside || (shape.rest && self.count > 0) {
            return None;
        }
        let stamp = if self.follows(stamp) { 0 } else { ENTRY_STAMP };
        let gap = if shape.gap == 0 { 0 } else { ENTRY_GAP };
        let room = self.limit.checked_sub(self.frame_bytes() + ENTRY + stamp + gap)?;
        Some(room.min(ENTRY_LENGTH as usize))
    }

    /// Whether a record of `length` bytes still fits.
    pub fn fits(&self, shape: Shape, length: usize, stamp: Stamp) -> bool {
        self.room(shape, stamp).is_some_and(|room| length <= room)
    }

    /// Appends a record that [`fits`](Self::fits).
    ///
    /// # Panics
    /// When the body is longer than 4 GiB, which none that fits is.
    pub fn push(&mut self, shape: Shape, body: &[u8], stamp: Stamp) {
        debug_assert!(self.fits(shape, body.len(), stamp));
        let flag = |set, flag| if set { flag } else { 0 };
        let length = u32::try_from(body.len()).expect("fits a frame");
        let follows = self.follows(stamp);
        let entry = length
            | flag(!follows, STAMP)
            | flag(shape.gap > 0, GAP)
            | flag(shape.more, MORE)
            | flag(shape.rest, REST)
            | flag(shape.void, VOID);
        self.index.extend_from_slice(&entry.to_le_bytes());
        if !follows {
            self.index.extend_from_slice(&stamp.get().to_le_bytes());
        }
        if shape.gap > 0 {
            self.index.extend_from_slice(&shape.gap.to_le_bytes());
        }
        let number = self.next.after(shape.gap);
        if self.count == 0 {
            (self.first, self.first_stamp, self.starts_inside) = (number, stamp, shape.rest);
        }
        if self.bytes.len() + body.len() > self.limit / 2 {
            // Once and for all, or the last growth would take twice as much as the frame can ever have.
            self.bytes.reserve_exact(self.limit.saturating_sub(self.bytes.len()));
        }
        self.add_body(body);
        self.next = number.next();
        self.last_stamp = stamp;
        self.ends_inside = shape.more;
        self.count += 1;
    }

    /// Appends a whole message right behind the last record, for which there is [`space`](Self::space), and returns its number. It is stamped
    /// as what [follows](Self::is_followed_by).
    ///
    /// # Panics
    /// As [`push`](Self::push).
    #[inline]
    pub fn append(&mut self, body: &[u8]) -> Number {
        let number = self.next;
        debug_assert!(self.count > 0 && self.fits(Shape::default(), body.len(), self.last_stamp.next()));
        let length = u32::try_from(body.len()).expect("fits a frame");
        self.index.extend_from_slice(&length.to_le_bytes());
        self.add_body(body);
        self.next = number.next();
        self.last_stamp = self.last_stamp.next();
        self.count += 1;
        number
    }

    #[inline]
    fn add_body(&mut self, body: &[u8]) {
        if body.len() > self.bytes.capacity() - self.bytes.len() {
            self.grow(body.len());
        }
        self.bytes.extend_from_slice(body);
    }

    /// A frame grows with what is put into it: it is kept until it is acknowledged, and most are short (CRD-6). One that is not will
    /// most likely be full.
    #[cold]
    fn grow(&mut self, more: usize) {
        let length = self.bytes.len();
        if length + more >= self.limit / 4 {
            self.bytes.reserve_exact(self.limit.max(length + more) - length);
        } else {
            self.bytes.reserve(more);
        }
    }

    /// Whether [`append`](Self::append) gives a message this stamp.
    pub fn is_followed_by(&self, stamp: Stamp) -> bool {
        self.count > 0 && !self.ends_inside && self.follows(stamp)
    }

    /// Asks to be told as soon as the last record is delivered (ACK-8).
    pub const fn await_delivery(&mut self) {
        self.awaits = true;
    }

    /// Number of the first record.
    pub const fn first(&self) -> Number {
        self.first
    }

    /// Number of the last record, also if that is not the last piece of its message.
    pub const fn last(&self) -> Number {
        self.next.before()
    }

    /// Number of the last message that ends in this frame or before it.
    pub const fn last_whole(&self) -> Number {
        if self.ends_inside { self.last().before() } else { self.last() }
    }

    /// Whether the first record is not the first piece of its message.
    pub const fn starts_inside(&self) -> bool {
        self.starts_inside
    }

    /// Length of the frame, were it finished now.
    pub const fn frame_bytes(&self) -> usize {
        self.bytes.len() + self.index.len()
    }

    /// How many bytes it can still grow by.
    pub const fn space(&self) -> usize {
        self.limit.saturating_sub(self.frame_bytes())
    }

    /// Length of all bodies.
    pub const fn body_bytes(&self) -> usize {
        self.bytes.len() - BODIES
    }

    /// How many records it has.
    pub const fn count(&self) -> usize {
        self.count as usize
    }

    /// Stamp of the last record.
    pub const fn last_stamp(&self) -> Stamp {
        self.last_stamp
    }

    /// Finishes the frame as number `frame` of `session`; `solicit` asks the receiver for an acknowledgement (ACK-4).
    ///
    /// # Panics
    /// When the bodies are longer than 4 GiB, which none that fitted are.
    pub fn seal(self, session: SessionId, frame: FrameNumber, solicit: bool) -> Vec<u8> {
        self.take_apart(session, frame, solicit).0
    }

    /// As [`seal`](Self::seal); returns also the buffer of the index, for the [next one](Self::with_index).
    ///
    /// # Panics
    /// As [`seal`](Self::seal).
    pub fn take_apart(self, session: SessionId, frame: FrameNumber, solicit: bool) -> (Vec<u8>, Vec<u8>) {
        let (mut bytes, index) = self.finish(session, frame, solicit);
        data::seal(&mut bytes);
        (bytes, index)
    }

    /// As [`take_apart`](Self::take_apart), but for the check, which is not written.
    pub(crate) fn finish(mut self, session: SessionId, frame: FrameNumber, solicit: bool) -> (Vec<u8>, Vec<u8>) {
        let bodies = BODIES..self.bytes.len();
        self.bytes.extend_from_slice(&self.index);
        let bytes = &mut self.bytes;
        Header { kind: Kind::Data, session: Some(session), stamp: self.first_stamp }.encode(bytes);
        put(bytes, FRAME, frame.get().to_le_bytes());
        put(bytes, FIRST, self.first.get().to_le_bytes());
        put(bytes, BODY_BYTES, u32::try_from(bodies.len()).expect("fits a frame").to_le_bytes());
        put(bytes, COUNT, self.count.to_le_bytes());
        let flags = if solicit { FLAG_SOLICIT } else { 0 } | if self.awaits { FLAG_AWAIT } else { 0 };
        put(bytes, FLAGS, flags.to_le_bytes());
        (self.bytes, self.index)
    }

    /// Whether the index needs no explicit stamp.
    fn follows(&self, stamp: Stamp) -> bool {
        self.count == 0 || stamp == self.last_stamp.next()
    }
}

//! What carries messages, each as its users would use it: one call a message on both sides, unless it is packed by hand.

pub(super) mod lamq;
pub(super) mod packed;
pub(super) mod pipe;
pub(super) mod posix;
pub(super) mod seqpacket;

use super::talk::WAYS;
use std::{
    error::Error,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Whoever reports an error names who met it, and nothing else of it is looked at.
pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// What a message says of itself. Whoever receives one checks its number, so that all media do the same work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Letter {
    /// From 1.
    pub number: u64,
    /// Its sender, or when it was sent.
    pub mark: u64,
}

impl Letter {
    /// One without a mark.
    pub const fn new(number: u64) -> Self {
        Self { number, mark: 0 }
    }
}

/// The bytes of letters of one length: number, mark, something, and the number again at the end.
#[derive(Debug)]
pub struct Sheet(Vec<u8>);

/// Number, mark, number.
const LEAST: usize = 24;

impl Sheet {
    /// For letters of so many bytes.
    pub fn new(length: usize) -> Self {
        Self(vec![b'.'; length.max(LEAST)])
    }

    /// The bytes of a letter.
    pub fn write(&mut self, letter: Letter) -> &[u8] {
        let end = self.0.len() - 8;
        self.0[..8].copy_from_slice(&letter.number.to_le_bytes());
        self.0[8..16].copy_from_slice(&letter.mark.to_le_bytes());
        self.0[end..].copy_from_slice(&letter.number.to_le_bytes());
        &self.0
    }

    /// What [`write`](Self::write) wrote on a sheet of this length.
    ///
    /// # Errors
    /// It was something else, or not all of it.
    pub fn read(bytes: &[u8], length: usize) -> Outcome<Letter> {
        let word = |at: usize| bytes.get(at..at + 8).and_then(|word| word.try_into().ok()).map(u64::from_le_bytes);
        match (word(0), word(8), bytes.len().checked_sub(8).and_then(word)) {
            (Some(number), Some(mark), Some(last)) if number == last && bytes.len() == length => {
                Ok(Letter { number, mark })
            }
            _ => Err(format!("{} bytes arrived that are not a message of {length}", bytes.len()).into()),
        }
    }
}

/// The end that sends.
pub trait Outlet {
    /// Waits as long as there is no room.
    ///
    /// # Errors
    /// It cannot be sent: the run is over.
    fn send(&mut self, letter: Letter) -> Outcome;

    /// After the last one: what is still here leaves.
    ///
    /// # Errors
    /// It cannot leave: the run is over.
    fn finish(&mut self) -> Outcome {
        Ok(())
    }
}

/// The end that receives.
pub trait Inlet {
    /// Waits for the next.
    ///
    /// # Errors
    /// No more can come, or something that is no letter came: the run is over.
    fn receive(&mut self) -> Outcome<Letter>;
}

/// Which end meets which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the sender to the receiver.
    There = 0,
    /// From the receiver to the sender.
    Back = 1,
}

/// What a process does before a signal ends it.
#[derive(Clone, Default)]
pub(super) struct Parting(Arc<Mutex<Vec<Act>>>);

type Act = Box<dyn FnOnce() + Send>;

impl Parting {
    pub(super) fn add(&self, act: impl FnOnce() + Send + 'static) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(act));
    }

    pub(super) fn part(&self) {
        let acts = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for act in acts {
            act();
        }
    }
}

/// Where, and how.
#[derive(Clone)]
pub struct Site {
    pub(super) ways: [String; WAYS],
    /// Of each message, in bytes.
    pub length: usize,
    /// How long a receiver looks before it sleeps: zero is not at all, `None` as it does if nobody says.
    pub spin: Option<Duration>,
    pub(super) parting: Parting,
}

impl Site {
    /// A name for an end that nobody else uses while this process lives: a slash, and what may be part of a file's name.
    pub fn way(&self, way: Way) -> &str {
        &self.ways[way as usize]
    }

    /// What is at the way's end is removed also when a signal ends this process.
    pub(super) fn remove_when_parting(&self, way: Way, remove: fn(&str)) {
        let way = self.way(way).to_owned();
        self.parting.add(move || remove(&way));
    }
}

/// A medium. The receiver makes its inlet first; then senders connect; then both begin.
pub trait Ends {
    /// Sends.
    type Out: Outlet;
    /// Receives.
    type In: Inlet;

    /// Makes the end to which [`outlet`](Self::outlet) connects.
    ///
    /// # Errors
    /// It cannot be made.
    fn inlet(site: &Site, way: Way) -> Outcome<Self::In>;

    /// Connects to the inlet, which is there.
    ///
    /// # Errors
    /// It cannot be reached.
    fn outlet(site: &Site, way: Way) -> Outcome<Self::Out>;

    /// A sender that is to be answered.
    ///
    /// # Errors
    /// As those of one end.
    fn both(site: &Site) -> Outcome<(Self::Out, Self::In)> {
        Ok((Self::outlet(site, Way::There)?, Self::inlet(site, Way::Back)?))
    }

    /// How the receiver answers the sender that has connected.
    ///
    /// # Errors
    /// It cannot be reached.
    fn back(site: &Site, _inlet: &mut Self::In) -> Outcome<Self::Out> {
        Self::outlet(site, Way::Back)
    }
}

/// Sends bytes of which the medium takes so many at once.
pub(super) trait Write {
    const MOST: usize;

    fn write(&mut self, piece: &[u8]) -> io::Result<()>;
}

/// Receives the bytes of one call of the other side.
pub(super) trait Read {
    /// `room` is for the longest piece there can be; of a medium without borders between messages so many are wanted.
    fn read(&mut self, room: &mut [u8], wanted: usize) -> io::Result<usize>;
}

/// Longer messages are cut by hand.
#[derive(Debug)]
pub(super) struct Cutting<W> {
    sheet: Sheet,
    writer: W,
}

impl<W> Cutting<W> {
    pub(super) fn new(site: &Site, writer: W) -> Self {
        Self { sheet: Sheet::new(site.length), writer }
    }
}

impl<W: Write> Outlet for Cutting<W> {
    fn send(&mut self, letter: Letter) -> Outcome {
        for piece in self.sheet.write(letter).chunks(W::MOST) {
            self.writer.write(piece)?;
        }
        Ok(())
    }
}

/// And put together by hand, in one buffer.
#[derive(Debug)]
pub(super) struct Joining<R> {
    buffer: Vec<u8>,
    length: usize,
    reader: R,
}

/// No medium has longer pieces.
const LONGEST_PIECE: usize = 64 << 10;

impl<R> Joining<R> {
    pub(super) fn new(site: &Site, reader: R) -> Self {
        Self { buffer: vec![0; site.length + LONGEST_PIECE], length: site.length, reader }
    }
}

impl<R: Read> Inlet for Joining<R> {
    fn receive(&mut self) -> Outcome<Letter> {
        let mut filled = 0;
        while filled < self.length {
            match self.reader.read(&mut self.buffer[filled..], self.length - filled)? {
                0 => return Err("the other side is gone".into()),
                count => filled += count,
            }
        }
        Sheet::read(&self.buffer[..filled], self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_shorter() {
        let letter = Letter { number: 7, mark: 9 };
        let mut sheet = Sheet::new(64);
        let bytes = sheet.write(letter).to_vec();
        assert_eq!(Sheet::read(&bytes, 64).unwrap(), letter);
        assert!(Sheet::read(&bytes[..63], 64).is_err() && Sheet::read(&[], 0).is_err());
        let mut torn = bytes;
        torn[63] = 1;
        assert!(Sheet::read(&torn, 64).is_err());
    }
}

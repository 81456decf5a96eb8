//! Messages packed by hand into full frames of a POSIX queue, each behind its length in four bytes: the ceiling.
//!
//! It has no acknowledgements, no credit and no idea of the other side; and a message waits here until its frame is full.

use super::{Ends, Inlet, Letter, Outcome, Outlet, Sheet, Site, Way, posix::Inbox};
use crate::queue::{Queue, SLOT_BYTES};

/// What is put into a frame: as much as the kernel carries best, in two pages of its own (`lamq` does the same).
const FULL: usize = 4048 + 4088;

pub(in crate::bench) struct Packed;

impl Ends for Packed {
    type Out = Packing;
    type In = Unpacking;

    fn inlet(site: &Site, way: Way) -> Outcome<Self::In> {
        let inbox = Inbox::create(site, way, true)?;
        Ok(Unpacking { inbox, frame: vec![0; SLOT_BYTES], at: 0, end: 0, length: site.length })
    }

    fn outlet(site: &Site, way: Way) -> Outcome<Self::Out> {
        let queue = Queue::open(site.way(way), true)?;
        Ok(Packing { queue, frame: Vec::with_capacity(FULL), sheet: Sheet::new(site.length) })
    }
}

#[derive(Debug)]
pub(in crate::bench) struct Packing {
    queue: Queue,
    frame: Vec<u8>,
    sheet: Sheet,
}

impl Outlet for Packing {
    fn send(&mut self, letter: Letter) -> Outcome {
        let message = self.sheet.write(letter);
        if self.frame.len() + 4 + message.len() > FULL {
            self.queue.send(&self.frame)?;
            self.frame.clear();
        }
        self.frame.extend_from_slice(&u32::try_from(message.len())?.to_le_bytes());
        self.frame.extend_from_slice(message);
        Ok(())
    }

    fn finish(&mut self) -> Outcome {
        Ok(self.queue.send(&self.frame)?)
    }
}

#[derive(Debug)]
pub(in crate::bench) struct Unpacking {
    inbox: Inbox,
    frame: Vec<u8>,
    at: usize,
    end: usize,
    length: usize,
}

impl Inlet for Unpacking {
    fn receive(&mut self) -> Outcome<Letter> {
        if self.at == self.end {
            self.end = self.inbox.queue.receive(&mut self.frame)?;
            self.at = 0;
        }
        let rest = &self.frame[self.at..self.end];
        let length = rest.first_chunk().map(|length| u32::from_le_bytes(*length) as usize);
        let message = length.and_then(|length| rest.get(4..4 + length)).ok_or("a frame is torn")?;
        self.at += 4 + message.len();
        Sheet::read(message, self.length)
    }
}

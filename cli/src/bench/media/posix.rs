//! A POSIX queue as it is.

use super::{Cutting, Ends, Joining, Outcome, Read, Site, Way, Write};
use crate::queue::{Name, Queue, SLOT_BYTES, remove};
use std::io;

/// One `mq_send` and one `mq_receive` a message. They wait, or are called again and again.
pub(in crate::bench) struct Posix<const WAITS: bool>;

impl<const WAITS: bool> Ends for Posix<WAITS> {
    type Out = Cutting<Queue>;
    type In = Joining<Inbox>;

    fn inlet(site: &Site, way: Way) -> Outcome<Self::In> {
        Ok(Joining::new(site, Inbox::create(site, way, WAITS)?))
    }

    fn outlet(site: &Site, way: Way) -> Outcome<Self::Out> {
        Ok(Cutting::new(site, Queue::open(site.way(way), WAITS)?))
    }
}

/// A queue that goes with this value.
#[derive(Debug)]
pub(in crate::bench) struct Inbox {
    pub(super) queue: Queue,
    _name: Name,
}

impl Inbox {
    pub(super) fn create(site: &Site, way: Way, waits: bool) -> Outcome<Self> {
        site.remove_when_parting(way, remove);
        Ok(Self { queue: Queue::create(site.way(way), waits)?, _name: Name(site.way(way).to_owned()) })
    }
}

impl Write for Queue {
    const MOST: usize = SLOT_BYTES;

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        Ok(self.send(piece)?)
    }
}

impl Read for Inbox {
    fn read(&mut self, room: &mut [u8], _wanted: usize) -> io::Result<usize> {
        Ok(self.queue.receive(room)?)
    }
}

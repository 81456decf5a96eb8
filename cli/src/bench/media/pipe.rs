//! A pipe: one `write` and, where nothing is torn, one `read` a message.

use super::{Cutting, Ends, Joining, Outcome, Read, Site, Way, Write};
use std::{
    fs::File,
    io::{self, Read as _, Write as _},
};

/// The bench has made it and keeps both ends open; its processes open it by the bench's descriptor.
pub(in crate::bench) struct Pipe;

impl Ends for Pipe {
    type Out = Cutting<Stream>;
    type In = Joining<Stream>;

    fn inlet(site: &Site, way: Way) -> Outcome<Self::In> {
        Ok(Joining::new(site, Stream(File::open(site.way(way))?)))
    }

    fn outlet(site: &Site, way: Way) -> Outcome<Self::Out> {
        Ok(Cutting::new(site, Stream(File::options().write(true).open(site.way(way))?)))
    }
}

#[derive(Debug)]
pub(in crate::bench) struct Stream(File);

impl Write for Stream {
    const MOST: usize = usize::MAX;

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.0.write_all(piece)
    }
}

impl Read for Stream {
    fn read(&mut self, room: &mut [u8], wanted: usize) -> io::Result<usize> {
        self.0.read(&mut room[..wanted])
    }
}

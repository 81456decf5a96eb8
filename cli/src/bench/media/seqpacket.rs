//! A Unix socket that keeps the borders of messages, under a name that is in no file system.

use super::{Cutting, Ends, Joining, LONGEST_PIECE, Outcome, Read, Site, Way, Write};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, listen, socket_with,
};
use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::OwnedFd,
};

pub(in crate::bench) struct SeqPacket;

impl Ends for SeqPacket {
    type Out = Cutting<Packets>;
    type In = Joining<Accepting>;

    fn inlet(site: &Site, way: Way) -> Outcome<Self::In> {
        let (socket, address) = socket(site, way)?;
        bind(&socket, &address)?;
        listen(&socket, 1)?;
        Ok(Joining::new(site, Accepting { socket, packets: None }))
    }

    fn outlet(site: &Site, way: Way) -> Outcome<Self::Out> {
        let (socket, address) = socket(site, way)?;
        connect(&socket, &address)?;
        Ok(Cutting::new(site, Packets(socket.into())))
    }
}

fn socket(site: &Site, way: Way) -> io::Result<(OwnedFd, SocketAddrUnix)> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    Ok((socket, SocketAddrUnix::new_abstract_name(site.way(way).as_bytes())?))
}

#[derive(Debug)]
pub(in crate::bench) struct Packets(File);

impl Write for Packets {
    const MOST: usize = LONGEST_PIECE;

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.0.write_all(piece)
    }
}

/// Nobody else connects to it.
#[derive(Debug)]
pub(in crate::bench) struct Accepting {
    socket: OwnedFd,
    packets: Option<File>,
}

impl Read for Accepting {
    fn read(&mut self, room: &mut [u8], _wanted: usize) -> io::Result<usize> {
        let packets = match &mut self.packets {
            Some(packets) => packets,
            none => none.insert(accept_with(&self.socket, SocketFlags::CLOEXEC)?.into()),
        };
        packets.read(room)
    }
}

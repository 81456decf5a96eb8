//! A System V queue. The one file of the command with `unsafe` code: no crate has a safe interface to these calls.
#![allow(unsafe_code)]

use super::media::{Cutting, Ends, Joining, Outcome, Read, Site, Way, Write};
use nix::{errno::Errno, libc};
use std::{io, ptr};

/// What the kernel takes at once by default (`kernel.msgmax`).
const MOST: usize = 8192;

/// As the kernel wants a message: its type, which is not zero, then its bytes.
#[repr(C)]
struct Packet {
    kind: libc::c_long,
    bytes: [u8; MOST],
}

/// The number of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identifier(libc::c_int);

impl Identifier {
    /// Of a queue that is there, or that must not be there yet.
    fn get(key: &str, is_new: bool) -> Outcome<Self> {
        let flags = if is_new { libc::IPC_CREAT | libc::IPC_EXCL | 0o600 } else { 0 };
        // SAFETY: no memory of ours is involved.
        let identifier = Errno::result(unsafe { libc::msgget(key.parse()?, flags) });
        Ok(Self(identifier.map_err(|error| format!("cannot open the System V queue {key}: {error}"))?))
    }

    fn remove(self) {
        // SAFETY: to remove a queue the kernel reads and writes nothing through the pointer.
        _ = unsafe { libc::msgctl(self.0, libc::IPC_RMID, ptr::null_mut()) };
    }
}

/// Removes the queue, if it is still there.
pub(super) fn remove(key: &str) {
    if let Ok(identifier) = Identifier::get(key, false) {
        identifier.remove();
    }
}

/// One `msgsnd` and one `msgrcv` a message, and a copy on each side: the kernel wants the type in front of the bytes.
pub(super) struct SystemV;

impl Ends for SystemV {
    type Out = Cutting<End>;
    type In = Joining<Own>;

    fn inlet(site: &Site, way: Way) -> Outcome<Self::In> {
        site.remove_when_parting(way, remove);
        Ok(Joining::new(site, Own(End::new(site.way(way), true)?)))
    }

    fn outlet(site: &Site, way: Way) -> Outcome<Self::Out> {
        Ok(Cutting::new(site, End::new(site.way(way), false)?))
    }
}

pub(super) struct End {
    queue: Identifier,
    packet: Box<Packet>,
}

impl End {
    fn new(key: &str, is_new: bool) -> Outcome<Self> {
        Ok(Self { queue: Identifier::get(key, is_new)?, packet: Box::new(Packet { kind: 1, bytes: [0; MOST] }) })
    }
}

/// The end whose queue goes with this value.
pub(super) struct Own(End);

impl Drop for Own {
    fn drop(&mut self) {
        self.0.queue.remove();
    }
}

impl Write for End {
    const MOST: usize = MOST;

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.packet.bytes[..piece.len()].copy_from_slice(piece);
        let packet: *const Packet = &raw const *self.packet;
        // SAFETY: the kernel reads the type and as many bytes as `piece` has; the line above would have panicked were that more
        // than the packet has. It is not changed meanwhile, for we hold it exclusively.
        Errno::result(unsafe { libc::msgsnd(self.queue.0, packet.cast(), piece.len(), 0) })?;
        Ok(())
    }
}

impl Read for Own {
    fn read(&mut self, room: &mut [u8], _wanted: usize) -> io::Result<usize> {
        let packet: *mut Packet = &raw mut *self.0.packet;
        // SAFETY: the kernel writes the type and at most `MOST` bytes behind it, which is what the packet has room for, and any
        // bytes are valid ones. We hold it exclusively.
        let length = Errno::result(unsafe { libc::msgrcv(self.0.queue.0, packet.cast(), MOST, 0, 0) })?;
        let length = length.cast_unsigned();
        room[..length].copy_from_slice(&self.0.packet.bytes[..length]);
        Ok(length)
    }
}

//! The limit of open files, of which commands that start many processes need more than others.

use crate::failure::Failure;
use nix::sys::resource::{Resource, getrlimit};
use std::fs;

/// What the receiver has open for each sender, and so has the command: two pipes there, a queue and a watch over a process here.
const EACH: u64 = 2;

/// What a process has open besides, at most, with room to start a process.
const BESIDES: u64 = 20;

/// An error unless each process may have enough files open. They inherit the limit, and what was open before. The
/// remedy may have an alternative.
///
/// Beforehand, for a receiver that runs out of descriptors answers no sender, and nobody knows until the time is up.
pub(crate) fn demand_room_for(senders: u32, otherwise: &str) -> Result<(), Failure> {
    let open = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count) as u64;
    let needed = open + EACH * u64::from(senders) + BESIDES;
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((limit, _)) if limit < needed => Err(Failure::general(format!(
            "a process may have {limit} files open (RLIMIT_NOFILE), and {senders} senders take {needed}; raise it (ulimit -n \
             {needed}){otherwise}"
        ))),
        _ => Ok(()),
    }
}

//! How the processes of one run find each other, and what is removed of what they made.

use super::{
    guest::Guest,
    system_v,
    talk::{Medium, WAYS},
};
use crate::{failure::Failure, queue};
use lamq::{QueueName, Receiver, inspect};
use std::{
    io::{PipeReader, PipeWriter, pipe},
    os::fd::AsRawFd,
    process,
};

/// The ways there and back of one medium.
pub(super) struct Ground {
    medium: Medium,
    guests: &'static [Guest],
    pub(super) ways: [String; WAYS],
    /// Nobody else can make them. Both ends, so that nobody waits for the other side to open it.
    _pipes: Vec<(PipeReader, PipeWriter)>,
}

/// What a key of ours begins with; the process id and the way follow.
const KEYS: u32 = 0x6C00_0000;

impl Ground {
    pub(super) fn lay(medium: Medium, guests: &'static [Guest]) -> Result<Self, Failure> {
        let pid = process::id();
        let mut pipes = Vec::new();
        let ways = match medium {
            Medium::SystemV => [0, 1].map(|way| (KEYS | pid << 1 | way).to_string()),
            Medium::Pipe => {
                let made = || pipe().map_err(|error| Failure::general(format!("cannot make a pipe: {error}")));
                pipes.extend([made()?, made()?]);
                [0, 1].map(|way: usize| format!("/proc/{pid}/fd/{}", pipes[way].0.as_raw_fd()))
            }
            _ => ["/lamq-bench", "/lamq-bench-back"].map(|way| format!("{way}.{pid}")),
        };
        Ok(Self { medium, guests, ways, _pipes: pipes })
    }

    /// Removes what these processes may have left, which did not end in good order.
    pub(super) fn clear(&self, pids: &[u32]) {
        match self.medium {
            Medium::Lamq | Medium::LamqTyped => {
                // The next owner takes a dead one's queue over, and removes it when it leaves.
                drop(Receiver::bind(self.ways[0].as_str()));
                for pid in pids {
                    // SPEC.md, section 16: of a sender that was not welcomed yet.
                    _ = QueueName::new(format!("/lamq.{pid}.0")).map(|name| inspect::remove(&name, false));
                }
            }
            Medium::Queue | Medium::QueueSpinning | Medium::Packed => {
                self.ways.iter().for_each(|way| queue::remove(way));
            }
            Medium::SystemV => self.ways.iter().for_each(|way| system_v::remove(way)),
            // These go with those who have them open, and what a guest leaves is removed anyway.
            Medium::Pipe | Medium::SeqPacket | Medium::Guest(_) => {}
        }
    }
}

/// Guests may leave something even if all goes well.
impl Drop for Ground {
    fn drop(&mut self) {
        if let Medium::Guest(index) = self.medium {
            self.ways.iter().for_each(|way| (self.guests[index].clear)(way));
        }
    }
}

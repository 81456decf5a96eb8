//! Signals that ask the process to end.

use crate::failure::Failure;
use nix::sys::signal::{SigSet, Signal};
use std::{fs, io, thread};

/// SIGINT, SIGTERM and SIGHUP, kept from doing what they do by default.
///
/// A thread that waits for a signal may do anything, a signal handler nearly nothing.
#[derive(Debug)]
pub(crate) struct Blocked(SigSet);

const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

impl Blocked {
    /// Blocks them in this thread and in those that it starts from now on, so it comes before any other thread.
    ///
    /// A child inherits the block: one that wants to be ended by them takes it from there. Not those that were ignored when
    /// the process started (`nohup`): Linux keeps also an ignored signal for whoever waits for it, if it is blocked.
    pub(crate) fn new() -> Result<Self, Failure> {
        let ignored = ignored().unwrap_or_else(|error| {
            tracing::debug!(target: "lamq", %error, "cannot tell which signals are ignored");
            0
        });
        Self::block(ENDING.into_iter().filter(|signal| !has(ignored, *signal)).collect())
    }

    /// Blocks them also if they were ignored, in a process that nobody else would end.
    pub(crate) fn all() -> Result<Self, Failure> {
        Self::block(ENDING.into_iter().collect())
    }

    fn block(set: SigSet) -> Result<Self, Failure> {
        set.thread_block().map_err(|error| Failure::general(format!("cannot block signals: {error}")))?;
        Ok(Self(set))
    }

    /// Does `action` when the first of them comes, also when it came before this call. The thread that waits for it does not
    /// keep the process from ending.
    pub(crate) fn on_first(self, action: impl FnOnce(Signal) + Send + 'static) -> Result<(), Failure> {
        let wait = move || match self.0.wait() {
            Ok(signal) => action(signal),
            Err(error) => tracing::warn!(target: "lamq", %error, "cannot wait for signals"),
        };
        let thread = thread::Builder::new().name("signals".into()).spawn(wait);
        thread.map(drop).map_err(|error| Failure::general(format!("cannot start a thread: {error}")))
    }
}

/// The signals that this process ignores, as the kernel shows them.
fn ignored() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.ok_or_else(|| io::Error::other("/proc/self/status has no SigIgn"))
}

/// Bit 0 stands for signal 1.
fn has(mask: u64, signal: Signal) -> bool {
    mask >> (signal as i32 - 1) & 1 == 1
}

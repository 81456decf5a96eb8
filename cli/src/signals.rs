//! Signals that ask the process to end.

use crate::failure::Failure;
use nix::sys::signal::{SigSet, Signal};
use std::thread;

/// SIGINT, SIGTERM and SIGHUP, kept from doing what they do by default.
///
/// A thread that waits for a signal may do anything, a signal handler nearly nothing.
#[derive(Debug)]
pub(crate) struct Blocked(SigSet);

impl Blocked {
    /// Blocks them in this thread and in those that it starts from now on, so it comes before any other thread.
    ///
    /// A child inherits the block: one that wants to be ended by them takes it from there.
    pub(crate) fn new() -> Result<Self, Failure> {
        let set: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
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

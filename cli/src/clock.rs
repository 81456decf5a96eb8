//! The one place of the command that reads the clock: the monotonic one.

use nix::time::{ClockId, clock_gettime};
use std::{
    thread,
    time::{Duration, Instant},
};

/// Runs from its making.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn read(self) -> Duration {
        self.0.elapsed()
    }
}

/// How long to wait from one message to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    limit: Option<Duration>,
    since: Stopwatch,
}

impl Patience {
    /// Begins now; `None` is for ever.
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        Self { limit, since: Stopwatch::start() }
    }

    /// What was waited for has come.
    pub(crate) fn renew(&mut self) {
        // Without a limit nobody asks, and a look at the clock costs as much as a short message.
        if self.limit.is_some() {
            self.since = Stopwatch::start();
        }
    }

    /// What is left, `None` for ever.
    pub(crate) fn left(self) -> Option<Duration> {
        self.limit.map(|limit| limit.saturating_sub(self.since.read()))
    }
}

/// What the monotonic clock shows, in nanoseconds: the same in all processes of this machine.
pub(crate) fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)) // every kernel has this clock
}

/// Sleeps until the monotonic clock shows this.
pub(crate) fn sleep_until(at: u64) {
    let left = at.saturating_sub(monotonic());
    if left > 0 {
        thread::sleep(Duration::from_nanos(left));
    }
}

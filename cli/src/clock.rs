//! The one place of the command that reads the clock: the monotonic one.

use std::time::{Duration, Instant};

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

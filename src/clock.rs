//! The one place that reads the clock. It is the monotonic one: a change of the system time has no effect (CAL-1).
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, Instant};

/// The end of a call's patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deadline {
    /// Not to wait at all.
    Now,
    /// A point of the monotonic clock.
    At(Instant),
    /// To wait for ever.
    Never,
}

impl Deadline {
    /// `timeout` from now; one that the clock cannot represent is for ever.
    pub(crate) fn after(timeout: Duration) -> Self {
        if timeout.is_zero() {
            return Self::Now;
        }
        Instant::now().checked_add(timeout).map_or(Self::Never, Self::At)
    }

    /// What is left, `None` for ever.
    pub(crate) fn remaining(self) -> Option<Duration> {
        match self {
            Self::Now => Some(Duration::ZERO),
            Self::At(end) => Some(end.saturating_duration_since(Instant::now())),
            Self::Never => None,
        }
    }

    /// Whether nothing is left.
    pub(crate) fn has_passed(self) -> bool {
        self.remaining() == Some(Duration::ZERO)
    }

    /// The end itself, `None` for ever.
    #[cfg(not(lamq_loom))] // loom has no clock
    pub(crate) fn instant(self) -> Option<Instant> {
        match self {
            Self::Now => Some(Instant::now()),
            Self::At(end) => Some(end),
            Self::Never => None,
        }
    }

    /// The earlier of this one and `timeout` from now.
    pub(crate) fn at_most(self, timeout: Duration) -> Self {
        self.min(Self::after(timeout))
    }
}

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

/// Sleeps without serving anything.
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

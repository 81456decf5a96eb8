//! Spin, then sleep: to look for a moment is cheaper than to be woken, above all on a core that was halted meanwhile.

use crate::{
    clock::Deadline,
    sync::{AtomicU32, Ordering},
};
use nix::unistd::{SysconfVar, sysconf};
use std::time::Duration;

/// Longer than it takes to wake the peer: so two that begin to wait for each other asleep soon find each other awake.
const DEFAULT: Duration = Duration::from_micros(50);

/// How often in a row it may be in vain. Then what we wait for takes longer as a rule, or whoever is to send it waits for the very
/// core that we look on.
const PATIENCE: u32 = 4;

/// It is tried again nevertheless: after so many sleeps, and after twice as many each time, ...
const AGAIN: u32 = 64;

/// ... but not more than these. What is in vain then costs next to nothing, also between two that share a core.
const AT_LEAST: u32 = 4096;

/// How long to look before a sleep, while that pays.
#[derive(Debug)]
pub(crate) struct Spin {
    time: Duration,
    /// Sleeps since looking found something.
    misses: AtomicU32,
}

impl Spin {
    /// For `time`, by default [`DEFAULT`], or not at all where nobody can send while we look.
    pub(crate) fn new(time: Option<Duration>) -> Self {
        let time = time.unwrap_or_else(|| {
            // Not those that this process may use: the peer may be on another one.
            let processors = sysconf(SysconfVar::_NPROCESSORS_ONLN);
            if processors == Ok(Some(1)) { Duration::ZERO } else { DEFAULT }
        });
        Self { time, misses: AtomicU32::new(0) }
    }

    /// How long at most.
    pub(crate) const fn time(&self) -> Duration {
        self.time
    }

    /// Whether `look` found something before the time or the deadline was over; false without a look when it is not the time for it.
    pub(crate) fn finds(&self, deadline: Deadline, mut look: impl FnMut() -> bool) -> bool {
        if self.time.is_zero() {
            return false;
        }
        let found = !self.is_in_vain() && {
            let end = deadline.at_most(self.time);
            loop {
                if look() {
                    break true;
                }
                if end.has_passed() {
                    break false;
                }
            }
        };
        if found {
            self.misses.store(0, Ordering::Relaxed);
        } else {
            self.count_sleep();
        }
        found
    }

    /// Whether it is not the time to look.
    pub(crate) fn is_in_vain(&self) -> bool {
        let misses = self.misses.load(Ordering::Relaxed);
        let again = misses.is_multiple_of(AT_LEAST) || (misses >= AGAIN && misses.is_power_of_two());
        self.time.is_zero() || (misses >= PATIENCE && !again)
    }

    /// Somebody sleeps without a look.
    pub(crate) fn count_sleep(&self) {
        self.misses.store(self.misses.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Option<Duration> = Some(Duration::from_micros(1));
    const LONG: Option<Duration> = Some(Duration::from_secs(3600));

    #[test]
    fn it_looks_until_there_is_something() {
        let mut looks = 0;
        let found = Spin::new(LONG).finds(Deadline::Never, || {
            looks += 1;
            looks == 1000
        });
        assert!(found && looks == 1000);
    }

    #[test]
    fn it_ends_with_its_time_and_with_the_deadline() {
        assert!(!Spin::new(SHORT).finds(Deadline::Never, || false));
        assert!(!Spin::new(LONG).finds(Deadline::after(Duration::from_millis(1)), || false));
        assert!(!Spin::new(Some(Duration::ZERO)).finds(Deadline::Never, || true));
    }

    #[test]
    fn it_looks_rarely_while_that_is_in_vain() {
        let spin = Spin::new(SHORT);
        let looks = |count, find| {
            let looked = |_: &u32| {
                let mut looked = false;
                spin.finds(Deadline::Never, || {
                    looked = true;
                    find
                });
                looked
            };
            (0..count).filter(looked).count()
        };
        assert_eq!(looks(4, false), 4);
        assert_eq!(looks(60, false), 0);
        assert_eq!(looks(4096, false), 7, "at 64, 128 and so on to 4096");
        assert_eq!(looks(4096 * 10, false), 10);
        assert_eq!(looks(4032, false), 0);
        assert_eq!(looks(1, true), 1);
        assert_eq!(looks(100, true), 100, "it pays again");
    }
}

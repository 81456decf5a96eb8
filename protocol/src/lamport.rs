//! Logical time (L. Lamport, *Time, Clocks, and the Ordering of Events in a Distributed System*, CACM 1978).

use core::fmt;

/// A Lamport time stamp: if a happened before b, then a's stamp is smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(u64);

impl Stamp {
    /// The stamp `value`.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The bare value.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The stamp after this one.
    #[must_use]
    #[inline]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How far ahead of ours a peer's clock may be (LAM-4).
pub const MAX_LEAD: u64 = 1 << 48;

/// The logical clock of one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Clock {
    now: Stamp,
}

impl Clock {
    /// Time of the latest event.
    pub const fn now(&self) -> Stamp {
        self.now
    }

    /// A message is accepted for sending (LAM-1): advances, and returns its stamp.
    pub fn tick(&mut self) -> Stamp {
        self.now = self.now.next();
        self.now
    }

    /// A message is handed to the application (LAM-2): returns the time of that event.
    #[inline]
    pub fn deliver(&mut self, stamp: Stamp) -> Stamp {
        self.now = self.now.max(stamp).next();
        self.now
    }

    /// So many messages are handed to the application, as if each were [delivered](Self::deliver). Their stamps rise, so that none leads
    /// further than the last one, which `follows` comes after.
    pub fn deliver_run(&mut self, count: u64, follows: Stamp) {
        self.now = Stamp(self.now.0.saturating_add(count)).max(follows);
    }

    /// A frame that is no event of the application was accepted (LAM-3).
    pub fn witness(&mut self, stamp: Stamp) {
        self.now = self.now.max(stamp);
    }

    /// Whether a peer's stamp is one we may follow (LAM-4).
    pub const fn is_plausible(&self, stamp: Stamp) -> bool {
        stamp.0 <= self.now.0.saturating_add(MAX_LEAD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lamq_proves::proves;

    #[proves("LAM-1", "LAM-2", "LAM-3")]
    #[test]
    fn sending_and_delivering_advance_and_witnessing_only_raises() {
        let mut clock = Clock::default();
        assert_eq!(clock.tick(), Stamp::new(1));
        assert_eq!(clock.deliver(Stamp::new(10)), Stamp::new(11), "past the message's stamp");
        assert_eq!(clock.deliver(Stamp::new(3)), Stamp::new(12), "past our own clock");
        clock.witness(Stamp::new(5));
        assert_eq!(clock.now(), Stamp::new(12), "never backwards");
        clock.witness(Stamp::new(40));
        assert_eq!(clock.tick(), Stamp::new(41));
    }

    #[proves("LAM-2")]
    #[test]
    fn a_run_of_messages_is_delivered_as_each_of_them_would_be() {
        let runs: [&[u64]; 6] = [&[], &[3], &[10, 11, 12], &[1, 2, 30], &[5, 40, 41], &[u64::MAX - 1, u64::MAX]];
        for now in [0, 4, 9, 28, 29, 30, u64::MAX] {
            for run in runs {
                let mut one_by_one = Clock { now: Stamp::new(now) };
                let mut at_once = one_by_one.clone();
                for stamp in run {
                    one_by_one.deliver(Stamp::new(*stamp));
                }
                at_once.deliver_run(
                    run.len() as u64,
                    run.last().map_or(Stamp::default(), |last| Stamp::new(*last).next()),
                );
                assert_eq!(at_once, one_by_one, "{run:?} from {now}");
            }
        }
    }

    #[test]
    fn a_stamp_is_plausible_up_to_the_greatest_lead() {
        let mut clock = Clock::default();
        clock.witness(Stamp::new(7));
        assert!(clock.is_plausible(Stamp::new(7 + MAX_LEAD)));
        assert!(!clock.is_plausible(Stamp::new(8 + MAX_LEAD)));
    }
}

//! The judge of what one receiver got from many senders.
//!
//! It knows nothing of the protocol, only the numbers that came out of it: a mistake in how the protocol counts cannot
//! hide behind the same mistake here.

use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt,
    iter::Sum,
    ops::{AddAssign, RangeInclusive},
};

/// The history of one receiver, fed in the order of delivery.
///
/// A stream is any key that tells the senders apart. Memory: a few words a stream, and as many again for each run of
/// numbers that was skipped and is still missing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Oracle<S> {
    streams: BTreeMap<S, Stream>,
}

/// What the sender of a stream says at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Claims {
    /// It sent the numbers 1 to this; if it was killed, at most to this.
    pub sent: u64,
    /// It saw the numbers 1 to this acknowledged as delivered.
    pub acknowledged: u64,
    /// Whether it lived to its end, so that all it sent must be there. Of a killed one a clean prefix suffices that holds
    /// all it saw acknowledged.
    pub complete: bool,
}

/// What became of the messages of a stream, or of several streams together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Verdict {
    /// Numbers that were sent and delivered, each counted once.
    pub delivered: u64,
    /// Numbers that had to be delivered and were not. Of a complete stream all numbers had to be; of a killed sender's
    /// stream those below the largest that came, and those acknowledged.
    pub lost: u64,
    /// Those of the lost that had been acknowledged as delivered.
    pub acknowledged_lost: u64,
    /// Deliveries of a number that had been delivered before.
    pub doubled: u64,
    /// First deliveries of a number after a larger one: of (2, 1) one, the 1. It is not lost any more.
    pub misordered: u64,
    /// Payloads that are not what was sent.
    pub corrupt: u64,
    /// Numbers delivered that were never sent.
    pub invented: u64,
}

impl<S: Ord> Oracle<S> {
    /// Before the first delivery.
    pub const fn new() -> Self {
        Self { streams: BTreeMap::new() }
    }

    /// The receiver was handed the message `number` of `stream`.
    pub fn delivered(&mut self, stream: S, number: u64) {
        self.stream(stream).deliver(number);
    }

    /// The payload of a message of `stream`, delivered or about to be, is not what was sent.
    pub fn corrupt(&mut self, stream: S) {
        self.stream(stream).corrupt += 1;
    }

    /// The streams of which anything came.
    pub fn streams(&self) -> impl ExactSizeIterator<Item = &S> {
        self.streams.keys()
    }

    /// Holds what came of `stream` against what its sender says. The oracle can go on listening afterwards.
    pub fn judge(&self, stream: &S, claims: Claims) -> Verdict {
        self.streams.get(stream).unwrap_or(&Stream::NEW).judge(claims)
    }

    fn stream(&mut self, stream: S) -> &mut Stream {
        self.streams.entry(stream).or_insert(Stream::NEW)
    }
}

impl<S: Ord> Default for Oracle<S> {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Stream {
    /// The largest number delivered.
    largest: u64,
    /// Runs of numbers below it that were not, first to last.
    gaps: BTreeMap<u64, u64>,
    doubled: u64,
    misordered: u64,
    corrupt: u64,
    /// Deliveries of 0, which is no number.
    zeros: u64,
}

impl Stream {
    const NEW: Self = Self { largest: 0, gaps: BTreeMap::new(), doubled: 0, misordered: 0, corrupt: 0, zeros: 0 };

    fn deliver(&mut self, number: u64) {
        if number == 0 {
            self.zeros += 1;
        } else if number > self.largest {
            if number > self.largest + 1 {
                self.gaps.insert(self.largest + 1, number - 1);
            }
            self.largest = number;
        } else if let Some(gap) = self.gap_around(number) {
            self.misordered += 1;
            let (first, last) = gap.into_inner();
            self.gaps.remove(&first);
            if first < number {
                self.gaps.insert(first, number - 1);
            }
            if number < last {
                self.gaps.insert(number + 1, last);
            }
        } else {
            self.doubled += 1;
        }
    }

    fn gap_around(&self, number: u64) -> Option<RangeInclusive<u64>> {
        let (&first, &last) = self.gaps.range(..=number).next_back()?;
        (number <= last).then_some(first..=last)
    }

    /// How many of the numbers 1 to `bound` were not delivered.
    fn missing_to(&self, bound: u64) -> u64 {
        let within = self.gaps.range(..=bound).map(|(first, last)| last.min(&bound) - first + 1);
        within.sum::<u64>() + bound.saturating_sub(self.largest)
    }

    fn judge(&self, claims: Claims) -> Verdict {
        let Claims { sent, acknowledged, complete } = claims;
        let due = if complete { sent } else { self.largest.min(sent) };
        let below_largest = self.largest - self.missing_to(self.largest);
        let delivered = sent - self.missing_to(sent);
        Verdict {
            delivered,
            lost: self.missing_to(due.max(acknowledged)),
            acknowledged_lost: self.missing_to(acknowledged),
            doubled: self.doubled,
            misordered: self.misordered,
            corrupt: self.corrupt,
            invented: self.zeros + (below_largest - delivered),
        }
    }
}

impl Verdict {
    /// Whether nothing is wrong.
    pub const fn holds(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.misordered == 0 && self.corrupt == 0 && self.invented == 0
    }
}

/// Several streams together.
impl AddAssign for Verdict {
    fn add_assign(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.acknowledged_lost += other.acknowledged_lost;
        self.doubled += other.doubled;
        self.misordered += other.misordered;
        self.corrupt += other.corrupt;
        self.invented += other.invented;
    }
}

impl Sum for Verdict {
    fn sum<I: Iterator<Item = Self>>(verdicts: I) -> Self {
        verdicts.fold(Self::default(), |mut sum, verdict| {
            sum += verdict;
            sum
        })
    }
}

/// One line that names all that is violated.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} delivered", self.delivered)?;
        if self.holds() {
            return write!(f, ", none lost, none twice, none out of order");
        }
        let faults = [
            (self.lost, "lost"),
            (self.acknowledged_lost, "of these acknowledged"),
            (self.doubled, "twice"),
            (self.misordered, "out of order"),
            (self.corrupt, "corrupt"),
            (self.invented, "never sent"),
        ];
        faults.iter().filter(|(count, _)| *count > 0).try_for_each(|(count, fault)| write!(f, ", {count} {fault}"))
    }
}

#[cfg(test)]
mod tests;

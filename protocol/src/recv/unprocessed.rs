//! Which messages the application has and is not done with.

use crate::number::Number;
use std::collections::VecDeque;

/// Numbers in runs, lowest first. As a rule there is one, of the message in hand; more only where messages are acknowledged one
/// by one and out of order, or gaps lie between them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Unprocessed {
    /// First and last number of each run.
    runs: VecDeque<(Number, Number)>,
}

impl Unprocessed {
    /// The application has got this one, which is higher than all before.
    pub(super) fn push(&mut self, number: Number) {
        match self.runs.back_mut() {
            Some((_, last)) if last.next() == number => *last = number,
            _ => self.runs.push_back((number, number)),
        }
    }

    /// The application is done with this one. Returns whether it was not before.
    pub(super) fn remove(&mut self, number: Number) -> bool {
        let place = self.runs.partition_point(|(_, last)| *last < number);
        let Some(&(first, last)) = self.runs.get(place).filter(|(first, _)| *first <= number) else { return false };
        match (first == number, last == number) {
            (true, true) => _ = self.runs.remove(place),
            (true, false) => self.runs[place].0 = number.next(),
            (false, true) => self.runs[place].1 = number.before(),
            (false, false) => {
                self.runs[place].1 = number.before();
                self.runs.insert(place + 1, (number.next(), last));
            }
        }
        true
    }

    /// The application is done with all of them.
    pub(super) fn clear(&mut self) {
        self.runs.clear();
    }

    /// The lowest of them.
    pub(super) fn first(&self) -> Option<Number> {
        self.runs.front().map(|(first, _)| *first)
    }
}

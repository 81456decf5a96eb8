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
    /// The application has got these, which are higher than all before.
    pub(super) fn push(&mut self, first: Number, last: Number) {
        match self.runs.back_mut() {
            Some((_, before)) if before.next() == first => *before = last,
            _ => self.runs.push_back((first, last)),
        }
    }

    /// The application is done with these, as far as it has got them.
    pub(super) fn remove(&mut self, first: Number, last: Number) {
        if let (Some(&(begin, end)), 1) = (self.runs.front(), self.runs.len())
            && first <= begin
            && end <= last
        {
            return self.runs.clear(); // as most often
        }
        let mut place = self.runs.partition_point(|(_, end)| *end < first);
        while let Some(&(begin, end)) = self.runs.get(place).filter(|(begin, _)| *begin <= last) {
            match (begin < first, last < end) {
                (false, false) => _ = self.runs.remove(place),
                (false, true) => self.runs[place].0 = last.next(),
                (true, false) => {
                    self.runs[place].1 = first.before();
                    place += 1;
                }
                (true, true) => {
                    self.runs[place].1 = first.before();
                    self.runs.insert(place + 1, (last.next(), end));
                }
            }
        }
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

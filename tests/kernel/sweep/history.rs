//! What the processes of a run have said, and what must be true of it.

use super::roles::Life;
use std::collections::BTreeMap;

/// What one receiver has recorded.
#[derive(Debug, Default)]
pub(super) struct Record {
    joined: Vec<u32>,
    /// By sender: numbers, and whether they may be repetitions.
    messages: BTreeMap<u32, Vec<(u64, bool)>>,
    /// By sender: how it went, and its last number.
    departed: BTreeMap<u32, (String, u64)>,
}

impl Record {
    pub(super) fn of(lines: &[String]) -> Self {
        let mut record = Self::default();
        for line in lines {
            let words: Vec<_> = line.split(' ').collect();
            let number = |place: usize| words[place].parse::<u64>().unwrap();
            let pid = |place: usize| words[place].parse::<u32>().unwrap();
            match words[..] {
                ["joined", _, "."] => record.joined.push(pid(1)),
                ["message", _, _, again, "."] => {
                    record.messages.entry(pid(1)).or_default().push((number(2), again == "true"));
                }
                [how @ ("left" | "died"), _, _, "."] => {
                    let twice = record.departed.insert(pid(1), (how.into(), number(2)));
                    assert_eq!(twice, None, "{line}");
                }
                _ => assert!(!line.contains("panicked") && !line.contains("violation"), "{}", lines.join("\n")),
            }
        }
        record.judge();
        record
    }

    /// Within one receiver: neither gaps nor repetitions, and what is said of an end is true.
    fn judge(&self) {
        for (pid, messages) in &self.messages {
            assert!(messages.windows(2).all(|pair| pair[1].0 == pair[0].0 + 1), "of {pid}: {self:?}");
        }
        for (pid, (_, last)) in &self.departed {
            assert_eq!(self.last_of(*pid), *last, "of {pid}: {self:?}"); // DTH-4
        }
    }

    pub(super) fn last_of(&self, pid: u32) -> u64 {
        self.messages.get(&pid).and_then(|messages| messages.last()).map_or(0, |(number, _)| *number)
    }

    fn first_of(&self, pid: u32) -> Option<u64> {
        Some(self.messages.get(&pid)?.first()?.0)
    }

    pub(super) fn has_whole(&self, pid: u32, life: Life) -> bool {
        self.first_of(pid) == Some(1) && self.last_of(pid) == life.last()
    }

    /// A sender was killed: a prefix of its stream is here, and its end is told if its beginning was.
    pub(super) fn demand_clean_end(&self, pid: u32, life: Life) {
        assert!(self.first_of(pid).is_none_or(|first| first == 1), "{self:?}");
        if life == Life::Resuming {
            return; // this receiver does not ask for events
        }
        let departed = self.departed.get(&pid);
        assert_eq!(self.joined.contains(&pid), departed.is_some(), "of {pid}: {self:?}");
        let is_true = departed.is_none_or(|(how, last)| how == "died" || *last == life.last());
        assert!(is_true, "of {pid}: {self:?}");
    }

    /// Another receiver went on with the stream of a sender that resumes, to its end if that was `done`.
    pub(super) fn demand_continued(&self, next: &Self, pid: u32, done: Option<Life>) {
        let here = self.last_of(pid);
        let both = format!("of {pid}: {self:?}, then {next:?}");
        assert!(next.first_of(pid).is_none_or(|first| first <= here + 1), "some are missing {both}");
        let repeated = next.messages.get(&pid).into_iter().flatten().filter(|(number, _)| *number <= here);
        assert!(repeated.into_iter().all(|(_, marked)| *marked), "repetitions without a mark {both}");
        let last = here.max(next.last_of(pid));
        assert!(done.is_none_or(|life| life.last() == last), "the end is missing {both}");
    }
}

/// What a sender has said at its end.
#[derive(Debug)]
pub(super) struct Account {
    /// All was acknowledged.
    pub(super) done: bool,
    sent: u64,
    delivered: u64,
    /// How often it had to wait for credit.
    pub(super) stalls: u64,
    handed_back: Vec<u64>,
}

impl Account {
    pub(super) fn of(lines: &[String]) -> Self {
        let report = lines.iter().find_map(|line| line.strip_suffix(" .")).unwrap_or_default();
        let words: Vec<_> = report.split(' ').collect();
        let (["done" | "lost"], Some(numbers)) = (&words[..1], words.get(1..)) else {
            panic!("not an account:\n{}", lines.join("\n"));
        };
        let numbers: Vec<u64> = numbers.iter().map(|number| number.parse().unwrap()).collect();
        let account = Self {
            done: words[0] == "done",
            sent: numbers[0],
            delivered: numbers[1],
            stalls: numbers[2],
            handed_back: numbers[3..].to_vec(),
        };
        let expected: Vec<u64> = (account.delivered + 1..=account.sent).collect();
        assert_eq!(account.handed_back, expected, "{account:?}");
        account
    }

    /// A sender that does not resume has lost its receiver, or is done: what it takes for delivered was handed out, but for the one
    /// message that the receiver was handed when it was killed.
    pub(super) fn demand_truth(&self, pid: u32, life: Life, records: [&Record; 2]) {
        let recorded = records.map(|record| record.last_of(pid));
        let said = format!("of {pid}: {self:?}, {records:?}");
        assert!(recorded.contains(&0), "one stream at two receivers {said}");
        let most = recorded[0].max(recorded[1]);
        assert!(self.delivered <= most + 1, "{said}");
        assert!(most <= self.sent, "{said}");
        assert!(recorded[1] == 0 || records[1].has_whole(pid, life), "nobody killed that one {said}");
        assert!(!self.done || self.delivered == life.last(), "{said}");
    }
}

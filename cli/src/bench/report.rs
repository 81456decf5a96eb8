//! All that came out of one call of the bench.

use super::{
    bars::Judged,
    guest::Guest,
    machine::{Machine, Pair},
    results::{Compared, Latency, Sample},
    statistics::Spread,
};
use crate::failure::counted;
use serde::Serialize;
use std::time::Duration;

pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) cores: Pair,
    pub(super) rounds: u64,
    pub(super) time: Duration,
    pub(super) guests: &'static [Guest],
    pub(super) results: Vec<Compared>,
    pub(super) bars: Vec<Judged>,
    /// What could not be measured here, in sentences.
    pub(super) skipped: Vec<String>,
}

/// The document of `lamq bench --json`. Fields may be added to version 1, and none is taken away or changed.
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    machine: &'a Machine,
    /// On which the receiver and the sender ran; in `one core` both on the first.
    cores: Vec<usize>,
    rounds: u64,
    time_ms: u64,
    guests: Vec<GuestDocument>,
    comparisons: Vec<ComparisonDocument<'a>>,
    bars: &'a [Judged],
    skipped: &'a [String],
}

/// Who takes part from outside, and how it is set up.
#[derive(Serialize)]
struct GuestDocument {
    contestant: &'static str,
    settings: String,
}

#[derive(Serialize)]
struct ComparisonDocument<'a> {
    name: &'a str,
    unit: &'a str,
    contestants: Vec<ContestantDocument<'a>>,
}

#[derive(Serialize)]
struct ContestantDocument<'a> {
    contestant: &'a str,
    /// In each part; `null` where not messages were counted but time.
    messages: Option<u64>,
    rounds: &'a [Sample],
    figure: Spread,
    /// To the raw queue, round by round; `null` if its figure is 0.
    ratio: Option<Spread>,
    latency_us: Option<Latency>,
}

impl Report {
    pub(super) fn json(&self) -> String {
        let document = Document {
            version: 1,
            machine: &self.machine,
            cores: [Some(self.cores.first), self.cores.second].into_iter().flatten().collect(),
            rounds: self.rounds,
            time_ms: u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX),
            guests: self.guests().collect(),
            comparisons: self.results.iter().map(ComparisonDocument::of).collect(),
            bars: &self.bars,
            skipped: &self.skipped,
        };
        serde_json::to_string_pretty(&document).expect("it has no maps, and no keys but names")
    }

    /// Of all guests, those that took part.
    fn guests(&self) -> impl Iterator<Item = GuestDocument> {
        let took_part = |guest: &&Guest| self.results.iter().any(|compared| compared.index(guest.name).is_some());
        let document = |guest: &Guest| GuestDocument { contestant: guest.name, settings: (guest.settings)() };
        self.guests.iter().filter(took_part).map(document)
    }

    /// Where and how it was measured, in lines.
    pub(super) fn facts(&self) -> Vec<String> {
        let Machine { kernel, cpu, cores, governor, version, build } = &self.machine;
        let governor = governor.as_deref().unwrap_or("unknown");
        let time = humantime::format_duration(self.time);
        let places = match self.cores.second {
            Some(second) => format!("receiver on core {}, senders on core {second}", self.cores.first),
            None => format!("all on core {}, the only one", self.cores.first),
        };
        let mut facts = vec![
            format!("lamq {version} ({build}), Linux {kernel}, {cpu}, {cores} cores, governor {governor}"),
            format!(
                "{places}; {}, in each every contestant once, in turn, for about {time}",
                counted(self.rounds, "round")
            ),
        ];
        facts.extend(self.guests().map(|GuestDocument { contestant, settings }| format!("{contestant}: {settings}")));
        if *build == "debug" {
            facts.push("This build is not optimised: its figures mean nothing.".into());
        }
        facts
    }
}

impl<'a> ComparisonDocument<'a> {
    fn of(compared: &'a Compared) -> Self {
        let contestants = compared.comparison.entries.iter().enumerate().map(|(index, entry)| ContestantDocument {
            contestant: &entry.label,
            messages: entry.work.count(),
            rounds: &compared.samples[index],
            figure: compared.figure(index),
            ratio: compared.ratio(index, 0),
            latency_us: compared.latency(index),
        });
        let comparison = &compared.comparison;
        Self { name: comparison.name, unit: comparison.measure.unit(), contestants: contestants.collect() }
    }
}

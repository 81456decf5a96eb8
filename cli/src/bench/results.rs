//! What came of each part, and what that says of the contestants.

use super::{
    plan::{Comparison, Measure},
    statistics::Spread,
    talk::{Measured, Work},
};
use hdrhistogram::Histogram;
use serde::Serialize;

/// One part.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Sample {
    pub(super) figure: f64,
    /// The slowest sender by the fastest.
    pub(super) fairness: f64,
    /// Seconds of the processors for a million messages, both sides.
    pub(super) cpu_seconds_per_million: f64,
    /// Of the receiver, and of that sender which took most.
    pub(super) peak_mib: [f64; 2],
    #[serde(skip)]
    pub(super) latencies: Vec<(u64, u64)>,
}

impl Sample {
    /// What the receiver and the senders measured.
    #[allow(clippy::cast_precision_loss)] // rates
    pub(super) fn of(measure: Measure, work: Work, members: &[Measured], wakes: u64) -> Self {
        let (receiver, senders) = members.split_first().expect("there is a receiver");
        let mib = |peak: Option<u64>| peak.unwrap_or(0) as f64 / 1024.0;
        let peak_mib = [mib(Some(receiver.peak_kib)), mib(senders.iter().map(|sender| sender.peak_kib).max())];
        let sent = senders.iter().map(|sender| sender.messages).sum::<u64>().max(1) as f64;
        let cpu_seconds_per_million = members.iter().map(|member| member.cpu_seconds).sum::<f64>() / sent * 1e6;
        let rates = senders.iter().map(|sender| sender.messages as f64 / sender.seconds.max(1e-9));
        let (least, most) = rates.fold((f64::MAX, 0.0_f64), |(least, most), rate| (least.min(rate), most.max(rate)));
        let latencies = members.iter().flat_map(|member| &member.latencies).copied().collect();
        // From the first to the last, so that the first took no time.
        let rate = receiver.messages.saturating_sub(1) as f64 / receiver.seconds.max(1e-9);
        let longest = senders.iter().map(|sender| sender.seconds).fold(1e-9, f64::max);
        let figure = match measure {
            Measure::Rate => rate / 1e6,
            Measure::Bytes => rate * work.length() as f64 / 1e9,
            Measure::Time => histogram([&latencies]).value_at_quantile(0.5) as f64 / 1e3,
            Measure::Total => sent / longest / 1e6,
            Measure::Cpu => cpu_seconds_per_million,
            Measure::Peak => peak_mib[0].max(peak_mib[1]),
            Measure::Wakes => wakes as f64,
        };
        Self {
            figure,
            fairness: if most > 0.0 { least / most } else { 1.0 },
            cpu_seconds_per_million,
            peak_mib,
            latencies,
        }
    }
}

fn histogram<'a>(pairs: impl IntoIterator<Item = &'a Vec<(u64, u64)>>) -> Histogram<u64> {
    let mut all = Histogram::new(3).expect("three digits are possible");
    for (value, count) in pairs.into_iter().flatten() {
        // It grows by itself, so that nothing is out of its range.
        _ = all.record_n(*value, *count);
    }
    all
}

/// Contestants that took turns, and what they made of it.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) comparison: Comparison,
    /// Of each entry, one a round.
    pub(super) samples: Vec<Vec<Sample>>,
}

/// Latencies of all rounds together, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p99: f64,
    #[serde(rename = "p99.9")]
    pub(super) p999: f64,
    pub(super) max: f64,
}

impl Compared {
    pub(super) fn index(&self, label: &str) -> Option<usize> {
        self.comparison.entries.iter().position(|entry| entry.label == label)
    }

    /// Something of an entry over all rounds.
    pub(super) fn spread(&self, entry: usize, of: impl Fn(&Sample) -> f64) -> Spread {
        Spread::of(self.samples[entry].iter().map(of)).expect("there is a round at least")
    }

    pub(super) fn figure(&self, entry: usize) -> Spread {
        self.spread(entry, |sample| sample.figure)
    }

    /// An entry by another one, round by round; `None` if that one's figure is 0.
    pub(super) fn ratio(&self, entry: usize, other: usize) -> Option<Spread> {
        let rounds = self.samples[entry].iter().zip(&self.samples[other]);
        let ratios = rounds.map(|(sample, other)| (other.figure > 0.0).then(|| sample.figure / other.figure));
        Spread::of(ratios.collect::<Option<Vec<_>>>()?)
    }

    fn latencies(&self, entry: usize) -> Option<Histogram<u64>> {
        let all = histogram(self.samples[entry].iter().map(|sample| &sample.latencies));
        (!all.is_empty()).then_some(all)
    }

    pub(super) fn latency(&self, entry: usize) -> Option<Latency> {
        let all = self.latencies(entry)?;
        let at = |quantile| micros(all.value_at_quantile(quantile));
        Some(Latency { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: micros(all.max()) })
    }

    /// Points of the distribution: one message in so many takes longer than so many microseconds.
    pub(super) fn tail(&self, entry: usize) -> Vec<(f64, f64)> {
        let Some(all) = self.latencies(entry) else { return Vec::new() };
        let steps = (0..=TAIL_STEPS).map(|step| 10_f64.powf(f64::from(step) / TAIL_STEPS_PER_DECADE));
        #[allow(clippy::cast_precision_loss)] // a number of messages
        let known = |one_in: &f64| *one_in <= all.len() as f64;
        steps.take_while(known).map(|one_in| (one_in, micros(all.value_at_quantile(1.0 - 1.0 / one_in)))).collect()
    }
}

/// Up to one in a million.
const TAIL_STEPS: u32 = 60;
const TAIL_STEPS_PER_DECADE: f64 = 10.0;

#[allow(clippy::cast_precision_loss)] // three digits are known
fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

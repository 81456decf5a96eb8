//! What lamq is to reach, and whether it does.

use super::{
    guest::{Guest, Part},
    results::Compared,
    statistics::Spread,
};
use serde::Serialize;
use std::fmt;

/// What is measured against a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantity {
    /// The figure of the comparison.
    Figure,
    /// The slowest sender by the fastest.
    Fairness,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

struct Bar {
    comparison: &'static str,
    entry: &'static str,
    quantity: Quantity,
    /// Whose figure it is measured by; else the bound is a figure itself.
    by: Option<&'static str>,
    bound: Bound,
    /// Where we want to come, beyond the bound.
    aim: Option<f64>,
}

impl Bar {
    const fn aim(self, aim: f64) -> Self {
        Self { aim: Some(aim), ..self }
    }
}

const fn bar(comparison: &'static str, entry: &'static str, bound: Bound, by: &'static str) -> Bar {
    Bar { comparison, entry, quantity: Quantity::Figure, by: Some(by), bound, aim: None }
}

const fn plain(comparison: &'static str, entry: &'static str, quantity: Quantity, bound: Bound) -> Bar {
    Bar { comparison, entry, quantity, by: None, bound, aim: None }
}

const BARS: &[Bar] = &[
    bar("one way, 64 B", "lamq", Bound::AtLeast(20.0), "raw queue").aim(30.0),
    bar("one way, 64 B", "lamq", Bound::AtLeast(0.5), "packed by hand"),
    bar("one way, 1 KiB", "lamq", Bound::AtLeast(2.0), "raw queue"),
    bar("one way, 8 KiB", "lamq", Bound::AtLeast(0.85), "raw queue"),
    bar("one way, 1 MiB", "lamq", Bound::AtLeast(0.85), "raw queue"),
    bar("typed", "lamq, typed", Bound::AtLeast(13.0), "raw queue"),
    bar("round trip, spinning", "lamq", Bound::AtMost(1.25), "raw queue, spinning"),
    bar("round trip, sleeping", "lamq", Bound::AtMost(1.25), "raw queue"),
    bar("round trip, one core", "lamq", Bound::AtMost(1.8), "raw queue").aim(1.4),
    bar("rendezvous, spinning", "lamq, send_sync", Bound::AtMost(1.25), "lamq, answered"),
    bar("rendezvous, sleeping", "lamq, send_sync", Bound::AtMost(1.25), "lamq, answered"),
    bar("fan-in", "lamq × 16", Bound::AtLeast(0.7), "lamq × 1"),
    plain("fan-in", "lamq × 16", Quantity::Fairness, Bound::AtLeast(0.5)),
    bar("paced", "lamq", Bound::AtMost(1.5), "raw queue"),
    plain("memory", "lamq", Quantity::Figure, Bound::AtMost(16.0)),
    plain("idle", "lamq", Quantity::Figure, Bound::AtMost(0.0)),
];

/// The middle half of the reference may be so wide, measured by its median; else it says nothing.
const NOISE: f64 = 0.25;

/// Fewer rounds decide nothing.
const ROUNDS: usize = 9;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Met,
    NotMet,
    TooNoisy,
    TooFewRounds,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Met => "met",
            Self::NotMet => "not met",
            Self::TooNoisy => "too noisy",
            Self::TooFewRounds => "too few rounds",
        })
    }
}

/// A bar, and what came of it.
#[derive(Debug, Serialize)]
pub(super) struct Judged {
    pub(super) comparison: &'static str,
    pub(super) contestant: &'static str,
    /// In words.
    pub(super) bar: String,
    pub(super) bound: f64,
    /// Where we want to come beyond it, if that was said.
    pub(super) aim: Option<f64>,
    pub(super) figure: Spread,
    /// The width of the middle half of what it is measured by, by its median.
    pub(super) noise: f64,
    pub(super) verdict: Verdict,
}

/// All bars that something was measured for.
pub(super) fn judge(results: &[Compared], guests: &[Guest]) -> Vec<Judged> {
    let of = |bar: &Bar| results.iter().find(|compared| compared.comparison.name == bar.comparison);
    let guests: Vec<_> =
        guests.iter().filter(|guest| guest.takes_part_in(Part::OneWay)).filter_map(guests_bar).collect();
    BARS.iter().chain(&guests).filter_map(|bar| judge_one(bar, of(bar)?)).collect()
}

fn guests_bar(guest: &Guest) -> Option<Bar> {
    Some(bar("one way, 64 B", "lamq", Bound::AtLeast(guest.bar?), guest.name))
}

fn judge_one(bar: &Bar, compared: &Compared) -> Option<Judged> {
    let entry = compared.index(bar.entry)?;
    let by = bar.by.map(|by| compared.index(by).expect("who is compared takes part"));
    let figure = match (bar.quantity, by) {
        (Quantity::Fairness, _) => compared.spread(entry, |sample| sample.fairness),
        (Quantity::Figure, None) => compared.figure(entry),
        (Quantity::Figure, Some(by)) => compared.ratio(entry, by)?,
    };
    // The raw queue is always the first.
    let noise = compared.figure(0).relative().max(by.map_or(0.0, |by| compared.figure(by).relative()));
    let is_met = match bar.bound {
        Bound::AtLeast(bound) => figure.median >= bound,
        Bound::AtMost(bound) => figure.median <= bound,
    };
    let is_of_time = compared.comparison.measure.is_of_time();
    let verdict = if is_of_time && compared.samples[entry].len() < ROUNDS {
        Verdict::TooFewRounds
    } else if is_of_time && noise > NOISE {
        Verdict::TooNoisy
    } else if is_met {
        Verdict::Met
    } else {
        Verdict::NotMet
    };
    let bound = match bar.bound {
        Bound::AtLeast(bound) | Bound::AtMost(bound) => bound,
    };
    let (comparison, contestant) = (bar.comparison, bar.entry);
    Some(Judged { comparison, contestant, bar: words(bar, compared), bound, aim: bar.aim, figure, noise, verdict })
}

fn words(bar: &Bar, compared: &Compared) -> String {
    let (word, bound) = match bar.bound {
        Bound::AtLeast(bound) => ("at least", bound),
        Bound::AtMost(bound) => ("at most", bound),
    };
    let what = match (bar.quantity, bar.by) {
        (Quantity::Fairness, _) => "slowest sender by fastest".to_owned(),
        (Quantity::Figure, Some(by)) => format!("× {by}"),
        (Quantity::Figure, None) => compared.comparison.measure.unit().to_owned(),
    };
    let aim = bar.aim.map(|aim| format!(" (aim: {aim})")).unwrap_or_default();
    format!("{word} {bound}{aim} {what}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{
        media::{lamq::Bytes, posix::Posix},
        plan::{Comparison, Scenario},
        results::Sample,
        talk::Measured,
    };
    use clap::ValueEnum;
    use std::time::Duration;

    static GUESTS: [Guest; 2] = [
        Guest::new::<Bytes>("elsewhere", String::new, &[Part::Spinning]).bar(1.0),
        Guest::new::<Posix<true>>("other", String::new, &[Part::OneWay]).bar(5.0),
    ];

    fn compared(name: &str, figure: impl Fn(&str, usize) -> f64, rounds: usize) -> Compared {
        let all = Scenario::value_variants().iter();
        let mut all = all.flat_map(|scenario| scenario.comparisons(Duration::from_millis(150), &[]));
        measured(all.find(|comparison| comparison.name == name).unwrap(), figure, rounds)
    }

    fn measured(comparison: Comparison, figure: impl Fn(&str, usize) -> f64, rounds: usize) -> Compared {
        let sample = |label: &str, round| {
            let members = [Measured::default(), Measured::default()];
            let work = comparison.entries[0].work;
            Sample { figure: figure(label, round), ..Sample::of(comparison.measure, work, &members, 0) }
        };
        let rounds = |label: &str| (0..rounds).map(|round| sample(label, round)).collect();
        let samples = comparison.entries.iter().map(|entry| rounds(&entry.label)).collect();
        Compared { comparison, samples }
    }

    fn verdicts(compared: Compared) -> Vec<Verdict> {
        judge(&[compared], &[]).iter().map(|judged| judged.verdict).collect()
    }

    #[test]
    fn every_bar_is_of_someone_who_takes_part() {
        for bar in BARS {
            let compared = compared(bar.comparison, |_, _| 1.0, ROUNDS);
            assert!(judge_one(bar, &compared).is_some(), "{}: {}", bar.comparison, bar.entry);
        }
    }

    #[test]
    fn a_guest_brings_its_bar_where_it_takes_part() {
        let one_way = Scenario::OneWay.comparisons(Duration::from_millis(150), &GUESTS).swap_remove(0);
        let figures = |label: &str, _| if label == "lamq" { 5.0 } else { 1.0 };
        let judged = judge(&[measured(one_way, figures, ROUNDS)], &GUESTS);
        let last = judged.last().unwrap();
        assert_eq!((last.bar.as_str(), last.verdict), ("at least 5 × other", Verdict::Met));
        assert!(judged.iter().all(|judged| !judged.bar.contains("elsewhere")));
    }

    #[test]
    fn a_bar_is_met_or_not_and_noise_or_few_rounds_decide_nothing() {
        let figure = |lamq| move |label: &str, _| if label == "lamq" { lamq } else { 1.0 };
        assert_eq!(verdicts(compared("one way, 1 KiB", figure(2.0), ROUNDS)), [Verdict::Met]);
        assert_eq!(verdicts(compared("one way, 1 KiB", figure(1.9), ROUNDS)), [Verdict::NotMet]);
        assert_eq!(verdicts(compared("one way, 1 KiB", figure(2.0), ROUNDS - 1)), [Verdict::TooFewRounds]);
        #[allow(clippy::cast_precision_loss)]
        let noisy = |label: &str, round: usize| if label == "lamq" { 9.0 } else { 1.0 + (round % 3) as f64 };
        assert_eq!(verdicts(compared("one way, 1 KiB", noisy, ROUNDS)), [Verdict::TooNoisy]);
        assert_eq!(verdicts(compared("round trip, sleeping", figure(1.25), ROUNDS)), [Verdict::Met]);
        assert_eq!(verdicts(compared("round trip, sleeping", figure(1.26), ROUNDS)), [Verdict::NotMet]);
        assert_eq!(verdicts(compared("idle", figure(1.0), 1)), [Verdict::NotMet]);
    }
}

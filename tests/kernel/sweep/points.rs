//! The points of a process's life, and which of them are swept.

use super::Walk;
use crate::{
    trace::{Stop, Tracer, name_of},
    world::Dice,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, thread,
    time::Instant,
};

/// A system call of a process: which, and the how manieth of its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    pub(crate) call: i64,
    pub(crate) nth: u32,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", name_of(self.call), self.nth)
    }
}

/// Counts the calls.
#[derive(Debug, Default)]
pub(crate) struct Count(BTreeMap<i64, u32>);

impl Count {
    pub(crate) fn next(&mut self, call: i64) -> Point {
        let nth = self.0.entry(call).or_default();
        *nth += 1;
        Point { call, nth: *nth }
    }
}

/// Lets the process go on to its end, or until it is killed at `target`. Meanwhile, at each point, others may do something.
pub(super) fn walk(tracer: &mut Tracer, target: Option<&Point>, mut meanwhile: impl FnMut(&Point)) -> Walk {
    let (mut count, mut points) = (Count::default(), Vec::new());
    while let Some(stop) = tracer.next() {
        if let Stop::Entry { call, .. } = stop {
            let point = count.next(call);
            meanwhile(&point);
            points.push(point);
            if points.last() == target {
                tracer.kill(0);
                return Walk { points, killed: true };
            }
        }
    }
    Walk { points, killed: false }
}

/// Whether everything is to be done that could be.
pub(crate) fn is_complete() -> bool {
    std::env::var("LAMQ_SWEEP").is_ok_and(|what| what == "all")
}

/// How many runs of a sweep are enough for a sample.
const SAMPLE: usize = 8;

/// How often a point is tried that is not met: threads take turns as they like.
const TRIES: u32 = 3;

/// Runs with a kill at each point, or at some.
pub(crate) struct Sweep<'a> {
    what: &'a str,
}

impl<'a> Sweep<'a> {
    pub(super) fn of(what: &'a str) -> Self {
        Self { what }
    }

    pub(super) fn run(self, mut run: impl FnMut(Option<&Point>) -> Walk) {
        let start = Instant::now();
        let known: BTreeSet<Point> = (0..2).flat_map(|_| run(None).points).collect();
        let (mut met, mut unmet) = (Coverage::default(), Coverage::default());
        for point in choose(&known, SAMPLE) {
            let _crumb = Crumb(format!("{}: killed at {point}", self.what));
            let is_met = (0..TRIES).any(|_| run(Some(point)).killed);
            (if is_met { &mut met } else { &mut unmet }).add(point);
        }
        let (all, done) = (known.len(), start.elapsed());
        println!("{}: killed at {} of {all} points, {} not met, {done:.1?}", self.what, met.points(), unmet.points());
        print!("{met}");
        if unmet.points() > 0 {
            print!("  not met:\n{unmet}");
        }
        // Of a few, chance may miss some.
        let least = if is_complete() { 3 } else { 1 };
        assert!(met.points() > least * unmet.points(), "too many points were not met");
    }
}

/// What was done when a test fails.
pub(crate) struct Crumb(pub(crate) String);

impl Drop for Crumb {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("{}", self.0);
        }
    }
}

/// All of them, or each n-th.
pub(crate) fn choose<T: Ord>(known: &BTreeSet<T>, sample: usize) -> impl Iterator<Item = &T> {
    let step = if is_complete() { 1 } else { known.len().div_ceil(sample).max(1) };
    known.iter().skip(Dice::new().below(step)).step_by(step)
}

/// How often what was reached, by call.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    calls: BTreeMap<String, BTreeSet<u32>>,
}

impl Coverage {
    pub(crate) fn points(&self) -> usize {
        self.calls.values().map(BTreeSet::len).sum()
    }

    pub(crate) fn add(&mut self, point: &Point) {
        self.calls.entry(name_of(point.call)).or_default().insert(point.nth);
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.calls.iter().try_for_each(|(call, occurrences)| writeln!(f, "  {call} {}", ranges(occurrences)))
    }
}

/// `1-3 7`
fn ranges(numbers: &BTreeSet<u32>) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let texts =
        ranges.iter().map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") });
    texts.collect::<Vec<_>>().join(" ")
}

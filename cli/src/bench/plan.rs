//! What is compared with what.

use super::{
    guest::{Guest, Part},
    talk::{Medium, Work},
};
use clap::ValueEnum;
use std::{num::NonZeroU64, time::Duration};

/// What can be asked for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Messages of 64 bytes, 1 KiB, 8 KiB and 1 MiB, one after the other.
    OneWay,
    /// Values of a small type.
    Typed,
    /// Message and answer: looking all the time, sleeping on two cores, sleeping on one.
    RoundTrip,
    /// Messages that are handed over one by one.
    Rendezvous,
    /// 1, 4 and 16 senders on one core, and the receiver on another.
    FanIn,
    /// A thousand messages a second.
    Paced,
    /// The most memory that a process takes.
    Memory,
    /// What a connected pair does that has nothing to do.
    Idle,
}

/// What a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    /// Messages a second.
    Rate,
    /// Bytes a second.
    Bytes,
    /// How long it takes from one to the next: the median.
    Time,
    /// Messages a second, of all senders together.
    Total,
    /// Of the processors, on both sides.
    Cpu,
    /// Of memory, on the side that takes more.
    Peak,
    /// How often a thread of either side was woken.
    Wakes,
}

impl Measure {
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Rate | Self::Total => "million messages/s",
            Self::Bytes => "GB/s",
            Self::Time => "µs",
            Self::Cpu => "CPU s/million",
            Self::Peak => "MiB",
            Self::Wakes => "wake-ups",
        }
    }

    /// Whether it depends on how busy the machine is.
    pub(super) fn is_of_time(self) -> bool {
        !matches!(self, Self::Peak | Self::Wakes)
    }
}

/// Where sender and receiver run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cores {
    Apart,
    Together,
}

/// One of those that are compared.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) label: String,
    pub(super) medium: Medium,
    pub(super) work: Work,
    /// For lamq.
    pub(super) spin: Option<Duration>,
}

/// Contestants that take turns.
#[derive(Clone, Debug)]
pub(super) struct Comparison {
    pub(super) name: &'static str,
    pub(super) measure: Measure,
    pub(super) cores: Cores,
    /// The first is what all are compared with.
    pub(super) entries: Vec<Entry>,
}

/// How long a part takes, in units of `--time`, where that is not one.
const FAN_IN: u32 = 30;
const PACED: u32 = 7;
const IDLE: u32 = 20;

/// A thousand a second.
const PERIOD: Duration = Duration::from_millis(1);

/// Longer than any answer takes, so that nobody sleeps.
const ALWAYS: Duration = Duration::from_millis(10);

/// How long a pair is watched that has nothing to do.
pub(super) fn idle(time: Duration) -> Duration {
    time * IDLE
}

/// How long a part may take at most, if all is well.
pub(super) fn longest(time: Duration) -> Duration {
    time * IDLE
}

impl Scenario {
    pub(super) fn comparisons(self, time: Duration, guests: &[Guest]) -> Vec<Comparison> {
        use Medium::{Lamq, LamqTyped, Packed, Pipe, Queue, QueueSpinning, SeqPacket, SystemV};
        let apart = |name, measure, entries| Comparison { name, measure, cores: Cores::Apart, entries };
        match self {
            Self::OneWay => {
                let all = [Queue, Lamq, Packed, QueueSpinning, Pipe, SeqPacket, SystemV];
                let of = |name, length, measure| {
                    let packs = |medium: &&Medium| **medium != Packed || length < 4096;
                    let work = Work::OneWay { length, count: 0 };
                    let mut entries: Vec<_> = all.iter().filter(packs).map(|medium| plain(*medium, work)).collect();
                    entries.extend(guests_in(guests, Part::OneWay, work, None));
                    apart(name, measure, entries)
                };
                vec![
                    of("one way, 64 B", 64, Measure::Rate),
                    of("one way, 1 KiB", 1 << 10, Measure::Rate),
                    of("one way, 8 KiB", 8 << 10, Measure::Bytes),
                    of("one way, 1 MiB", 1 << 20, Measure::Bytes),
                ]
            }
            Self::Typed => {
                let work = Work::OneWay { length: 32, count: 0 };
                vec![apart("typed", Measure::Rate, [Queue, LamqTyped, Packed].map(|medium| plain(medium, work)).into())]
            }
            Self::RoundTrip => round_trips(guests),
            Self::Rendezvous => {
                let trip = Work::RoundTrip { count: 0 };
                let of = |name, spin| {
                    let raw = plain(Queue, trip);
                    let answered = Entry { label: "lamq, answered".into(), spin, ..plain(Lamq, trip) };
                    let sync = Work::Rendezvous { count: 0 };
                    let sync = Entry { label: "lamq, send_sync".into(), spin, ..plain(Lamq, sync) };
                    apart(name, Measure::Time, vec![raw, answered, sync])
                };
                vec![of("rendezvous, spinning", Some(ALWAYS)), of("rendezvous, sleeping", Some(Duration::ZERO))]
            }
            Self::FanIn => {
                let of = |medium: Medium, senders| Entry {
                    label: format!("{} × {senders}", medium.name()),
                    ..plain(medium, Work::FanIn { senders, time: time * FAN_IN })
                };
                let entries = vec![of(Queue, 1), of(Lamq, 1), of(Lamq, 4), of(Lamq, 16), of(Queue, 16)];
                vec![apart("fan-in", Measure::Total, entries)]
            }
            Self::Paced => {
                let count = u64::try_from((time * PACED).as_millis()).unwrap_or(u64::MAX).max(1);
                let work = Work::Paced { period: PERIOD, count };
                vec![apart("paced", Measure::Cpu, [Queue, Lamq].map(|medium| plain(medium, work)).into())]
            }
            Self::Memory => {
                let work = Work::OneWay { length: 8 << 10, count: 0 };
                vec![apart("memory", Measure::Peak, [Queue, Lamq].map(|medium| plain(medium, work)).into())]
            }
            Self::Idle => {
                vec![apart("idle", Measure::Wakes, [Queue, Lamq].map(|medium| plain(medium, Work::Idle)).into())]
            }
        }
    }

    /// How many rounds there are, of those that were asked for: what time does not change is the same in each.
    pub(super) fn rounds(self, asked: NonZeroU64) -> u64 {
        if self == Self::Idle { 1 } else { asked.get() }
    }
}

fn plain(medium: Medium, work: Work) -> Entry {
    Entry { label: medium.name().into(), medium, work, spin: None }
}

fn guests_in(guests: &[Guest], part: Part, work: Work, spin: Option<Duration>) -> impl Iterator<Item = Entry> {
    let entry = move |(index, guest): (_, &Guest)| Entry {
        label: guest.name.into(),
        spin,
        ..plain(Medium::Guest(index), work)
    };
    guests.iter().enumerate().filter(move |(_, guest)| guest.takes_part_in(part)).map(entry)
}

fn round_trips(guests: &[Guest]) -> Vec<Comparison> {
    use Medium::{Lamq, Pipe, Queue, QueueSpinning, SeqPacket, SystemV};
    let of = |name, part, mediums: &[Medium], spin| {
        let cores = if part == Part::OneCore { Cores::Together } else { Cores::Apart };
        let work = Work::RoundTrip { count: 0 };
        let own = mediums.iter().map(|medium| Entry { spin, ..plain(*medium, work) });
        let entries = own.chain(guests_in(guests, part, work, spin)).collect();
        Comparison { name, measure: Measure::Time, cores, entries }
    };
    let sleeping = [Queue, Lamq, Pipe, SeqPacket, SystemV];
    let mut spinning = of("round trip, spinning", Part::Spinning, &[Queue, Lamq, QueueSpinning], Some(ALWAYS));
    let default = Entry { label: "lamq, default spin".into(), ..plain(Lamq, Work::RoundTrip { count: 0 }) };
    spinning.entries.push(default);
    vec![
        spinning,
        of("round trip, sleeping", Part::Sleeping, &sleeping, Some(Duration::ZERO)),
        of("round trip, one core", Part::OneCore, &sleeping, None),
    ]
}

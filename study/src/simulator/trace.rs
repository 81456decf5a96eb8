//! What happened, step by step: to be read by people, and to tell two runs apart.

use super::{
    events::{MILLISECOND, Place, Time},
    lane::Lane,
};
use lamq_protocol::{
    Number,
    session::{Departure, Ended},
    wire::{Acknowledgement, Ask, EndReason, Frame, decode},
};
use std::{
    collections::VecDeque,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    pub(super) time: Time,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    Sends { from: Place, to: Place, frame: Summary, passage: Passage },
    Takes { place: Place, frame: Summary },
    Accepts { lane: Lane, number: u64, length: usize, awaited: bool },
    Drops { lane: Lane, number: u64 },
    Reserves { place: Place, length: usize },
    Waits { place: Place, length: usize },
    Flushes { place: Place, number: u64 },
    Closes { lane: Lane },
    Ends { lane: Lane, why: Ended },
    Joins { lane: Lane },
    Message { lane: Lane, number: u64, length: usize },
    Gap { lane: Lane, first: u64, last: u64 },
    Departs { lane: Lane, how: Departure, last: u64 },
    Asks { place: Place },
    Buries { place: Place, dead: Place },
    Stops { place: Place, until: Time },
    Leaves { place: Place },
    Dies { place: Place },
    Calm,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Passage {
    Passed,
    Lost,
    Doubled,
    NoRoom,
}

/// What a frame says, in short.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Summary {
    Greeting,
    Welcome { frames: u64, bytes: u64 },
    Refusal,
    Data { frame: u64, first: u64, last: u64, bytes: u32, carried: Option<Box<Self>> },
    Acknowledgement { frames: u64, early: u64, levels: [u64; 3], credit: [u64; 2] },
    Close { last: u64, reason: EndReason },
    Ask { question: u64, bytes: u64, given_back: u64 },
    Malformed,
}

impl Summary {
    pub(super) fn of(frame: &[u8]) -> Self {
        match decode(frame).map(|(_, frame)| frame) {
            Ok(Frame::Greeting(_)) => Self::Greeting,
            Ok(Frame::Welcome(welcome)) => {
                Self::Welcome { frames: welcome.terms.frame_credit, bytes: welcome.terms.byte_credit }
            }
            Ok(Frame::Refusal(_)) => Self::Refusal,
            Ok(Frame::Data(data)) => Self::Data {
                frame: data.frame().get(),
                first: data.first().get(),
                last: data.last().get(),
                bytes: data.body_bytes(),
                carried: data.carried().map(|(_, carried)| Box::new(Self::acknowledgement(&carried))),
            },
            Ok(Frame::Acknowledgement(acknowledgement)) => Self::acknowledgement(&acknowledgement),
            Ok(Frame::Close(close)) => Self::Close { last: close.last.get(), reason: close.reason },
            Ok(Frame::Ask(ask)) => {
                let Ask { question, bytes, given_back } = ask;
                Self::Ask { question, bytes, given_back }
            }
            Err(_) => Self::Malformed,
        }
    }

    fn acknowledgement(acknowledgement: &Acknowledgement) -> Self {
        Self::Acknowledgement {
            frames: acknowledgement.frames.get(),
            early: acknowledgement.early,
            levels: [acknowledgement.received, acknowledgement.delivered, acknowledgement.processed].map(Number::get),
            credit: [acknowledgement.frame_credit, acknowledgement.byte_credit],
        }
    }
}

/// Who is to see each step.
pub(super) type Sink<'a> = &'a mut dyn FnMut(&Step);

/// How many steps a failure shows.
const LAST_STEPS: usize = 40;

/// Keeps the last steps, and a digest of all.
pub(super) struct Trace<'a> {
    hasher: DefaultHasher,
    last: VecDeque<Step>,
    steps: u64,
    sink: Sink<'a>,
}

impl<'a> Trace<'a> {
    pub(super) fn new(sink: Sink<'a>) -> Self {
        Self { hasher: DefaultHasher::new(), last: VecDeque::with_capacity(LAST_STEPS), steps: 0, sink }
    }

    pub(super) fn step(&mut self, time: Time, what: What) {
        let step = Step { time, what };
        step.hash(&mut self.hasher);
        (self.sink)(&step);
        self.steps += 1;
        if self.last.len() == LAST_STEPS {
            self.last.pop_front();
        }
        self.last.push_back(step);
    }

    pub(super) fn digest(&self) -> u64 {
        self.hasher.finish()
    }

    pub(super) const fn steps(&self) -> u64 {
        self.steps
    }

    pub(super) fn last(&self) -> Vec<Step> {
        self.last.iter().cloned().collect()
    }
}

/// One line.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.time / MILLISECOND, self.time % MILLISECOND);
        write!(f, "{whole:>7}.{part:06} ms  {}", self.what)
    }
}

/// The name of a process.
pub(super) fn name(place: Place) -> String {
    if place == super::scenario::RECEIVER { "receiver".to_owned() } else { format!("sender {place}") }
}

/// Who reads a stream.
fn reader(lane: Lane) -> String {
    if lane.is_back { name(lane.reader()) } else { "the application".to_owned() }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sends { from, to, frame, passage } => {
                let fate = match passage {
                    Passage::Passed => "",
                    Passage::Lost => ", which is lost",
                    Passage::Doubled => ", which arrives twice",
                    Passage::NoRoom => ", for which there is no room",
                };
                write!(f, "{} -> {}: {frame}{fate}", name(*from), name(*to))
            }
            Self::Takes { place, frame } => write!(f, "{} takes: {frame}", name(*place)),
            Self::Accepts { lane, number, length, awaited } => {
                let awaited = if *awaited { ", and waits for its delivery" } else { "" };
                write!(f, "{lane} sends message {number} of {length} bytes{awaited}")
            }
            Self::Drops { lane, number } => write!(f, "{lane} drops message {number}"),
            Self::Reserves { place, length } => write!(f, "{} sets {length} bytes aside", name(*place)),
            Self::Waits { place, length } => write!(f, "{} waits for room for {length} bytes", name(*place)),
            Self::Flushes { place, number } => write!(f, "{} flushes up to message {number}", name(*place)),
            Self::Closes { lane } => write!(f, "{lane} closes"),
            Self::Ends { lane, why } => write!(f, "{lane} is told: {why}"),
            Self::Joins { lane } => write!(f, "{} is told: {lane} joined", reader(*lane)),
            Self::Message { lane, number, length } => {
                write!(f, "{} gets message {number} of {lane}, {length} bytes", reader(*lane))
            }
            Self::Gap { lane, first, last } => {
                write!(f, "{} is told: {lane} dropped {first} to {last}", reader(*lane))
            }
            Self::Departs { lane, how, last } => {
                write!(f, "{} is told: {lane} {how}, last number {last}", reader(*lane))
            }
            Self::Asks { place } => write!(f, "{} has waited long enough for an answer", name(*place)),
            Self::Buries { place, dead } => write!(f, "{} hears that {} is dead", name(*place), name(*dead)),
            Self::Stops { place, until } => write!(f, "{} stops until {} ms", name(*place), until / MILLISECOND),
            Self::Leaves { place } => write!(f, "{} leaves", name(*place)),
            Self::Dies { place } => write!(f, "the process of {} ends", name(*place)),
            Self::Calm => write!(f, "from now on nothing goes wrong any more"),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Greeting => write!(f, "greeting"),
            Self::Welcome { frames, bytes } => write!(f, "welcome, credit {frames} frames and {bytes} bytes"),
            Self::Refusal => write!(f, "refusal"),
            Self::Data { frame, first, last, bytes, carried } => {
                write!(f, "data {frame} with messages {first} to {last}, {bytes} bytes")?;
                carried.as_ref().map_or(Ok(()), |carried| write!(f, "; {carried}"))
            }
            Self::Acknowledgement { frames, early, levels: [received, delivered, processed], credit } => {
                write!(f, "acknowledgement of {frames} frames")?;
                if *early > 0 {
                    write!(f, " and early ones {early:b}")?;
                }
                let [frame_credit, byte_credit] = credit;
                write!(f, ", messages {received}/{delivered}/{processed}, credit {frame_credit} frames and ")?;
                write!(f, "{byte_credit} bytes")
            }
            Self::Close { last, reason } => write!(f, "close behind message {last}: {reason}"),
            Self::Ask { question, bytes, given_back } => {
                write!(f, "ask {question} for {bytes} bytes, {given_back} given back")
            }
            Self::Malformed => write!(f, "malformed frame"),
        }
    }
}

//! Looks at every payload, for both media alike.

use super::{
    payload,
    talk::{Asked, Counts, Told},
};
use crate::{
    clock::Stopwatch,
    crew::talk::{hear, tell},
};
use lamq_study::{Claims, Oracle, Verdict};
use std::io;

/// Who sent a message, as far as that is known before its payload is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Sender(u32),
    /// Not one of the demo's senders.
    Stranger,
    /// The medium does not say.
    Unknown,
}

/// The stream of what belongs to no sender; they have 1 and up.
const NOBODY: u32 = 0;

/// Feeds the oracle.
#[derive(Debug, Default)]
pub(super) struct Judge {
    oracle: Oracle<u32>,
    messages: u64,
    /// Runs from the first message.
    watch: Option<Stopwatch>,
}

impl Judge {
    /// A message came. A payload that is not what was sent counts against the sender whose session it came over.
    pub(super) fn take(&mut self, bytes: &[u8], origin: Origin) {
        self.watch.get_or_insert_with(Stopwatch::start);
        self.messages += 1;
        match (payload::read(bytes), origin) {
            (Some((sender, number)), Origin::Sender(from)) if sender == from => self.oracle.delivered(from, number),
            (Some((sender, number)), Origin::Unknown) => self.oracle.delivered(sender, number),
            (_, Origin::Sender(from)) => self.oracle.corrupt(from),
            (_, Origin::Stranger | Origin::Unknown) => self.oracle.corrupt(NOBODY),
        }
    }

    pub(super) const fn messages(&self) -> u64 {
        self.messages
    }

    /// Reports what came, hears what the senders claim, and judges.
    pub(super) fn conclude(self) -> io::Result<()> {
        let seconds = self.watch.map_or(0.0, |watch| watch.read().as_secs_f64());
        tell(&Told::Received { messages: self.messages, seconds })?;
        let Asked::Judge { claims } = hear()? else { return Err(io::Error::other("there is nothing left to begin")) };
        let senders: Vec<Counts> =
            (1..).zip(&claims).map(|(sender, claim)| self.oracle.judge(&sender, Claims::from(*claim)).into()).collect();
        let is_sender = |stream: &u32| (1..=senders.len()).contains(&(*stream as usize));
        let strangers = self.oracle.streams().filter(|stream| !is_sender(stream));
        let others: Verdict = strangers.map(|stream| self.oracle.judge(stream, Claims::default())).sum();
        tell(&Told::Judged { senders, others: others.into() })
    }
}

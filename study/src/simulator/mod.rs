//! The simulator: many shipping endpoints in virtual time, everything random drawn from one seed.
//!
//! A receiver and some senders exchange frames over inboxes with few slots. Applications send messages of all lengths, in
//! every manner, with pauses; in some worlds the receiver answers, in streams back (DPX-1); processes stop for a while, die or leave; in lossy worlds frames are lost, doubled and overtake each
//! other. While it runs, everything that an application is told and that is seen on the link is judged (safety). Then faults
//! cease, and everybody must come to an end, with nothing left behind (liveness).
//!
//! A run depends on its seed and its [`Settings`] only: there is no clock, no thread, and no order that is not fixed.
//! [`Sabotage`] shows that the judge would notice.
//!
//! ```
//! use lamq_study::simulator::{Settings, run};
//!
//! let report = run(7, &Settings::default()).unwrap_or_else(|failure| panic!("{failure}"));
//! assert_eq!(run(7, &Settings::default()).unwrap().digest, report.digest);
//! ```

mod check;
mod ear;
mod events;
mod hearing;
mod lane;
mod link;
mod receiving;
mod scenario;
mod sending;
mod shell;
mod situations;
mod trace;
mod voice;
mod world;

pub use situations::{Situation, Situations};
pub use trace::Step;

use std::{error::Error, fmt};

/// What a world is to be like. All else is drawn from the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many senders; else 1 to 5, now and then up to 16.
    pub senders: Option<usize>,
    /// How many messages each of them sends, those that it drops included.
    pub messages: u64,
    /// Whether the link loses, doubles and reorders frames; else that is drawn too.
    pub lossy: Option<bool>,
    /// What is broken on purpose.
    pub sabotage: Option<Sabotage>,
}

impl Settings {
    /// Messages of each sender, if nothing else is said.
    pub const MESSAGES: u64 = 40;
}

impl Default for Settings {
    fn default() -> Self {
        Self { senders: None, messages: Self::MESSAGES, lossy: None, sabotage: None }
    }
}

/// As options of `lamq simulate`.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { senders, messages, lossy, sabotage } = self;
        write!(f, "--messages {messages}")?;
        senders.map_or(Ok(()), |senders| write!(f, " --senders {senders}"))?;
        lossy.map_or(Ok(()), |lossy| f.write_str(if lossy { " --lossy" } else { " --lossless" }))?;
        sabotage.map_or(Ok(()), |sabotage| write!(f, " --sabotage {}", sabotage.name()))
    }
}

/// What a link or a shell must never do, done on purpose: the simulation has to notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The link says of what was received that it was delivered (against PRO-2).
    Forge,
    /// The link says that more frames may be sent than were granted (against CRD-1).
    RaiseCredit,
    /// A message is handed out twice, now and then (against PRO-1).
    HandOutTwice,
    /// A death is told while frames of the dead one are in the inbox (against DTH-2).
    DeathFirst,
    /// A full inbox is taken for one that has taken the frame.
    DropWhenFull,
    /// Room in an inbox is not noticed.
    ForgetRetry,
    /// Nobody asks again on a lossy link (against RTX-2).
    ForgetAsking,
    /// The core is not told that its application is idle (against ACK-3).
    SilentWait,
    /// The core is not told that a call waits, and that no answer comes before that is over (against ACK-12).
    ForgetUnanswered,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Forge,
        Self::RaiseCredit,
        Self::HandOutTwice,
        Self::DeathFirst,
        Self::DropWhenFull,
        Self::ForgetRetry,
        Self::ForgetAsking,
        Self::SilentWait,
        Self::ForgetUnanswered,
    ];

    /// In the words of an option.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forge => "forge",
            Self::RaiseCredit => "raise-credit",
            Self::HandOutTwice => "hand-out-twice",
            Self::DeathFirst => "death-first",
            Self::DropWhenFull => "drop-when-full",
            Self::ForgetRetry => "forget-retry",
            Self::ForgetAsking => "forget-asking",
            Self::SilentWait => "silent-wait",
            Self::ForgetUnanswered => "forget-unanswered",
        }
    }
}

/// A run in which everything held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What it was drawn from.
    pub seed: u64,
    /// Of all its steps: the same for the same seed, settings and build.
    pub digest: u64,
    /// How many steps there were.
    pub steps: u64,
    /// How long it took in the world, in nanoseconds.
    pub virtual_time: u64,
    /// What it came across.
    pub situations: Situations,
}

/// A run in which something did not hold. As text it says what, how it came to it, and how to see it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it was drawn from.
    pub seed: u64,
    /// What was asked for.
    pub settings: Settings,
    /// What did not hold.
    pub what: String,
    /// What was drawn.
    pub scenario: String,
    /// What happened last.
    pub last_steps: Vec<Step>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, settings, what, scenario, last_steps } = self;
        writeln!(f, "seed {seed}: {what}\n\n{scenario}\n\nThe last steps:")?;
        last_steps.iter().try_for_each(|step| writeln!(f, "{step}"))?;
        write!(f, "\nTo see all of it: lamq simulate --seed {seed} --rounds 1 {settings} --trace")
    }
}

impl Error for Failure {}

/// Runs the world of a seed to its end.
///
/// # Errors
/// [`Failure`]: a promise was broken, or somebody is stuck.
pub fn run(seed: u64, settings: &Settings) -> Result<Report, Failure> {
    trace(seed, settings, |_| {})
}

/// As [`run`], and shows each step as it is taken.
///
/// # Errors
/// As [`run`].
pub fn trace(seed: u64, settings: &Settings, mut sink: impl FnMut(&Step)) -> Result<Report, Failure> {
    world::World::new(seed, settings, &mut sink).run(seed, settings)
}

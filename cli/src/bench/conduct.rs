//! Who runs when: each contestant once a round, in an order that turns.

use super::{
    ground::Ground,
    guest::Guest,
    machine::Pair,
    plan::{self, Comparison, Cores, Entry},
    results::{Compared, Sample},
    talk::{Asked, Duty, Measured, Medium, Role, Told, Work},
};
use crate::{
    clock::monotonic,
    crew::{Crew, Heard, Note, Place, QUIET},
    failure::Failure,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    fs, process,
    sync::mpsc::{Receiver as Inbox, Sender as Post},
    time::Duration,
};

pub(super) struct Conductor<'a> {
    pub(super) time: Duration,
    pub(super) cores: Pair,
    pub(super) verbose: u8,
    pub(super) post: Post<Note<Told>>,
    pub(super) inbox: &'a Inbox<Note<Told>>,
    pub(super) bar: ProgressBar,
    pub(super) guests: &'static [Guest],
}

/// So that all of many processes are waiting when it begins.
const HEAD_START: Duration = Duration::from_millis(20);

/// Until a pair that has nothing to do is at rest: for a second each watches by itself what the kernel can tell it of later.
const SETTLING: Duration = Duration::from_millis(1500);

/// The first guess of a count, and how much more the next may be.
const FIRST_COUNT: u64 = 64;
const MOST_GROWTH: f64 = 50.0;

/// A count is good enough to be scaled to the time wanted when it takes this part of it.
const GOOD_ENOUGH: f64 = 0.25;

/// Hours, at any rate.
const MOST_MESSAGES: u64 = 1_000_000_000_000;

/// Shown on standard error if that is a terminal.
pub(super) fn bar(shown: bool, parts: u64) -> ProgressBar {
    let target = if shown { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{prefix} [{bar:40}] {pos} of {len}, {elapsed}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ");
    ProgressBar::with_draw_target(Some(parts), target).with_style(style)
}

impl Conductor<'_> {
    pub(super) fn compare(&self, mut comparison: Comparison, rounds: u64) -> Result<Compared, Failure> {
        self.bar.set_prefix(comparison.name);
        let cores = comparison.cores;
        for entry in &mut comparison.entries {
            entry.work = self.calibrated(entry, cores)?;
        }
        let count = comparison.entries.len();
        let mut samples = vec![Vec::new(); count];
        for round in 0..rounds {
            for turn in 0..count {
                let index = (turn + usize::try_from(round).unwrap_or(0)) % count;
                let entry = &comparison.entries[index];
                let (members, wakes) = self.part(entry, entry.work, cores)?;
                samples[index].push(Sample::of(comparison.measure, entry.work, &members, wakes));
                self.bar.inc(1);
            }
        }
        Ok(Compared { comparison, samples })
    }

    /// With the count that takes about as long as a part is to take.
    fn calibrated(&self, entry: &Entry, cores: Cores) -> Result<Work, Failure> {
        if entry.work.count().is_none() {
            return Ok(entry.work);
        }
        let wanted = self.time.as_secs_f64();
        let mut count = if entry.work.length() > 4096 { 4 } else { FIRST_COUNT };
        // Twice, for a short run may seem long because others had the core.
        let mut good = 0;
        while good < 2 {
            let (members, _) = self.part(entry, entry.work.with_count(count), cores)?;
            let seconds = members.iter().map(|member| member.seconds).fold(1e-9, f64::max);
            good += u32::from(seconds >= wanted * GOOD_ENOUGH || count >= MOST_MESSAGES);
            count = scaled(count, (wanted / seconds).min(MOST_GROWTH));
        }
        Ok(entry.work.with_count(count))
    }

    /// One run of one contestant: what its processes measured, the receiver first, and how often they were woken in idleness.
    fn part(&self, entry: &Entry, work: Work, cores: Cores) -> Result<(Vec<Measured>, u64), Failure> {
        let ground = Ground::lay(entry.medium, self.guests)?;
        let clear = |pids: &[u32]| ground.clear(pids);
        let mut crew = Crew::new("bench-member", self.verbose, (&self.post, self.inbox), clear);
        let (receiver, sender) = match cores {
            Cores::Apart => (self.cores.first, self.cores.other()),
            Cores::Together => (self.cores.first, self.cores.first),
        };
        let duty = |role, core| {
            let (parent, ways) = (process::id(), ground.ways.clone());
            Duty { parent, medium: entry.medium, work, role, core, spin: entry.spin, ways }
        };
        let (role, senders) = if self.is_one_process(entry.medium) {
            (Role::Both { sender_core: sender }, 0)
        } else {
            (Role::Receiver, work.senders())
        };
        crew.enlist(&duty(role, receiver))?;
        crew.await_ready(1)?;
        for index in 0..senders {
            crew.enlist(&duty(Role::Sender(index), sender))?;
        }
        let places: Vec<_> = (0..=usize::try_from(senders).unwrap_or(0)).map(Place).collect();
        crew.await_ready(places.len() - 1)?;
        let head_start = if work.senders() > 1 { HEAD_START } else { Duration::ZERO };
        let at = monotonic() + u64::try_from(head_start.as_nanos()).unwrap_or(0);
        for place in &places {
            crew.ask(*place, &Asked::Begin { at });
        }
        let wakes = if work == Work::Idle { self.watch(&mut crew, &places)? } else { 0 };
        let mut measured: Vec<Vec<Measured>> = vec![Vec::new(); places.len()];
        while measured.iter().any(Vec::is_empty) {
            match self.hear(&mut crew)? {
                (Place(place), Told::Done(done)) => measured[place] = done,
                (place, told) => return Err(out_of_turn(place, &told)),
            }
        }
        for place in places {
            crew.ask(place, &Asked::GoOn);
            let status = crew.wait(place)?;
            if !status.success() {
                return Err(Failure::general(format!("{place} was done, and then failed: {status}")));
            }
        }
        Ok((measured.into_iter().flatten().collect(), wakes))
    }

    fn is_one_process(&self, medium: Medium) -> bool {
        matches!(medium, Medium::Guest(index) if self.guests[index].is_one_process)
    }

    /// How often threads of a pair are woken that has nothing to do.
    fn watch(&self, crew: &mut Crew<'_, Told>, places: &[Place]) -> Result<u64, Failure> {
        for _ in places {
            match self.hear(crew)? {
                (_, Told::Settled) => {}
                (place, told) => return Err(out_of_turn(place, &told)),
            }
        }
        let mut quiet = |time: Duration| match crew.hear_within(time)? {
            Heard::Nothing => Ok(places.iter().map(|place| wakes(crew.pid(*place))).sum::<u64>()),
            Heard::Closed(place) => Err(crew.unexpected_end(place)),
            Heard::Told(place, told) => Err(out_of_turn(place, &told)),
        };
        let before = quiet(SETTLING)?;
        let after = quiet(plan::idle(self.time))?;
        crew.ask(Place(1), &Asked::GoOn);
        Ok(after.saturating_sub(before))
    }

    fn hear(&self, crew: &mut Crew<'_, Told>) -> Result<(Place, Told), Failure> {
        match crew.hear_within(QUIET + plan::longest(self.time))? {
            Heard::Told(place, told) => Ok((place, told)),
            Heard::Closed(place) => Err(crew.unexpected_end(place)),
            Heard::Nothing => Err(Failure::general("the processes of the bench do not answer")),
        }
    }
}

fn out_of_turn(place: Place, told: &Told) -> Failure {
    Failure::general(format!("{place} spoke out of turn: {told:?}"))
}

/// How often the threads of a process were woken so far.
fn wakes(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of = |status: &str| {
        status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse::<u64>().ok())
    };
    tasks.filter_map(|task| of(&fs::read_to_string(task.path().join("status")).ok()?)).sum::<u64>()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)] // a rough number
fn scaled(count: u64, factor: f64) -> u64 {
    ((count as f64 * factor) as u64).clamp(4, MOST_MESSAGES)
}

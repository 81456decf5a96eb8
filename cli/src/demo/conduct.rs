//! The run of one crew, from the first process to the judgement.

use super::{
    progress::Bars,
    sabotage::Sabotage,
    talk::{Asked, Claim, Counts, Duty, Medium, Progress, Role, Task, Told},
};
use crate::{
    crew::{Crew, Heard, Place, QUIET},
    failure::Failure,
};
use humantime::format_duration;
use lamq_study::Verdict;
use nix::sys::signal::Signal;
use std::os::unix::process::ExitStatusExt;

/// Who sends how much, and what happens to whom.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// One a sender.
    pub(super) quotas: Vec<u64>,
    /// Whether the last sender is killed.
    pub(super) kill: bool,
    /// Of the link of the first sender.
    pub(super) sabotage: Option<Sabotage>,
}

impl Plan {
    /// Which sender is killed, from 0.
    fn victim(&self) -> Option<usize> {
        self.kill.then(|| self.quotas.len() - 1)
    }

    /// The most that a sender can have sent: the one that is killed stops and waits for it.
    fn most(&self, sender: usize) -> u64 {
        let quota = self.quotas[sender];
        if self.victim() == Some(sender) { quota / 2 } else { quota }
    }

    fn task(&self, sender: usize) -> Task {
        Task {
            sender: u32::try_from(sender + 1).expect("there are few"),
            quota: self.quotas[sender],
            dies_before: (self.victim() == Some(sender)).then(|| self.most(sender)),
            sabotage: self.sabotage.filter(|_| sender == 0),
        }
    }

    fn claim(&self, sender: usize, story: &Story) -> Claim {
        let complete = story.fate != Some(Fate::Killed);
        // One that lives owes all it was to send, whether it could send it or not.
        Claim { sent: self.most(sender), acknowledged: story.progress.acknowledged, complete }
    }
}

/// How a sender ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// With its quota, all acknowledged.
    Finished,
    /// By SIGKILL from the demo.
    Killed,
    /// Its session ended before it was finished.
    Disconnected,
}

/// What a sender went through.
#[derive(Clone, Debug, Default)]
pub(super) struct Story {
    pub(super) pid: u32,
    /// As last reported.
    pub(super) progress: Progress,
    pub(super) fate: Option<Fate>,
    /// What is known of its end, from either side.
    pub(super) noticed: Vec<String>,
    sabotaged: bool,
    /// The demo has sent it SIGKILL.
    shot: bool,
}

/// The end of a run.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) stories: Vec<Story>,
    /// The judgement, sender by sender.
    pub(super) counts: Vec<Counts>,
    /// What belongs to no sender.
    pub(super) others: Counts,
    pub(super) messages: u64,
    /// From the first message to the end of the last sender.
    pub(super) seconds: f64,
    /// Nothing moved any more, and the run was cut short.
    pub(super) stalled: bool,
}

impl Outcome {
    /// Messages a second.
    #[allow(clippy::cast_precision_loss)] // a rate
    pub(super) fn throughput(&self) -> f64 {
        if self.seconds > 0.0 { self.messages as f64 / self.seconds } else { 0.0 }
    }

    /// All that was judged.
    pub(super) fn totals(&self) -> Verdict {
        self.counts.iter().chain([&self.others]).map(|counts| Verdict::from(*counts)).sum()
    }

    /// Whether the sabotage that was ordered has happened.
    pub(super) fn is_sabotaged(&self) -> bool {
        self.stories.iter().any(|story| story.sabotaged)
    }
}

/// Runs a crew, whose processes have the `duty` of their roles.
pub(super) fn run(
    plan: &Plan,
    duty: impl Fn(Role) -> Duty,
    mut crew: Crew<'_, Told>,
    bars: &Bars,
) -> Result<Outcome, Failure> {
    let senders = plan.quotas.len();
    let messages = plan.quotas.iter().sum();
    crew.enlist(&duty(Role::Receiver { senders: plan.task(senders - 1).sender, messages }))?;
    crew.await_ready(1)?;
    for sender in 0..senders {
        crew.enlist(&duty(Role::Sender(plan.task(sender))))?;
    }
    crew.await_ready(senders)?;
    let pids = crew.senders();
    let stories = pids.iter().map(|&pid| Story { pid, ..Story::default() }).collect();
    let mut run = Run { plan, crew, bars, stories, received: None, judged: None, stalls: 0 };
    for place in (0..=senders).map(Place) {
        run.crew.ask(place, &Asked::Begin { pids: pids.clone() });
    }
    tracing::info!(target: "lamq", senders, "all processes are ready and begin");
    while run.received.is_none() || run.stories.iter().any(|story| story.fate.is_none()) {
        run.step()?;
    }
    let claims = run.stories.iter().enumerate().map(|(sender, story)| plan.claim(sender, story)).collect();
    run.crew.ask(Place::RECEIVER, &Asked::Judge { claims });
    while run.judged.is_none() {
        run.step()?;
    }
    run.crew.wait(Place::RECEIVER)?;
    let Run { stories, received: Some((messages, seconds)), judged: Some((counts, others)), stalls, .. } = run else {
        unreachable!("both were waited for")
    };
    Ok(Outcome { stories, counts, others, messages, seconds, stalled: stalls > 0 })
}

struct Run<'a> {
    plan: &'a Plan,
    crew: Crew<'a, Told>,
    bars: &'a Bars,
    stories: Vec<Story>,
    received: Option<(u64, f64)>,
    judged: Option<(Vec<Counts>, Counts)>,
    /// How often nothing moved.
    stalls: u32,
}

impl Run<'_> {
    /// Takes the next thing that is heard.
    fn step(&mut self) -> Result<(), Failure> {
        match self.crew.hear()? {
            Heard::Told(Place::RECEIVER, told) => match told {
                Told::Departed { sender, how } => {
                    if let Some(story) = self.stories.get_mut(sender as usize - 1) {
                        story.noticed.push(format!("lamq noticed, and told the receiver: {how}"));
                    }
                }
                Told::Received { messages, seconds } => self.received = Some((messages, seconds)),
                Told::Judged { senders, others } => self.judged = Some((senders, others)),
                other => return Err(Failure::general(format!("the receiver said what only senders say: {other:?}"))),
            },
            Heard::Told(Place(sender), told) => self.sender_told(sender - 1, told)?,
            Heard::Closed(place) => self.closed(place)?,
            Heard::Nothing => self.cut_short()?,
        }
        Ok(())
    }

    fn sender_told(&mut self, sender: usize, told: Told) -> Result<(), Failure> {
        let story = &mut self.stories[sender];
        match told {
            Told::Progress(progress) => story.progress = progress,
            Told::Ended { progress, why, sabotaged } => {
                story.progress = progress;
                story.sabotaged = sabotaged;
                story.fate = Some(if why.is_none() { Fate::Finished } else { Fate::Disconnected });
                story.noticed.extend(why.map(|why| format!("lamq noticed, and told the sender: {why}")));
            }
            other => return Err(Failure::general(format!("a sender said what only the receiver says: {other:?}"))),
        }
        self.bars.show(sender, story.progress);
        let enough = self.plan.quotas[sender].div_ceil(10);
        if self.plan.victim() == Some(sender) && !story.shot && story.progress.acknowledged >= enough {
            story.shot = true;
            self.crew.signal(Place(sender + 1), Signal::SIGKILL);
        }
        Ok(())
    }

    fn closed(&mut self, place: Place) -> Result<(), Failure> {
        let Some(sender) = place.0.checked_sub(1) else {
            return if self.judged.is_some() { Ok(()) } else { Err(self.crew.unexpected_end(place)) };
        };
        let story = &mut self.stories[sender];
        if story.fate.is_some() {
            self.crew.wait(place)?;
        } else if story.shot && self.crew.wait(place)?.signal() == Some(Signal::SIGKILL as i32) {
            let is_victim = self.plan.victim() == Some(sender);
            story.fate = Some(if is_victim { Fate::Killed } else { Fate::Disconnected });
            self.bars.end(sender);
        } else {
            return Err(self.crew.unexpected_end(place));
        }
        Ok(())
    }

    /// Nothing moves any more: a message or an acknowledgement was lost, or a wake-up. What came is judged all the same.
    fn cut_short(&mut self) -> Result<(), Failure> {
        self.stalls += 1;
        if self.stalls == 1 && self.received.is_none() {
            self.crew.signal(Place::RECEIVER, Signal::SIGTERM);
        } else if self.stalls <= 2 && self.received.is_some() {
            for (sender, story) in self.stories.iter_mut().enumerate().filter(|(_, story)| story.fate.is_none()) {
                story.noticed.push(format!("the demo gave up on it: nothing moved for {}", format_duration(QUIET)));
                story.shot = true;
                self.crew.signal(Place(sender + 1), Signal::SIGKILL);
            }
        } else {
            return Err(Failure::general(format!(
                "the receiver does not answer; nothing moved for {}",
                format_duration(QUIET)
            )));
        }
        Ok(())
    }
}

/// The plan and the medium for comparison: the same messages, but nobody is killed, and no link is broken.
pub(super) fn raw_plan(plan: &Plan, most: u64) -> Plan {
    let senders = plan.quotas.len() as u64;
    let quotas = plan.quotas.iter().map(|quota| (*quota).min(most / senders)).collect();
    Plan { quotas, kill: false, sabotage: None }
}

/// What the first word of a line of bars is.
pub(super) const fn label(medium: Medium) -> &'static str {
    match medium {
        Medium::Lamq => "lamq",
        Medium::Raw => "raw",
    }
}

//! `lamq bench`: lamq against the queue below it, and against what else a kernel has to carry messages.
//!
//! Every part of it is a run of two or more processes (`member`) over one medium (`media`, `system_v`, on what `ground` lays), each
//! pinned to a core. Contestants take turns (`plan`, `conduct`), and what is compared is what happened in the same round
//! (`results`, `statistics`). The bars that lamq is to reach stand in `bars`. Time decides nothing: whatever the figures are, the
//! command has done what it was asked to.

mod bars;
mod conduct;
mod cue;
mod ground;
pub mod guest;
mod machine;
mod media;
mod member;
mod page;
mod plan;
mod plot;
mod report;
mod results;
mod statistics;
mod system_v;
mod table;
mod talk;

use crate::{
    crew::{Note, talk::tell},
    failure::{Exit, Failure},
    limit, log,
    ls::print,
    signals::Blocked,
};
use clap::{Args, ValueEnum};
use conduct::Conductor;
use guest::Guest;
use machine::Machine;
use nix::unistd::{AccessFlags, access};
use plan::{Cores, Scenario};
use report::Report;
use std::{
    fs,
    num::NonZeroU64,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::mpsc,
    time::Duration,
};
use talk::{Duty, Told};
use tracing_subscriber::filter::LevelFilter;

/// Measure lamq against the raw queue, pipes, sockets and System V queues.
///
/// Sender and receiver are processes of their own, each kept to a core. In each round every contestant runs once; what
/// counts is the median over the rounds of how a contestant did compared with the raw queue (`mq_send` and `mq_receive`, one call a
/// message) in the same round. Where lamq has a bar to reach, it says whether it does, unless the raw queue itself was too
/// unsteady for that. The exit code does not depend on any figure. A run of all scenarios takes about five minutes.
#[derive(Args)]
#[command(after_help = crate::failure::EXIT_CODES)]
pub(crate) struct BenchArgs {
    /// What to measure. Default: all of it.
    #[arg(value_enum, value_name = "SCENARIO")]
    scenarios: Vec<Scenario>,
    /// How often each contestant runs; fewer than 9 times decide nothing.
    #[arg(long, value_name = "N", default_value = "9")]
    rounds: NonZeroU64,
    /// How long each run of a contestant is to take; fan-in takes 30 times as long, paced 7 times and idle 20 times.
    #[arg(long, value_name = "TIME", default_value = "150ms", value_parser = time)]
    time: Duration,
    /// Print one JSON document on standard output instead of tables.
    #[arg(long)]
    json: bool,
    /// Write a page with tables and plots besides: one HTML file that needs nothing else.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// What only the bench passes to its processes.
#[derive(Args)]
pub(crate) struct MemberArgs {
    /// A JSON document.
    duty: String,
}

/// Many senders at once.
const MOST_SENDERS: u32 = 16;

fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let limits = Duration::from_millis(1)..=Duration::from_secs(60);
    if limits.contains(&time) { Ok(time) } else { Err("it may be 1ms to 60s".into()) }
}

pub(crate) fn run(arguments: &BenchArgs, guests: &'static [Guest], verbose: u8) -> Result<(), Failure> {
    if let Some(file) = &arguments.report {
        demand_writable(file)?;
    }
    let scenarios = if arguments.scenarios.is_empty() { Scenario::value_variants() } else { &arguments.scenarios };
    if scenarios.contains(&Scenario::FanIn) {
        limit::demand_room_for(MOST_SENDERS, "")?;
    }
    let blocked = Blocked::new()?;
    let (post, inbox) = mpsc::channel();
    let interrupt = post.clone();
    blocked.on_first(move |signal| _ = interrupt.send(Note::Interrupted(signal)))?;
    let report = measure(arguments, scenarios, guests, verbose, (post, &inbox))?;
    if let Some(file) = &arguments.report {
        fs::write(file, page::render(&report)).map_err(|error| {
            _ = fs::remove_file(file); // half of it helps nobody
            cannot_write(file, &error)
        })?;
    }
    print(if arguments.json { report.json() } else { table::render(&report) })
}

type Notes<'a> = (mpsc::Sender<Note<Told>>, &'a mpsc::Receiver<Note<Told>>);

fn measure(
    arguments: &BenchArgs,
    scenarios: &[Scenario],
    guests: &'static [Guest],
    verbose: u8,
    (post, inbox): Notes<'_>,
) -> Result<Report, Failure> {
    let allowed = machine::cores()?;
    let (cores, time) = (machine::pair(&allowed), arguments.time);
    let mut skipped = Vec::new();
    let mut planned = Vec::new();
    for scenario in scenarios {
        for comparison in scenario.comparisons(time, guests) {
            if comparison.cores == Cores::Apart && cores.second.is_none() {
                skipped.push(format!(
                    "{} is not measured: it takes two cores, and this process may use one.",
                    comparison.name
                ));
            } else {
                planned.push((comparison, scenario.rounds(arguments.rounds)));
            }
        }
    }
    let parts = planned.iter().map(|(comparison, rounds)| comparison.entries.len() as u64 * rounds).sum();
    let bar = conduct::bar(!arguments.json, parts);
    let conductor = Conductor { time, cores, verbose, post, inbox, bar, guests };
    let results = planned.into_iter().map(|(comparison, rounds)| conductor.compare(comparison, rounds));
    let results = results.collect::<Result<Vec<_>, _>>();
    conductor.bar.finish_and_clear();
    let results = results?;
    let (bars, rounds) = (bars::judge(&results, guests), arguments.rounds.get());
    Ok(Report { machine: Machine::look(&allowed), cores, rounds, time, guests, results, bars, skipped })
}

/// Before minutes have passed.
fn demand_writable(file: &Path) -> Result<(), Failure> {
    if file.is_dir() {
        return Err(Failure::general(format!("cannot write {}: it is a directory", file.display())));
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let target = if file.exists() { file } else { folder };
    access(target, AccessFlags::W_OK).map_err(|error| cannot_write(file, &error))
}

fn cannot_write(file: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::general(format!("cannot write {}: {error}", file.display()))
}

/// Runs a process of the bench. It says nothing by itself: the bench speaks for it.
pub(crate) fn run_member(arguments: &MemberArgs, guests: &[Guest], verbose: u8) -> ExitCode {
    log::start(if verbose == 0 { LevelFilter::OFF } else { log::level(verbose) });
    let duty: Duty = match serde_json::from_str(&arguments.duty) {
        Ok(duty) => duty,
        Err(error) => return Failure::new(Exit::Usage, format!("{error}; run `lamq bench` instead")).report(),
    };
    match member::serve(&duty, guests) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            _ = tell(&Told::Failed(error.to_string()));
            Failure::general(error).code()
        }
    }
}

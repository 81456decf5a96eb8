//! `lamq demo`: real processes on a real queue, one of them killed, every message judged.
//!
//! The demo itself only conducts (`conduct`). The receiver and the senders are processes of their own (`member`, for
//! comparison `raw`) and talk with it over pipes (`talk`). What arrives is judged by [`lamq_study::Oracle`] from what
//! the messages say of themselves (`payload`, `judge`), never from what lamq counted.

mod conduct;
mod judge;
mod member;
mod payload;
mod progress;
mod raw;
mod report;
mod sabotage;
mod table;
mod talk;

use crate::{
    crew::{self, Crew, Note, talk::tell},
    failure::{Exit, Failure},
    limit, log, queue,
    signals::Blocked,
};
use clap::Args;
use conduct::Plan;
use humantime::format_duration;
use lamq::Receiver;
use progress::Bars;
use report::Report;
use sabotage::Sabotage;
use std::{
    io::{self, Write},
    process::{self, ExitCode},
    sync::mpsc,
};
use talk::{Duty, Medium, Told};
use tracing_subscriber::filter::LevelFilter;

/// Show what lamq promises: many processes send to one, one of them is killed, and every message is judged.
///
/// Starts a receiver and some senders as processes of their own. One sender is killed with SIGKILL when a tenth of its
/// messages are acknowledged. Afterwards all messages of the others must have arrived once each and in order, and of the killed
/// one a clean prefix with all that it saw acknowledged. The same messages are sent through a queue without lamq, one call a
/// message, to compare the speed, which is measured in the receiver from the first message to the end.
#[derive(Args)]
#[command(after_help = crate::failure::EXIT_CODES)]
pub(crate) struct DemoArgs {
    /// Print one JSON document on standard output instead of a table.
    #[arg(long)]
    json: bool,
    /// How many senders, the one that is killed included.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(2..=64))]
    senders: u32,
    /// How many messages the senders that are not killed send together; the killed one has a share of the same size besides.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    messages: u64,
    /// Break the link of one sender on purpose; the demo must notice, and exit with 5.
    #[arg(long, value_enum, value_name = "HOW")]
    sabotage: Option<Sabotage>,
}

/// What only the demo passes to its processes.
#[derive(Args)]
pub(crate) struct MemberArgs {
    /// A JSON document.
    duty: String,
}

/// So that a tenth of a sender's messages is one at least.
const LEAST_SHARE: u64 = 10;

/// More would take years, and sums of them would not fit 64 bits.
const MOST_MESSAGES: u64 = 1_000_000_000_000;

/// How many messages are sent without lamq at most: enough to measure for a second or two.
const RAW_MESSAGES: u64 = 1_000_000;

pub(crate) fn run(arguments: &DemoArgs, verbose: u8) -> Result<(), Failure> {
    let plan = plan(arguments)?;
    limit::demand_room_for(arguments.senders, ", or have fewer --senders")?;
    let blocked = Blocked::new()?;
    let (post, inbox) = mpsc::channel();
    let interrupt = post.clone();
    blocked.on_first(move |signal| _ = interrupt.send(Note::Interrupted(signal)))?;
    let run = |medium: Medium, plan: &Plan| {
        let bars = Bars::new(!arguments.json, conduct::label(medium), &plan.quotas);
        let queue = medium.queue();
        let duty = |role| Duty { parent: process::id(), queue: queue.clone(), medium, role };
        let remove = |_: &[u32]| match medium {
            // The next owner takes a dead one's queue over, and removes it when it leaves.
            Medium::Lamq => drop(Receiver::bind(queue.as_str())),
            Medium::Raw => queue::remove(&queue),
        };
        conduct::run(plan, duty, Crew::new("demo-member", verbose, (&post, &inbox), remove), &bars)
    };
    let lamq = run(Medium::Lamq, &plan)?;
    if plan.sabotage.is_some() && !lamq.is_sabotaged() {
        let remedy = "make the run larger with --messages";
        return Err(Failure::general(format!("no frame with two messages came by to be sabotaged; {remedy}")));
    }
    let raw_plan = conduct::raw_plan(&plan, RAW_MESSAGES);
    let raw = run(Medium::Raw, &raw_plan)?;
    if !raw.totals().holds() {
        return Err(Failure::general(format!("messages without lamq did not arrive as sent: {}", raw.totals())));
    }
    let report = Report::new(arguments.messages, &plan, &lamq, &raw);
    let text = if arguments.json { report.json() } else { table::render(&report) };
    let printed = writeln!(io::stdout(), "{text}").and_then(|()| io::stdout().flush());
    printed.map_err(|error| Failure::general(format!("cannot write to standard output: {error}")))?;
    if !report.holds() {
        return Err(Failure::new(Exit::Violation, format!("a promise was broken: {}", report.totals())));
    }
    if plan.sabotage.is_some() {
        return Err(Failure::general("the sabotage was not noticed"));
    }
    if lamq.stalled {
        let what = "all arrived, but nothing moved any more before the end";
        return Err(Failure::general(format!("{what}, for {}", format_duration(crew::QUIET))));
    }
    Ok(())
}

fn plan(arguments: &DemoArgs) -> Result<Plan, Failure> {
    let DemoArgs { messages, senders, sabotage, .. } = *arguments;
    let living = u64::from(senders - 1);
    let least = living * LEAST_SHARE;
    if !(least..=MOST_MESSAGES).contains(&messages) {
        let limits =
            format!("{least} to {MOST_MESSAGES} for {senders} senders, so that each has {LEAST_SHARE} at least");
        return Err(Failure::new(Exit::Usage, format!("--messages {messages} will not do; it may be {limits}")));
    }
    let mut quotas: Vec<u64> =
        (0..living).map(|sender| messages / living + u64::from(sender < messages % living)).collect();
    quotas.push(messages / living);
    Ok(Plan { quotas, kill: true, sabotage })
}

/// Runs a process of the demo. It says nothing by itself: the demo speaks for it.
pub(crate) fn run_member(arguments: &MemberArgs, verbose: u8) -> ExitCode {
    log::start(if verbose == 0 { LevelFilter::OFF } else { log::level(verbose) });
    let duty: Duty = match serde_json::from_str(&arguments.duty) {
        Ok(duty) => duty,
        Err(error) => return Failure::new(Exit::Usage, format!("{error}; run `lamq demo` instead")).report(),
    };
    match member::serve(duty) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            _ = tell(&Told::Failed(error.to_string()));
            Failure::general(error).code()
        }
    }
}

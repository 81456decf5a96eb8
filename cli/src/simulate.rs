//! `lamq simulate`.

use crate::{
    clock::Stopwatch,
    failure::{Exit, Failure, counted},
    ls::print,
};
use clap::{Args, builder::PossibleValuesParser};
use comfy_table::{Cell, CellAlignment, Table, presets};
use lamq_study::simulator::{self, Report, Sabotage, Settings, Situation, Situations};
use serde_json::{Value, json};
use std::io::{self, Write};

/// Run the protocol itself in virtual time, with faults drawn from a seed, and judge every step.
///
/// No queue is used, and no time passes: senders and a receiver exchange frames in memory. Each round is a world of its own, drawn
/// from its seed: lengths, pauses, credit, deaths, lost and doubled frames. Then faults cease, and everybody must finish. The
/// first round in which a promise is broken or somebody is stuck ends the command with 5, and says how to see that round again.
#[derive(Args)]
#[command(after_help = crate::failure::EXIT_CODES)]
pub(crate) struct SimulateArgs {
    /// The seed of the first round; the next ones follow. Default: a random one, which is printed.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many rounds.
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// How many senders. Default: 1 to 5, now and then up to 16.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    senders: Option<u16>,
    /// How many messages each of them sends.
    #[arg(long, value_name = "N", default_value_t = Settings::MESSAGES)]
    messages: u64,
    #[command(flatten)]
    link: LinkArgs,
    /// Break the link or the shell around the protocol on purpose; the simulation must notice, and exit with 5.
    #[arg(long, value_name = "HOW", value_parser = PossibleValuesParser::new(Sabotage::ALL.map(Sabotage::name)))]
    sabotage: Option<String>,
    /// Print every step of every round.
    #[arg(long, conflicts_with = "json")]
    trace: bool,
    /// Print one JSON document on standard output instead of a table.
    #[arg(long)]
    json: bool,
}

/// What carries the frames. Default: some rounds have a link that loses some, others one as the kernel's.
#[derive(Args)]
struct LinkArgs {
    /// Only links that lose, double and reorder frames. Default: in some rounds, drawn from their seeds.
    #[arg(long, conflicts_with = "lossless")]
    lossy: bool,
    /// Only links that lose nothing, as the kernel's queues.
    #[arg(long)]
    lossless: bool,
}

/// All rounds so far.
struct Summary<'a> {
    arguments: &'a SimulateArgs,
    first_seed: u64,
    rounds: u64,
    steps: u64,
    virtual_time: u64,
    /// Over the digests of all rounds.
    digest: u64,
    situations: Situations,
    failure: Option<simulator::Failure>,
    seconds: f64,
}

pub(crate) fn run(arguments: &SimulateArgs) -> Result<(), Failure> {
    let first_seed = arguments.seed.unwrap_or_else(|| u64::from(fastrand::u32(..)));
    if !arguments.json {
        print(format_args!("first seed {first_seed}"))?;
    }
    let summary = simulate(arguments, first_seed)?;
    if arguments.json {
        print(format_args!("{:#}", summary.document()))?;
    } else {
        print(summary.table())?;
    }
    match summary.failure {
        Some(failure) => Err(Failure::new(Exit::Violation, failure)),
        None if arguments.sabotage.is_some() => Err(Failure::general("the sabotage was not noticed")),
        None => Ok(()),
    }
}

fn simulate(arguments: &SimulateArgs, first_seed: u64) -> Result<Summary<'_>, Failure> {
    let settings = arguments.settings();
    let stopwatch = Stopwatch::start();
    let mut summary = Summary::new(arguments, first_seed);
    for seed in (0..arguments.rounds).map(|round| first_seed.wrapping_add(round)) {
        match round(seed, &settings, arguments.trace)? {
            Ok(report) => summary.add(&report),
            Err(failure) => {
                summary.failure = Some(failure);
                break;
            }
        }
    }
    summary.seconds = stopwatch.read().as_secs_f64();
    Ok(summary)
}

/// One world.
fn round(seed: u64, settings: &Settings, traces: bool) -> Result<Result<Report, simulator::Failure>, Failure> {
    if !traces {
        return Ok(simulator::run(seed, settings));
    }
    let mut output = io::BufWriter::new(io::stdout().lock());
    let mut written = writeln!(output, "seed {seed}");
    let result = simulator::trace(seed, settings, |step| {
        if written.is_ok() {
            written = writeln!(output, "{step}");
        }
    });
    let written = written.and_then(|()| output.flush());
    written.map_err(|error| Failure::general(format!("cannot write to standard output: {error}")))?;
    Ok(result)
}

impl SimulateArgs {
    fn settings(&self) -> Settings {
        let LinkArgs { lossy, lossless } = self.link;
        let wanted = self.sabotage.as_deref();
        Settings {
            senders: self.senders.map(usize::from),
            messages: self.messages,
            lossy: (lossy || lossless).then_some(lossy),
            sabotage: Sabotage::ALL.into_iter().find(|sabotage| Some(sabotage.name()) == wanted),
        }
    }
}

impl<'a> Summary<'a> {
    fn new(arguments: &'a SimulateArgs, first_seed: u64) -> Self {
        Self {
            arguments,
            first_seed,
            rounds: 0,
            steps: 0,
            virtual_time: 0,
            digest: 0,
            situations: Situations::default(),
            failure: None,
            seconds: 0.0,
        }
    }

    fn add(&mut self, report: &Report) {
        self.rounds += 1;
        self.steps += report.steps;
        self.virtual_time = self.virtual_time.saturating_add(report.virtual_time);
        self.digest = self.digest.rotate_left(1) ^ report.digest;
        self.situations += report.situations;
    }

    fn digest(&self) -> String {
        format!("{:016x}", self.digest)
    }

    /// What holds of all rounds, as a table of what they came across and a line.
    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header(["met", "times", "met", "times"]);
        for pair in Situation::ALL.chunks(2) {
            table.add_row(pair.iter().flat_map(|situation| {
                let count = Cell::new(self.situations.count(*situation)).set_alignment(CellAlignment::Right);
                [Cell::new(situation.name()), count]
            }));
        }
        let (rounds, steps) = (counted(self.rounds, "round"), counted(self.steps, "step"));
        let digest = self.digest();
        let time = self.virtual_time / 1_000_000_000;
        let verdict = if self.failure.is_some() { "A promise was broken." } else { "Every promise held." };
        format!(
            "{table}\n\n{rounds} with {steps} and {time} s of virtual time, in {:.1} s; digest {digest}\n{verdict}",
            self.seconds
        )
    }

    /// Fields may be added to version 1, and none is taken away or changed.
    fn document(&self) -> Value {
        let situations = Situation::ALL
            .iter()
            .map(|situation| (situation.name().replace(' ', "_"), Value::from(self.situations.count(*situation))));
        json!({
            "version": 1,
            "verdict": if self.failure.is_some() { "violated" } else { "held" },
            "sabotage": self.arguments.sabotage,
            "first_seed": self.first_seed,
            "rounds": self.rounds,
            "steps": self.steps,
            "virtual_time_ns": self.virtual_time,
            "digest": self.digest(),
            "seconds": self.seconds,
            "situations": situations.collect::<serde_json::Map<_, _>>(),
            "failure": self.failure.as_ref().map(|failure| json!({
                "seed": failure.seed,
                "what": failure.what,
                "scenario": failure.scenario,
                "last_steps": failure.last_steps.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })),
        })
    }
}

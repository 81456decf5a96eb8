//! `lamq ping`.

use crate::{
    failure::{Exit, Failure, counted},
    inbox::Removable,
    ls::{print, shown},
    send::not_connected,
    signals::Blocked,
};
use clap::Args;
use lamq::{ConnectError, Pong, Sender, SenderBuilder, link::Posix};
use serde_json::{Value, json};
use std::{
    fmt, process,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Ask a receiver whether it is there, how many senders it has, and how long an answer takes.
///
/// It opens no session: whoever receives sees nothing of it, and a receiver that is full answers too. The exit code is 0 only
/// if all was answered.
#[derive(Args)]
#[command(after_help = crate::failure::EXIT_CODES)]
pub(crate) struct PingArgs {
    /// The queue's name in the kernel, such as /orders.
    name: String,
    /// How often to ask.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// How long to wait before asking again.
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    interval: Duration,
    /// How long to wait for a receiver and its answer.
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Write one JSON document.
    #[arg(long)]
    json: bool,
}

/// An answer, or why there was none.
type Outcome = Result<Pong, String>;

/// What came of it so far.
#[derive(Debug, Default)]
struct Tally(Vec<Outcome>);

pub(crate) fn run(arguments: &PingArgs) -> Result<(), Failure> {
    let blocked = Blocked::new()?;
    let (link, tally) = (Removable::new(Posix), Arc::new(Mutex::default()));
    let (own, shared) = (link.clone(), Arc::clone(&tally));
    blocked.on_first(move |signal| {
        let _removed = own.remove();
        // On standard error, because whoever reads standard output may have stopped while the other thread writes there.
        Failure::general(format!("interrupted by {signal}: {}", *lock(&shared))).report();
        process::exit(Exit::Failure as i32);
    })?;
    let asking = Sender::builder().link(link).wait(arguments.timeout);
    let result = ask_all(&asking, arguments, &tally);
    let tally = lock(&tally);
    if tally.0.is_empty() {
        return result;
    }
    if arguments.json {
        print(format_args!("{:#}", document(arguments, &tally)))?;
    } else {
        print(&*tally)?;
    }
    result
}

/// What a panic left behind can still be told.
fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ask_all(asking: &SenderBuilder, arguments: &PingArgs, tally: &Mutex<Tally>) -> Result<(), Failure> {
    let PingArgs { name, count, interval, json, .. } = arguments;
    let (mut unanswered, mut last) = (0, None);
    for round in 0..*count {
        if round > 0 {
            thread::sleep(*interval);
        }
        let outcome = match asking.ping(name.as_str()) {
            Ok(pong) => Ok(pong),
            Err(error @ (ConnectError::NoReceiver { .. } | ConnectError::Stalled { .. })) => {
                let why = error.to_string();
                (unanswered, last) = (unanswered + 1, Some(not_connected(error, name)));
                Err(why)
            }
            // It would be no better the next time.
            Err(error) => return Err(not_connected(error, name)),
        };
        let line = line(name, &outcome);
        lock(tally).0.push(outcome);
        if !json {
            print(line)?;
        }
    }
    match last {
        Some(failure) if *count > 1 => {
            Err(failure.after(&format!("{unanswered} of {count} not answered, the last because")))
        }
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

fn line(name: &str, outcome: &Outcome) -> String {
    match outcome {
        Ok(Pong { pid, senders, round_trip, .. }) => {
            let senders = counted((*senders).into(), "sender");
            format!("{} answers: process {pid}, {senders}, {} us", shown(name), round_trip.as_micros())
        }
        Err(why) => format!("no answer: {}", shown(why)),
    }
}

/// The least, the middle and the most of something.
struct Spread {
    min: Duration,
    median: Duration,
    max: Duration,
}

impl Tally {
    fn answers(&self) -> impl Iterator<Item = &Pong> {
        self.0.iter().filter_map(|outcome| outcome.as_ref().ok())
    }

    /// `None`: no answer at all.
    fn round_trips(&self) -> Option<Spread> {
        let mut times: Vec<_> = self.answers().map(|pong| pong.round_trip).collect();
        times.sort_unstable();
        let (min, max) = (*times.first()?, *times.last()?);
        let median = (times[(times.len() - 1) / 2] + times[times.len() / 2]) / 2;
        Some(Spread { min, median, max })
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} asked, {} answered", self.0.len(), self.answers().count())?;
        let Some(Spread { min, median, max }) = self.round_trips() else { return Ok(()) };
        write!(f, ": min {}, median {}, max {} us", min.as_micros(), median.as_micros(), max.as_micros())
    }
}

/// Fields may be added to version 1, and none is taken away or changed.
fn document(arguments: &PingArgs, tally: &Tally) -> Value {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let outcome = |outcome: &Outcome| match outcome {
        Ok(Pong { pid, senders, round_trip, .. }) => {
            json!({ "pid": pid, "senders": senders, "round_trip_us": micros(*round_trip) })
        }
        Err(why) => json!({ "failure": why }),
    };
    let spread = |Spread { min, median, max }: Spread| json!({ "min": micros(min), "median": micros(median), "max": micros(max) });
    json!({
        "version": 1,
        "name": arguments.name,
        "asked": tally.0.len(),
        "answered": tally.answers().count(),
        "pings": tally.0.iter().map(outcome).collect::<Vec<_>>(),
        "round_trip_us": tally.round_trips().map(spread),
    })
}

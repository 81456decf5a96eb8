//! `lamq send`.

use crate::{
    clock::Patience,
    failure::{Exit, Failure, counted, is_or_are},
    inbox::Removable,
    signals::Blocked,
};
use clap::{Args, ValueEnum};
use lamq::{
    ConnectError, FlushError, FlushFailure, Level, SendFailure, SendSyncError, Sender, SenderStats, Sent, link::Posix,
};
use nix::sys::signal::Signal;
use std::{
    ffi::OsString,
    io::{self, BufRead, Read},
    os::unix::ffi::OsStrExt,
    process,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// Send messages to a receiver, and exit when all are acknowledged as processed.
#[derive(Args)]
#[command(after_help = crate::failure::EXIT_CODES)]
pub(crate) struct SendArgs {
    /// The queue's name in the kernel, such as /orders.
    name: String,
    /// Messages; without any, each line of standard input is one.
    messages: Vec<OsString>,
    /// How long to wait for a receiver, then for each message to be accepted, and in the end for all to be acknowledged and
    /// the session to close.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// When the receiver dies or leaves, wait this long for the next one on the name, and go on with it. What the old one may have
    /// had and did not acknowledge as processed is sent again. That time is added to --timeout.
    #[arg(long, value_parser = humantime::parse_duration)]
    wait: Option<Duration>,
    /// Messages on standard input end with a NUL byte instead of a newline.
    #[arg(short = '0', conflicts_with = "messages")]
    nul: bool,
    /// Send each message only when the receiver has taken the one before.
    #[arg(long)]
    sync: bool,
    /// What to do with a message for which the receiver has no room.
    #[arg(long, value_enum, default_value_t = OnFull::Block, conflicts_with = "sync")]
    on_full: OnFull,
}

/// What to do with a message for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnFull {
    /// Wait for room, no longer than the time-out.
    Block,
    /// Drop it: the receiver is told of the gap, and in the end standard error of how many there were.
    Drop,
    /// Fail, with exit code 3; what was sent before is not waited for.
    Error,
}

impl SendArgs {
    /// How long a call may take: it cannot know when the receiver goes, and the next one may take all of its time.
    fn patience(&self) -> Duration {
        self.timeout.saturating_add(self.wait.unwrap_or_default())
    }
}

/// How much input is read at a time.
const INPUT_BYTES: usize = 64 << 10;

/// What kept messages from being sent.
enum Unsent {
    /// The receiver: it gave no credit in time, or it is gone. There is nothing left to wait for.
    Receiver(Failure),
    /// The message itself, or the input. The session is as good as before.
    Input(String),
}

pub(crate) fn run(arguments: &SendArgs) -> Result<(), Failure> {
    let blocked = Blocked::new()?;
    let link = Removable::new(Posix);
    let (own, connected) = (link.clone(), Arc::new(OnceLock::new()));
    let shared = Arc::clone(&connected);
    blocked.on_first(move |signal| {
        let _removed = own.remove();
        interrupted(signal, shared.get()).report();
        process::exit(Exit::Failure as i32);
    })?;
    let sender = connect(arguments, link)?;
    connected.get_or_init(|| sender.clone());
    match send_all(&sender, arguments) {
        Ok(()) => {
            let Finished { sent, dropped } = finish(sender, arguments.patience())?;
            tracing::info!(target: "lamq", name = arguments.name, sent, "closed, all acknowledged as processed");
            if dropped > 0 {
                eprintln!("lamq: {dropped} of {} dropped for want of room", counted(sent, "message"));
            }
            Ok(())
        }
        Err(Unsent::Receiver(failure)) => {
            // All has been said: dropped, it would wait and warn.
            _ = sender.close(Duration::ZERO);
            Err(failure)
        }
        Err(Unsent::Input(what)) => Err(Failure::general(match finish(sender, arguments.patience()) {
            Ok(Finished { sent: 0, .. }) => what,
            Ok(_) => format!("{what}; all that was sent before is acknowledged"),
            Err(failure) => format!("{what}; {failure}"),
        })),
    }
}

/// What is known of the messages when a signal ends it all.
fn interrupted(signal: Signal, sender: Option<&Sender>) -> Failure {
    let Some(sender) = sender else { return Failure::interrupted(signal) };
    let SenderStats { sent, processed, .. } = sender.stats();
    Failure::general(format!("interrupted by {signal}: {} sent, {processed} acknowledged", counted(sent, "message")))
}

fn connect(arguments: &SendArgs, link: Removable<Posix>) -> Result<Sender, Failure> {
    let SendArgs { name, timeout, wait, .. } = arguments;
    // No linger: what is to be waited for is waited for below, and a failure is reported within its time-out.
    let builder = Sender::builder().link(link).wait(*timeout).linger(Duration::ZERO).level(Level::Processed);
    let builder = if let Some(wait) = wait { builder.resume(*wait) } else { builder };
    let sender = builder.connect(name.as_str()).map_err(|error| not_connected(error, name))?;
    tracing::info!(target: "lamq", name, "connected");
    Ok(sender)
}

/// Why the receiver was not reached, and what to do.
pub(crate) fn not_connected(error: ConnectError, name: &str) -> Failure {
    match error {
        ConnectError::Name(_) => Failure::new(Exit::Usage, error),
        ConnectError::NoReceiver { .. } => {
            let remedy = format!("start one with `lamq recv {name}`, or wait longer with --timeout");
            Failure::new(Exit::Timeout, format!("{error}; {remedy}"))
        }
        ConnectError::Stalled { .. } => Failure::new(Exit::Timeout, error),
        _ => Failure::general(error),
    }
}

/// How many messages there were, and how many of them were dropped.
struct Finished {
    sent: u64,
    dropped: u64,
}

/// Waits until all is acknowledged, and ends the session.
fn finish(sender: Sender, timeout: Duration) -> Result<Finished, Failure> {
    let patience = Patience::new(Some(timeout));
    if let Err(error) = sender.flush_timeout(timeout) {
        _ = sender.close(Duration::ZERO);
        return Err(unacknowledged(error));
    }
    let SenderStats { sent, dropped, .. } = sender.stats();
    sender.close(patience.left().unwrap_or_default()).map_err(|_| {
        let waited = humantime::format_duration(timeout);
        let what = "all is acknowledged, but the receiver did not confirm the end of the session";
        Failure::new(Exit::Timeout, format!("{what} within {waited} (--timeout)"))
    })?;
    Ok(Finished { sent, dropped })
}

fn send_all(sender: &Sender, arguments: &SendArgs) -> Result<(), Unsent> {
    if arguments.messages.is_empty() {
        return send_input(sender, arguments);
    }
    arguments.messages.iter().try_for_each(|message| send_one(sender, message.as_bytes(), arguments))
}

fn send_input(sender: &Sender, arguments: &SendArgs) -> Result<(), Unsent> {
    let end = if arguments.nul { 0 } else { b'\n' };
    let most = sender.max_message_size();
    let mut input = io::BufReader::with_capacity(INPUT_BYTES, io::stdin().lock());
    let mut message = Vec::new();
    let unreadable = |error| Unsent::Input(format!("cannot read standard input: {error}"));
    // One byte more than may be is enough to know: a line may have no end.
    while input.by_ref().take(most as u64 + 1).read_until(end, &mut message).map_err(unreadable)? > 0 {
        if message.last() == Some(&end) {
            message.pop();
        }
        if message.len() > most {
            let limit = "the limit (the receiver's setting `max_message_size`)";
            return Err(Unsent::Input(format!("{}: it has more than {most} bytes, {limit}", not_sent(sender))));
        }
        send_one(sender, &message, arguments)?;
        message.clear();
        if input.buffer().is_empty() {
            // Whatever comes next may take its time: nothing stays behind in a half-full frame.
            sender.flush_timeout(arguments.patience()).map_err(|error| Unsent::Receiver(unacknowledged(error)))?;
        }
    }
    Ok(())
}

fn unacknowledged(error: FlushError) -> Failure {
    let exit = if error.why == FlushFailure::Timeout { Exit::Timeout } else { Exit::PeerGone };
    Failure::new(exit, error)
}

/// Names the message after the last one that was sent.
fn not_sent(sender: &Sender) -> String {
    format!("message {} was not sent", sender.stats().sent + 1)
}

fn send_one(sender: &Sender, message: &[u8], arguments: &SendArgs) -> Result<(), Unsent> {
    let number = if arguments.sync {
        sender.send_sync_timeout(message, arguments.patience()).map(|receipt| receipt.number()).map_err(|error| {
            match error {
                SendSyncError::NotSent(error) => refused(sender, &error.failure),
                SendSyncError::Unknown { why: FlushFailure::Timeout, .. } => {
                    Unsent::Receiver(Failure::new(Exit::Timeout, error.to_string()))
                }
                SendSyncError::Unknown { .. } => Unsent::Receiver(Failure::new(Exit::PeerGone, error.to_string())),
            }
        })?
    } else {
        let sent = match arguments.on_full {
            OnFull::Block => sender.send_timeout(message, arguments.patience()).map(Sent::Accepted),
            OnFull::Error => sender.try_send(message).map(Sent::Accepted),
            OnFull::Drop => sender.send_or_drop(message, Duration::ZERO),
        };
        match sent.map_err(|error| refused(sender, &error.failure))? {
            Sent::Accepted(number) => number,
            Sent::Dropped(number) => {
                tracing::trace!(target: "lamq", number, "dropped");
                return Ok(());
            }
        }
    };
    tracing::trace!(target: "lamq", number, bytes = message.len(), "sent");
    Ok(())
}

fn refused(sender: &Sender, failure: &SendFailure) -> Unsent {
    let what = format!("{}: {failure}", not_sent(sender));
    let exit = match failure {
        SendFailure::Timeout | SendFailure::Full => Exit::Timeout,
        SendFailure::Disconnected(_) | SendFailure::Absent { .. } => Exit::PeerGone,
        _ => return Unsent::Input(what),
    };
    let SenderStats { sent, processed, .. } = sender.stats();
    let before = match sent - processed {
        0 => String::new(),
        open => format!("; {open} of the {sent} before it {} not acknowledged", is_or_are(open)),
    };
    Unsent::Receiver(Failure::new(exit, what + &before))
}

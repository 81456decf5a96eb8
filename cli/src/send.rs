//! `lamq send`.

use crate::{
    failure::{Exit, Failure},
    inbox::Removable,
    signals::Blocked,
};
use clap::Args;
use lamq::{ConnectError, FlushError, FlushFailure, Level, SendFailure, Sender, SenderStats, link::Posix};
use std::{
    io::{self, BufRead},
    process,
    time::Duration,
};

/// Send messages to a receiver, and exit when all are acknowledged as processed.
#[derive(Args)]
#[command(after_help = crate::failure::EXIT_CODES)]
pub(crate) struct SendArgs {
    /// The queue's name in the kernel, such as /orders.
    name: String,
    /// Messages; without any, each line of standard input is one.
    messages: Vec<String>,
    /// How long to wait for a receiver, and then for each message to be accepted.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Messages on standard input end with a NUL byte instead of a newline.
    #[arg(short = '0')]
    nul: bool,
}

/// How much input is read at a time.
const INPUT_BYTES: usize = 64 << 10;

pub(crate) fn run(arguments: &SendArgs) -> Result<(), Failure> {
    let blocked = Blocked::new()?;
    let link = Removable::new(Posix);
    let own = link.clone();
    blocked.on_first(move |signal| {
        let _removed = own.remove();
        Failure::interrupted(signal).report();
        process::exit(Exit::Failure as i32);
    })?;
    let sender = connect(arguments, link)?;
    if let Err(failure) = send_all(&sender, arguments) {
        // All has been said: dropped, it would wait and warn.
        _ = sender.close(Duration::ZERO);
        return Err(failure);
    }
    let sent = sender.stats().sent;
    sender.close(arguments.timeout).map_err(unacknowledged)?;
    tracing::info!(target: "lamq", name = arguments.name, sent, "closed, all acknowledged as processed");
    Ok(())
}

fn send_all(sender: &Sender, arguments: &SendArgs) -> Result<(), Failure> {
    if arguments.messages.is_empty() {
        return send_input(sender, arguments);
    }
    arguments.messages.iter().try_for_each(|message| send_one(sender, message.as_bytes(), arguments.timeout))
}

fn connect(arguments: &SendArgs, link: Removable<Posix>) -> Result<Sender, Failure> {
    let SendArgs { name, timeout, .. } = arguments;
    // No linger: what is to be waited for is waited for below, and a failure is reported within its time-out.
    let builder = Sender::builder().link(link).wait(*timeout).linger(Duration::ZERO).level(Level::Processed);
    let sender = builder.connect(name.as_str()).map_err(|error| match error {
        ConnectError::Name(_) => Failure::new(Exit::Usage, error),
        ConnectError::NoReceiver { .. } => {
            let remedy = format!("start one with `lamq recv {name}`, or wait longer with --timeout");
            Failure::new(Exit::Timeout, format!("{error}; {remedy}"))
        }
        ConnectError::Stalled { .. } => Failure::new(Exit::Timeout, format!("{error}; see what keeps it")),
        _ => Failure::general(error),
    })?;
    tracing::info!(target: "lamq", name, "connected");
    Ok(sender)
}

fn send_input(sender: &Sender, arguments: &SendArgs) -> Result<(), Failure> {
    let end = if arguments.nul { 0 } else { b'\n' };
    let mut input = io::BufReader::with_capacity(INPUT_BYTES, io::stdin().lock());
    let mut message = Vec::new();
    let unreadable = |error| Failure::general(format!("cannot read standard input: {error}"));
    while input.read_until(end, &mut message).map_err(unreadable)? > 0 {
        if message.last() == Some(&end) {
            message.pop();
        }
        send_one(sender, &message, arguments.timeout)?;
        message.clear();
        if input.buffer().is_empty() {
            // Whatever comes next may take its time: nothing stays behind in a half-full frame.
            sender.flush_timeout(arguments.timeout).map_err(unacknowledged)?;
        }
    }
    Ok(())
}

fn unacknowledged(error: FlushError) -> Failure {
    let exit = if error.why == FlushFailure::Timeout { Exit::Timeout } else { Exit::PeerGone };
    Failure::new(exit, error)
}

fn send_one(sender: &Sender, message: &[u8], timeout: Duration) -> Result<(), Failure> {
    let number = sender.send_timeout(message, timeout).map_err(|error| {
        let exit = match error.failure {
            SendFailure::Timeout => Exit::Timeout,
            SendFailure::Disconnected(_) => Exit::PeerGone,
            _ => Exit::Failure,
        };
        let SenderStats { sent, processed, .. } = sender.stats();
        let before = match sent - processed {
            0 => String::new(),
            open => format!("; {open} of the {sent} before it are not acknowledged"),
        };
        Failure::new(exit, format!("message {} was not sent: {}{before}", sent + 1, error.failure))
    })?;
    tracing::trace!(target: "lamq", number, bytes = message.len(), "sent");
    Ok(())
}

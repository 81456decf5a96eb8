//! `lamq send`.

use crate::{
    clock::Patience,
    failure::{Exit, Failure, counted, is_or_are},
    inbox::Removable,
    signals::Blocked,
};
use clap::Args;
use lamq::{ConnectError, FlushError, FlushFailure, Level, SendFailure, Sender, SenderStats, link::Posix};
use nix::sys::signal::Signal;
use std::{
    ffi::OsString,
    io::{self, BufRead, Read},
    mem,
    os::unix::ffi::OsStrExt,
    process,
    sync::{Arc, OnceLock, Weak},
    thread,
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
    /// Messages on standard input end with a NUL byte instead of a newline.
    #[arg(short = '0', conflicts_with = "messages")]
    nul: bool,
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
    let sender = Arc::new(connect(arguments, link)?);
    connected.get_or_init(|| Arc::downgrade(&sender));
    match send_all(&sender, arguments) {
        Ok(()) => {
            let sent = finish(sender, arguments.timeout)?;
            tracing::info!(target: "lamq", name = arguments.name, sent, "closed, all acknowledged as processed");
            Ok(())
        }
        Err(Unsent::Receiver(failure)) => {
            // All has been said: dropped, it would wait and warn.
            _ = close(sender, Duration::ZERO);
            Err(failure)
        }
        Err(Unsent::Input(what)) => Err(Failure::general(match finish(sender, arguments.timeout) {
            Ok(0) => what,
            Ok(_) => format!("{what}; all that was sent before is acknowledged"),
            Err(failure) => format!("{what}; {failure}"),
        })),
    }
}

/// What is known of the messages when a signal ends it all.
fn interrupted(signal: Signal, sender: Option<&Weak<Sender>>) -> Failure {
    // None also when it is being closed: then all is acknowledged, or it has been said what is not.
    let Some(sender) = sender.and_then(Weak::upgrade) else { return Failure::interrupted(signal) };
    let SenderStats { sent, processed, .. } = sender.stats();
    // Should nobody else have it any more: dropped, it would wait and warn.
    mem::forget(sender);
    Failure::general(format!("interrupted by {signal}: {} sent, {processed} acknowledged", counted(sent, "message")))
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
        ConnectError::Stalled { .. } => {
            Failure::new(Exit::Timeout, format!("{error}; it may be stopped, or out of descriptors"))
        }
        _ => Failure::general(error),
    })?;
    tracing::info!(target: "lamq", name, "connected");
    Ok(sender)
}

/// Waits until all is acknowledged, and ends the session. Returns how many messages there were.
fn finish(sender: Arc<Sender>, timeout: Duration) -> Result<u64, Failure> {
    let patience = Patience::new(Some(timeout));
    // Not by closing it at once: while this waits, an interrupt finds the sender, and says how far it came.
    if let Err(error) = sender.flush_timeout(timeout) {
        _ = close(sender, Duration::ZERO);
        return Err(unacknowledged(error));
    }
    let sent = sender.stats().sent;
    close(sender, patience.left().unwrap_or_default()).map_err(|_| {
        let waited = humantime::format_duration(timeout);
        let what = "all is acknowledged, but the receiver did not confirm the end of the session";
        Failure::new(Exit::Timeout, format!("{what} within {waited} (--timeout)"))
    })?;
    Ok(sent)
}

fn close(sender: Arc<Sender>, timeout: Duration) -> Result<(), FlushError> {
    match Arc::into_inner(sender) {
        Some(sender) => sender.close(timeout),
        // The thread that waits for signals has it, and is about to end the process.
        None => loop {
            thread::park();
        },
    }
}

fn send_all(sender: &Sender, arguments: &SendArgs) -> Result<(), Unsent> {
    if arguments.messages.is_empty() {
        return send_input(sender, arguments);
    }
    arguments.messages.iter().try_for_each(|message| send_one(sender, message.as_bytes(), arguments.timeout))
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
            let limit = "the limit, set by the receiver's inbox (its setting `frame_size`)";
            return Err(Unsent::Input(format!("{}: it has more than {most} bytes, {limit}", not_sent(sender))));
        }
        send_one(sender, &message, arguments.timeout)?;
        message.clear();
        if input.buffer().is_empty() {
            // Whatever comes next may take its time: nothing stays behind in a half-full frame.
            sender.flush_timeout(arguments.timeout).map_err(|error| Unsent::Receiver(unacknowledged(error)))?;
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

fn send_one(sender: &Sender, message: &[u8], timeout: Duration) -> Result<(), Unsent> {
    let number = sender.send_timeout(message, timeout).map_err(|error| {
        let what = format!("{}: {}", not_sent(sender), error.failure);
        let exit = match error.failure {
            SendFailure::Timeout => Exit::Timeout,
            SendFailure::Disconnected(_) => Exit::PeerGone,
            _ => return Unsent::Input(what),
        };
        let SenderStats { sent, processed, .. } = sender.stats();
        let before = match sent - processed {
            0 => String::new(),
            open => format!("; {open} of the {sent} before it {} not acknowledged", is_or_are(open)),
        };
        Unsent::Receiver(Failure::new(exit, what + &before))
    })?;
    tracing::trace!(target: "lamq", number, bytes = message.len(), "sent");
    Ok(())
}

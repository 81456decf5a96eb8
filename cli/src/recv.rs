//! `lamq recv`.

mod json;

use crate::{
    clock::Patience,
    failure::{Exit, Failure, counted, is_or_are},
    signals::Blocked,
};
use clap::{Args, ValueEnum};
use lamq::{BindError, Event, Receiver, RecvTimeoutError};
use nix::sys::signal::Signal;
use std::{
    io::{self, Write},
    process,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Receive messages and write them to standard output, one a line, until interrupted.
///
/// A message is acknowledged as processed after it was written. SIGINT, SIGTERM and SIGHUP end it in good order, unless
/// they were ignored when it started (nohup): what was written is acknowledged, the senders are told, the queue is removed. The
/// exit code is 0 then, or 1 when there was something to wait for (--count, --until-closed).
#[derive(Args)]
#[command(after_help = crate::failure::EXIT_CODES)]
pub(crate) struct RecvArgs {
    /// The queue's name in the kernel, such as /orders.
    name: String,
    /// Exit after this many messages.
    #[arg(long)]
    count: Option<u64>,
    /// Exit when at least one sender has come and all are gone again.
    #[arg(long)]
    until_closed: bool,
    /// Exit with 3 when no message comes for so long.
    #[arg(long, value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// End each message, or object, with a NUL byte instead of a newline.
    #[arg(short = '0')]
    nul: bool,
    /// What to write of a message.
    #[arg(long, value_enum, default_value_t = Format::Body)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Its bytes as they are.
    Body,
    /// One JSON object: "event" is "message", "pid" the sender's process, "uid" its user, "epoch" its incarnation,
    /// "index" the stream in that, "number" the place in the stream, "lamport" the stamp, "body" the text; of bytes that are no UTF-8
    /// "base64"; "again" is true if an earlier receiver may have had it too.
    /// Senders that come and go are objects too: "event" is "joined"; "left", "died" or "failed" with "last", the last number
    /// received, and for "failed" with "why". Fields may be added, none is taken away.
    Json,
}

/// How much output is gathered at most.
const OUTPUT_BYTES: usize = 64 << 10;

pub(crate) fn run(arguments: &RecvArgs) -> Result<(), Failure> {
    let blocked = Blocked::new()?;
    let receiver = Arc::new(bind(arguments)?);
    let gate = Arc::new(Gate::default());
    blocked.on_first({
        let (receiver, gate) = (Arc::clone(&receiver), Arc::clone(&gate));
        move |signal| gate.interrupt(signal, &receiver)
    })?;
    let end = if arguments.nul { 0 } else { b'\n' };
    let format = arguments.format;
    let mut output = Output { receiver: &receiver, bytes: Vec::new(), end, format, pending: 0, written: 0 };
    let result = receive(arguments, &gate, &mut output);
    let written = output.written;
    // Not by dropping it: the thread that waits for signals holds it too, and ends only with the process.
    receiver.close();
    tracing::info!(target: "lamq", name = arguments.name, written, "closed");
    result
}

fn bind(arguments: &RecvArgs) -> Result<Receiver, Failure> {
    let mut builder = Receiver::builder().manual_acknowledge();
    if arguments.until_closed {
        builder = builder.end_with_last_sender();
    }
    let receiver = builder.bind(arguments.name.as_str()).map_err(|error| match error {
        BindError::Name(_) => Failure::new(Exit::Usage, error),
        _ => Failure::general(error),
    })?;
    tracing::info!(target: "lamq", name = arguments.name, "bound");
    Ok(receiver)
}

fn receive(arguments: &RecvArgs, gate: &Gate, output: &mut Output<'_>) -> Result<(), Failure> {
    let RecvArgs { name, count, until_closed, timeout, .. } = arguments;
    let has_limit = count.is_some() || *until_closed;
    let interrupted = |signal| if has_limit { Err(Failure::interrupted(signal)) } else { Ok(()) };
    let mut patience = Patience::new(*timeout);
    while count.is_none_or(|limit| output.written < limit) {
        let mut next = output.receiver.recv_event(patience.left());
        if let Some(signal) = gate.enter() {
            return interrupted(signal);
        }
        // All that is there goes out with one write, and is acknowledged when that has returned.
        let mut over = false;
        loop {
            match next {
                Ok(event) => output.take(&event),
                Err(error) => {
                    over = error == RecvTimeoutError::Disconnected;
                    break;
                }
            }
            if output.bytes.len() > OUTPUT_BYTES || count.is_some_and(|limit| output.written + output.pending == limit)
            {
                break;
            }
            next = output.receiver.recv_event(Some(Duration::ZERO));
        }
        if !output.bytes.is_empty() && output.write()? > 0 {
            patience.renew();
        }
        if let Some(signal) = gate.leave() {
            return interrupted(signal);
        }
        if over {
            return Ok(());
        }
        // Not by what the call said: also a sender that joins makes it return.
        if patience.left() == Some(Duration::ZERO) {
            let waited = humantime::format_duration(timeout.unwrap_or_default());
            return Err(Failure::new(Exit::Timeout, format!("no message came on {name} for {waited} (--timeout)")));
        }
    }
    Ok(())
}

/// What was received and is not yet written.
struct Output<'a> {
    receiver: &'a Receiver,
    bytes: Vec<u8>,
    end: u8,
    format: Format,
    /// How many messages that is.
    pending: u64,
    /// Messages written and acknowledged.
    written: u64,
}

impl Output<'_> {
    fn take(&mut self, event: &Event) {
        tell(event);
        match (self.format, event) {
            (Format::Json, event) if json::append(&mut self.bytes, event) => {}
            (Format::Body, Event::Message(message)) => self.bytes.extend_from_slice(message),
            _ => return,
        }
        self.bytes.push(self.end);
        self.pending += u64::from(matches!(event, Event::Message(_)));
    }

    /// Returns how many messages were written.
    fn write(&mut self) -> Result<u64, Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&self.bytes).and_then(|()| stdout.flush()).map_err(|error| {
            let open = counted(self.pending, "received message");
            let what = format!("{open} {} not acknowledged", is_or_are(self.pending));
            Failure::general(format!("cannot write to standard output: {error}; {what}"))
        })?;
        self.bytes.clear();
        let messages = std::mem::take(&mut self.pending);
        if messages > 0 {
            self.receiver.acknowledge();
            tracing::debug!(target: "lamq", messages, "written and acknowledged");
            self.written += messages;
        }
        Ok(messages)
    }
}

fn tell(event: &Event) {
    match event {
        Event::Message(message) => {
            tracing::trace!(target: "lamq", pid = message.peer().pid, number = message.number(), "received");
        }
        Event::Joined(peer) => tracing::info!(target: "lamq", pid = peer.pid, "a sender joined"),
        Event::Departed { peer, departure, last } => {
            tracing::info!(target: "lamq", pid = peer.pid, %departure, last, "a sender departed");
        }
        Event::Gap { peer, first, last } => {
            tracing::warn!(target: "lamq", pid = peer.pid, first, last, "a sender dropped messages for want of room");
        }
        _ => {}
    }
}

/// Keeps an interrupt away from the time between the taking of messages and their acknowledgement: what is written is
/// acknowledged, and what cannot be acknowledged any more is not written.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<GateState>,
    left: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    /// Messages are being written.
    inside: bool,
    signal: Option<Signal>,
    closed: bool,
}

/// How long an interrupt waits for standard output. Whoever reads it may have stopped for good.
const WRITE_PATIENCE: Duration = Duration::from_secs(2);

impl Gate {
    /// Before messages are written. A signal: it is too late, they can no longer be acknowledged.
    fn enter(&self) -> Option<Signal> {
        let mut state = self.lock();
        state.inside = !state.closed;
        state.signal.filter(|_| state.closed)
    }

    /// After they were acknowledged. A signal: it is time to end.
    fn leave(&self) -> Option<Signal> {
        let mut state = self.lock();
        state.inside = false;
        self.left.notify_all();
        state.signal
    }

    fn interrupt(&self, signal: Signal, receiver: &Receiver) {
        let mut state = self.lock();
        state.signal = Some(signal);
        let waited = self.left.wait_timeout_while(state, WRITE_PATIENCE, |state| state.inside);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
        receiver.close();
        if state.inside {
            let what = "while standard output took nothing; what was not written is not acknowledged";
            Failure::general(format!("interrupted by {signal} {what}")).report();
            process::exit(Exit::Failure as i32);
        }
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The command `lamq`: ordered, acknowledged messages between processes, from the shell.
#![forbid(unsafe_code)]

use clap::{Args, Parser, Subcommand};
use lamq::{ConnectError, Event, FlushError, FlushFailure, Level, Receiver, RecvTimeoutError, SendFailure, Sender};
use std::{
    error::Error,
    fmt,
    io::{self, BufRead, Write},
    process::ExitCode,
    time::Duration,
};

/// Ordered, acknowledged, flow-controlled messages between processes, on POSIX message queues.
///
/// Exit codes: 0 done, 1 failure, 2 usage, 3 timeout, 4 peer gone.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Send messages to a receiver, and exit when all are acknowledged as processed.
    Send(SendArgs),
    /// Receive messages and write them to standard output, one a line.
    Recv(RecvArgs),
}

#[derive(Args)]
struct SendArgs {
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

#[derive(Args)]
struct RecvArgs {
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
    /// End each message with a NUL byte instead of a newline.
    #[arg(short = '0')]
    nul: bool,
}

/// What the command failed of, and the exit code that says so.
#[derive(Debug)]
struct Failure {
    code: u8,
    what: Box<dyn Error>,
}

impl Failure {
    fn new(code: u8, what: impl Into<Box<dyn Error>>) -> Self {
        Self { code, what: what.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(1, error)
    }
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Send(arguments) => send(&arguments),
        Command::Recv(arguments) => receive(&arguments),
    };
    result.map_or_else(
        |failure| {
            eprintln!("lamq: {failure}");
            ExitCode::from(failure.code)
        },
        |()| ExitCode::SUCCESS,
    )
}

fn send(arguments: &SendArgs) -> Result<(), Failure> {
    // No linger: what is to be waited for is waited for below, and a failure is reported within its time-out.
    let builder = Sender::builder().wait(arguments.timeout).linger(Duration::ZERO).level(Level::Processed);
    let sender = builder.connect(arguments.name.as_str()).map_err(|error| match error {
        ConnectError::Name(_) => Failure::new(2, error),
        ConnectError::NoReceiver { .. } | ConnectError::Stalled { .. } => Failure::new(3, error),
        _ => Failure::new(1, error),
    })?;
    if arguments.messages.is_empty() {
        let end = if arguments.nul { 0 } else { b'\n' };
        let mut input = io::BufReader::with_capacity(INPUT_BYTES, io::stdin().lock());
        let mut message = Vec::new();
        while input.read_until(end, &mut message)? > 0 {
            if message.last() == Some(&end) {
                message.pop();
            }
            send_one(&sender, &message, arguments.timeout)?;
            message.clear();
            if input.buffer().is_empty() {
                // Whatever comes next may take its time: nothing stays behind in a half-full frame.
                sender.flush_timeout(arguments.timeout).map_err(unacknowledged)?;
            }
        }
    } else {
        for message in &arguments.messages {
            send_one(&sender, message.as_bytes(), arguments.timeout)?;
        }
    }
    sender.close(arguments.timeout).map_err(unacknowledged)
}

/// How much input is read at a time.
const INPUT_BYTES: usize = 64 << 10;

fn unacknowledged(error: FlushError) -> Failure {
    match error.why {
        FlushFailure::Timeout => Failure::new(3, error),
        _ => Failure::new(4, error),
    }
}

fn send_one(sender: &Sender, message: &[u8], timeout: Duration) -> Result<(), Failure> {
    sender.send_timeout(message, timeout).map(drop).map_err(|error| match error.failure {
        SendFailure::Timeout => Failure::new(3, error.failure),
        SendFailure::Disconnected(_) => Failure::new(4, error.failure),
        _ => Failure::new(1, error.failure),
    })
}

fn receive(arguments: &RecvArgs) -> Result<(), Failure> {
    let mut builder = Receiver::builder().manual_acknowledge();
    if arguments.until_closed {
        builder = builder.end_with_last_sender();
    }
    let receiver = builder.bind(arguments.name.as_str()).map_err(|error| match error {
        lamq::BindError::Name(_) => Failure::new(2, error),
        _ => Failure::new(1, error),
    })?;
    let end = if arguments.nul { b"\0" } else { b"\n" };
    let mut output = Vec::new();
    let mut count = 0;
    while arguments.count.is_none_or(|limit| count < limit) {
        // All that is there goes out with one write, and is acknowledged when that has returned.
        let next = if let Ok(message) = receiver.try_recv() {
            Ok(Event::Message(message))
        } else {
            write_out(&receiver, &mut output)?;
            receiver.recv_event(arguments.timeout)
        };
        match next {
            Ok(Event::Message(message)) => {
                output.extend_from_slice(&message);
                output.extend_from_slice(end);
                count += 1;
                if output.len() > OUTPUT_BYTES {
                    write_out(&receiver, &mut output)?;
                }
            }
            Ok(_) => {}
            Err(RecvTimeoutError::Disconnected) => break,
            Err(error @ RecvTimeoutError::Timeout) => return Err(Failure::new(3, error)),
        }
    }
    write_out(&receiver, &mut output)
}

/// How much output is gathered at most.
const OUTPUT_BYTES: usize = 64 << 10;

fn write_out(receiver: &Receiver, output: &mut Vec<u8>) -> Result<(), Failure> {
    if !output.is_empty() {
        let mut stdout = io::stdout().lock();
        stdout.write_all(output)?;
        stdout.flush()?;
        output.clear();
        receiver.acknowledge();
    }
    Ok(())
}

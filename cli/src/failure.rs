//! What the command failed of, and the exit code that says so.

use nix::sys::signal::Signal;
use std::{error::Error, fmt, process::ExitCode};

/// The exit codes, as they stand in `--help`. 0 is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Anything that has no code of its own; also an interrupt.
    Failure = 1,
    /// Arguments that make no sense.
    Usage = 2,
    /// Nobody came, or nothing came, in the time given.
    Timeout = 3,
    /// The receiver died, or ended the session.
    PeerGone = 4,
    /// A promise of SPEC.md was found broken.
    Violation = 5,
}

/// For `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failure
  2  usage: the arguments make no sense
  3  timeout: nobody came, or nothing came, in the time given
  4  peer gone: the receiver died, or ended the session
  5  violation: a promise was found broken (demo, simulate)

Errors and warnings go to standard error. NO_COLOR=1 turns colours off.";

/// The end of a command that did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    what: Box<dyn Error>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<Box<dyn Error>>) -> Self {
        Self { exit, what: what.into() }
    }

    /// With the code for all that has none of its own.
    pub(crate) fn general(what: impl Into<Box<dyn Error>>) -> Self {
        Self::new(Exit::Failure, what)
    }

    /// Ended from outside, before its time.
    pub(crate) fn interrupted(signal: Signal) -> Self {
        Self::general(format!("interrupted by {signal}"))
    }

    /// The same, with words before it.
    pub(crate) fn after(self, words: &str) -> Self {
        Self::new(self.exit, format!("{words} {self}"))
    }

    /// Says so on standard error, and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("lamq: {self}");
        self.code()
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)
    }
}

impl Error for Failure {}

/// So many things.
pub(crate) fn counted(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// The verb for so many.
pub(crate) const fn is_or_are(count: u64) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

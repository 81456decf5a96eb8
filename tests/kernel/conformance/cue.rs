//! What the two sides of a row tell each other beside the link.

use super::WATCHDOG;
use crate::process::{self, Process};
use std::{fmt::Display, str::FromStr, sync::mpsc};

/// One end of a conversation in lines between the two sides of a row.
pub(crate) enum Cue {
    /// The other side is a thread.
    Thread { say: mpsc::Sender<String>, lines: mpsc::Receiver<String> },
    /// The other side is a process.
    Process(Process),
    /// We are that process.
    Role,
}

/// Tells a cue from what else a process says.
const MARK: &str = "cue:";

impl Cue {
    /// For two threads.
    pub(super) fn pair() -> (Self, Self) {
        let ((say, other_lines), (other_say, lines)) = (mpsc::channel(), mpsc::channel());
        (Self::Thread { say, lines }, Self::Thread { say: other_say, lines: other_lines })
    }

    #[track_caller]
    pub(super) fn say(&mut self, line: impl Display) {
        match self {
            Self::Thread { say, .. } => say.send(line.to_string()).expect("the other side listens"),
            Self::Process(process) => process.say(&line.to_string()),
            Self::Role => process::say(format_args!("{MARK} {line}")),
        }
    }

    /// What the other side says next.
    #[track_caller]
    fn hear(&mut self) -> String {
        match self {
            Self::Thread { lines, .. } => lines.recv_timeout(WATCHDOG).expect("the other side goes on"),
            Self::Process(process) => process.expect(MARK),
            Self::Role => process::hear_line().expect("the test goes on"),
        }
    }

    /// Waits until the other side says this.
    #[track_caller]
    pub(super) fn expect(&mut self, line: &str) {
        assert_eq!(self.hear(), line);
    }

    /// A number that the other side says.
    #[track_caller]
    pub(super) fn expect_number<N: FromStr>(&mut self) -> N {
        let line = self.hear();
        line.parse().unwrap_or_else(|_| panic!("{line:?} is not a number"))
    }

    /// Waits for the end of the other process, which must be a success.
    #[track_caller]
    pub(super) fn finish(self) {
        if let Self::Process(process) = self {
            process.finish();
        }
    }
}

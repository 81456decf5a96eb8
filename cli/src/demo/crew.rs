//! The processes of the demo, as the demo sees them: started, heard, asked, and gone when it is over.

use super::{
    raw,
    talk::{Asked, Duty, Medium, Role, Told, read_line, write_line},
};
use crate::failure::Failure;
use humantime::format_duration;
use lamq::Receiver;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fmt,
    io::BufReader,
    os::unix::process::CommandExt,
    process::{self, Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver as Inbox, RecvTimeoutError, Sender as Post},
    thread,
    time::Duration,
};

/// What reaches the demo.
#[derive(Debug)]
pub(super) enum Note {
    /// A process, by its id, said something.
    Told(u32, Told),
    /// It will say nothing more.
    Closed(u32),
    /// The demo is to end.
    Interrupted(Signal),
}

/// Where a process stands in the crew: the receiver first, then the senders, numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(pub(super) usize);

impl Place {
    pub(super) const RECEIVER: Self = Self(0);
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("the receiver"),
            sender => write!(f, "sender {sender}"),
        }
    }
}

/// What the demo hears of its crew.
#[derive(Debug)]
pub(super) enum Heard {
    Told(Place, Told),
    Closed(Place),
    /// Nobody said anything for [`QUIET`].
    Nothing,
}

/// One second at a time: a demo that is stopped (Ctrl-Z) for a while does not take that for silence.
const TICK: Duration = Duration::from_secs(1);
const QUIET_TICKS: u32 = 30;

/// How long silence is taken for work. Whoever works says so many times a second.
pub(super) const QUIET: Duration = Duration::from_secs(TICK.as_secs() * QUIET_TICKS as u64);

/// How long a process may take to end when it is asked to.
const LAST_WORDS: Duration = Duration::from_secs(5);
const LAST_WORDS_TICK: Duration = Duration::from_millis(5);

/// One receiver and its senders. None of them outlives it, nor does the queue.
pub(super) struct Crew<'a> {
    medium: Medium,
    queue: String,
    verbose: u8,
    post: Post<Note>,
    inbox: &'a Inbox<Note>,
    members: Vec<Member>,
}

struct Member {
    child: Child,
    /// Until it is to hear no more.
    stdin: Option<ChildStdin>,
    ended: Option<ExitStatus>,
}

impl<'a> Crew<'a> {
    /// Nobody yet. What the processes say goes through `post`, the other end of `inbox`.
    pub(super) fn new(medium: Medium, verbose: u8, post: Post<Note>, inbox: &'a Inbox<Note>) -> Self {
        let kind = match medium {
            Medium::Lamq => "",
            Medium::Raw => "-raw",
        };
        let queue = format!("/lamq-demo{kind}.{}", process::id());
        Self { medium, queue, verbose, post, inbox, members: Vec::new() }
    }

    /// Starts a process for the next place.
    pub(super) fn enlist(&mut self, role: Role) -> Result<(), Failure> {
        let place = Place(self.members.len());
        let failed =
            |error: &dyn fmt::Display| Failure::general(format!("cannot start the process of {place}: {error}"));
        let duty = Duty { parent: process::id(), queue: self.queue.clone(), medium: self.medium, role };
        let duty = serde_json::to_string(&duty).map_err(|error| failed(&error))?;
        // Not by its path: the file there may have been built anew meanwhile.
        let mut child = Command::new("/proc/self/exe")
            .arg0("lamq")
            .args(["demo-member", &duty])
            .args((0..self.verbose).map(|_| "-v"))
            // A Ctrl-C is for the demo, which ends them in order.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed(&error))?;
        let (stdin, stdout) = child.stdin.take().zip(child.stdout.take()).expect("both are piped");
        let (pid, post) = (child.id(), self.post.clone());
        tracing::info!(target: "lamq", %place, pid, "started");
        self.members.push(Member { child, stdin: Some(stdin), ended: None });
        let listen = move || {
            let mut stdout = BufReader::new(stdout);
            while let Ok(Some(told)) = read_line(&mut stdout) {
                _ = post.send(Note::Told(pid, told));
            }
            _ = post.send(Note::Closed(pid));
        };
        thread::Builder::new().spawn(listen).map(drop).map_err(|error| failed(&error))
    }

    /// The process ids of the senders.
    pub(super) fn senders(&self) -> Vec<u32> {
        self.members[1..].iter().map(|member| member.child.id()).collect()
    }

    /// Waits until so many are ready.
    pub(super) fn await_ready(&mut self, count: usize) -> Result<(), Failure> {
        for ready in 0..count {
            match self.hear()? {
                Heard::Told(_, Told::Ready) => {}
                Heard::Told(place, told) => return Err(Failure::general(format!("{place} began too early: {told:?}"))),
                Heard::Closed(place) => return Err(self.unexpected_end(place)),
                Heard::Nothing => {
                    let waited = format_duration(QUIET);
                    let what = format!("{ready} of {count} processes were ready, and no more within {waited}");
                    return Err(Failure::general(what));
                }
            }
        }
        Ok(())
    }

    /// The next thing that one of them says. An interrupt is an error, and so is what they failed of.
    pub(super) fn hear(&mut self) -> Result<Heard, Failure> {
        for _ in 0..QUIET_TICKS {
            let note = match self.inbox.recv_timeout(TICK) {
                Ok(note) => note,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => unreachable!("the crew itself holds the other end"),
            };
            let place = |pid| self.members.iter().position(|member| member.child.id() == pid).map(Place);
            match note {
                Note::Interrupted(signal) => return Err(Failure::interrupted(signal)),
                Note::Told(pid, Told::Failed(what)) => {
                    let who = place(pid).map_or_else(|| format!("process {pid}"), |place| place.to_string());
                    return Err(Failure::general(format!("{who}: {what}")));
                }
                Note::Told(pid, told) => {
                    if let Some(place) = place(pid) {
                        return Ok(Heard::Told(place, told));
                    }
                }
                Note::Closed(pid) => {
                    if let Some(place) = place(pid) {
                        return Ok(Heard::Closed(place));
                    }
                }
            }
        }
        Ok(Heard::Nothing)
    }

    /// Says something to one. That it does not listen any more shows in what is heard of it.
    pub(super) fn ask(&mut self, place: Place, asked: &Asked) {
        let Some(stdin) = &mut self.members[place.0].stdin else { return };
        if let Err(error) = write_line(stdin, asked) {
            tracing::debug!(target: "lamq", %place, %error, "does not listen");
        }
    }

    /// Sends a signal to one that was not waited for yet.
    pub(super) fn signal(&self, place: Place, signal: Signal) {
        let member = &self.members[place.0];
        if member.ended.is_none() {
            let pid = Pid::from_raw(member.child.id().cast_signed());
            _ = kill(pid, signal); // a zombie at worst, for nobody else waits for it
        }
    }

    /// How one that has closed its output ended.
    pub(super) fn wait(&mut self, place: Place) -> Result<ExitStatus, Failure> {
        let member = &mut self.members[place.0];
        let status =
            member.child.wait().map_err(|error| Failure::general(format!("cannot wait for {place}: {error}")))?;
        member.ended = Some(status);
        Ok(status)
    }

    /// One that was still needed has ended.
    pub(super) fn unexpected_end(&mut self, place: Place) -> Failure {
        let pid = self.members[place.0].child.id();
        match self.wait(place) {
            Ok(status) => {
                Failure::general(format!("{place}, process {pid}, ended before its time: {status}; run it again"))
            }
            Err(failure) => failure,
        }
    }
}

impl Drop for Crew<'_> {
    fn drop(&mut self) {
        for place in (0..self.members.len()).map(Place) {
            self.signal(place, Signal::SIGTERM);
            // The receiver may wait for what it is to judge.
            self.members[place.0].stdin = None;
        }
        let mut left = LAST_WORDS;
        for member in self.members.iter_mut().filter(|member| member.ended.is_none()) {
            while matches!(member.child.try_wait(), Ok(None)) {
                if left.is_zero() {
                    _ = member.child.kill();
                    break;
                }
                thread::sleep(LAST_WORDS_TICK);
                left = left.saturating_sub(LAST_WORDS_TICK);
            }
            member.ended = member.child.wait().ok();
        }
        let receiver = self.members.first().and_then(|receiver| receiver.ended);
        if !self.members.is_empty() && !receiver.is_some_and(|status| status.success()) {
            match self.medium {
                // The next owner takes a dead one's queue over, and removes it when it leaves.
                Medium::Lamq => drop(Receiver::bind(self.queue.as_str())),
                Medium::Raw => raw::remove(&self.queue),
            }
        }
    }
}

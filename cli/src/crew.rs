//! Processes that a command starts to send and receive in: started, heard, asked, and gone when it is over.

use crate::failure::Failure;
use humantime::format_duration;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fmt,
    io::BufReader,
    os::unix::process::CommandExt,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver as Inbox, RecvTimeoutError, Sender as Post},
    thread,
    time::Duration,
};
use talk::{read_line, write_line};

pub(crate) mod talk;

/// What the processes say.
pub(crate) trait Word: DeserializeOwned + fmt::Debug + Send + 'static {
    /// That it can begin.
    fn is_ready(&self) -> bool;

    /// What it failed of.
    fn failure(&self) -> Option<&str>;
}

/// What reaches the command.
#[derive(Debug)]
pub(crate) enum Note<T> {
    /// A process, by its id, said something.
    Told(u32, T),
    /// It will say nothing more.
    Closed(u32),
    /// The command is to end.
    Interrupted(Signal),
}

/// Where a process stands in the crew: the receiver first, then the senders, numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) usize);

impl Place {
    pub(crate) const RECEIVER: Self = Self(0);
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("the receiver"),
            sender => write!(f, "sender {sender}"),
        }
    }
}

/// What is heard of a crew.
#[derive(Debug)]
pub(crate) enum Heard<T> {
    Told(Place, T),
    Closed(Place),
    /// Nobody said anything for so long.
    Nothing,
}

/// One second at a time: a command that is stopped (Ctrl-Z) for a while does not take that for silence.
const TICK: Duration = Duration::from_secs(1);

/// How long silence is taken for work.
pub(crate) const QUIET: Duration = Duration::from_secs(30);

/// How long a process may take to end when it is asked to.
const LAST_WORDS: Duration = Duration::from_secs(5);
const LAST_WORDS_TICK: Duration = Duration::from_millis(5);

/// One receiver and its senders. None of them outlives it.
pub(crate) struct Crew<'a, T> {
    /// The word that makes the command such a process.
    subcommand: &'static str,
    verbose: u8,
    post: Post<Note<T>>,
    inbox: &'a Inbox<Note<T>>,
    members: Vec<Member>,
    /// Removes what these processes may have left, one of which did not end in good order.
    remove: Remove<'a>,
}

/// By their process ids.
type Remove<'a> = Box<dyn Fn(&[u32]) + 'a>;

struct Member {
    child: Child,
    /// Until it is to hear no more.
    stdin: Option<ChildStdin>,
    ended: Option<ExitStatus>,
}

impl Member {
    fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            let pid = Pid::from_raw(self.child.id().cast_signed());
            _ = kill(pid, signal); // a zombie at worst, for nobody else waits for it
        }
    }
}

impl<'a, T: Word> Crew<'a, T> {
    /// Nobody yet. What the processes say goes through `post`, the other end of `inbox`.
    pub(crate) fn new(
        subcommand: &'static str,
        verbose: u8,
        (post, inbox): (&Post<Note<T>>, &'a Inbox<Note<T>>),
        remove: impl Fn(&[u32]) + 'a,
    ) -> Self {
        Self { subcommand, verbose, post: post.clone(), inbox, members: Vec::new(), remove: Box::new(remove) }
    }

    /// Starts a process for the next place.
    pub(crate) fn enlist(&mut self, duty: &impl Serialize) -> Result<(), Failure> {
        let place = Place(self.members.len());
        let failed =
            |error: &dyn fmt::Display| Failure::general(format!("cannot start the process of {place}: {error}"));
        let duty = serde_json::to_string(duty).map_err(|error| failed(&error))?;
        // Not by its path: the file there may have been built anew meanwhile.
        let mut child = Command::new("/proc/self/exe")
            .arg0("lamq")
            .args([self.subcommand, &duty])
            .args((0..self.verbose).map(|_| "-v"))
            // A Ctrl-C is for the command, which ends them in order.
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
    pub(crate) fn senders(&self) -> Vec<u32> {
        self.members[1..].iter().map(|member| member.child.id()).collect()
    }

    /// The process id of one.
    pub(crate) fn pid(&self, place: Place) -> u32 {
        self.members[place.0].child.id()
    }

    /// Waits until so many are ready.
    pub(crate) fn await_ready(&mut self, count: usize) -> Result<(), Failure> {
        for ready in 0..count {
            match self.hear()? {
                Heard::Told(_, told) if told.is_ready() => {}
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
    pub(crate) fn hear(&mut self) -> Result<Heard<T>, Failure> {
        self.hear_within(QUIET)
    }

    /// As [`hear`](Self::hear), if it is said in time.
    pub(crate) fn hear_within(&mut self, mut patience: Duration) -> Result<Heard<T>, Failure> {
        while !patience.is_zero() {
            let tick = patience.min(TICK);
            let note = match self.inbox.recv_timeout(tick) {
                Ok(note) => note,
                Err(RecvTimeoutError::Timeout) => {
                    patience -= tick;
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => unreachable!("the crew itself holds the other end"),
            };
            let place = |pid| self.members.iter().position(|member| member.child.id() == pid).map(Place);
            match note {
                Note::Interrupted(signal) => return Err(Failure::interrupted(signal)),
                Note::Told(pid, told) => {
                    if let Some(what) = told.failure() {
                        let who = place(pid).map_or_else(|| format!("process {pid}"), |place| place.to_string());
                        return Err(Failure::general(format!("{who}: {what}")));
                    }
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
    pub(crate) fn ask(&mut self, place: Place, asked: &impl Serialize) {
        let Some(stdin) = &mut self.members[place.0].stdin else { return };
        if let Err(error) = write_line(stdin, asked) {
            tracing::debug!(target: "lamq", %place, %error, "does not listen");
        }
    }

    /// Sends a signal to one that was not waited for yet.
    pub(crate) fn signal(&self, place: Place, signal: Signal) {
        self.members[place.0].signal(signal);
    }

    /// How one that has closed its output ended.
    pub(crate) fn wait(&mut self, place: Place) -> Result<ExitStatus, Failure> {
        let member = &mut self.members[place.0];
        let status =
            member.child.wait().map_err(|error| Failure::general(format!("cannot wait for {place}: {error}")))?;
        member.ended = Some(status);
        Ok(status)
    }

    /// One that was still needed has ended.
    pub(crate) fn unexpected_end(&mut self, place: Place) -> Failure {
        let pid = self.pid(place);
        match self.wait(place) {
            Ok(status) => {
                Failure::general(format!("{place}, process {pid}, ended before its time: {status}; run it again"))
            }
            Err(failure) => failure,
        }
    }
}

impl<T> Drop for Crew<'_, T> {
    fn drop(&mut self) {
        for member in &mut self.members {
            member.signal(Signal::SIGTERM);
            // It may wait for something to be said.
            member.stdin = None;
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
        let succeeded = |member: &Member| member.ended.is_some_and(|status| status.success());
        if !self.members.iter().all(succeeded) {
            (self.remove)(&self.members.iter().map(|member| member.child.id()).collect::<Vec<_>>());
        }
    }
}

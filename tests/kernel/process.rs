//! Other processes: this binary again, in a role.

use crate::{
    conformance, crowd, deaths, flood, forked, jam, kills, limits, names, odd_deaths, owner, ping, quiet, removed,
    resting, select, stampede, stops, surroundings, sweep, trust, typed, wire, world::WATCHDOG,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Gid, Pid, Uid, geteuid, setgid, setgroups, setuid},
};
use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// What another process does with its arguments, which are given as one text.
type Role = fn(&str);

const ROLES: &[(&str, Role)] = &[
    ("ask", ping::ask),
    ("bind-often", names::bind_often),
    ("clean", stampede::clean),
    ("connect-beside", names::connect_beside),
    ("connect-from-elsewhere", odd_deaths::connect_from_elsewhere),
    ("connect-in-vain", names::connect_in_vain),
    ("consume", flood::consume),
    ("crowd", crowd::crowd),
    ("decode-hostile", typed::decode_hostile),
    ("fork-a-namesake", forked::fork_a_namesake),
    ("fork-beyond-the-limit", forked::fork_beyond_the_limit),
    ("fork-at-opening", forked::fork_at_opening),
    ("fork-at-rest", forked::fork_at_rest),
    ("fork-at-work", forked::fork_at_work),
    ("greet", owner::greet),
    ("host", crowd::host),
    ("idle", idle),
    ("lack-bytes", limits::lack_bytes),
    ("lack-descriptors", limits::lack_descriptors),
    ("lack-descriptors-to-answer", limits::lack_descriptors_to_answer),
    ("lack-queues", limits::lack_queues),
    ("lack-size", limits::lack_size),
    ("meet", wire::meet),
    ("own", deaths::own),
    ("own-and-fork", forked::own_and_fork),
    ("own-as-nobody", trust::own_as_nobody),
    ("own-elsewhere", odd_deaths::own_elsewhere),
    ("pass-on", resting::pass_on),
    ("produce", flood::produce),
    ("receive", owner::receive),
    ("receive-and-execute", removed::receive_and_execute),
    ("receive-in-a-storm", surroundings::receive_in_a_storm),
    ("receive-reporting", kills::receive_reporting),
    ("quiet-ignore", quiet::ignore),
    ("quiet-insist", quiet::insist),
    ("quiet-receive", quiet::receive),
    ("quiet-send", quiet::keep_silent),
    #[cfg(target_arch = "x86_64")]
    ("refused-receive", crate::refusals::receive),
    #[cfg(target_arch = "x86_64")]
    ("refused-send", crate::refusals::send),
    ("row", conformance::row),
    ("send-and-execute", removed::send_and_execute),
    ("send-in-a-crowd", stampede::send_in_a_crowd),
    ("send-in-a-storm", surroundings::send_in_a_storm),
    ("send-in-vain", surroundings::send_in_vain),
    ("send-orders", typed::send_orders),
    ("send-reporting", kills::send_reporting),
    ("serve-in-a-jam", jam::serve_in_a_jam),
    ("speak", select::speak),
    ("speak-and-dump", odd_deaths::speak_and_dump),
    ("speak-then-stay", deaths::speak_then_stay),
    ("speak-without-streams", surroundings::speak_without_streams),
    ("spin", deaths::spin),
    ("start-up", stampede::start_up),
    ("take-all", stops::take_all),
    ("use-all", surroundings::use_all),
    ("sweep-clean", sweep::clean),
    ("sweep-receive", sweep::receive),
    ("sweep-send", sweep::send),
    ("use-as-nobody", trust::use_as_nobody),
];

/// The name of the variable that holds a role and its argument.
const VARIABLE: &str = "LAMQ_ROLE";

/// Not a test: what runs in the other processes. In this one it does nothing.
#[test]
fn role() {
    let Ok(call) = env::var(VARIABLE) else { return };
    let (name, argument) = call.split_once(' ').unwrap_or((&call, ""));
    ROLES.iter().find(|(known, _)| *known == name).expect("a role").1(argument);
}

/// Role: does nothing.
fn idle(_: &str) {
    hear();
}

pub(crate) fn is_root() -> bool {
    geteuid().is_root()
}

/// Becomes an ordinary user whom nobody else is; only root can.
pub(crate) fn become_nobody() {
    setgroups(&[]).unwrap();
    setgid(Gid::from_raw(NOBODY)).unwrap();
    setuid(Uid::from_raw(NOBODY)).unwrap();
}

const NOBODY: u32 = 65534;

/// Says something to the test. Standard output is the harness's.
pub(crate) fn say(line: impl std::fmt::Display) {
    eprintln!("{line}");
}

/// Waits until the test says something; false when it says no more.
pub(crate) fn hear() -> bool {
    hear_line().is_some()
}

/// What the test says next; none when it says no more.
pub(crate) fn hear_line() -> Option<String> {
    std::io::stdin().lines().next().map(Result::unwrap)
}

/// A command whose arguments end with this binary plays a role.
pub(crate) fn play<'a>(command: &'a mut Command, role: &str, argument: &str) -> &'a mut Command {
    let command = command.args(["process::role", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(VARIABLE, format!("{role} {argument}")).stdout(Stdio::null())
}

/// Another process; killed when dropped.
pub(crate) struct Process {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Process {
    pub(crate) fn start(role: &str, argument: &str) -> Self {
        Self::start_from(Command::new(env::current_exe().unwrap()), role, argument)
    }

    /// A command whose arguments end with this binary.
    pub(crate) fn start_from(mut command: Command, role: &str, argument: &str) -> Self {
        let mut child =
            play(&mut command, role, argument).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stderr.take().unwrap());
        let (heard, lines) = mpsc::channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| heard.send(line)));
        Self { child, lines }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next thing it says, if it says one more.
    pub(crate) fn line(&self) -> Option<String> {
        match self.lines.recv_timeout(WATCHDOG) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("process {} says nothing", self.id()),
        }
    }

    /// The next thing it has said by now.
    pub(crate) fn line_so_far(&self) -> Option<String> {
        self.lines.try_recv().ok()
    }

    /// What follows `word` in the next line that begins with it.
    #[track_caller]
    pub(crate) fn expect(&self, word: &str) -> String {
        let mut before = Vec::new();
        while let Some(line) = self.line() {
            match line.strip_prefix(word) {
                Some(rest) => return rest.trim().to_string(),
                None => before.push(line),
            }
        }
        panic!("process {} did not say {word:?}, but:\n{}", self.id(), before.join("\n"))
    }

    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Says no more: what waits for a word goes on.
    pub(crate) fn say_no_more(&mut self) {
        drop(self.child.stdin.take());
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.id().try_into().unwrap()), signal).unwrap();
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end; the signal that has ended it.
    pub(crate) fn end_signal(&mut self) -> Option<i32> {
        self.child.wait().unwrap().signal()
    }

    /// Waits for its end; shows what it said if that was not a success.
    #[track_caller]
    pub(crate) fn finish(self) {
        self.end();
    }

    /// As [`finish`](Self::finish), and returns what it said.
    #[track_caller]
    pub(crate) fn end(mut self) -> Vec<String> {
        self.say_no_more();
        let said: Vec<_> = std::iter::from_fn(|| self.line()).collect();
        let status: ExitStatus = self.child.wait().unwrap();
        assert!(status.success(), "{}", said.join("\n"));
        said
    }

    /// Waits for its end, however it ends, and returns what it said.
    pub(crate) fn end_anyhow(mut self) -> Vec<String> {
        self.say_no_more();
        let said = std::iter::from_fn(|| self.line()).collect();
        self.child.wait().unwrap();
        said
    }

    /// A field of `/proc/PID/status`.
    pub(crate) fn status(&self, field: &str) -> String {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        value.unwrap().trim().to_string()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
        if thread::panicking() {
            // What went wrong may have gone wrong there. A descendant that lives on may hold the pipe open.
            while let Ok(line) = self.lines.recv_timeout(Duration::from_millis(100)) {
                println!("process {}: {line}", self.id());
            }
        }
    }
}

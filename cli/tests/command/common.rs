//! Names that must be gone in the end, processes, and waiting for conditions.

use lamq::inspect::{self, Ownership};
use nix::{
    mqueue::{MQ_OFlag, mq_close, mq_getattr, mq_open, mq_unlink},
    sys::{
        signal::{Signal, kill},
        stat::Mode,
    },
    unistd::Pid,
};
use std::{
    fs,
    process::{Child, Command, Output, Stdio},
    sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

/// How many inboxes there may be at a time: a user has room for nine, and other tests run too.
const INBOXES: usize = 3;

static TAKEN: Mutex<usize> = Mutex::new(0);
static GIVEN_BACK: Condvar = Condvar::new();

/// The right to have so many inboxes of the usual size.
pub(crate) struct Permit(usize);

impl Permit {
    pub(crate) fn take() -> Self {
        Self::take_several(1)
    }

    /// All at once: two who each wait for one more would wait for ever.
    pub(crate) fn take_several(count: usize) -> Self {
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |taken: &mut usize| *taken + count > INBOXES;
        let free = |error: PoisonError<MutexGuard<'static, usize>>| error.into_inner();
        *GIVEN_BACK.wait_while(taken, full).unwrap_or_else(free) += count;
        Self(count)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        GIVEN_BACK.notify_all();
    }
}

/// The name of an inbox; checked to be gone at the end.
pub(crate) struct Name {
    pub(crate) name: String,
    _permit: Permit,
}

impl Name {
    pub(crate) fn new(test: &str) -> Self {
        Self { name: format!("/lamq-test-{}-{test}", std::process::id()), _permit: Permit::take() }
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        demand_gone(&self.name);
    }
}

/// Fails when there is a queue of this name, and removes it.
pub(crate) fn demand_gone(name: &str) {
    let gone = waiting(name).is_none();
    _ = mq_unlink(name);
    assert!(gone || thread::panicking(), "{name} was left behind");
}

/// How many frames lie in a queue, `None` when there is no such queue.
pub(crate) fn waiting(name: &str) -> Option<i64> {
    let queue = mq_open(name, MQ_OFlag::O_RDONLY, Mode::empty(), None).ok()?;
    let count = mq_getattr(&queue).unwrap().curmsgs();
    mq_close(queue).unwrap();
    Some(count)
}

/// Whether somebody receives there. Before that the queue may be there already, and nobody own it.
pub(crate) fn is_bound(name: &str) -> bool {
    let report = inspect::queue(&name.try_into().unwrap());
    report.is_ok_and(|report| matches!(report.ownership, Ownership::Alive { .. }))
}

/// The command, with all pipes.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lamq"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn lamq(arguments: &[&str]) -> Child {
    command(arguments).spawn().unwrap()
}

/// The command, started by a shell that does something before.
pub(crate) fn command_after(shell: &str, arguments: &[&str]) -> Command {
    let script = format!("{shell}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_lamq")]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the command to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    finish(lamq(arguments))
}

/// Waits for the end of a process. The deadline only keeps a failing test from hanging.
#[track_caller]
pub(crate) fn finish(child: Child) -> Output {
    let pid = child.id();
    let (post, inbox) = mpsc::channel();
    thread::spawn(move || post.send(child.wait_with_output().unwrap()));
    inbox.recv_timeout(WATCHDOG).unwrap_or_else(|_| {
        send_signal(pid, Signal::SIGKILL);
        panic!("process {pid} does not end: {:?}", inbox.recv());
    })
}

const WATCHDOG: Duration = Duration::from_secs(60);

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The signals that end the command. One that the tests were started without (`nohup`) is ignored by what they start too.
pub(crate) fn heeded() -> impl Iterator<Item = Signal> {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let ignored = u64::from_str_radix(mask.trim(), 16).unwrap();
    let signals = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter();
    signals.filter(move |signal| ignored >> (*signal as u32 - 1) & 1 == 0)
}

pub(crate) fn send_signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
}

/// Waits for a condition; the deadline only keeps a failing test from hanging.
#[track_caller]
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < WATCHDOG, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The living processes that a demo has started, with the words that started them.
pub(crate) fn members(demo: u32) -> Vec<(u32, String)> {
    let mark = format!("{{\"parent\":{demo},");
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
        // Of a process that has ended and was not waited for there are no words any more.
        let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        words.contains(&mark).then_some((pid, words))
    });
    processes.collect()
}

//! Stops other processes at each of their system calls (`ptrace(2)`): to kill them there, to make a call fail, or to see that
//! there is none.
//!
//! A [`Tracer`] belongs to the thread that made it, as the kernel demands. It waits for the process group of its own processes only, so
//! that other tests may have theirs.

mod calls;
mod watchdog;

pub(crate) use calls::name_of;

use crate::{
    process::Process,
    world::{WATCHDOG, wait_until},
};
use nix::{
    errno::Errno,
    libc,
    sys::{
        ptrace::{self, Options},
        signal::Signal,
        wait::{Id, WaitPidFlag, WaitStatus, waitid},
    },
    unistd::Pid,
};
use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::process::CommandExt,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};
use watchdog::Watchdog;

/// Processes that stop at each system call, in all of their threads.
pub(crate) struct Tracer {
    group: Pid,
    processes: Vec<Process>,
    threads: BTreeMap<Pid, Thread>,
    /// The one whose stop was told last: it goes on with the next question.
    stopped: Option<Pid>,
    watchdog: Watchdog,
}

struct Thread {
    process: usize,
    /// Whether it is in a call.
    is_inside: bool,
}

/// What a process has come to.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // not all of it is asked for where no call can be refused
pub(crate) enum Stop {
    /// Before a call, by its first argument. Who is killed here has not made it.
    Entry { thread: Pid, call: i64, first: u64 },
    /// Behind one.
    Exit { thread: Pid },
    /// The end.
    Ended,
}

/// Ends are only looked at: a process is collected by its [`Process`], which has to know that its id is free again.
const LOOK: WaitPidFlag = WaitPidFlag::WEXITED
    .union(WaitPidFlag::WSTOPPED)
    .union(WaitPidFlag::WNOWAIT)
    .union(WaitPidFlag::__WALL)
    .union(WaitPidFlag::__WNOTHREAD);

impl Tracer {
    /// Starts processes in roles, each with its argument. They have said that they are ready, and wait for a word.
    pub(crate) fn start(roles: &[(&str, &str)]) -> Self {
        let mut processes: Vec<Process> = Vec::new();
        for (role, argument) in roles {
            let mut command = Command::new(env::current_exe().unwrap());
            command.process_group(processes.first().map_or(0, |first| raw(first).as_raw()));
            processes.push(Process::start_from(command, role, argument));
        }
        for process in &processes {
            process.expect("ready");
        }
        Self::trace(processes)
    }

    /// Processes of one group that has no others, at a time when they do nothing.
    fn trace(processes: Vec<Process>) -> Self {
        let group = raw(&processes[0]);
        let watchdog = Watchdog::new(&processes);
        let mut tracer = Self { group, processes, threads: BTreeMap::new(), stopped: None, watchdog };
        let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL;
        for index in 0..tracer.processes.len() {
            // Who is ready has said so to the standard error, and is on the way to wait for a word.
            let pid = tracer.processes[index].id();
            wait_until("all threads wait", || is_asleep(pid));
            for thread in tasks(pid) {
                ptrace::seize(thread, options).unwrap();
                ptrace::interrupt(thread).unwrap();
                tracer.threads.insert(thread, Thread { process: index, is_inside: false });
            }
        }
        // Each of them enters again the call in which it waits: what comes from here on is seen.
        while tracer.threads.values().any(|thread| !thread.is_inside) {
            assert!(tracer.next().is_some(), "all processes ended at once");
        }
        tracer
    }

    pub(crate) fn process(&mut self, index: usize) -> &mut Process {
        &mut self.processes[index]
    }

    /// Lets the last one that stopped go on, and waits for the next stop; none when all have ended.
    pub(crate) fn next(&mut self) -> Option<Stop> {
        self.go_on(None);
        loop {
            let status = match waitid(Id::PGid(self.group), LOOK) {
                Err(Errno::EINTR) => continue,
                Err(Errno::ECHILD) => return None,
                status => status.unwrap(),
            };
            if let Some(stop) = self.take(status) {
                return Some(stop);
            }
            assert!(!self.watchdog.has_fired(), "nothing moved for {WATCHDOG:?}, or for ever");
        }
    }

    /// As [`next`](Self::next), until a time. None when nothing has stopped by then.
    pub(crate) fn next_until(&mut self, end: Instant) -> Option<Stop> {
        self.go_on(None);
        loop {
            match waitid(Id::PGid(self.group), LOOK | WaitPidFlag::WNOHANG) {
                Err(Errno::ECHILD) => return None,
                Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) if Instant::now() >= end => return None,
                Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => thread::sleep(Duration::from_millis(1)),
                status => {
                    if let Some(stop) = self.take(status.unwrap()) {
                        return Some(stop);
                    }
                }
            }
        }
    }

    /// Kills one, and waits for its end.
    pub(crate) fn kill(&mut self, index: usize) {
        self.processes[index].signal(Signal::SIGKILL);
        while !matches!(self.next(), None | Some(Stop::Ended)) {}
    }

    /// What has become of them all.
    pub(crate) fn end(mut self) -> Vec<Process> {
        while self.next().is_some() {}
        std::mem::take(&mut self.processes)
    }

    fn take(&mut self, status: WaitStatus) -> Option<Stop> {
        let thread = status.pid()?;
        match status {
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => self.bury(thread),
            WaitStatus::PtraceSyscall(_) => {
                self.stopped = Some(thread);
                let stop = self.at_call(thread);
                if stop.is_none() {
                    self.go_on(None); // it was killed meanwhile
                }
                stop
            }
            // A signal comes; as opposed to a thread that begins or has made another, or a stop of all of them, which thereby ends.
            WaitStatus::PtraceEvent(_, signal, 0) => {
                self.stopped = Some(thread);
                self.go_on(Some(signal));
                None
            }
            _ => {
                self.adopt(thread);
                self.stopped = Some(thread);
                self.go_on(None);
                None
            }
        }
    }

    fn at_call(&mut self, thread: Pid) -> Option<Stop> {
        self.adopt(thread);
        let is_entry = ptrace::syscall_info(thread).ok()?.op == libc::PTRACE_SYSCALL_INFO_ENTRY;
        let process = self.threads.get(&thread)?.process;
        let pid = self.processes[process].id();
        let state = self.threads.get_mut(&thread)?;
        if is_entry {
            let text = fs::read_to_string(format!("/proc/{pid}/task/{thread}/syscall")).ok()?;
            let mut words = text.split(' ');
            let call = words.next()?.parse().ok()?;
            let first = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
            state.is_inside = true;
            Some(Stop::Entry { thread, call, first })
        } else {
            state.is_inside = false;
            Some(Stop::Exit { thread })
        }
    }

    /// A thread that was begun by one that is known.
    fn adopt(&mut self, thread: Pid) {
        let is_of = |process: &Process| Path::new(&format!("/proc/{}/task/{thread}", process.id())).exists();
        if !self.threads.contains_key(&thread)
            && let Some(process) = self.processes.iter().position(is_of)
        {
            self.threads.insert(thread, Thread { process, is_inside: false });
        }
    }

    fn bury(&mut self, thread: Pid) -> Option<Stop> {
        self.threads.remove(&thread);
        let Some(process) = self.processes.iter().position(|process| raw(process) == thread) else {
            _ = waitid(Id::Pid(thread), WaitPidFlag::WEXITED | WaitPidFlag::__WALL);
            return None;
        };
        assert!(self.processes[process].has_ended());
        Some(Stop::Ended)
    }

    fn go_on(&mut self, signal: Option<Signal>) {
        if let Some(thread) = self.stopped.take() {
            match ptrace::syscall(thread, signal) {
                Ok(()) | Err(Errno::ESRCH) => {} // killed meanwhile
                Err(error) => panic!("PTRACE_SYSCALL: {error}"),
            }
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // A process is not gone before the ends of its threads have been seen, by us alone.
        let alive = self.threads.values().map(|thread| thread.process).collect::<Vec<_>>();
        for process in alive {
            self.processes[process].signal(Signal::SIGKILL);
        }
        self.go_on(None);
        while !self.threads.is_empty() {
            match waitid(Id::PGid(self.group), LOOK) {
                Err(Errno::EINTR) => {}
                Err(_) => break,
                Ok(status) => _ = self.take(status),
            }
            self.go_on(None);
        }
    }
}

/// Makes a call fail that is about to be made: it is not made. The registers are named by architecture.
#[cfg(target_arch = "x86_64")]
pub(crate) fn skip(thread: Pid) {
    change(thread, |registers| registers.orig_rax = u64::MAX);
}

/// What a call seems to have said that has just ended.
#[cfg(target_arch = "x86_64")]
pub(crate) fn refuse(thread: Pid, errno: Errno) {
    change(thread, |registers| registers.rax = 0_u64.wrapping_sub(errno as u64));
}

#[cfg(target_arch = "x86_64")]
fn change(thread: Pid, change: impl FnOnce(&mut libc::user_regs_struct)) {
    let mut registers = ptrace::getregs(thread).unwrap();
    change(&mut registers);
    ptrace::setregs(thread, registers).unwrap();
}

fn raw(process: &Process) -> Pid {
    Pid::from_raw(process.id().try_into().unwrap())
}

fn tasks(pid: u32) -> Vec<Pid> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks.map(|task| Pid::from_raw(task.unwrap().file_name().to_str().unwrap().parse().unwrap())).collect()
}

fn is_asleep(pid: u32) -> bool {
    let state = |thread: &Pid| fs::read_to_string(format!("/proc/{pid}/task/{thread}/stat")).unwrap_or_default();
    tasks(pid).iter().all(|thread| state(thread).rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" S")))
}

//! An endpoint that has nothing to do sleeps. The only test of its process, so that all threads are its own.

use lamq::{Receiver, Select, Sender, link::Memory};
use std::{
    fs,
    time::{Duration, Instant},
};

/// How often threads of this process have gone to sleep, and how long they ran, those apart that run the test.
fn activity(except: &[i32]) -> (u64, u64) {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path());
    let others = tasks.filter(|task| !except.iter().any(|id| task.ends_with(id.to_string())));
    others.fold((0, 0), |(sleeps, ticks), task| {
        let [status, stat] = ["status", "stat"].map(|file| fs::read_to_string(task.join(file)).unwrap_or_default());
        (sleeps + sleeps_of(&status), ticks + ticks_of(&stat))
    })
}

fn sleeps_of(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.map_or(0, |count| count.trim().parse().unwrap())
}

/// The fields `utime` and `stime` of `proc_pid_stat(5)`.
fn ticks_of(stat: &str) -> u64 {
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// Until half a second passes without any. A keeper that ticked would wake up fifty times in it, or five hundred; one that
/// went round and round would use fifty ticks.
fn wait_until_idle() {
    let test = [nix::unistd::gettid().as_raw(), nix::unistd::getpid().as_raw()];
    let start = Instant::now();
    loop {
        let before = activity(&test);
        std::thread::sleep(Duration::from_millis(500));
        if activity(&test) == before {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "threads keep waking up");
    }
}

#[test]
fn idle_endpoints_do_not_wake_up() {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).bind("/idle").unwrap();
    let sender = Sender::builder().link(space).linger(Duration::ZERO).connect("/idle").unwrap();
    wait_until_idle(); // the keeper of the receiver waits
    std::thread::scope(|scope| {
        let waiting = [(); 2].map(|()| scope.spawn(|| receiver.recv()));
        wait_until_idle(); // one waits in the kernel, one parked
        for _ in 0..100 {
            sender.send("x").unwrap(); // some of them staged, which needs the keeper of the sender
        }
        for thread in waiting {
            thread.join().unwrap().unwrap();
        }
    });
    wait_until_idle(); // the keeper again, with messages in memory
    assert_eq!(receiver.try_recv().unwrap().number(), 3);
    wait_until_idle();
    while receiver.try_recv().is_ok() {}
    std::thread::scope(|scope| {
        let selecting = scope.spawn(|| {
            let mut select = Select::new();
            select.recv(&receiver).unwrap();
            select.ready()
        });
        wait_until_idle(); // it waits, and the keeper too
        sender.send("x").unwrap();
        assert_eq!(selecting.join().unwrap(), 0);
    });
    wait_until_idle();
    drop(sender);
    wait_until_idle();
}

//! Each call of the system that lamq makes fails once, with each of several errors, in the life of a sender and of a receiver that
//! have another channel besides.
//!
//! `LAMQ_SWEEP=all` lets all of them fail, otherwise it is a sample, which `LAMQ_SEED` chooses.

mod roles;

pub(crate) use roles::{receive, send};

use crate::{
    sweep::points::{Count, Coverage, Crumb, Point, choose},
    trace::{Stop, Tracer, refuse, skip},
    world::{Name, WATCHDOG},
};
use lamq::{
    Sender,
    inspect::{self, RemoveError},
};
use lamq_proves::proves;
use nix::{errno::Errno, libc};
use roles::{PEER, builder, demand_one_stream, send_all};
use std::{collections::BTreeSet, thread, time::Instant};

const ERRORS: [Errno; 6] = [Errno::EINTR, Errno::EAGAIN, Errno::ENOSPC, Errno::EMFILE, Errno::ENOMEM, Errno::EACCES];

/// The calls that fail. Not those by which memory is had, nor waiting for a thread: who is refused these cannot go on, in Rust.
const CALLS: [i64; 24] = [
    libc::SYS_clone3,
    libc::SYS_close,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd2,
    libc::SYS_fchmod,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_getrandom,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_rm_watch,
    libc::SYS_mq_getsetattr,
    libc::SYS_mq_open,
    libc::SYS_mq_timedreceive,
    libc::SYS_mq_timedsend,
    libc::SYS_mq_unlink,
    libc::SYS_newfstatat,
    libc::SYS_pidfd_open,
    libc::SYS_poll,
    libc::SYS_read,
    libc::SYS_statx,
    libc::SYS_write,
];

/// A call that fails, and how.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Refusal {
    point: Point,
    errno: i32,
}

impl Refusal {
    /// Errors that the kernel does not give, and that no caller of the C library survives, are left out.
    fn all_of(point: Point) -> impl Iterator<Item = Self> {
        let errors: &[Errno] = match point.call {
            libc::SYS_clone3 => &[Errno::EAGAIN, Errno::ENOMEM],
            libc::SYS_read | libc::SYS_write => &[Errno::EINTR],
            _ => &ERRORS,
        };
        errors.iter().map(move |errno| Self { point: point.clone(), errno: *errno as i32 })
    }

    fn errno(&self) -> Errno {
        Errno::from_raw(self.errno)
    }
}

/// Lets the process go on to its end. Returns its calls that can be refused, and whether the one given was.
fn walk(tracer: &mut Tracer, refusal: Option<&Refusal>) -> (BTreeSet<Point>, bool) {
    let (mut count, mut points, mut refused) = (Count::default(), BTreeSet::new(), None);
    while let Some(stop) = tracer.next() {
        match (stop, refusal) {
            // Not what is said to the test.
            (Stop::Entry { call: libc::SYS_read | libc::SYS_write | libc::SYS_close, first: 0..=2, .. }, _) => {}
            (Stop::Entry { thread, call, .. }, _) if CALLS.contains(&call) => {
                let point = count.next(call);
                if refusal.is_some_and(|refusal| refusal.point == point) {
                    refused = Some(thread);
                    if call != libc::SYS_close {
                        skip(thread); // a descriptor is closed, whatever is said of it
                    }
                }
                points.insert(point);
            }
            (Stop::Exit { thread }, Some(refusal)) if refused == Some(thread) => {
                refuse(thread, refusal.errno());
                while tracer.next().is_some() {}
                return (points, true);
            }
            _ => {}
        }
    }
    (points, false)
}

/// What was said of a refusal: nothing of a signal or of a name that stays for a while; of a limit, where the call has it, which it is.
fn judge(refusal: &Refusal, said: &[String]) {
    let all = said.join("\n");
    let refused: Vec<_> = said.iter().filter(|line| line.starts_with("refused")).collect();
    let words: &[&str] = match (refusal.errno(), refusal.point.call) {
        (Errno::EINTR, _) | (_, libc::SYS_mq_unlink) => &[],
        (Errno::EMFILE, libc::SYS_mq_open) => &["RLIMIT_NOFILE", "RLIMIT_MSGQUEUE"],
        (Errno::EMFILE, libc::SYS_epoll_create1 | libc::SYS_eventfd2 | libc::SYS_pidfd_open) => &["RLIMIT_NOFILE"],
        (Errno::ENOSPC, libc::SYS_mq_open) => &["fs.mqueue.queues_max"],
        (Errno::ENOSPC, libc::SYS_epoll_ctl) => &["fs.epoll.max_user_watches"],
        (Errno::ENOMEM, _) => &["memory"],
        _ => &[""],
    };
    assert!(refused.iter().all(|line| words.iter().any(|word| line.contains(word))), "{refusal:?}:\n{all}");
    assert!(refused.len() <= 1, "{refusal:?}:\n{all}");
}

/// What could not be removed at once is removed later.
fn demand_gone(name: &str, refusal: Option<&Refusal>) {
    let removed = inspect::remove(&name.try_into().unwrap(), true);
    assert!(matches!(removed, Err(RemoveError::NoQueue { .. })), "{refusal:?} left {name}: {removed:?}");
}

/// One run for each refusal.
fn refuse_each(what: &str, mut run: impl FnMut(Option<&Refusal>) -> (BTreeSet<Point>, bool)) {
    let start = Instant::now();
    let known: BTreeSet<_> = run(None).0.into_iter().flat_map(Refusal::all_of).collect();
    let (mut met, mut done, mut unmet) = (Coverage::default(), 0, 0);
    for refusal in choose(&known, SAMPLE) {
        let _crumb = Crumb(format!("{what}: {} failed with {}", refusal.point, refusal.errno()));
        if (0..3).any(|_| run(Some(refusal)).1) {
            met.add(&refusal.point);
            done += 1;
        } else {
            unmet += 1;
        }
    }
    let (all, points) = (known.len(), met.points());
    println!("{what}: {done} of {all} refusals at {points} points, {unmet} not met, {:.1?}", start.elapsed());
    print!("{met}");
    assert!(done > unmet, "too many calls were not met");
}

/// How many are enough for a sample.
const SAMPLE: usize = 16;

#[proves("POS-11")]
#[test]
fn a_sender_survives_the_failure_of_any_call() {
    let names = ["steady", "shaken"].map(|which| Name::new(&format!("refused-sender-{which}")));
    let argument = [names[0].as_str(), names[1].as_str()].join(" ");
    refuse_each("sender", |refusal| {
        let receivers = [&names[0], &names[1]].map(|name| builder().bind(name.as_str()).unwrap());
        thread::scope(|scope| {
            let serving = receivers.each_ref().map(|receiver| scope.spawn(|| demand_one_stream(receiver)));
            let mut tracer = Tracer::start(&[("refused-send", &argument)]);
            let id = tracer.process(0).id();
            tracer.process(0).say("go");
            let result = walk(&mut tracer, refusal);
            let said = end(tracer);
            for thread in serving {
                thread.join().unwrap();
            }
            refusal.inspect(|refusal| judge(refusal, &said));
            let sessions = receivers.each_ref().map(|receiver| receiver.stats().accepted);
            assert_eq!(sessions, [1, 1], "a connect that fails leaves no session at its receiver: {refusal:?}");
            for index in 0..3 {
                demand_gone(&format!("/lamq.{id}.{index}"), refusal);
            }
            result
        })
    });
}

#[proves("POS-11")]
#[test]
fn a_receiver_survives_the_failure_of_any_call() {
    let names = ["steady", "shaken"].map(|which| Name::new(&format!("refused-receiver-{which}")));
    let argument = [names[0].as_str(), names[1].as_str()].join(" ");
    refuse_each("receiver", |refusal| {
        thread::scope(|scope| {
            let sending = scope.spawn(|| {
                let steady = Sender::builder().wait(WATCHDOG).connect(names[0].as_str()).unwrap();
                send_all(PEER, names[1].as_str(), &steady);
            });
            let mut tracer = Tracer::start(&[("refused-receive", &argument)]);
            tracer.process(0).say("go");
            let result = walk(&mut tracer, refusal);
            let said = end(tracer);
            sending.join().unwrap();
            refusal.inspect(|refusal| judge(refusal, &said));
            for name in &names {
                demand_gone(name.as_str(), refusal);
            }
            result
        })
    });
}

/// What the traced process has said. It has ended well.
fn end(tracer: Tracer) -> Vec<String> {
    tracer.end().remove(0).end()
}

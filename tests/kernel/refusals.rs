//! Each call of the system that lamq makes fails once, with each of several errors, in the life of a sender and of a receiver that
//! have another channel besides.
//!
//! `LAMQ_SWEEP=all` lets all of them fail, otherwise it is a sample, which `LAMQ_SEED` chooses.

use crate::{
    kills::report,
    process::{hear, say},
    sweep::points::{Count, Coverage, Point, choose},
    trace::{Stop, Tracer, name_of, refuse, skip},
    world::{Name, WATCHDOG},
};
use lamq::{
    Departure, Event, Receiver, Sender,
    inspect::{self, RemoveError},
};
use lamq_proves::proves;
use nix::{errno::Errno, libc};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    thread,
    time::{Duration, Instant},
};

const ERRORS: [Errno; 6] = [Errno::EINTR, Errno::EAGAIN, Errno::ENOSPC, Errno::EMFILE, Errno::ENOMEM, Errno::EACCES];

/// The calls that fail. Not those by which memory is had, nor waiting for a thread: who is refused these cannot go on, in Rust.
const CALLS: [i64; 21] = [
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

/// Messages of a stream. The second takes several frames.
const LENGTHS: [usize; 4] = [20, 1500, 300, 20];

fn body(number: usize) -> Vec<u8> {
    format!("{number} ").bytes().cycle().take(LENGTHS[number - 1]).collect()
}

/// How a patient application does it.
#[derive(Clone, Copy)]
struct Patience {
    /// To whom refusals are told.
    tell: fn(&str),
    tries: u32,
    /// For an answer.
    wait: Duration,
}

/// Of one whose calls fail.
const REFUSED: Patience = Patience { tell: report, tries: 3, wait: WATCHDOG };

/// Of its peer. A greeting that a receiver had not the means to answer is not answered (GRT-4): its sender asks again.
const PEER: Patience = Patience { tell: |line| println!("{line}"), tries: 300, wait: Duration::from_millis(200) };

impl Patience {
    /// An operation that failed, and said so, is done again.
    fn insist<T, E: Display>(self, what: &str, mut operation: impl FnMut() -> Result<T, E>) -> T {
        for _ in 0..self.tries {
            match operation() {
                Ok(done) => return done,
                Err(error) => (self.tell)(&format!("refused {what}: {error}")),
            }
        }
        panic!("{what} was refused again and again");
    }
}

fn names(argument: &str) -> (&str, &str) {
    argument.split_once(' ').unwrap()
}

fn send_all(patience: Patience, shaken: &str, steady: &Sender) {
    let builder = Sender::builder().wait(patience.wait).spin(Duration::ZERO);
    let sender = patience.insist("connect", || builder.clone().connect(shaken));
    for number in 1..=LENGTHS.len() {
        for (what, sender) in [("send", &sender), ("send on the other", steady)] {
            let given = patience.insist(what, || sender.send(body(number)));
            assert_eq!(given, number as u64, "no number is burned");
        }
    }
    patience.insist("close", || sender.clone().close(WATCHDOG));
    patience.insist("close the other", || steady.clone().close(WATCHDOG));
}

/// Role: sends on two channels, one of which is there before.
pub(crate) fn send(argument: &str) {
    let (steady, shaken) = names(argument);
    let steady = Sender::builder().wait(WATCHDOG).spin(Duration::ZERO).connect(steady).unwrap();
    say("ready");
    hear();
    send_all(REFUSED, shaken, &steady);
}

fn builder() -> lamq::ReceiverBuilder {
    Receiver::builder().slots(2).frame_size(512).window(1024).spin(Duration::ZERO)
}

/// Role: receives on two channels, one of which is there before.
pub(crate) fn receive(argument: &str) {
    let (steady, shaken) = names(argument);
    let steady = builder().bind(steady).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(matches!(steady.recv_event(Some(WATCHDOG)).unwrap(), Event::Joined(_)));
            say("ready");
            demand_one_stream(&steady);
        });
        hear();
        demand_one_stream(&REFUSED.insist("bind", || builder().bind(shaken)));
    });
}

/// One whole stream, among senders that come and go without a word.
fn demand_one_stream(receiver: &Receiver) {
    let mut last = 0;
    loop {
        match receiver.recv_event(Some(WATCHDOG)).unwrap() {
            Event::Message(message) => {
                last += 1;
                assert_eq!((message.number(), &*message), (last as u64, &body(last)[..]));
            }
            Event::Departed { departure, last: 0, .. } if last == 0 => report(&format!("one {departure}")),
            Event::Departed { departure, last: told, .. } => {
                assert_eq!((departure, told, last), (Departure::Left, LENGTHS.len() as u64, LENGTHS.len()));
                return;
            }
            Event::Joined(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

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
    let (mut met, mut unmet) = (BTreeMap::<i32, Coverage>::new(), 0);
    for refusal in choose(&known, SAMPLE) {
        println!("{what}: {} fails with {}", refusal.point, refusal.errno());
        if (0..3).any(|_| run(Some(refusal)).1) {
            met.entry(refusal.errno).or_default().add(&refusal.point);
        } else {
            unmet += 1;
        }
    }
    let done: usize = met.values().map(|coverage| coverage.points).sum();
    let calls: BTreeSet<_> = known.iter().map(|refusal| name_of(refusal.point.call)).collect();
    eprintln!("{what}: {done} of {} refusals, {unmet} not met, {:.1?}, of {calls:?}", known.len(), start.elapsed());
    for (errno, coverage) in &met {
        eprint!("{:?}: {} points\n{coverage}", Errno::from_raw(*errno), coverage.points);
    }
    assert!(done > unmet, "too many calls were not met");
}

/// How many are enough for a sample.
const SAMPLE: usize = 16;

#[proves("CAL-2", "NUM-2", "SHR-1", "POS-11")]
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
            serving.into_iter().for_each(|thread| thread.join().unwrap());
            refusal.inspect(|refusal| judge(refusal, &said));
            for index in 0..3 {
                demand_gone(&format!("/lamq.{id}.{index}"), refusal);
            }
            result
        })
    });
}

#[proves("CAL-2", "SHR-1", "POS-11")]
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
            names.iter().for_each(|name| demand_gone(name.as_str(), refusal));
            result
        })
    });
}

/// What the traced process has said. It has ended well.
fn end(tracer: Tracer) -> Vec<String> {
    tracer.end().remove(0).end()
}

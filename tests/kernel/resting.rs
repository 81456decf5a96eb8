//! Whoever waits sleeps in its inbox, when to look is in vain: by the call that returns with the next frame. All else still ends that sleep.

use crate::{
    process::{Process, hear_line, say},
    world::{Name, Raw, WATCHDOG, wait_until},
};
use lamq::{
    BindError, Departure, Event, Level, OpenError, QueueName, Receiver, ReceiverBuilder, RecvError, RecvTimeoutError,
    Sender,
    link::{Blocking, Geometry, Inbox, Link, Outbox, Owner, Posix},
};
use lamq_proves::proves;
use nix::{libc, sys::signal::Signal, unistd::gettid};
use std::{
    fs, io,
    os::fd::BorrowedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Role: sends what it hears.
pub(crate) fn pass_on(name: &str) {
    let sender = Sender::builder().wait(WATCHDOG).connect(name).unwrap();
    say("ready");
    while let Some(line) = hear_line() {
        sender.send(line).unwrap();
    }
}

/// A receiver that never looks before it sleeps.
fn resting() -> ReceiverBuilder {
    Receiver::builder().slots(4).frame_size(512).spin(Duration::ZERO)
}

fn bind(name: &Name) -> Receiver {
    resting().bind(name.as_str()).unwrap()
}

/// A thread that may sleep.
#[derive(Clone, Default)]
struct Sleeper(Arc<AtomicI32>);

impl Sleeper {
    fn is_me(&self) {
        self.0.store(gettid().as_raw(), Ordering::Relaxed);
    }

    /// Whether it is in the call that returns with the next frame.
    fn is_in_inbox(&self) -> bool {
        let call = fs::read_to_string(format!("/proc/self/task/{}/syscall", self.0.load(Ordering::Relaxed)));
        call.is_ok_and(|call| call.split(' ').next() == Some(&libc::SYS_mq_timedreceive.to_string()))
    }

    /// The keeper is not at its post at once, so there has to be something to receive first.
    fn wait_until_in_inbox(&self, mut send: impl FnMut()) {
        wait_until("it sleeps in its inbox", || {
            send();
            thread::sleep(Duration::from_millis(20));
            self.is_in_inbox()
        });
    }
}

/// Ends what others wait for, also when the test fails.
struct Close<'a>(&'a Receiver);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// `wait` runs until it has seen something else than a message, in a thread that sleeps in the inbox of a receiver when `act` is called.
fn end_a_sleep<R: Send>(
    test: &str,
    wait: impl Fn(&Receiver) -> R + Sync,
    act: impl FnOnce(&Receiver, &mut Process),
) -> (R, Duration) {
    let name = Name::new(test);
    let (rings, sleeper) = (Rings::default(), Sleeper::default());
    let receiver = resting().link(rings.clone()).bind(name.as_str()).unwrap();
    let mut process = Process::start("pass-on", name.as_str());
    process.expect("ready");
    let result = thread::scope(|scope| {
        let _close = Close(&receiver);
        let waiting = scope.spawn(|| {
            sleeper.is_me();
            wait(&receiver)
        });
        sleeper.wait_until_in_inbox(|| process.say("a message"));
        let start = Instant::now();
        act(&receiver, &mut process);
        (waiting.join().unwrap(), start.elapsed())
    });
    assert_eq!(receiver.stats().all_faults(), 0, "an empty frame of its own is no bad one");
    let rings = rings.0.load(Ordering::Relaxed);
    assert!(rings < 10, "{rings} empty frames for a few sleeps");
    result
}

fn next_departure(receiver: &Receiver) -> Departure {
    loop {
        if let Event::Departed { departure, .. } = receiver.recv_event(Some(WATCHDOG)).unwrap() {
            return departure;
        }
    }
}

/// The queues of the kernel, and how often an owner has rung for its own thread.
#[derive(Clone, Debug, Default)]
struct Rings(Arc<AtomicI32>);

impl Link for Rings {
    fn bind(&self, name: &QueueName, owner: Owner, geometry: Geometry) -> Result<Box<dyn Inbox>, BindError> {
        Ok(Box::new(Rung(Posix.bind(name, owner, geometry)?, self.clone())))
    }

    fn open(&self, name: &QueueName) -> Result<Box<dyn Outbox>, OpenError> {
        Posix.open(name)
    }
}

/// An inbox, or one to wait in.
#[derive(Debug)]
struct Rung<T>(T, Rings);

impl Inbox for Rung<Box<dyn Inbox>> {
    fn try_recv(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.0.try_recv(buffer)
    }

    fn geometry(&self) -> Geometry {
        self.0.geometry()
    }

    fn readable(&self) -> BorrowedFd<'_> {
        self.0.readable()
    }

    fn blocking(&self) -> io::Result<Option<Box<dyn Blocking>>> {
        Ok(self.0.blocking()?.map(|blocking| Box::new(Rung(blocking, self.1.clone())) as _))
    }

    fn watchable(&self) -> Option<BorrowedFd<'_>> {
        self.0.watchable()
    }

    fn is_lost(&self) -> io::Result<bool> {
        self.0.is_lost()
    }

    fn unlink(&mut self) -> io::Result<()> {
        self.0.unlink()
    }
}

impl Blocking for Rung<Box<dyn Blocking>> {
    fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buffer)
    }

    fn ring(&self) -> io::Result<bool> {
        self.1.0.fetch_add(1, Ordering::Relaxed);
        self.0.ring()
    }
}

#[proves("POS-14")]
#[test]
fn a_message_ends_it() {
    let last = |receiver: &Receiver| receiver.iter().find(|message| **message == *b"the last").is_some();
    assert!(end_a_sleep("rest-message", last, |_, process| process.say("the last")).0);
}

#[proves("POS-14", "DTH-3")]
#[test]
fn a_death_ends_it() {
    let (departure, took) = end_a_sleep("rest-death", next_departure, |_, process| process.signal(Signal::SIGKILL));
    assert_eq!(departure, Departure::Died);
    assert!(took < WATCHDOG / 2, "it took {took:?}");
}

#[proves("POS-14", "CAL-1")]
#[test]
fn its_deadline_ends_it() {
    const PATIENCE: Duration = Duration::from_millis(500);
    let wait = |receiver: &Receiver| {
        let start = Instant::now();
        let messages = std::iter::repeat_with(|| receiver.recv_timeout(PATIENCE)).take_while(Result::is_ok).count();
        (messages > 0 && start.elapsed() > PATIENCE).then(|| receiver.recv_timeout(PATIENCE))
    };
    let (result, took) = end_a_sleep("rest-deadline", wait, |_, _| {});
    assert_eq!(result.map(|result| result.map(drop)), Some(Err(RecvTimeoutError::Timeout)));
    assert!(took < WATCHDOG / 2, "it took {took:?}");
}

#[proves("POS-14")]
#[test]
fn a_close_by_another_thread_ends_it() {
    let wait = |receiver: &Receiver| std::iter::repeat_with(|| receiver.recv()).find_map(Result::err);
    let (error, _) = end_a_sleep("rest-close", wait, |receiver, _| receiver.close());
    assert_eq!(error, Some(RecvError));
}

#[proves("POS-14", "POS-13")]
#[test]
fn the_loss_of_its_name_ends_it() {
    let name = Name::new("rest-name");
    let (receiver, sleeper) = (bind(&name), Sleeper::default());
    let sender = Sender::builder().wait(WATCHDOG).connect(name.as_str()).unwrap();
    thread::scope(|scope| {
        let _close = Close(&receiver);
        let waiting = scope.spawn(|| {
            sleeper.is_me();
            receiver.iter().find(|message| **message == *b"the last").is_some()
        });
        sleeper.wait_until_in_inbox(|| _ = sender.send("a message").unwrap());
        name.remove();
        wait_until("it has its name again", || name.exists());
        let other = Sender::builder().wait(WATCHDOG).connect(name.as_str()).unwrap();
        other.send("the last").unwrap();
        assert!(waiting.join().unwrap());
    });
}

/// A call gives the endpoint another inbox, while a thread sleeps in the one that it had.
#[proves("POS-14", "POS-13", "CAL-1")]
#[test]
fn a_sleep_in_an_inbox_that_is_replaced_ends() {
    let (name, elsewhere) = (Name::new("rest-replaced"), Name::new("rest-elsewhere"));
    let (receiver, sleeper) = (bind(&name), Sleeper::default());
    let other = bind(&elsewhere);
    let sender = Sender::builder().wait(WATCHDOG).linger(Duration::ZERO).connect(name.as_str()).unwrap();
    thread::scope(|scope| {
        let _close = Close(&receiver);
        let waiting = scope.spawn(|| {
            sleeper.is_me();
            while receiver.recv_timeout(Duration::from_millis(500)).is_ok() {}
        });
        sleeper.wait_until_in_inbox(|| _ = sender.send("a message").unwrap());
        name.remove();
        // Before anybody is told the name, it is made sure that it is there.
        let third = Sender::builder().wait(WATCHDOG).endpoint(&receiver.endpoint()).connect(elsewhere.as_str());
        third.unwrap().send("hello").unwrap();
        assert_eq!(*other.recv().unwrap(), *b"hello");
        wait_until("its deadline has passed", || waiting.is_finished());
    });
}

#[proves("ACK-3")]
#[test]
fn whoever_sleeps_has_told_what_it_has_done() {
    let name = Name::new("rest-told");
    let (receiver, sleeper) = (bind(&name), Sleeper::default());
    let sender = Sender::builder().wait(WATCHDOG).level(Level::Processed).connect(name.as_str()).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            sleeper.is_me();
            receiver.iter().for_each(drop);
        });
        let close = Close(&receiver);
        for _ in 0..100 {
            let number = sender.send_sync("done?").unwrap().number();
            wait_until("it sleeps again", || sleeper.is_in_inbox() || sender.stats().processed == number);
            assert_eq!(sender.stats().processed, number);
        }
        drop(close);
        waiting.join().unwrap();
    });
}

#[proves("POS-14", "FRM-1", "CAL-5")]
#[test]
fn an_empty_message_of_somebody_else_is_a_malformed_frame() {
    let name = Name::new("rest-empty");
    let receiver = bind(&name);
    assert!(Raw::open(name.as_str()).unwrap().send(b"", 0));
    assert_eq!(receiver.recv_timeout(Duration::from_millis(100)).map(drop), Err(RecvTimeoutError::Timeout));
    assert_eq!(receiver.stats().all_faults(), 1);
}

/// The keeper of an endpoint that only sends is parked when all is said, and stands guard without an end.
#[proves("POS-14", "CAL-1")]
#[test]
fn a_deadline_that_the_keeper_does_not_know_ends_a_sleep_elsewhere() {
    const PATIENCE: Duration = Duration::from_millis(300);
    let name = Name::new("rest-sender");
    let receiver = bind(&name);
    let (sleeper, is_seen) = (Sleeper::default(), AtomicBool::new(false));
    let sender = Sender::builder().wait(WATCHDOG).spin(Duration::ZERO).linger(Duration::ZERO);
    let sender = sender.connect(name.as_str()).unwrap();
    thread::scope(|scope| {
        let _close = Close(&receiver);
        let sending = scope.spawn(|| {
            sleeper.is_me();
            while !is_seen.load(Ordering::Relaxed) {
                sender.send_sync("take me").unwrap();
            }
            sender.send("and me").unwrap();
            thread::sleep(Duration::from_millis(50)); // the keeper is parked again
            let start = Instant::now();
            (sender.flush_timeout(PATIENCE).is_err(), start.elapsed())
        });
        sleeper.wait_until_in_inbox(|| drop(receiver.try_recv()));
        is_seen.store(true, Ordering::Relaxed);
        wait_until("what it waits for is taken", || receiver.try_recv().is_ok());
        wait_until("its deadline has passed", || sending.is_finished());
        let (has_failed, took) = sending.join().unwrap();
        assert!(has_failed && took >= PATIENCE, "it took {took:?}");
    });
}

/// Tells others that it is over, also if it has failed.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One thread receives, and sleeps in the inbox when it can; another one does now and then; a third one looks all the time.
#[proves("POS-14", "PRO-1")]
#[test]
fn who_looks_takes_nothing_out_of_turn_while_another_one_sleeps() {
    let name = Name::new("rest-two");
    let receiver = bind(&name);
    let (sleeper, is_over) = (Sleeper::default(), AtomicBool::new(false));
    let go_on = || !is_over.load(Ordering::Relaxed);
    let take = |wait, pause| {
        let mut numbers = Vec::new();
        while go_on() {
            numbers.extend(receiver.recv_timeout(Duration::from_millis(wait)).map(|message| message.number()));
            thread::sleep(Duration::from_millis(pause));
        }
        numbers
    };
    thread::scope(|scope| {
        let end = End(&is_over);
        let sleeping = scope.spawn(|| {
            sleeper.is_me();
            take(70, 0)
        });
        let other = scope.spawn(|| take(25, 7));
        scope.spawn(|| {
            while go_on() {
                receiver.is_empty();
            }
        });
        let sender = Sender::builder().wait(WATCHDOG).spin(Duration::ZERO).connect(name.as_str()).unwrap();
        let (mut last, mut slept) = (0, 0);
        wait_until("it has slept there thirty times", || {
            slept += u32::from(sleeper.is_in_inbox());
            for _ in 0..50 {
                last = sender.send([7; 400]).unwrap(); // a frame each
            }
            sender.flush().unwrap();
            thread::sleep(Duration::from_millis(last / 50 % 13));
            slept > 30
        });
        sender.close(WATCHDOG).unwrap();
        wait_until("all is taken", || receiver.is_empty());
        drop(end);
        let taken = [sleeping, other].map(|taker| taker.join().unwrap());
        assert!(taken.iter().all(|numbers| numbers.is_sorted()));
        let mut all = taken.concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(1..=last));
    });
    let stats = receiver.stats();
    assert_eq!((stats.early, stats.all_faults()), (0, 0), "frames were read out of order");
}

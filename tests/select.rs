//! Waiting for several receivers at once.

use lamq::{
    BindError, Level, OpenError, QueueName, ReadyTimeoutError, Receiver, Select, Sender, TryReadyError, TryRecvError,
    link::{Geometry, Inbox, Link, Memory, Outbox, Owner},
};
use lamq_proves::proves;
use nix::{
    sys::eventfd::{EfdFlags, EventFd},
    unistd::{Pid, gettid},
};
use std::{
    fs, io,
    os::fd::{AsFd, BorrowedFd},
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(20);

fn pair(level: Level) -> (Receiver, Sender) {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).end_with_last_sender().bind("/selected").unwrap();
    let sender = Sender::builder().link(space).level(level).connect("/selected").unwrap();
    assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Empty); // its sender has joined
    (receiver, sender)
}

/// Runs `act` once `call` sleeps, in a thread of its own.
fn while_it_sleeps<R: Send>(call: impl FnOnce() -> R + Send, act: impl FnOnce()) -> R {
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let sleeping = scope.spawn(move || {
            tell.send(gettid()).unwrap();
            call()
        });
        wait_until_asleep(told.recv().unwrap());
        act();
        sleeping.join().unwrap()
    })
}

fn wait_until_asleep(id: Pid) {
    while !fs::read_to_string(format!("/proc/self/task/{id}/stat")).unwrap().contains(") S ") {
        thread::yield_now();
    }
}

#[proves("CAL-4", "CAL-1")]
#[test]
fn none_is_ready_while_there_is_nothing() {
    let [(first, _one), (second, _two)] = [(); 2].map(|()| pair(Level::Delivered));
    let mut select = Select::new();
    assert_eq!((select.recv(&first).unwrap(), select.recv(&second).unwrap()), (0, 1));
    assert_eq!(select.try_ready(), Err(TryReadyError));
    let (start, short) = (Instant::now(), Duration::from_millis(20));
    assert_eq!(select.ready_timeout(short), Err(ReadyTimeoutError));
    assert!(start.elapsed() >= short && start.elapsed() < WATCHDOG);
    assert_eq!(Select::new().ready_timeout(short), Err(ReadyTimeoutError));
}

#[proves("CAL-11")]
#[test]
fn a_message_to_any_of_them_ends_the_wait() {
    let [(first, one), (second, two)] = [(); 2].map(|()| pair(Level::Delivered));
    let mut select = Select::new();
    let [of_first, of_second] = [&first, &second].map(|receiver| select.recv(receiver).unwrap());
    for (sender, receiver, index) in [(&one, &first, of_first), (&two, &second, of_second), (&one, &first, of_first)] {
        let ready = while_it_sleeps(|| select.ready_timeout(WATCHDOG), || _ = sender.send("x").unwrap());
        assert_eq!(ready, Ok(index));
        assert!(receiver.try_recv().is_ok());
        assert_eq!(select.try_ready(), Err(TryReadyError));
    }
}

#[proves("CAL-11")]
#[test]
fn the_end_of_any_of_them_ends_the_wait() {
    let [(first, one), (second, _two)] = [(); 2].map(|()| pair(Level::Delivered));
    let mut select = Select::new();
    let [of_first, of_second] = [&first, &second].map(|receiver| select.recv(receiver).unwrap());
    let ready = while_it_sleeps(|| select.ready_timeout(WATCHDOG), || drop(one));
    assert_eq!(ready, Ok(of_first));
    assert_eq!(first.try_recv().unwrap_err(), TryRecvError::Disconnected);
    assert_eq!(select.try_ready(), Ok(of_first), "it stays ended");
    select.remove(of_first);
    assert_eq!(select.try_ready(), Err(TryReadyError));
    let ready = while_it_sleeps(|| select.ready_timeout(WATCHDOG), || second.close());
    assert_eq!(ready, Ok(of_second));
    assert_eq!(second.try_recv().unwrap_err(), TryRecvError::Disconnected);
}

#[proves("CAL-11")]
#[test]
fn what_another_thread_has_taken_into_memory_ends_the_wait() {
    let (receiver, sender) = pair(Level::Received);
    let mut select = Select::new();
    let index = select.recv(&receiver).unwrap();
    for _ in 0..3 {
        sender.send("x").unwrap(); // in two frames: the second and the third are staged behind the first
    }
    sender.flush_timeout(WATCHDOG).unwrap(); // the library's own thread has taken them
    for _ in 0..3 {
        assert_eq!(select.ready_timeout(WATCHDOG), Ok(index));
        assert!(receiver.try_recv().is_ok());
    }
    assert_eq!(select.try_ready(), Err(TryReadyError));
    // Now while it waits: whoever is faster takes it, and then the other one does not wait in vain.
    for number in 4..=50 {
        let ready = while_it_sleeps(
            || select.ready_timeout(WATCHDOG),
            || {
                sender.send("x").unwrap();
                sender.flush_timeout(WATCHDOG).unwrap();
            },
        );
        assert_eq!(ready, Ok(index));
        assert_eq!(receiver.try_recv().unwrap().number(), number);
    }
}

/// A link whose inboxes never ring: only who calls finds what is in them.
#[derive(Clone, Debug)]
struct Mute(Memory);

#[derive(Debug)]
struct MuteInbox(Box<dyn Inbox>, EventFd);

impl Link for Mute {
    fn bind(&self, name: &QueueName, owner: Owner, geometry: Geometry) -> Result<Box<dyn Inbox>, BindError> {
        Ok(Box::new(MuteInbox(
            self.0.bind(name, owner, geometry)?,
            EventFd::from_flags(EfdFlags::EFD_CLOEXEC).unwrap(),
        )))
    }

    fn open(&self, name: &QueueName) -> Result<Box<dyn Outbox>, OpenError> {
        self.0.open(name)
    }
}

impl Inbox for MuteInbox {
    fn try_recv(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.0.try_recv(buffer)
    }

    fn geometry(&self) -> Geometry {
        self.0.geometry()
    }

    fn readable(&self) -> BorrowedFd<'_> {
        self.1.as_fd()
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

#[proves("CAL-9", "CAL-11")]
#[test]
fn what_another_call_has_taken_into_memory_ends_the_wait() {
    let space = Memory::new();
    let receiver = Receiver::builder().link(Mute(space.clone())).bind("/mute").unwrap();
    let sender = thread::scope(|scope| {
        let connecting = scope.spawn(|| Sender::builder().link(space).wait(WATCHDOG).connect("/mute").unwrap());
        while !connecting.is_finished() {
            _ = receiver.try_recv();
        }
        connecting.join().unwrap()
    });
    let mut select = Select::new();
    let index = select.recv(&receiver).unwrap();
    let ready = while_it_sleeps(
        || select.ready_timeout(WATCHDOG),
        || {
            sender.send("x").unwrap();
            assert_eq!(receiver.len(), 1);
        },
    );
    assert_eq!(ready, Ok(index));
    assert_eq!(&*receiver.try_recv().unwrap(), b"x");
}

#[test]
fn a_busy_receiver_does_not_keep_the_others_waiting() {
    let pairs = [(); 3].map(|()| pair(Level::Received));
    for (_, sender) in &pairs {
        for _ in 0..100 {
            sender.send("x").unwrap();
        }
        sender.flush_timeout(WATCHDOG).unwrap();
    }
    // By one selection, and by one that is made for each message.
    let mut lasting = Select::new();
    for (receiver, _) in &pairs {
        lasting.recv(receiver).unwrap();
    }
    let mut counts = [[0; 3]; 2];
    for _ in 0..60 {
        let ready = lasting.try_ready().unwrap();
        assert!(pairs[ready].0.try_recv().is_ok());
        counts[0][ready] += 1;

        let mut fresh = Select::new();
        for (receiver, _) in &pairs {
            fresh.recv(receiver).unwrap();
        }
        let ready = fresh.try_ready().unwrap();
        assert!(pairs[ready].0.try_recv().is_ok());
        counts[1][ready] += 1;
    }
    assert_eq!(counts[0], [20; 3]);
    assert!(counts[1].iter().all(|count| *count > 0), "{counts:?}");
}

#[test]
fn to_select_is_to_ask_for_the_next_message() {
    let (receiver, sender) = pair(Level::Processed);
    sender.send("first").unwrap();
    let mut select = Select::new();
    select.recv(&receiver).unwrap();
    let selecting = || {
        assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"first");
        select.ready_timeout(WATCHDOG).unwrap();
        receiver.try_recv().unwrap().to_vec()
    };
    let second = while_it_sleeps(selecting, || {
        sender.flush_timeout(WATCHDOG).unwrap(); // in vain, unless the first one counts as processed
        sender.send("second").unwrap();
    });
    assert_eq!(second, b"second");
    drop(receiver); // it has not asked again, and the sender would linger
}

#[proves("CAL-11")]
#[test]
fn threads_that_select_from_the_same_receivers_take_each_message_once() {
    const MESSAGES: u64 = 2_000;
    let pairs = [(); 2].map(|()| pair(Level::Delivered));
    let [(first, one), (second, two)] = pairs;
    let (taken, receivers) = (AtomicU64::new(0), [&first, &second]);
    thread::scope(|scope| {
        let take = || {
            let mut select = Select::new();
            let indices = receivers.map(|receiver| select.recv(receiver).unwrap());
            let mut ended = 0;
            while ended < receivers.len() {
                let ready = select.ready_timeout(WATCHDOG).unwrap();
                let position = indices.iter().position(|index| *index == ready).unwrap();
                match receivers[position].try_recv() {
                    Ok(_) => _ = taken.fetch_add(1, Ordering::Relaxed),
                    Err(TryRecvError::Empty) => {} // another one was faster
                    Err(TryRecvError::Disconnected) => {
                        select.remove(ready);
                        ended += 1;
                    }
                }
            }
        };
        for _ in 0..3 {
            scope.spawn(take);
        }
        for sender in [one, two] {
            scope.spawn(move || (0..MESSAGES).for_each(|_| _ = sender.send("x").unwrap()));
        }
    });
    assert_eq!(taken.into_inner(), 2 * MESSAGES);
}

#[test]
#[should_panic = "without receivers"]
fn to_wait_for_nothing_is_refused() {
    Select::new().ready();
}

#[test]
fn typed_receivers_can_be_selected() {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).typed::<u64>().bind("/numbers").unwrap();
    let other = Receiver::builder().link(space.clone()).typed::<String>().bind("/texts").unwrap();
    let sender = Sender::builder().link(space).typed::<u64>().connect("/numbers").unwrap();
    sender.send(42).unwrap();
    let mut select = Select::new();
    assert_eq!(select.recv(other.untyped()).unwrap(), 0);
    let of_numbers = select.recv(receiver.untyped()).unwrap();
    let message = loop {
        assert_eq!(select.ready_timeout(WATCHDOG).unwrap(), of_numbers); // first for the news that somebody has joined
        if let Ok(message) = receiver.try_recv() {
            break message;
        }
    };
    assert_eq!(message.decode().unwrap(), 42);
}

//! The descriptor of a receiver: readable while there is something, and not when there is nothing.

use lamq::{Event, Level, Receiver, RecvTimeoutError, Sender, TryRecvError, link::Memory};
use lamq_proves::proves;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
};
use std::{
    os::fd::AsFd,
    thread,
    time::{Duration, Instant},
};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(20);

fn pair(level: Level) -> (Receiver, Sender) {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).end_with_last_sender().bind("/watched").unwrap();
    let sender = Sender::builder().link(space).level(level).connect("/watched").unwrap();
    (receiver, sender)
}

/// Sleeps until it is readable, or the time is over. Returns which of them.
fn becomes_readable(receiver: &Receiver, timeout: Duration) -> bool {
    let mut fds = [PollFd::new(receiver.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::try_from(timeout).unwrap()).unwrap() == 1
}

fn is_readable(receiver: &Receiver) -> bool {
    becomes_readable(receiver, Duration::ZERO)
}

#[track_caller]
fn demand_empty(receiver: &Receiver) {
    assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Empty);
    assert!(!is_readable(receiver), "an event loop would never sleep");
}

#[proves("CAL-9", "CAL-10")]
#[test]
fn it_is_readable_while_there_is_a_message() {
    let (receiver, sender) = pair(Level::Delivered);
    demand_empty(&receiver);
    let mut at_once = 0;
    for number in 1..=100 {
        sender.send([0; 100]).unwrap();
        at_once += usize::from(is_readable(&receiver));
        assert!(becomes_readable(&receiver, WATCHDOG));
        assert_eq!(receiver.try_recv().unwrap().number(), number);
        demand_empty(&receiver);
    }
    assert!(at_once > 50, "{at_once}: it need not wait for the thread of the library to take the message");
}

#[proves("CAL-9", "CAL-10")]
#[test]
fn it_is_readable_while_a_message_is_in_memory() {
    let (receiver, sender) = pair(Level::Received);
    demand_empty(&receiver);
    for number in 1..=3 {
        sender.send([number]).unwrap();
    }
    // This process has received all of it, though its application did nothing: it is out of the kernel's sight.
    sender.flush_timeout(WATCHDOG).unwrap();
    for number in 1..=3 {
        assert!(is_readable(&receiver));
        assert_eq!(receiver.try_recv().unwrap().number(), number);
    }
    demand_empty(&receiver);
}

#[proves("CAL-9")]
#[test]
fn it_shows_what_was_in_memory_before_it_was_made() {
    let (receiver, sender) = pair(Level::Received);
    sender.send("x").unwrap();
    sender.flush_timeout(WATCHDOG).unwrap();
    assert!(is_readable(&receiver));
}

#[proves("CAL-9")]
#[test]
fn it_becomes_readable_when_receiving_ends() {
    let (receiver, sender) = pair(Level::Delivered);
    demand_empty(&receiver);
    sender.close(WATCHDOG).unwrap();
    while receiver.try_recv().unwrap_err() != TryRecvError::Disconnected {
        assert!(becomes_readable(&receiver, WATCHDOG));
    }
    assert!(is_readable(&receiver));

    let (receiver, _sender) = pair(Level::Delivered);
    demand_empty(&receiver);
    thread::scope(|scope| {
        let polling = scope.spawn(|| becomes_readable(&receiver, WATCHDOG));
        receiver.close();
        assert!(polling.join().unwrap());
    });
    assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Disconnected);
    assert!(is_readable(&receiver));
}

#[proves("CAL-10")]
#[test]
fn threads_that_wake_each_other_leave_it_unreadable() {
    let (receiver, sender) = pair(Level::Delivered);
    demand_empty(&receiver);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| receiver.recv_timeout(WATCHDOG).unwrap().number());
        // Whoever gives up wakes the one who sleeps in the kernel.
        for _ in 0..10 {
            assert_eq!(receiver.recv_timeout(Duration::from_millis(2)).unwrap_err(), RecvTimeoutError::Timeout);
        }
        sender.send("x").unwrap();
        assert_eq!(waiting.join().unwrap(), 1);
    });
    demand_empty(&receiver);
}

#[proves("CAL-9")]
#[test]
fn an_event_loop_that_sees_edges_only_misses_nothing() {
    let (receiver, sender) = pair(Level::Delivered);
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    epoll.add(&receiver, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0)).unwrap();
    let sending = thread::spawn(move || {
        for round in 0..300 {
            for _ in 0..=round % 3 {
                sender.send("x").unwrap();
            }
            if round % 2 == 0 {
                sender.flush_timeout(WATCHDOG).unwrap();
            }
        }
    });
    let (mut count, start) = (0, Instant::now());
    loop {
        match receiver.recv_event(Some(Duration::ZERO)) {
            Ok(Event::Message(message)) => count = message.number(),
            Ok(_) => {}
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let timeout = EpollTimeout::try_from(WATCHDOG).unwrap();
                assert_eq!(epoll.wait(&mut [EpollEvent::empty()], timeout), Ok(1));
            }
        }
    }
    sending.join().unwrap();
    assert_eq!(count, 600);
    assert!(start.elapsed() < WATCHDOG);
}

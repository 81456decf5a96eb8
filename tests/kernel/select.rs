//! Waiting for receivers of several queues at once, whose senders are other processes and die.

use crate::{
    process::{Process, hear, say},
    world::{Name, WATCHDOG},
};
use lamq::{Departure, Event, Receiver, Select, Sender, TryReadyError, link::Memory};
use lamq_proves::proves;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::{os::fd::AsFd, time::Duration};

/// Role: sends a message whenever the test says something.
pub(crate) fn speak(name: &str) {
    let sender = Sender::builder().wait(WATCHDOG).connect(name).unwrap();
    say("connected");
    while hear() {
        sender.send("heard").unwrap();
    }
}

fn bind(name: &Name) -> Receiver {
    Receiver::builder().frame_size(512).bind(name.as_str()).unwrap()
}

/// A process that sends, once its receiver has been told so.
fn speaker(name: &Name, receiver: &Receiver) -> Process {
    let process = Process::start("speak", name.as_str());
    assert!(matches!(receiver.recv_event(Some(WATCHDOG)), Ok(Event::Joined(_))));
    process.expect("connected");
    process
}

#[proves("CAL-11", "DTH-3")]
#[test]
fn messages_and_deaths_of_other_processes_end_a_wait_for_several() {
    let names = ["several-1", "several-2"].map(Name::new);
    let receivers = [bind(&names[0]), bind(&names[1])];
    let silent = Receiver::builder().link(Memory::new()).bind("/silent").unwrap();
    let mut speakers = [0, 1].map(|at| speaker(&names[at], &receivers[at]));

    let mut select = Select::new();
    let of_silent = select.recv(&silent).unwrap();
    let indices = receivers.each_ref().map(|receiver| select.recv(receiver).unwrap());
    assert_eq!(select.try_ready(), Err(TryReadyError));
    for at in [0, 1, 1, 0] {
        speakers[at].say("say it");
        assert_eq!(select.ready_timeout(WATCHDOG), Ok(indices[at]));
        assert_eq!(&*receivers[at].try_recv().unwrap(), b"heard");
    }
    for at in [1, 0] {
        assert_eq!(select.try_ready(), Err(TryReadyError));
        speakers[at].kill();
        assert_eq!(select.ready_timeout(WATCHDOG), Ok(indices[at]));
        match receivers[at].recv_event(Some(Duration::ZERO)) {
            Ok(Event::Departed { departure, last, .. }) => assert_eq!((departure, last), (Departure::Died, 2)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(select.try_ready(), Err(TryReadyError));
    silent.close();
    assert_eq!(select.ready_timeout(WATCHDOG), Ok(of_silent));
}

#[proves("CAL-9", "CAL-10")]
#[test]
fn the_descriptor_shows_messages_and_death_of_another_process() {
    let name = Name::new("descriptor");
    let receiver = bind(&name);
    let mut speaker = speaker(&name, &receiver);
    let becomes_readable =
        |timeout: PollTimeout| poll(&mut [PollFd::new(receiver.as_fd(), PollFlags::POLLIN)], timeout).unwrap() == 1;
    let next = || {
        while becomes_readable(PollTimeout::try_from(WATCHDOG).unwrap()) {
            if let Ok(event) = receiver.recv_event(Some(Duration::ZERO)) {
                return event;
            }
        }
        panic!("nothing comes");
    };
    for number in 1..=20 {
        speaker.say("say it");
        assert!(matches!(next(), Event::Message(message) if message.number() == number));
        assert!(receiver.try_recv().is_err());
        assert!(!becomes_readable(PollTimeout::ZERO));
    }
    speaker.kill();
    assert!(matches!(next(), Event::Departed { departure: Departure::Died, last: 20, .. }));
    assert!(receiver.try_recv().is_err());
    assert!(!becomes_readable(PollTimeout::ZERO));
}

//! Several channels of one endpoint.

use lamq::{
    ConnectError, Departure, Endpoint, Event, Receiver, SendFailure, Sender,
    link::{Faults, Faulty, Memory},
};
use lamq_proves::proves;
use std::{thread, time::Duration};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(20);

fn receiver(space: &Memory, name: &str) -> Receiver {
    Receiver::builder().link(space.clone()).bind(name).unwrap()
}

fn sender(endpoint: &Endpoint, name: &str) -> Sender {
    Sender::builder().endpoint(endpoint).wait(WATCHDOG).connect(name).unwrap()
}

#[proves("SHR-1", "PRO-1")]
#[test]
fn channels_that_share_an_inbox_do_not_mix() {
    const COUNT: u32 = 2000;
    let space = Memory::new();
    let names = ["/a", "/b", "/c"];
    let receivers = names.map(|name| receiver(&space, name));
    let endpoint = Endpoint::on(space).unwrap();
    let senders = names.map(|name| sender(&endpoint, name));
    thread::scope(|scope| {
        for (place, sender) in (0_u8..).zip(&senders) {
            scope.spawn(move || {
                for number in 0..COUNT {
                    sender.send([[place; 4], number.to_le_bytes()].concat()).unwrap();
                }
                sender.flush_timeout(WATCHDOG).unwrap();
                assert_eq!(sender.stats().delivered, COUNT.into());
            });
        }
        for (place, receiver) in (0_u8..).zip(&receivers) {
            scope.spawn(move || {
                let mut stream = None;
                for number in 0..COUNT {
                    let message = receiver.recv_timeout(WATCHDOG).unwrap();
                    assert_eq!(*message, *[[place; 4], number.to_le_bytes()].concat());
                    assert_eq!(*stream.get_or_insert(message.peer().stream), message.peer().stream);
                }
            });
        }
    });
}

#[proves("SHR-1")]
#[test]
fn the_end_of_one_channel_is_not_the_end_of_another() {
    let space = Memory::new();
    let (left, right) = (receiver(&space, "/left"), receiver(&space, "/right"));
    let endpoint = Endpoint::on(space).unwrap();
    let (to_left, to_right) = (sender(&endpoint, "/left"), sender(&endpoint, "/right"));
    to_left.send("bye").unwrap();
    let last = to_left.clone();
    let reading = thread::spawn(move || {
        assert_eq!(&*left.recv_timeout(WATCHDOG).unwrap(), b"bye");
        loop {
            if let Event::Departed { departure, last, .. } = left.recv_event(Some(WATCHDOG)).unwrap() {
                return (left, departure, last);
            }
        }
    });
    drop(to_left);
    last.close(WATCHDOG).unwrap();
    let (left, departure, number) = reading.join().unwrap();
    assert_eq!((departure, number), (Departure::Left, 1));
    to_right.send("still here").unwrap();
    assert_eq!(&*right.recv_timeout(WATCHDOG).unwrap(), b"still here");
    // The same name again, in the same endpoint.
    let again = sender(&endpoint, "/left");
    again.send("back").unwrap();
    assert_eq!((&*left.recv_timeout(WATCHDOG).unwrap(), again.stats().sent), (&b"back"[..], 1));
    drop(left);
    let failure = loop {
        match again.send_timeout("x", WATCHDOG) {
            Ok(_) => {}
            Err(error) => break error.failure,
        }
    };
    assert!(matches!(failure, SendFailure::Disconnected(_)), "{failure}");
    to_right.send("and still").unwrap();
    assert_eq!(&*right.recv_timeout(WATCHDOG).unwrap(), b"and still");
}

#[proves("SHR-1", "CAL-3")]
#[test]
fn a_receiver_that_is_not_read_holds_up_no_sender_of_its_endpoint() {
    let space = Memory::new();
    let (busy, other) = (receiver(&space, "/busy"), receiver(&space, "/other"));
    let stranger = Sender::builder().link(space.clone()).connect("/busy").unwrap();
    for _ in 0..500 {
        stranger.send([0; 100]).unwrap();
    }
    let sender = sender(&busy.endpoint(), "/other");
    let reading = thread::spawn(move || {
        assert!((0..500).all(|_| *other.recv_timeout(WATCHDOG).unwrap() == [1; 100]));
        other
    });
    for _ in 0..500 {
        sender.send([1; 100]).unwrap();
    }
    sender.flush_timeout(WATCHDOG).expect("what is to be read is no matter of this");
    drop(reading.join().unwrap());
    assert!((0..500).all(|_| *busy.recv_timeout(WATCHDOG).unwrap() == [0; 100]));
}

#[test]
fn a_receiver_that_is_closed_takes_no_further_sender_but_leaves_those_it_has() {
    let space = Memory::new();
    let (own, other) = (receiver(&space, "/own"), receiver(&space, "/other"));
    let endpoint = own.endpoint();
    let sender = sender(&endpoint, "/other");
    drop(own);
    sender.send("on").unwrap();
    assert_eq!(&*other.recv_timeout(WATCHDOG).unwrap(), b"on");
    let error = Sender::builder().endpoint(&endpoint).connect("/other").unwrap_err();
    assert!(matches!(error, ConnectError::EndpointClosed), "{error}");
    drop(endpoint);
    sender.send("alone").unwrap();
    assert_eq!(&*other.recv_timeout(WATCHDOG).unwrap(), b"alone");
}

#[test]
fn the_channels_of_an_endpoint_have_one_clock() {
    let space = Memory::new();
    let receivers = ["/a", "/b"].map(|name| receiver(&space, name));
    let endpoint = Endpoint::on(space).unwrap();
    let senders = ["/a", "/b"].map(|name| sender(&endpoint, name));
    let mut last = 0;
    for _ in 0..5 {
        for (sender, receiver) in senders.iter().zip(&receivers) {
            sender.send("tick").unwrap();
            let message = receiver.recv_timeout(WATCHDOG).unwrap();
            assert!(message.lamport() > last, "{} after {last}", message.lamport());
            last = message.lamport();
        }
    }
}

#[proves("SHR-1")]
#[test]
fn two_channels_of_an_endpoint_may_lead_to_the_same_receiver() {
    let space = Memory::new();
    let receiver = receiver(&space, "/one");
    let endpoint = Endpoint::on(space).unwrap();
    let senders = [(); 2].map(|()| sender(&endpoint, "/one"));
    for sender in &senders {
        assert_eq!(sender.send("x").unwrap(), 1);
    }
    let [first, second] = [(); 2].map(|()| receiver.recv_timeout(WATCHDOG).unwrap().peer());
    assert_eq!((first.stream.epoch, first.pid), (second.stream.epoch, second.pid));
    assert_ne!(first.stream.index, second.stream.index);
}

/// On a link that loses frames a session is kept when it is over, to answer a sender that does not know; not for ever.
#[proves("RTX-4", "SHR-1")]
#[test]
fn channels_may_come_and_go_on_a_link_that_loses() {
    let link = Faulty::new(Memory::new(), Faults::default());
    let receiver = Receiver::builder().link(link.clone()).max_senders(3).bind("/come-and-go").unwrap();
    let endpoint = Endpoint::on(link).unwrap();
    for round in 0..10 {
        let sender = sender(&endpoint, "/come-and-go");
        sender.send("x").unwrap();
        let reading = thread::spawn(move || sender.close(WATCHDOG));
        for _ in ["it joined", "its message", "it left"] {
            receiver.recv_event(Some(WATCHDOG)).unwrap();
        }
        reading.join().unwrap().unwrap();
        assert_eq!(receiver.stats().accepted, round + 1);
    }
}

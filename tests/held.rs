//! What is served while one thread of the application waits, and others are silent.

use lamq::{Level, Receiver, Sender, link::Memory};
use lamq_proves::proves;
use std::{
    thread,
    time::{Duration, Instant},
};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(20);

fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < WATCHDOG, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// It may depend on that the other one goes on, so both would wait for ever.
#[proves("ACK-12", "CAL-6")]
#[test]
fn a_question_is_acknowledged_though_its_receiver_waits_for_somebody_else() {
    let space = Memory::new();
    let bind = |name| Receiver::builder().link(space.clone()).bind(name).unwrap();
    let (server, other) = (bind("/server"), bind("/other"));
    let to_other = Sender::builder().endpoint(&server.endpoint()).connect("/other").unwrap();
    let client = || Sender::builder().link(space.clone()).linger(Duration::ZERO);
    let (questions, answers) = client().connect_both_ways("/server", &Receiver::builder()).unwrap();
    let second = client().connect("/server").unwrap();
    questions.send("one").unwrap();
    let question = server.recv_timeout(WATCHDOG).unwrap();
    server.sender_to(question.peer()).unwrap().send("answer").unwrap();
    answers.recv_timeout(WATCHDOG).unwrap();

    questions.send("two").unwrap();
    until("the question is taken", || server.len() == 1);
    second.send("another").unwrap();
    until("there is more to be read", || server.len() == 2);
    thread::scope(|scope| {
        let answering = scope.spawn(|| {
            let question = server.recv_timeout(WATCHDOG).unwrap();
            to_other.send_sync_timeout("help", WATCHDOG).unwrap();
            question
        });
        let heard = questions.flush_timeout(WATCHDOG / 4);
        other.recv_timeout(WATCHDOG).unwrap();
        assert_eq!(&*answering.join().unwrap(), b"two");
        heard.unwrap();
    });
}

/// Nobody else says so: the one who waits has no news for its own application.
#[proves("CAL-6")]
#[test]
fn what_comes_while_somebody_waits_is_acknowledged_though_messages_lie_unread() {
    let space = Memory::new();
    let bind = |name| Receiver::builder().link(space.clone()).bind(name).unwrap();
    let (server, other) = (bind("/server"), bind("/other"));
    let to_other = Sender::builder().endpoint(&server.endpoint()).connect("/other").unwrap();
    let builder = Sender::builder().link(space).level(Level::Received).linger(Duration::ZERO);
    let client = builder.connect("/server").unwrap();
    client.send("unread").unwrap();
    until("it is taken", || server.len() == 1);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| to_other.send_sync_timeout("help", WATCHDOG).unwrap());
        until("the other one was asked", || other.len() == 1);
        thread::sleep(Duration::from_millis(100)); // so that the keeper rests
        client.send([0; 2 * 8084]).unwrap(); // it fills its two frames, so they ask for nothing
        let heard = client.flush_timeout(WATCHDOG / 4);
        other.recv_timeout(WATCHDOG).unwrap();
        waiting.join().unwrap();
        heard.unwrap();
    });
}

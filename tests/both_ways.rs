//! Channels in both directions.

use lamq::{
    ConnectError, Departure, Endpoint, Event, Receiver, RecvTimeoutError, SendFailure, Sender,
    link::{Faults, Faulty, Link, Memory},
};
use lamq_proves::proves;
use std::{
    thread,
    time::{Duration, Instant},
};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(30);

fn pair(link: impl Link + Clone + 'static) -> (Receiver, Sender, Receiver) {
    let server = Receiver::builder().link(link.clone()).bind("/server").unwrap();
    let (requests, answers) = Sender::builder().link(link).connect_both_ways("/server", &Receiver::builder()).unwrap();
    (server, requests, answers)
}

fn message(receiver: &Receiver) -> lamq::Message {
    receiver.recv_timeout(WATCHDOG).unwrap()
}

/// A server that sends each message back, until so many have left.
fn echo(server: &Receiver, clients: usize) {
    let mut left = 0;
    while left < clients {
        match server.recv_event(Some(WATCHDOG)).unwrap() {
            Event::Message(request) => {
                _ = server.sender_to(request.peer()).expect("it asked for that").send(&*request).unwrap();
            }
            Event::Departed { .. } => left += 1,
            _ => {}
        }
    }
}

#[proves("DPX-1")]
#[test]
fn requests_and_answers_share_a_session() {
    let space = Memory::new();
    let server = Receiver::builder().link(space.clone()).bind("/server").unwrap();
    let serving = thread::spawn(move || echo(&server, 3));
    thread::scope(|scope| {
        for client in 0..3_u8 {
            let space = space.clone();
            scope.spawn(move || {
                let builder = Sender::builder().link(space);
                let (requests, answers) = builder.connect_both_ways("/server", &Receiver::builder()).unwrap();
                for round in 0..200_u8 {
                    requests.send([client, round]).unwrap();
                    assert_eq!(*message(&answers), [client, round]);
                }
            });
        }
    });
    serving.join().unwrap();
}

#[proves("DPX-1", "RTX-2")]
#[test]
fn both_directions_make_good_for_a_link_that_loses() {
    let faults = Faults { lose: 0.05, double: 0.05, swap: 0.05, seed: 7 };
    let (server, requests, answers) = pair(Faulty::new(Memory::new(), faults));
    let sending = thread::spawn(move || {
        (0..300_u32).for_each(|number| _ = requests.send(number.to_le_bytes()).unwrap());
        requests.close(WATCHDOG).unwrap();
    });
    let serving = thread::spawn(move || {
        let mut back = None;
        for number in 0..300_u32 {
            let request = message(&server);
            assert_eq!(*request, number.to_le_bytes());
            let back = back.get_or_insert_with(|| server.sender_to(request.peer()).unwrap());
            back.send(&*request).unwrap();
        }
        back.unwrap().close(WATCHDOG).unwrap();
        server
    });
    let received: Vec<_> = answers.iter().map(|message| u32::from_le_bytes((*message).try_into().unwrap())).collect();
    assert_eq!(received, (0..300).collect::<Vec<_>>());
    // It stays until the other side knows that all was taken: a last word may be lost, too.
    let server = serving.join().unwrap();
    sending.join().unwrap();
    drop(server);
}

#[proves("DPX-3")]
#[test]
fn a_client_that_has_sent_all_still_gets_its_answers() {
    let (server, requests, answers) = pair(Memory::new());
    requests.send("the only one").unwrap();
    let closing = thread::spawn(move || requests.close(WATCHDOG).unwrap());
    let peer = message(&server).peer();
    loop {
        if let Event::Departed { departure, last, .. } = server.recv_event(Some(WATCHDOG)).unwrap() {
            assert_eq!((departure, last), (Departure::Left, 1));
            break;
        }
    }
    closing.join().unwrap();
    let back = server.sender_to(peer).expect("it is still there to read");
    for answer in ["one", "two"] {
        back.send(answer).unwrap();
        assert_eq!(&*message(&answers), answer.as_bytes());
    }
    back.close(WATCHDOG).unwrap();
    assert!(matches!(answers.recv_timeout(WATCHDOG), Err(RecvTimeoutError::Disconnected)));
    assert!(server.sender_to(peer).is_none(), "it is over");
}

#[proves("DPX-3", "CLO-4")]
#[test]
fn a_client_that_reads_no_more_may_go_on_asking() {
    let (server, requests, answers) = pair(Memory::new());
    requests.send("first").unwrap();
    let peer = message(&server).peer();
    let back = server.sender_to(peer).unwrap();
    drop(answers);
    let failure = loop {
        match back.send_timeout("unread", WATCHDOG) {
            Ok(_) => thread::yield_now(),
            Err(error) => break error.failure,
        }
    };
    assert!(matches!(failure, SendFailure::Disconnected(_)), "{failure}");
    requests.send("second").unwrap();
    assert_eq!(&*message(&server), b"second");
    assert!(server.sender_to(peer).is_none());
}

#[proves("DTH-3")]
#[test]
fn a_server_that_goes_ends_both_directions_of_each_client() {
    let (server, requests, answers) = pair(Memory::new());
    requests.send("x").unwrap();
    let back = server.sender_to(message(&server).peer()).unwrap();
    back.send("last").unwrap();
    drop(back);
    let leaving = thread::spawn(move || drop(server));
    assert_eq!(&*message(&answers), b"last", "what was sent is waited for");
    assert!(matches!(answers.recv_timeout(WATCHDOG), Err(RecvTimeoutError::Disconnected)));
    leaving.join().unwrap();
    let failure = loop {
        match requests.send_timeout("x", WATCHDOG) {
            Ok(_) => thread::yield_now(),
            Err(error) => break error.failure,
        }
    };
    assert!(matches!(failure, SendFailure::Disconnected(_)), "{failure}");
}

#[proves("CAL-1")]
#[test]
fn clients_that_do_not_read_hold_up_a_server_that_goes_no_longer_than_its_linger() {
    let space = Memory::new();
    let linger = Duration::from_secs(1);
    let server = Receiver::builder().link(space.clone()).linger(linger).bind("/server").unwrap();
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let builder = Sender::builder().link(space.clone()).linger(Duration::ZERO);
            let client = builder.connect_both_ways("/server", &Receiver::builder().linger(Duration::ZERO)).unwrap();
            client.0.send("x").unwrap();
            server.sender_to(message(&server).peer()).unwrap().send("nobody reads it").unwrap();
            client
        })
        .collect();
    let start = Instant::now();
    drop(server);
    let waited = start.elapsed();
    assert!(linger <= waited && waited < linger * 8, "{waited:?}");
    drop(clients);
}

#[proves("DPX-1")]
#[test]
fn who_did_not_ask_for_a_stream_back_has_none() {
    let space = Memory::new();
    let server = Receiver::builder().link(space.clone()).bind("/server").unwrap();
    let sender = Sender::builder().link(space.clone()).connect("/server").unwrap();
    sender.send("x").unwrap();
    assert!(server.sender_to(message(&server).peer()).is_none());
    let endpoint = Endpoint::on(space).unwrap();
    let error = Sender::builder().endpoint(&endpoint).connect_both_ways("/server", &Receiver::builder()).unwrap_err();
    assert!(matches!(error, ConnectError::BothWays { setting: "endpoint" }), "{error}");
}

#[test]
fn the_answers_are_received_as_their_receiver_was_set_up() {
    let space = Memory::new();
    let server = Receiver::builder().link(space.clone()).bind("/server").unwrap();
    let answers = Receiver::builder().slots(4).frame_size(512).window(2048).max_message_size(3000).rendezvous();
    let builder = Sender::builder().link(space).linger(Duration::ZERO);
    let (requests, answers) = builder.connect_both_ways("/server", &answers).unwrap();
    requests.send("x").unwrap();
    let back = server.sender_to(message(&server).peer()).unwrap();
    assert_eq!(back.max_message_size(), 3000);
    assert!(back.try_send("nobody asks").is_err());
    let sending = thread::spawn(move || back.send([5; 3000]).unwrap());
    assert_eq!(*message(&answers), [5; 3000]);
    assert_eq!(sending.join().unwrap(), 1);
}

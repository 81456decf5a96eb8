//! Requests and answers on one session; then one direction ends, and the other goes on.

use super::{
    Cue, Ground, WATCHDOG,
    ground::{departure, next, take},
};
use lamq::{Peer, Receiver, Sender};

on_every_link! { both_ways proves "PRO-1", "DPX-1", "DPX-3" }

/// Each with two requests.
const ROUNDS: u64 = 7;

/// How many messages go the one way when the other has ended.
const FURTHER: u64 = 3;

/// Some take two frames.
fn body(number: u64) -> Vec<u8> {
    vec![6; usize::try_from(number * 173 % 600).unwrap()]
}

fn connect(ground: &Ground) -> (Sender, Receiver) {
    ground.sender().connect_both_ways(ground.name(), &ground.receiver()).unwrap()
}

fn ask(requests: &Sender, answers: &Receiver) {
    for round in 1..=ROUNDS {
        let numbers = [2 * round - 1, 2 * round];
        for number in numbers {
            assert_eq!(requests.send_timeout(body(number), WATCHDOG).unwrap(), number);
        }
        for number in numbers {
            expect(answers, number);
        }
    }
}

/// Sends each request back.
fn answer(server: &Receiver) -> (Peer, Sender) {
    let mut client = None;
    for number in 1..=2 * ROUNDS {
        let request = expect(server, number);
        let back = server.sender_to(request.peer()).expect("it asked for that");
        assert_eq!(back.send_timeout(&*request, WATCHDOG).unwrap(), number);
        client = Some((request.peer(), back));
    }
    client.unwrap()
}

#[track_caller]
fn expect(receiver: &Receiver, number: u64) -> lamq::Message {
    let message = take(receiver);
    assert_eq!((message.number(), message.to_vec()), (number, body(number)));
    message
}

/// What comes behind the rounds.
fn further() -> impl Iterator<Item = u64> {
    (1..=FURTHER).map(|number| 2 * ROUNDS + number)
}

fn send(ground: &Ground, cue: &mut Cue) {
    let (requests, answers) = connect(ground);
    ask(&requests, &answers);
    requests.close(WATCHDOG).unwrap();
    cue.say("no more requests");
    further().for_each(|number| _ = expect(&answers, number));
    assert!(next(&answers).is_none());
    cue.expect("closed");
    drop(answers);

    let (requests, answers) = connect(ground);
    ask(&requests, &answers);
    assert!(next(&answers).is_none());
    cue.expect("no more answers");
    for number in further() {
        assert_eq!(requests.send_timeout(body(number), WATCHDOG).unwrap(), number);
    }
    requests.close(WATCHDOG).unwrap();
    cue.say("closed");
}

fn receive(ground: &Ground, cue: &mut Cue) {
    let server = ground.receiver().bind(ground.name()).unwrap();
    let (peer, back) = answer(&server);
    assert_eq!(departure(&server), 2 * ROUNDS);
    cue.expect("no more requests");
    for number in further() {
        assert_eq!(back.send_timeout(body(number), WATCHDOG).unwrap(), number);
    }
    back.close(WATCHDOG).unwrap();
    assert!(server.sender_to(peer).is_none(), "it is over");
    cue.say("closed");

    let (peer, back) = answer(&server);
    back.close(WATCHDOG).unwrap();
    assert!(server.sender_to(peer).is_none(), "it is over");
    cue.say("no more answers");
    further().for_each(|number| _ = expect(&server, number));
    assert_eq!(departure(&server), 2 * ROUNDS + FURTHER);
    cue.expect("closed");
}

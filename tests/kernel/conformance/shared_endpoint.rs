//! Two channels of one endpoint: one ends, by its sender and then by its receiver, and the other goes on.

use super::{
    Cue, Ground, WATCHDOG,
    ground::{departure, next, take},
};
use lamq::{Endpoint, Receiver, SendFailure, Sender};

on_every_link! { shared_endpoint proves "PRO-1", "DTH-3", "SHR-1" }

/// How many messages go to a receiver between two events.
const EACH: u64 = 6;

fn connect(ground: &Ground, endpoint: &Endpoint, name: &str) -> Sender {
    ground.sender().endpoint(endpoint).connect(name).unwrap()
}

/// Number, and whom it is for.
fn body(number: u64, channel: u8) -> Vec<u8> {
    [&number.to_le_bytes()[..], &[channel; 150]].concat()
}

fn give(sender: &Sender, channel: u8, number: u64) {
    assert_eq!(sender.send_timeout(body(number, channel), WATCHDOG).unwrap(), number);
}

fn expect(receiver: &Receiver, channel: u8, number: u64) {
    let message = take(receiver);
    assert_eq!((message.number(), message.to_vec()), (number, body(number, channel)));
}

fn send(ground: &Ground, cue: &mut Cue) {
    let endpoint = ground.endpoint();
    let [left, right] = [ground.name(), &*ground.second_name()].map(|name| connect(ground, &endpoint, name));
    for number in 1..=EACH {
        give(&left, 0, number);
        give(&right, 1, number);
    }
    left.close(WATCHDOG).unwrap();
    cue.say("left");
    (EACH + 1..=2 * EACH).for_each(|number| give(&right, 1, number));

    cue.expect("the next owner");
    let left = connect(ground, &endpoint, ground.name());
    give(&left, 0, 1);
    left.flush_timeout(WATCHDOG).unwrap();
    cue.say("flushed");
    let failure = (2..).find_map(|number| left.send_timeout(body(number, 0), WATCHDOG).err()).unwrap().failure;
    assert!(matches!(failure, SendFailure::Disconnected(_)), "{failure}");
    cue.say("alone");
    (2 * EACH + 1..=3 * EACH).for_each(|number| give(&right, 1, number));
    right.close(WATCHDOG).unwrap();
    cue.say("closed");
}

fn receive(ground: &Ground, cue: &mut Cue) {
    let left = ground.receiver().bind(ground.name()).unwrap();
    let right = ground.receiver().end_with_last_sender().bind(ground.second_name()).unwrap();
    for number in 1..=EACH {
        expect(&left, 0, number);
        expect(&right, 1, number);
    }
    assert_eq!(departure(&left), EACH);
    cue.expect("left");
    (EACH + 1..=2 * EACH).for_each(|number| expect(&right, 1, number));

    drop(left);
    let left = ground.receiver().bind(ground.name()).unwrap();
    cue.say("the next owner");
    expect(&left, 0, 1);
    cue.expect("flushed");
    drop(left);
    cue.expect("alone");
    (2 * EACH + 1..=3 * EACH).for_each(|number| expect(&right, 1, number));
    assert!(next(&right).is_none());
    cue.expect("closed");
}

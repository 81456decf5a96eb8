//! What `lamq send` does when the receiver has no room.

use crate::common::{Name, finish, lamq, run, send_signal, stderr, stdout};
use lamq::{Event, Receiver, SendFailure, Sender, Sent};
use lamq_proves::proves;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read},
    time::Duration,
};

const MESSAGES: u64 = 30;

fn receiver(name: &Name) -> Receiver {
    Receiver::builder().frame_size(512).window(1000).bind(name.name.as_str()).unwrap()
}

/// More than there is room for.
fn arguments<'a>(options: &[&'a str], name: &'a Name, message: &'a str) -> Vec<&'a str> {
    let messages = (0..MESSAGES).map(|_| message);
    ["send"].into_iter().chain(options.iter().copied()).chain([name.name.as_str()]).chain(messages).collect()
}

#[proves("DRP-1")]
#[test]
fn what_is_dropped_is_told_to_the_receiver_and_counted_in_the_end() {
    let name = Name::new("on-full-drop");
    let (receiver, message) = (receiver(&name), "x".repeat(100));
    let mut sender = lamq(&arguments(&["-vvv", "--on-full", "drop"], &name, &message));
    let mut said = BufReader::new(sender.stderr.take().unwrap());
    // It has tried all of them before any is read.
    let (mut line, mut dropped) = (String::new(), 0);
    while !line.contains(&format!("number={MESSAGES}")) {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it says no more");
        dropped += u64::from(line.contains("dropped"));
    }
    assert!((1..MESSAGES).contains(&dropped), "{dropped}");
    let (mut messages, mut gaps) = (0, 0);
    loop {
        match receiver.recv_event(Some(Duration::from_secs(20))).unwrap() {
            Event::Message(_) => messages += 1,
            Event::Gap { first, last, .. } => gaps += last + 1 - first,
            Event::Departed { last, .. } => break assert_eq!(last, MESSAGES),
            _ => {}
        }
    }
    assert_eq!((messages, gaps), (MESSAGES - dropped, dropped));
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(rest.contains(&format!("lamq: {dropped} of {MESSAGES} messages dropped for want of room\n")), "{rest}");
    assert!(finish(sender).status.success());
}

#[proves("CAL-4")]
#[test]
fn three_for_a_message_that_finds_no_room_and_may_not_wait() {
    let name = Name::new("on-full-error");
    let (_receiver, message) = (receiver(&name), "x".repeat(100));
    let output = run(&arguments(&["--on-full", "error"], &name, &message));
    assert_eq!(output.status.code(), Some(3));
    let said = stderr(&output);
    assert!(said.contains(" was not sent: no room: the receiver has granted no credit for it yet"), "{said}");
    let both = run(&["send", "--sync", "--on-full", "drop", &name.name, "x"]);
    assert_eq!(both.status.code(), Some(2), "{}", stderr(&both));
}

#[proves("DRP-1", "CAL-1", "CAL-2", "CAL-4")]
#[test]
fn all_policies_hold_while_the_receiver_is_stopped_and_every_drop_is_seen_on_both_sides() {
    let name = Name::new("on-full-stopped");
    let receiver = lamq(&["recv", &name.name, "--until-closed", "--format", "json"]);
    let sender = Sender::connect(name.name.as_str()).unwrap();
    send_signal(receiver.id(), Signal::SIGSTOP);
    let message = "x".repeat(5000);
    // To fail: until there is no room.
    let refused = std::iter::repeat_with(|| sender.try_send(&message)).find_map(Result::err).unwrap();
    assert_eq!((refused.message, refused.failure), (&message, SendFailure::Full));
    // To block: it keeps its deadline, and hands the message back.
    let late = sender.send_timeout(&message, Duration::from_millis(50)).unwrap_err();
    assert_eq!((late.message, late.failure), (&message, SendFailure::Timeout));
    // To drop: with a number.
    let accepted = sender.stats().sent;
    for number in accepted + 1..=accepted + 20 {
        assert_eq!(sender.send_or_drop(&message, Duration::ZERO).unwrap(), Sent::Dropped(number));
    }
    assert_eq!(sender.stats().dropped, 20);
    send_signal(receiver.id(), Signal::SIGCONT);
    sender.send_timeout("the last", Duration::from_secs(20)).unwrap();
    sender.close(Duration::from_secs(20)).unwrap();
    let output = finish(receiver);
    let events: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |kind: &str| events.iter().filter(|event| event["event"] == kind).count() as u64;
    assert_eq!((count("message"), count("gap")), (accepted + 1, 1));
    let gap = events.iter().find(|event| event["event"] == "gap").unwrap();
    assert_eq!((&gap["first"], &gap["last"]), (&json!(accepted + 1), &json!(accepted + 20)));
}

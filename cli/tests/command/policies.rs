//! What `lamq send` does when the receiver has no room.

use crate::common::{Name, finish, lamq, run, stderr};
use lamq::{Event, Receiver};
use lamq_proves::proves;
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

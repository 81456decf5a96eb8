//! `lamq ping`: who is asked, what is said, and that nothing comes of it.

use crate::{
    common::{
        Name, command_after, demand_gone, finish, is_bound, lamq, run, send_signal, stderr, stdout, until, waiting,
    },
    tools::create,
};
use lamq::{Receiver, Sender};
use nix::{mqueue::mq_unlink, sys::signal::Signal};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Output, id},
};

/// A receiver that is bound.
fn receiver(name: &Name, more: &[&str]) -> Child {
    let receiver = lamq(&[&["recv", name.name.as_str()], more].concat());
    until("it is bound", || is_bound(&name.name));
    receiver
}

fn stop(child: &Child) {
    send_signal(child.id(), Signal::SIGSTOP);
    let stat = format!("/proc/{}/stat", child.id());
    until("it is stopped", || std::fs::read_to_string(&stat).unwrap().contains(") T "));
}

fn resume_and_end(child: Child) {
    for signal in [Signal::SIGCONT, Signal::SIGTERM] {
        send_signal(child.id(), signal);
    }
    assert_eq!(finish(child).status.code(), Some(0));
}

#[track_caller]
fn demand(output: &Output, code: i32, words: &[&str]) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
}

#[test]
fn each_answer_is_a_line_and_the_last_line_sums_them_up() {
    let name = Name::new("ping");
    let receiver = receiver(&name, &["--until-closed", "--format", "json"]);
    let output = run(&["ping", &name.name, "--count", "3", "--interval", "1ms"]);
    demand(&output, 0, &[]);
    let text = stdout(&output);
    let lines: Vec<_> = text.lines().collect();
    let answer = format!("{} answers: process {}, 0 senders, ", name.name, receiver.id());
    assert_eq!((lines.len(), stderr(&output).as_str()), (4, ""), "{text}");
    assert!(lines[..3].iter().all(|line| line.starts_with(&answer) && line.ends_with(" us")), "{text}");
    assert!(lines[3].starts_with("3 asked, 3 answered: min ") && lines[3].ends_with(" us"), "{text}");

    let sender = Sender::connect(name.name.as_str()).unwrap();
    let output = run(&["ping", &name.name, "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let time = &report["round_trip_us"]["median"];
    assert!(time.as_u64().is_some_and(|time| time > 0), "{report}");
    let expected = json!({
        "version": 1, "name": name.name, "asked": 1, "answered": 1,
        "pings": [{ "pid": receiver.id(), "senders": 1, "round_trip_us": time }],
        "round_trip_us": { "min": time, "median": time, "max": time },
    });
    assert_eq!(report, expected);

    // Nobody came but the sender, and only its end is the end.
    drop(sender);
    let events = stdout(&finish(receiver));
    let events: Vec<_> = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
    assert_eq!((events.len(), &events[0]["event"], &events[1]["event"]), (2, &"joined".into(), &"left".into()));
    assert!(events.iter().all(|event| event["pid"] == id()));
}

#[test]
fn three_when_nobody_receives_and_when_the_receiver_is_stopped() {
    let name = Name::new("ping-three");
    let output = run(&["ping", &name.name, "--timeout", "20ms"]);
    demand(&output, 3, &["nobody receives on", &format!("lamq recv {}", name.name)]);
    assert_eq!(stdout(&output).lines().last(), Some("1 asked, 0 answered"));
    let receiver = receiver(&name, &[]);
    stop(&receiver);
    let output = run(&["ping", &name.name, "--timeout", "20ms", "--json"]);
    demand(&output, 3, &[&format!("process {}", receiver.id()), "it may be stopped"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["answered"], &report["round_trip_us"]), (&0.into(), &Value::Null));
    assert!(report["pings"][0]["failure"].as_str().unwrap().contains("is alive but did not answer"), "{report}");
    resume_and_end(receiver);
}

#[test]
fn three_also_when_only_some_are_answered() {
    let name = Name::new("ping-some");
    let receiver = receiver(&name, &[]);
    let mut asking = lamq(&["ping", &name.name, "--count", "100", "--interval", "20ms", "--timeout", "10ms"]);
    let mut output = BufReader::new(asking.stdout.take().unwrap());
    let mut first = String::new();
    output.read_line(&mut first).unwrap();
    assert!(first.contains("answers"), "{first}");
    stop(&receiver);
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(rest.lines().last().unwrap().starts_with("100 asked, "), "{rest}");
    assert!(rest.contains("\nno answer: "), "{rest}");
    demand(&finish(asking), 3, &[" of 100 not answered, the last because process "]);
    resume_and_end(receiver);
}

#[test]
fn one_where_lamq_cannot_ask_and_two_for_nonsense() {
    let name = Name::new("ping-foreign");
    create(&name.name, 0o600, 0);
    let output = run(&["ping", &name.name, "--count", "5"]);
    demand(&output, 1, &["its mode is 0600"]);
    assert_eq!((stdout(&output).as_str(), waiting(&name.name)), ("", Some(0)));
    mq_unlink(name.name.as_str()).unwrap();
    for arguments in [&["no-slash"][..], &["/x", "--count", "0"], &["/x", "--interval", "soon"], &[]] {
        let output = run(&[&["ping"], arguments].concat());
        demand(&output, 2, &[]);
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn an_interrupt_says_what_came_so_far_and_leaves_no_inbox() {
    let name = Name::new("ping-interrupt");
    let receiver = receiver(&name, &[]);
    stop(&receiver);
    let asking = lamq(&["ping", &name.name, "--timeout", "60s"]);
    let inbox = format!("/lamq.{}.0", asking.id());
    until("it has asked", || waiting(&name.name) == Some(1));
    send_signal(asking.id(), Signal::SIGTERM);
    demand(&finish(asking), 1, &["lamq: interrupted by SIGTERM: 0 asked, 0 answered\n"]);
    demand_gone(&inbox);
    resume_and_end(receiver);
}

#[test]
fn to_ask_often_takes_no_more_than_to_ask_once() {
    let name = Name::new("ping-often");
    let receiver = Receiver::bind(name.name.as_str()).unwrap();
    let mut asking = command_after("ulimit -n 20", &["ping", &name.name, "--count", "200", "--interval", "0s"]);
    let output = finish(asking.spawn().unwrap());
    demand(&output, 0, &[]);
    assert_eq!((receiver.stats().pings, receiver.stats().accepted), (200, 0));
}

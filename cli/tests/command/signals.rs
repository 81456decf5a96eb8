//! What an interrupt leaves: nothing in the kernel, and no doubt about what was written.

use crate::common::{
    Name, command_after, demand_gone, finish, heeded, is_bound, lamq, run, send_signal, stderr, stdout, until, waiting,
};
use lamq::{Level, Receiver, SendError, SendFailure, Sender};
use nix::sys::signal::Signal;
use std::{
    io::{BufRead, BufReader, Write},
    sync::mpsc,
    time::Duration,
};

#[test]
fn without_a_limit_an_interrupt_is_the_normal_end_of_recv() {
    for signal in heeded() {
        let name = Name::new(signal.as_str());
        let receiver = lamq(&["recv", &name.name]);
        until("it is bound", || is_bound(&name.name));
        send_signal(receiver.id(), signal);
        let output = finish(receiver);
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{signal}");
    }
}

#[test]
fn with_a_limit_an_interrupt_of_recv_is_a_failure() {
    for limit in [&["--count", "1"][..], &["--until-closed"]] {
        let name = Name::new("limit");
        let receiver = lamq(&[&["recv", &name.name], limit].concat());
        until("it is bound", || is_bound(&name.name));
        send_signal(receiver.id(), Signal::SIGTERM);
        let output = finish(receiver);
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), "lamq: interrupted by SIGTERM\n"));
    }
}

#[test]
fn what_an_interrupted_recv_wrote_is_what_its_sender_saw_processed() {
    let name = Name::new("written");
    let mut receiver = lamq(&["recv", &name.name]);
    let sender = Sender::builder().level(Level::Processed).linger(Duration::ZERO).connect(name.name.as_str()).unwrap();
    let (stalled, stall) = mpsc::channel();
    let sending = std::thread::spawn(move || {
        let mut sent = 0;
        loop {
            match sender.send_timeout((sent + 1).to_string(), Duration::from_millis(200)) {
                Ok(number) => sent = number,
                Err(SendError { failure: SendFailure::Timeout, .. }) => _ = stalled.send(()),
                Err(SendError { failure, .. }) => {
                    assert!(matches!(failure, SendFailure::Disconnected(_)), "{failure}");
                    return sender.stats().processed;
                }
            }
        }
    });
    // Nobody reads: the pipe is full, then the window, and there is no credit. So the receiver is in the midst of writing.
    stall.recv().unwrap();
    send_signal(receiver.id(), Signal::SIGTERM);
    let mut written = 0;
    for line in BufReader::new(receiver.stdout.take().unwrap()).lines() {
        written += 1;
        assert_eq!(line.unwrap(), written.to_string());
    }
    assert!(written > 0);
    assert_eq!(receiver.wait().unwrap().code(), Some(0));
    assert_eq!(sending.join().unwrap(), written);
}

#[test]
fn an_interrupt_ends_recv_also_when_nobody_reads_its_output() {
    let name = Name::new("stuck");
    let receiver = lamq(&["recv", &name.name]);
    let sender = Sender::builder().level(Level::Processed).linger(Duration::ZERO).connect(name.name.as_str()).unwrap();
    // The pipe is full, then the window, then there is no credit.
    while sender.send_timeout([b'x'; 1000], Duration::from_millis(200)).is_ok() {}
    send_signal(receiver.id(), Signal::SIGTERM);
    until("the queue is gone", || waiting(&name.name).is_none());
    let output = finish(receiver);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("lamq: interrupted by SIGTERM while standard output"), "{}", stderr(&output));
    // Nothing of what was written is acknowledged that is not there as a whole.
    let whole = stdout(&output).lines().filter(|line| line.len() == 1000).count();
    assert!(sender.stats().processed <= whole as u64);
}

#[test]
fn an_interrupted_send_leaves_no_inbox() {
    for signal in heeded() {
        let name = Name::new("unanswered");
        let receiver = lamq(&["recv", &name.name]);
        until("it is bound", || is_bound(&name.name));
        send_signal(receiver.id(), Signal::SIGSTOP);
        let sender = lamq(&["send", &name.name, "x", "--timeout", "60s"]);
        let inbox = format!("/lamq.{}.0", sender.id());
        until("it waits for an answer", || waiting(&inbox).is_some());
        send_signal(sender.id(), signal);
        let output = finish(sender);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(stderr(&output), format!("lamq: interrupted by {signal}\n"));
        demand_gone(&inbox);
        send_signal(receiver.id(), Signal::SIGTERM);
        send_signal(receiver.id(), Signal::SIGCONT);
        assert_eq!(finish(receiver).status.code(), Some(0));
    }
}

#[test]
fn an_interrupted_send_says_how_far_it_came() {
    let name = Name::new("far");
    let receiver = Receiver::builder().manual_acknowledge().bind(name.name.as_str()).unwrap();
    let mut sender = lamq(&["send", &name.name]);
    let mut input = sender.stdin.take().unwrap();
    input.write_all(b"one\n").unwrap();
    assert_eq!(&*receiver.recv().unwrap(), b"one");
    receiver.acknowledge();
    // It reads on when the first is acknowledged, for there was nothing else to read.
    input.write_all(b"two\nthree\n").unwrap();
    assert_eq!(&*receiver.recv().unwrap(), b"two");
    assert_eq!(&*receiver.recv().unwrap(), b"three");
    send_signal(sender.id(), Signal::SIGTERM);
    let output = finish(sender);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "lamq: interrupted by SIGTERM: 3 messages sent, 1 acknowledged\n");
}

#[test]
fn a_send_that_is_interrupted_while_it_waits_for_the_last_acknowledgement_says_so() {
    let name = Name::new("last");
    let receiver = Receiver::builder().manual_acknowledge().bind(name.name.as_str()).unwrap();
    let sender = lamq(&["send", &name.name, "one", "--timeout", "60s"]);
    assert_eq!(&*receiver.recv().unwrap(), b"one");
    send_signal(sender.id(), Signal::SIGTERM);
    let output = finish(sender);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "lamq: interrupted by SIGTERM: 1 message sent, 0 acknowledged\n");
}

#[test]
fn signals_that_are_ignored_at_the_start_stay_ignored() {
    let name = Name::new("nohup");
    let receiver = command_after("trap '' HUP INT", &["recv", &name.name]).spawn().unwrap();
    until("it is bound", || is_bound(&name.name));
    send_signal(receiver.id(), Signal::SIGHUP);
    send_signal(receiver.id(), Signal::SIGINT);
    let sent = run(&["send", &name.name, "one"]);
    assert_eq!(sent.status.code(), Some(0), "{}", stderr(&sent));
    send_signal(receiver.id(), Signal::SIGTERM);
    let output = finish(receiver);
    assert_eq!((output.status.code(), stdout(&output).as_str(), stderr(&output).as_str()), (Some(0), "one\n", ""));
}

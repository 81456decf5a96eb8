//! Messages from process to process through a real queue.

use crate::common::{Name, demand_gone, finish, is_bound, lamq, send_signal, stderr, until, waiting};
use lamq::{BindError, ConnectError, Departure, Ended, Event, Receiver, SendFailure, Sender};
use lamq_proves::proves;
use lamq_study::{Claims, Oracle};
use nix::{
    mqueue::{MQ_OFlag, MqAttr, mq_close, mq_open, mq_send, mq_unlink},
    sys::{signal::Signal, stat::Mode},
};
use std::{
    io::Write,
    process::{Child, Output},
    thread,
    time::{Duration, Instant},
};

fn feed(mut child: Child, input: &[u8]) -> Output {
    child.stdin.take().unwrap().write_all(input).unwrap();
    finish(child)
}

fn lines(range: std::ops::RangeInclusive<u32>, prefix: &str) -> String {
    range.fold(String::new(), |text, number| text + prefix + &number.to_string() + "\n")
}

#[proves("PRO-1", "NUM-1", "CAL-3", "POS-10")]
#[test]
fn lines_arrive_complete_and_in_order_whoever_starts_first() {
    for (round, receiver_first) in [true, false].into_iter().enumerate() {
        let name = Name::new(&format!("order{round}"));
        let receive = || lamq(&["recv", &name.name, "--count", "200000"]);
        let text = lines(1..=200_000, "");
        let early = receiver_first.then(receive);
        let sender = lamq(&["send", &name.name]);
        let private = format!("/lamq.{}.0", sender.id());
        let receiver = early.unwrap_or_else(receive);
        let reader = thread::spawn(move || finish(receiver));
        let sent = feed(sender, text.as_bytes());
        assert!(sent.status.success(), "{}", stderr(&sent));
        let output = reader.join().unwrap();
        assert!(output.status.success());
        assert!(output.stdout == text.as_bytes(), "the lines differ");
        demand_gone(&private);
    }
}

#[proves("PRO-1", "PRO-4")]
#[test]
fn lines_of_three_senders_are_each_complete_and_in_order() {
    let name = Name::new("three");
    let receiver = lamq(&["recv", &name.name, "--count", "30000"]);
    let reader = thread::spawn(move || finish(receiver));
    let senders: Vec<_> = ["a", "b", "c"]
        .map(|prefix| {
            let sender = lamq(&["send", &name.name]);
            thread::spawn(move || feed(sender, lines(1..=10_000, prefix).as_bytes()))
        })
        .into();
    for sender in senders {
        assert!(sender.join().unwrap().status.success());
    }
    let text = String::from_utf8(reader.join().unwrap().stdout).unwrap();
    let mut oracle = Oracle::new();
    text.lines().for_each(|line| oracle.delivered(&line[..1], line[1..].parse().unwrap()));
    assert_eq!(oracle.streams().count(), 3);
    for prefix in ["a", "b", "c"] {
        let claims = Claims { sent: 10_000, acknowledged: 10_000, complete: true };
        let verdict = oracle.judge(&prefix, claims);
        assert!(verdict.holds(), "{prefix}: {verdict}");
    }
}

#[proves("DTH-1", "DTH-2", "DTH-4", "CLO-2")]
#[test]
fn a_killed_sender_leaves_a_clean_prefix_and_its_last_number() {
    let name = Name::new("killed");
    let receiver = Receiver::bind(name.name.as_str()).unwrap();
    let mut sender = lamq(&["send", &name.name]);
    let mut input = sender.stdin.take().unwrap();
    let feeder = thread::spawn(move || (1..=u64::MAX).take_while(|n| writeln!(input, "{n}").is_ok()).count());
    let mut oracle = Oracle::new();
    let last = loop {
        match receiver.recv_event(Some(Duration::from_secs(20))).unwrap() {
            Event::Message(message) => {
                let number = std::str::from_utf8(&message).unwrap().parse().unwrap();
                assert_eq!(message.number(), number);
                oracle.delivered((), number);
                if number == 5_000 {
                    sender.kill().unwrap();
                }
            }
            Event::Joined(peer) => assert_eq!(peer.pid, sender.id()),
            Event::Departed { departure, last, .. } => {
                assert_eq!(departure, Departure::Died);
                break last;
            }
            other => panic!("{other:?}"),
        }
    };
    let verdict = oracle.judge(&(), Claims { sent: u64::MAX, acknowledged: last, complete: false });
    assert!(verdict.holds(), "{verdict}");
    assert_eq!(verdict.delivered, last);
    sender.wait().unwrap();
    assert!(feeder.join().is_ok());
}

#[proves("DTH-3", "CAL-2")]
#[test]
fn a_blocked_send_returns_with_the_message_when_the_receiver_is_killed() {
    let name = Name::new("receiver");
    let mut receiver = lamq(&["recv", &name.name]); // nobody reads its output: it stops reading when the pipe is full
    let sender = Sender::connect(name.name.as_str()).unwrap();
    while sender.send_timeout(vec![7_u8; 1000], Duration::from_millis(200)).is_ok() {}
    let killer = thread::spawn(move || {
        receiver.kill().unwrap();
        receiver.wait().unwrap();
    });
    let error = loop {
        if let Err(error) = sender.send(vec![7_u8; 1000]) {
            break error;
        }
    };
    killer.join().unwrap();
    assert_eq!(error.message, vec![7; 1000]);
    assert!(matches!(error.failure, SendFailure::Disconnected(why) if why.why == Ended::PeerDied));
    let report = sender.close(Duration::from_secs(3600)).unwrap_err();
    assert!(report.accepted > report.acknowledged);
    // The next owner takes the name over.
    drop(Receiver::bind(name.name.as_str()).unwrap());
}

#[proves("GRT-3")]
#[test]
fn a_greeting_that_a_dead_receiver_left_unread_leads_to_one_session_with_the_next() {
    let name = Name::new("unread");
    let mut first = lamq(&["recv", &name.name]);
    until("it is bound", || is_bound(&name.name));
    send_signal(first.id(), Signal::SIGSTOP);
    let sender = lamq(&["send", &name.name, "hello"]);
    until("it has greeted", || waiting(&name.name) == Some(1));
    first.kill().unwrap();
    first.wait().unwrap();
    let receiver = Receiver::builder().end_with_last_sender().bind(name.name.as_str()).unwrap();
    let messages: Vec<_> = receiver.iter().map(|message| message.to_vec()).collect();
    assert_eq!(messages, [b"hello"]);
    assert_eq!(receiver.stats().accepted, 1);
    let output = finish(sender);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[proves("CAL-1", "CAL-4", "CRD-1", "NUM-2")]
#[test]
fn without_credit_a_sender_times_out_and_goes_on_in_order_later() {
    let name = Name::new("credit");
    let receiver = Receiver::bind(name.name.as_str()).unwrap();
    let connecting = {
        let name = name.name.clone();
        thread::spawn(move || Sender::connect(name.as_str()).unwrap())
    };
    while !matches!(receiver.recv_event(Some(Duration::from_secs(20))).unwrap(), Event::Joined(_)) {}
    let sender = connecting.join().unwrap();
    let mut sent = 0;
    // Also a receiver that does not call in takes frames out of its queue, until it holds a window full.
    while sender.send_timeout([0_u8; 4000], Duration::from_millis(100)).is_ok() {
        sent += 1;
        assert!(sent < 100, "a receiver that does not read grants no end of credit");
    }
    assert_eq!(sender.try_send([0_u8; 4000]).unwrap_err().failure, SendFailure::Full);
    let start = Instant::now();
    let error = sender.send_timeout([0_u8; 4000], Duration::from_millis(50)).unwrap_err();
    assert_eq!(error.failure, SendFailure::Timeout);
    // The upper bound is a watchdog and no measurement.
    assert!((Duration::from_millis(50)..Duration::from_secs(20)).contains(&start.elapsed()));
    let reader = thread::spawn(move || (1..=sent + 1).all(|number| receiver.recv().unwrap().number() == number));
    assert_eq!(sender.send([0_u8; 4000]).unwrap(), sent + 1);
    sender.close(Duration::from_secs(20)).unwrap();
    assert!(reader.join().unwrap());
}

#[proves("FRM-1", "CAL-5")]
#[test]
fn garbage_from_outside_is_counted_and_disturbs_nobody() {
    let name = Name::new("garbage");
    let receiver = Receiver::bind(name.name.as_str()).unwrap();
    let queue = mq_open(name.name.as_str(), MQ_OFlag::O_WRONLY, Mode::empty(), None).unwrap();
    for frame in [&b""[..], b"x", &[0xFF; 64], &[0; 8136]] {
        mq_send(&queue, frame, 0).unwrap();
    }
    mq_close(queue).unwrap();
    let sender = lamq(&["send", &name.name, "hello"]);
    assert_eq!(&*receiver.recv().unwrap(), b"hello");
    assert_eq!(receiver.stats().all_faults(), 4);
    assert!(receiver.recv_timeout(Duration::from_millis(50)).is_err());
    assert!(finish(sender).status.success());
}

#[proves("POS-4", "POS-5", "POS-8")]
#[test]
fn foreign_and_owned_queues_are_refused_and_left_alone() {
    let name = Name::new("foreign");
    let attributes = MqAttr::new(0, 2, 512, 0);
    let flags = MQ_OFlag::O_CREAT | MQ_OFlag::O_RDWR;
    let queue = mq_open(name.name.as_str(), flags, Mode::from_bits_truncate(0o600), Some(&attributes)).unwrap();
    let error = Receiver::bind(name.name.as_str()).unwrap_err();
    assert!(matches!(error, BindError::Untrusted { .. }) && error.to_string().contains("0600"), "{error}");
    let error = Sender::connect(name.name.as_str()).unwrap_err();
    assert!(matches!(error, ConnectError::Open { .. }), "{error}");
    assert_eq!(waiting(&name.name), Some(0));
    mq_close(queue).unwrap();
    mq_unlink(name.name.as_str()).unwrap();

    let receiver = Receiver::bind(name.name.as_str()).unwrap();
    let error = Receiver::bind(name.name.as_str()).unwrap_err().to_string();
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    drop(receiver);
}

#[proves("CAL-7")]
#[test]
fn with_sync_each_message_waits_until_the_one_before_was_taken() {
    let name = Name::new("sync");
    let receiver = Receiver::bind(name.name.as_str()).unwrap();
    let sender = lamq(&["send", "--sync", &name.name, "one", "two", "three"]);
    for (number, text) in (1..).zip(["one", "two", "three"]) {
        until("it has come", || receiver.stats().data_frames == number);
        thread::sleep(Duration::from_millis(20));
        assert_eq!(receiver.stats().data_frames, number, "{text} was not taken yet");
        assert_eq!(&*receiver.recv().unwrap(), text.as_bytes());
    }
    assert!(matches!(receiver.recv_event(None), Ok(Event::Departed { departure: Departure::Left, .. })));
    assert!(finish(sender).status.success());
}

//! `lamq recv --format json`: what a script reads.

use crate::common::{Name, finish, lamq, run, stderr, stdout, until, waiting};
use lamq::Sender;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    os::unix::fs::MetadataExt,
    process::Output,
    sync::mpsc,
    time::Duration,
};

fn objects(output: &Output) -> Vec<Value> {
    assert_eq!((output.status.code(), stderr(output).as_str()), (Some(0), ""));
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_message_is_an_object_with_all_that_the_library_knows_of_it() {
    let name = Name::new("json");
    let receiver = lamq(&["recv", &name.name, "--until-closed", "--format", "json"]);
    let sender = Sender::connect(name.name.as_str()).unwrap();
    let bodies: [&[u8]; 5] = [b"one", b"", "\"\u{fc}\"\n\\\0".as_bytes(), b"\xFF\x00\xFE", b"\xC3"];
    for body in bodies {
        sender.send(body).unwrap();
    }
    sender.close(Duration::from_secs(20)).unwrap();
    let objects = objects(&finish(receiver));
    let uid = std::fs::metadata("/proc/self").unwrap().uid();
    let (pid, epoch) = (std::process::id(), objects[0]["epoch"].as_str().unwrap());
    assert!(epoch.len() == 16 && u64::from_str_radix(epoch, 16).is_ok(), "{epoch}");
    assert_eq!(objects[0], json!({ "event": "joined", "pid": pid, "uid": uid, "epoch": epoch, "index": 0 }));
    let bodies = [("body", "one"), ("body", ""), ("body", "\"\u{fc}\"\n\\\0"), ("base64", "/wD+"), ("base64", "ww==")];
    let mut before = 0;
    for ((object, number), (key, body)) in objects[1..].iter().zip(1..).zip(bodies) {
        let lamport = object["lamport"].as_u64().unwrap();
        let expected = json!({
            "event": "message", "pid": pid, "uid": uid, "epoch": epoch, "index": 0, "number": number,
            "lamport": lamport, key: body,
        });
        assert_eq!(*object, expected);
        assert!(lamport > before, "{lamport} follows {before}");
        before = lamport;
    }
    let left = json!({ "event": "left", "pid": pid, "uid": uid, "epoch": epoch, "index": 0, "last": 5 });
    assert_eq!(objects[6..], [left]);
}

#[test]
fn who_comes_and_goes_is_written_at_once_and_is_no_message() {
    let name = Name::new("json-events");
    let mut receiver = lamq(&["recv", &name.name, "--format", "json", "--count", "1"]);
    let output = BufReader::new(receiver.stdout.take().unwrap());
    let (write, lines) = mpsc::channel();
    std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| write.send(line)));
    let next = || serde_json::from_str::<Value>(&lines.recv_timeout(Duration::from_secs(20)).unwrap()).unwrap();
    let mut dying = lamq(&["send", &name.name]);
    let joined = next();
    assert_eq!((&joined["event"], &joined["pid"]), (&"joined".into(), &dying.id().into()));
    let inbox = format!("/lamq.{}.0", dying.id());
    until("it gave up its name (POS-10)", || waiting(&inbox).is_none());
    dying.kill().unwrap();
    dying.wait().unwrap();
    let died = next();
    let expected = json!({ "event": "died", "pid": dying.id(), "uid": joined["uid"], "epoch": joined["epoch"], "index": 0, "last": 0 });
    assert_eq!(died, expected);
    let sent = run(&["send", &name.name, "hello"]);
    assert_eq!(sent.status.code(), Some(0), "{}", stderr(&sent));
    assert_eq!(next()["event"], "joined");
    assert_eq!(next()["body"], "hello");
    assert_eq!(receiver.wait().unwrap().code(), Some(0), "events do not count");
}

#[test]
fn objects_can_end_with_a_nul_byte_and_bodies_are_the_default() {
    for (more, text) in
        [(&["-0", "--format", "json"][..], "\0"), (&["--format", "body"], "two\nlines\n"), (&["-0"], "two\nlines\0")]
    {
        let name = Name::new("json-nul");
        let receiver = lamq(&[&["recv", &name.name, "--count", "1"], more].concat());
        assert_eq!(run(&["send", &name.name, "two\nlines"]).status.code(), Some(0));
        let output = finish(receiver);
        if more.len() == 3 {
            assert_eq!(stdout(&output).matches(text).count(), 2, "joined, message");
            assert!(stdout(&output).contains(r#""body":"two\nlines"}"#) && stdout(&output).ends_with('\0'));
        } else {
            assert_eq!(stdout(&output), text);
        }
    }
    assert_eq!(run(&["recv", "/x", "--format", "xml"]).status.code(), Some(2));
}

#[test]
fn senders_that_only_join_do_not_put_the_time_out_off() {
    let name = Name::new("json-joins");
    let mut receiver = lamq(&["recv", &name.name, "--timeout", "1s", "--format", "json"]);
    let output = BufReader::new(receiver.stdout.take().unwrap());
    let reading = std::thread::spawn(move || output.lines().map_while(Result::ok).count());
    let mut joins = 0;
    while receiver.try_wait().unwrap().is_none() {
        let sender = Sender::builder().wait(Duration::from_millis(100)).linger(Duration::ZERO);
        joins += u32::from(sender.connect(name.name.as_str()).is_ok());
        assert!(joins < 100_000, "the time-out does not come");
    }
    assert_eq!(receiver.wait().unwrap().code(), Some(3));
    assert!(reading.join().unwrap() > 0);
}

//! Every documented exit code, and what is said with it.

use crate::common::{Name, command, finish, is_bound, lamq, run, send_signal, stderr, stdout, until};
use lamq::{Departure, Event, Receiver, Sender};
use nix::sys::signal::Signal;
use std::{
    ffi::OsStr,
    io::{Read, Write},
    os::unix::ffi::OsStrExt,
    process::Child,
    time::Duration,
};

#[test]
fn zero_when_all_is_done_and_nothing_is_said() {
    let name = Name::new("done");
    let receiver = lamq(&["recv", &name.name, "--until-closed"]);
    let sent = run(&["send", &name.name, "one", "two"]);
    assert_eq!((sent.status.code(), stderr(&sent).as_str(), stdout(&sent).as_str()), (Some(0), "", ""));
    let output = finish(receiver);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("one\ntwo\n", ""));
}

#[test]
fn one_for_a_name_in_use_and_the_owner_is_named() {
    let name = Name::new("in-use");
    let _receiver = Receiver::bind(name.name.as_str()).unwrap();
    let output = run(&["recv", &name.name]);
    assert_eq!(output.status.code(), Some(1));
    let owner = format!("lamq: {} is in use by process {};", name.name, std::process::id());
    assert!(stderr(&output).starts_with(&owner), "{}", stderr(&output));
}

#[test]
fn one_when_nobody_reads_the_output_and_the_sender_learns_what_was_not_processed() {
    let name = Name::new("pipe");
    let mut receiver = lamq(&["recv", &name.name]);
    drop(receiver.stdout.take());
    let sent = run(&["send", &name.name, "lost"]);
    let output = finish(receiver);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.starts_with("lamq: cannot write to standard output: Broken pipe"), "{said}");
    assert!(said.ends_with("; 1 received message is not acknowledged\n"), "{said}");
    assert_eq!(sent.status.code(), Some(4));
    assert!(stderr(&sent).starts_with("lamq: 1 of 1 messages not acknowledged: "), "{}", stderr(&sent));
}

#[test]
fn one_for_a_receiver_of_another_codec_and_both_codecs_are_named() {
    let name = Name::new("typed");
    let receiver = Receiver::builder().typed::<String>().bind(name.name.as_str()).unwrap();
    let output = run(&["send", &name.name, "raw"]);
    assert_eq!(output.status.code(), Some(1));
    let why = "the receiver expects codec 1 (bincode), this sender uses 0 (raw bytes)";
    assert_eq!(stderr(&output), format!("lamq: {} refused: {why}\n", name.name));
    assert_eq!(receiver.stats().refused, 1);
    drop(receiver);
    // The other way round the receiver goes on, for whoever comes next.
    let receiver = lamq(&["recv", &name.name, "--until-closed"]);
    let Err(error) = Sender::builder().typed::<String>().connect(name.name.as_str()) else { panic!("it takes values") };
    assert!(error.to_string().ends_with("expects codec 0 (raw bytes), this sender uses 1 (bincode)"), "{error}");
    assert_eq!(run(&["send", &name.name, "raw"]).status.code(), Some(0));
    assert_eq!(stdout(&finish(receiver)), "raw\n");
}

/// Receives from a sender whose second message is too long. Returns what it said.
fn the_second_is_too_long(name: &Name, sender: impl FnOnce() -> Child) -> String {
    let receiver = Receiver::builder().manual_acknowledge().max_message_size(8000).bind(name.name.as_str()).unwrap();
    let sender = sender();
    assert_eq!(&*receiver.recv().unwrap(), b"one");
    // Time for the sender to fail without having waited for this.
    assert!(receiver.recv_timeout(Duration::from_millis(100)).is_err());
    receiver.acknowledge();
    let next = receiver.recv_event(Some(Duration::from_secs(20))).unwrap();
    assert!(matches!(next, Event::Departed { departure: Departure::Left, last: 1, .. }), "{next:?}");
    let output = finish(sender);
    assert_eq!(output.status.code(), Some(1));
    stderr(&output)
}

#[test]
fn one_for_a_message_that_is_too_long_and_all_before_it_is_acknowledged() {
    let name = Name::new("too-long");
    let long = "x".repeat(9000);
    let said = the_second_is_too_long(&name, || lamq(&["send", &name.name, "one", &long, "three"]));
    assert!(said.starts_with("lamq: message 2 was not sent: a message of 9000 bytes is too long"), "{said}");
    assert!(said.ends_with("; all that was sent before is acknowledged\n"), "{said}");
    let said = the_second_is_too_long(&name, || {
        let mut sender = lamq(&["send", &name.name]);
        sender.stdin.take().unwrap().write_all(format!("one\n{long}\nthree\n").as_bytes()).unwrap();
        sender
    });
    assert!(said.starts_with("lamq: message 2 was not sent: it has more than 8000"), "{said}");
    assert!(said.contains("the limit (the receiver's setting `max_message_size`)"), "{said}");
    assert!(said.ends_with("; all that was sent before is acknowledged\n"), "{said}");
}

#[test]
fn one_for_a_line_without_an_end_of_which_no_more_is_read_than_may_be_sent() {
    let name = Name::new("endless");
    let _receiver = Receiver::builder().max_message_size(8000).bind(name.name.as_str()).unwrap();
    let mut sender = lamq(&["send", &name.name]);
    let mut input = sender.stdin.take().unwrap();
    let chunk = vec![0; 64 << 10];
    let chunks = (0..1000).take_while(|_| input.write_all(&chunk).is_ok()).count();
    drop(input);
    let output = finish(sender);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("lamq: message 1 was not sent: it has more than 8000"), "{}", stderr(&output));
    // What the pipe and one read hold.
    assert!(chunks < 10, "it read {chunks} chunks");
}

#[test]
fn the_longest_line_is_sent_with_and_without_its_end() {
    let name = Name::new("longest");
    let receiver = Receiver::builder().manual_acknowledge().max_message_size(8076).bind(name.name.as_str()).unwrap();
    let most = Sender::connect(name.name.as_str()).unwrap().max_message_size();
    let line = "x".repeat(most);
    for (text, code) in [(format!("{line}\n{line}"), 0), (format!("{line}x\n"), 1), (format!("{line}x"), 1)] {
        let mut sender = lamq(&["send", &name.name]);
        sender.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        if code == 0 {
            assert!((0..2).all(|_| receiver.recv().unwrap().len() == most));
            receiver.acknowledge();
        }
        let output = finish(sender);
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    }
}

#[test]
fn an_argument_need_not_be_text() {
    let name = Name::new("bytes");
    let receiver = lamq(&["recv", &name.name, "--count", "1"]);
    let sender = command(&["send", &name.name]).arg(OsStr::from_bytes(b"\xFF\xFE")).spawn().unwrap();
    let sent = finish(sender);
    assert_eq!(sent.status.code(), Some(0), "{}", stderr(&sent));
    assert_eq!(finish(receiver).stdout, b"\xFF\xFE\n");
}

#[test]
fn two_for_arguments_that_make_no_sense() {
    for arguments in [
        &["recv", "/x", "--nonsense"][..],
        &["recv", "no-slash"],
        &["send", "no-slash", "x"],
        &["send", "/x", "--timeout", "soon"],
        &["send", "/x", "-0", "message"],
        &["demo", "--senders", "1"],
        &["demo", "--senders", "65"],
        &["demo", "--messages", "29"],
        &["demo", "--messages", "1000000000001"],
        &["demo", "--sabotage", "everything"],
        &[],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stdout(&output).is_empty() && !stderr(&output).is_empty());
    }
    let said = stderr(&run(&["demo", "--messages", "29"]));
    assert!(said.contains("--messages 29") && said.contains("30 to"), "{said}");
}

#[test]
fn three_when_nobody_receives_and_the_remedy_is_named() {
    let name = Name::new("nobody");
    let output = run(&["send", &name.name, "x", "--timeout", "50ms"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains(&format!("lamq recv {}", name.name)), "{}", stderr(&output));
}

#[test]
fn three_when_the_receiver_does_not_answer() {
    let name = Name::new("stopped");
    let receiver = lamq(&["recv", &name.name]);
    until("it is bound", || is_bound(&name.name));
    send_signal(receiver.id(), Signal::SIGSTOP);
    let output = run(&["send", &name.name, "x", "--timeout", "50ms"]);
    assert_eq!(output.status.code(), Some(3));
    let said = stderr(&output);
    assert!(said.ends_with("; it may be stopped, out of descriptors, or in another pid namespace\n"), "{said}");
    send_signal(receiver.id(), Signal::SIGCONT);
    send_signal(receiver.id(), Signal::SIGTERM);
    assert_eq!(finish(receiver).status.code(), Some(0));
}

#[test]
fn three_when_no_message_comes_although_senders_do() {
    let name = Name::new("joins");
    let mut receiver = lamq(&["recv", &name.name, "--timeout", "1s"]);
    let mut joins = 0;
    while receiver.try_wait().unwrap().is_none() {
        // Were the time counted from the last one that joined, it would never be up.
        let sender = Sender::builder().wait(Duration::from_millis(100)).linger(Duration::ZERO);
        joins += u32::from(sender.connect(name.name.as_str()).is_ok());
        assert!(joins < 100_000, "the time-out does not come");
    }
    let output = finish(receiver);
    assert!(joins > 0);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(3), ""));
    assert!(stderr(&output).contains("no message came") && stderr(&output).contains("1s"), "{}", stderr(&output));
}

#[test]
fn four_when_the_receiver_leaves_before_all_is_acknowledged() {
    let name = Name::new("leaves");
    let receiver = lamq(&["recv", &name.name, "--count", "1"]);
    let sent = run(&["send", &name.name, "one", "two", "three"]);
    assert_eq!(sent.status.code(), Some(4));
    let output = finish(receiver);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), "one\n"));
}

#[test]
fn four_when_the_receiver_is_killed() {
    let name = Name::new("dies");
    let mut receiver = lamq(&["recv", &name.name]);
    let mut sender = lamq(&["send", &name.name]);
    // Many at a time, so that it never stops to flush, but for want of credit.
    let lines = b"message\n".repeat(10_000);
    let feeder = std::thread::spawn(move || {
        let mut input = sender.stdin.take().unwrap();
        while input.write_all(&lines).is_ok() {} // until the sender ends, and the pipe breaks
        drop(input);
        finish(sender)
    });
    receiver.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    receiver.kill().unwrap();
    receiver.wait().unwrap();
    let output = feeder.join().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert_eq!(stderr(&output).lines().count(), 1, "said once: {}", stderr(&output));
    assert!(stderr(&output).contains("the receiver died"), "{}", stderr(&output));
    // A killed receiver's name stays until the next one takes it over.
    drop(Receiver::bind(name.name.as_str()).unwrap());
}

#[test]
fn the_help_documents_every_code_and_the_version_is_the_package_s() {
    for command in [&["--help"][..], &["send", "--help"], &["recv", "--help"], &["demo", "--help"]] {
        let output = run(command);
        assert_eq!(output.status.code(), Some(0));
        for code in ["0  done", "1  failure", "2  usage", "3  timeout", "4  peer gone", "5  violation"] {
            assert!(stdout(&output).contains(code), "{command:?} lacks {code}");
        }
    }
    let help = stdout(&run(&["send", "--help"])).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("for all to be acknowledged and the session to close"), "{help}");
    let version = run(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(stdout(&version), format!("lamq {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn verbose_tells_the_session_on_standard_error_without_colours() {
    let name = Name::new("verbose");
    let receiver = lamq(&["-v", "recv", &name.name, "--until-closed"]);
    let sent = run(&["send", "-vvv", &name.name, "hello"]);
    let output = finish(receiver);
    assert_eq!(stdout(&output), "hello\n");
    for (said, events) in [
        (stderr(&output), &["bound", "a sender joined", "a sender departed", "closed"][..]),
        (stderr(&sent), &["connected", "sent", "closed"]),
    ] {
        let mut rest = said.as_str();
        for event in events {
            let (before, after) = rest.split_once(event).unwrap_or_else(|| panic!("no {event:?} in:\n{said}"));
            assert!(before.contains("lamq"), "{said}");
            rest = after;
        }
        assert!(!said.contains('\u{1b}'), "{said}");
    }
    assert!(!stderr(&output).contains("TRACE") && stderr(&sent).contains("TRACE"));
}

#[test]
fn a_sender_that_dies_is_a_warning_and_ends_nothing() {
    let name = Name::new("warning");
    let mut receiver = lamq(&["recv", &name.name, "--count", "2"]);
    let mut dying = lamq(&["send", &name.name]);
    dying.stdin.as_mut().unwrap().write_all(b"one\n").unwrap();
    let mut first = [0; 4];
    receiver.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    dying.kill().unwrap();
    dying.wait().unwrap();
    assert_eq!(run(&["send", &name.name, "two"]).status.code(), Some(0));
    let output = finish(receiver);
    assert_eq!((output.status.code(), &first, stdout(&output).as_str()), (Some(0), b"one\n", "two\n"));
    assert!(stderr(&output).contains("a sender is gone"), "{}", stderr(&output));
}

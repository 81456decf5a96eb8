//! What the command says when a limit is hit that it can live with.

use crate::common::{Name, finish, lamq, run, send_signal, stderr, stdout};
use nix::sys::signal::Signal;
use std::{
    fs,
    io::{BufRead, BufReader},
    process::Command,
};

/// Sets how many files a process may have open, within what it may have at the most.
fn allow(pid: u32, files: u64) {
    let limit = format!("--nofile={files}:");
    let status = Command::new("prlimit").args(["--pid", &pid.to_string(), &limit]).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_receiver_without_descriptors_warns_and_goes_on() {
    let name = Name::new("descriptors");
    let mut receiver = lamq(&["recv", "-v", &name.name]);
    let mut log = BufReader::new(receiver.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    assert!(line.contains("bound"), "{line}");
    // From now on it opens nothing but what it takes to answer.
    let mut free = (0..1024).filter(|file| !fs::exists(format!("/proc/{}/fd/{file}", receiver.id())).unwrap());
    let (used, second) = (free.next().unwrap(), free.next().unwrap());
    allow(receiver.id(), used);
    for call in [&["send", &name.name, "lost"][..], &["ping", &name.name]] {
        let output = run(&[call, &["--timeout", "500ms"]].concat());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(
            said.contains("did not answer within 500ms; it may be stopped, out of descriptors, or in another"),
            "{said}"
        );
    }
    allow(receiver.id(), second + 1);
    let output = run(&["send", &name.name, "found"]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    send_signal(receiver.id(), Signal::SIGTERM);
    let output = finish(receiver);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), "found\n"));
    let limit = format!("as many open files as it may: {used} (RLIMIT_NOFILE); close some, or raise it (ulimit -n)");
    let warnings: Vec<_> = log.lines().map_while(Result::ok).filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings.iter().all(|line| line.contains("a sender that wants to join is not answered yet")),
        "{warnings:?}"
    );
    assert!(warnings.iter().all(|line| line.contains(&limit)), "{warnings:?}");
}

//! Completions and manual pages know every command, and nothing that is hidden.

use crate::common::{run, stderr, stdout};
use std::{
    io::Write,
    process::{Command, Stdio},
};

const COMMANDS: [&str; 10] = ["send", "recv", "ping", "ls", "rm", "doctor", "demo", "simulate", "completions", "man"];

#[track_caller]
fn said(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{arguments:?}");
    stdout(&output)
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = said(&["completions", shell]);
        for word in COMMANDS.iter().chain(&["stale", "until-closed", "version", "verbose"]) {
            assert!(script.contains(word), "{shell}: no {word}");
        }
        assert!(!script.contains("demo-member"), "{shell}");
    }
    // The shell itself finds no fault.
    let mut shell = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(said(&["completions", "bash"]).as_bytes()).unwrap();
    assert!(shell.wait().unwrap().success());
    assert_eq!(run(&["completions", "sh"]).status.code(), Some(2));
}

#[test]
fn the_manual_has_a_page_for_all_and_one_for_each_command() {
    let whole = said(&["man"]);
    assert!(
        whole.contains(".TH lamq 1") && whole.contains("Exit codes") && !whole.contains("demo\\-member"),
        "{whole}"
    );
    for command in COMMANDS {
        assert!(whole.contains(command), "no {command}");
        let page = said(&["man", command]);
        assert!(page.contains(&format!(".TH lamq-{command} 1")) && page.contains("Exit codes"), "{page}");
    }
    assert!(said(&["man", "rm"]).contains("\\-\\-stale"));
    for command in ["demo-member", "nonsense"] {
        assert_eq!(run(&["man", command]).status.code(), Some(2), "{command}");
    }
}

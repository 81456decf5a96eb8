//! The demo, in small: what it reports, what it notices, and that nothing of it is left.

use crate::common::{
    Permit, command, command_after, demand_gone, finish, heeded, lamq, members, send_signal, stderr, stdout, until,
    waiting,
};
use lamq_proves::proves;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStderr, Command, Output},
};

/// A demo of which nothing must be left in the end.
struct Demo {
    child: Child,
    pid: u32,
    /// Of one that is to be disturbed: what it has still to say.
    said: Option<BufReader<ChildStderr>>,
    _permit: Permit,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        Self::spawn(&mut command(&[&["demo"], arguments].concat()))
    }

    fn spawn(command: &mut Command) -> Self {
        let permit = Permit::take();
        let child = command.env("NO_COLOR", "1").spawn().unwrap();
        Self { pid: child.id(), child, said: None, _permit: permit }
    }

    /// Waits until it is sending; it is to be told to say so (-v).
    fn underway(mut self) -> Self {
        let mut said = BufReader::new(self.child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("all processes are ready and begin") {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "it ended too early");
        }
        self.said = Some(said);
        until("messages are on their way", || waiting(&self.queue()).is_some_and(|frames| frames > 0));
        self
    }

    /// One that is sending still when it is disturbed.
    fn endless() -> Self {
        let demo = Self::start(&["-v", "--messages", "1000000000"]).underway();
        assert_eq!(members(demo.pid).len(), 5);
        demo
    }

    fn queue(&self) -> String {
        format!("/lamq-demo.{}", self.pid)
    }

    fn end(self) -> Output {
        let (pid, queue) = (self.pid, self.queue());
        let mut output = finish(self.child);
        if let Some(mut said) = self.said {
            said.read_to_end(&mut output.stderr).unwrap();
        }
        until("its processes are gone", || members(pid).is_empty());
        demand_gone(&queue);
        demand_gone(&format!("/lamq-demo-raw.{pid}"));
        output
    }
}

fn run(arguments: &[&str]) -> Output {
    Demo::start(arguments).end()
}

/// The document, and the exit code.
fn report(arguments: &[&str]) -> (Value, Option<i32>, String) {
    let output = run(&[&["--json"], arguments].concat());
    let document = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {} {}", stdout(&output), stderr(&output)));
    (document, output.status.code(), stderr(&output))
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_else(|| panic!("no number {field} in {value}"))
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no text {field} in {value}"))
}

const FAULTS: [&str; 6] = ["lost", "acknowledged_lost", "doubled", "misordered", "corrupt", "invented"];

/// Those that are not 0.
fn faults(value: &Value) -> Vec<&'static str> {
    FAULTS.into_iter().filter(|field| number(value, field) > 0).collect()
}

#[proves("PRO-1", "PRO-2", "PRO-3")]
#[test]
fn three_senders_arrive_whole_and_the_killed_one_as_a_prefix_with_all_it_saw_acknowledged() {
    let (report, code, said) = report(&["--messages", "40000"]);
    assert_eq!((code, said.as_str()), (Some(0), ""), "{report}");
    assert_eq!((number(&report, "version"), text(&report, "verdict")), (1, "held"));
    assert_eq!((number(&report, "messages"), &report["sabotage"]), (40_000, &Value::Null));
    assert_eq!(faults(&report), Vec::<&str>::new());
    let senders = report["senders"].as_array().unwrap();
    let (killed, living) = senders.split_last().unwrap();
    assert_eq!(living.len(), 3);
    for sender in living {
        assert_eq!(text(sender, "fate"), "finished");
        let quota = number(sender, "quota");
        assert_eq!(["sent", "acknowledged", "delivered"].map(|field| number(sender, field)), [quota; 3]);
    }
    assert_eq!(living.iter().map(|sender| number(sender, "delivered")).sum::<u64>(), 40_000);
    assert_eq!(text(killed, "fate"), "killed");
    let [quota, sent, acknowledged, delivered] =
        ["quota", "sent", "acknowledged", "delivered"].map(|field| number(killed, field));
    assert_eq!(quota, 40_000 / 3);
    assert!(quota / 10 <= acknowledged && acknowledged <= delivered && delivered <= sent && sent < quota, "{killed}");
    assert_eq!(number(&report, "delivered"), 40_000 + delivered);
    assert!(senders.iter().all(|sender| faults(sender).is_empty() && sender["stalls"].is_u64()));
    let [throughput, raw, ratio] =
        ["throughput", "raw_throughput", "ratio"].map(|field| report[field].as_f64().unwrap());
    assert!(throughput > 0.0 && raw > 0.0 && (ratio - throughput / raw).abs() < 0.1, "{report}");
}

#[test]
fn each_sabotage_is_a_violation_of_the_sabotaged_sender_alone() {
    for (sabotage, expected) in [
        ("drop", &["lost", "acknowledged_lost"][..]),
        ("double", &["lost", "acknowledged_lost", "doubled"]),
        ("swap", &["misordered"]),
    ] {
        let (report, code, said) = report(&["--messages", "40000", "--sabotage", sabotage]);
        assert_eq!(code, Some(5), "{sabotage}: {report}");
        assert!(said.starts_with("lamq: a promise was broken: "), "{said}");
        assert_eq!((text(&report, "verdict"), text(&report, "sabotage")), ("violated", sabotage));
        let (sabotaged, others) = report["senders"].as_array().unwrap().split_first().unwrap();
        assert_eq!((faults(sabotaged), faults(&report)), (expected.to_vec(), expected.to_vec()), "{report}");
        assert!(others.iter().all(|sender| faults(sender).is_empty()), "{report}");
        assert_eq!(text(sabotaged, "fate"), "finished", "lamq cannot notice a forgery");
        assert_eq!(faults(&report).iter().map(|fault| number(&report, fault)).max(), Some(1), "once");
    }
}

#[test]
fn a_run_too_small_for_its_sabotage_does_not_pass() {
    let output = run(&["--messages", "10", "--senders", "2", "--sabotage", "swap"]);
    // It depends on the scheduler whether two messages meet in a frame.
    match output.status.code() {
        Some(1) => assert!(stderr(&output).contains("--messages"), "{}", stderr(&output)),
        code => assert_eq!(code, Some(5), "{}", stdout(&output)),
    }
}

#[test]
fn the_smallest_and_the_widest_runs_hold() {
    for arguments in [["--senders", "2", "--messages", "10"], ["--senders", "8", "--messages", "70"]] {
        let (report, code, said) = report(&arguments);
        assert_eq!((code, said.as_str()), (Some(0), ""), "{report}");
        assert_eq!(text(report["senders"].as_array().unwrap().last().unwrap(), "fate"), "killed");
    }
}

#[test]
fn the_table_says_what_was_promised_and_what_held_without_colours_or_bars() {
    let output = run(&["--messages", "40000"]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    let table = stdout(&output);
    for words in
        ["credit stalls", "out of order", "killed by SIGKILL", "13,334 of 13,334", "ratio", "Every promise held."]
    {
        assert!(table.contains(words), "{words} is not in:\n{table}");
    }
    assert_eq!(table.matches("\nheld ").count(), 4, "{table}");
    assert!(!table.contains('\u{1b}') && !table.contains("VIOLATED"), "{table}");

    let output = run(&["--messages", "40000", "--sabotage", "drop"]);
    let table = stdout(&output);
    assert_eq!((output.status.code(), table.matches("\nVIOLATED ").count()), (Some(5), 1), "{table}");
    assert!(table.contains("A promise was broken."), "{table}");
    assert!(!table.contains('\u{1b}'), "{table}");
}

#[test]
fn a_demo_that_is_slow_to_kill_finds_its_victim_in_the_middle() {
    let demo = Demo::start(&["-v", "--json", "--senders", "2", "--messages", "2000000"]).underway();
    send_signal(demo.pid, Signal::SIGSTOP);
    until("only the receiver and the victim are left", || members(demo.pid).len() <= 2);
    send_signal(demo.pid, Signal::SIGCONT);
    let output = demo.end();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let victim = &report["senders"][1];
    assert!(text(victim, "fate") == "killed" && number(victim, "delivered") <= 1_000_000, "{report}");
}

#[test]
fn an_interrupted_demo_leaves_nothing() {
    for signal in heeded() {
        let demo = Demo::endless();
        send_signal(demo.pid, signal);
        let output = demo.end();
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
        assert!(stderr(&output).ends_with(&format!("lamq: interrupted by {signal}\n")), "{}", stderr(&output));
    }
}

#[test]
fn a_killed_demo_leaves_nothing() {
    for _ in 0..3 {
        let demo = Demo::endless();
        send_signal(demo.pid, Signal::SIGKILL);
        assert_eq!(demo.end().status.code(), None);
    }
}

#[test]
fn a_signal_that_the_demo_ignores_ends_its_processes_all_the_same() {
    let mut ignoring = command_after("trap '' TERM", &["demo", "-v", "--messages", "1000000000"]);
    let demo = Demo::spawn(&mut ignoring).underway();
    let (pid, _) = members(demo.pid).into_iter().find(|(_, words)| words.contains("\"sender\":2,")).unwrap();
    send_signal(demo.pid, Signal::SIGTERM);
    send_signal(pid, Signal::SIGTERM);
    let said = stderr(&demo.end());
    assert!(said.contains(&format!("lamq: sender 2, process {pid}, ended before its time: exit status: 1")), "{said}");
}

#[test]
fn a_demo_that_may_not_open_enough_files_says_so_at_once_and_what_it_asks_for_is_enough() {
    let mut enough = String::new();
    let limited = |limit: &str| {
        let mut command =
            command_after(&format!("ulimit -n {limit}"), &["demo", "--senders", "8", "--messages", "700"]);
        Demo::spawn(&mut command).end()
    };
    for limit in ["10", "16"] {
        let output = limited(limit);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
        let said = stderr(&output);
        assert!(said.starts_with(&format!("lamq: a process may have {limit} files open (RLIMIT_NOFILE)")), "{said}");
        let (_, rest) = said.split_once("raise it (ulimit -n ").unwrap();
        enough = rest.split_once(')').unwrap().0.to_owned();
    }
    let output = limited(&enough);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

#[test]
fn a_process_of_the_demo_that_somebody_kills_ends_it_with_an_error() {
    for (role, who) in [("\"Receiver\"", "lamq: the receiver, process "), ("\"sender\":2,", "lamq: sender 2, process ")]
    {
        let demo = Demo::endless();
        let (pid, _) = members(demo.pid).into_iter().find(|(_, words)| words.contains(role)).unwrap();
        send_signal(pid, Signal::SIGKILL);
        let output = demo.end();
        assert_eq!(output.status.code(), Some(1));
        let said = stderr(&output);
        assert!(said.contains(&format!("{who}{pid}, ended before its time: signal: 9")), "{said}");
    }
}

#[test]
fn a_process_of_the_demo_that_finds_itself_alone_does_nothing() {
    let duty =
        r#"{"parent":1,"queue":"/lamq-test-alone","medium":"Lamq","role":{"Receiver":{"senders":2,"messages":2}}}"#;
    let output = finish(lamq(&["demo-member", duty]));
    assert_eq!(
        (output.status.code(), stdout(&output).as_str()),
        (Some(1), "{\"Failed\":\"whoever started it is gone\"}\n")
    );
    demand_gone("/lamq-test-alone");
}

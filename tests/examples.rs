//! Every example is run as a newcomer would run it. `cargo test` builds them; `cargo test --test examples` alone does not.

use nix::{errno::Errno, mqueue::mq_unlink};
use std::{
    env,
    process::{Command, Output, Stdio},
};

/// Runs an example with its standard output captured. It needs no watchdog: the examples themselves wait no longer than a minute.
/// Returns its process id too.
fn run(name: &str) -> (u32, Output) {
    let program = env::current_exe().unwrap().parent().unwrap().join("../examples").join(name);
    assert!(program.is_file(), "{} is not built; run `cargo build --examples`", program.display());
    let child = Command::new(program).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    (child.id(), child.wait_with_output().unwrap())
}

fn text_of(output: &Output) -> &str {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::str::from_utf8(&output.stdout).unwrap()
}

#[track_caller]
fn demand_gone(name: &str) {
    assert_eq!(mq_unlink(name), Err(Errno::ENOENT), "{name} was left behind");
}

#[test]
fn hello_prints_what_the_other_process_sent() {
    let (pid, output) = run("hello");
    let text = text_of(&output);
    let sender: u32 = text.split(' ').nth(4).unwrap().trim_end_matches(':').parse().unwrap();
    assert_ne!(sender, pid);
    let lines = format!("message 1 of process {sender}: hello\nmessage 2 of process {sender}: how are you?\n");
    assert_eq!(text, lines);
    demand_gone(&format!("/lamq-hello-{pid}"));
    demand_gone(&format!("/lamq.{sender}.0"));
}

#[test]
fn fan_in_gets_every_message_of_every_sender_in_order() {
    let (pid, output) = run("fan_in");
    let lines = [0, 1, 2, 3].map(|index| format!("sender {index}: 10000 messages, complete and in order\n"));
    assert_eq!(text_of(&output), lines.concat());
    demand_gone(&format!("/lamq-fan-in-{pid}"));
}

#[test]
fn both_ways_answers_each_client() {
    let (pid, output) = run("both_ways");
    let mut lines: Vec<_> = text_of(&output).lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["drawer backwards is reward", "live backwards is evil", "stressed backwards is desserts"]);
    demand_gone(&format!("/lamq-both-ways-{pid}"));
}

#[test]
fn rendezvous_hands_over_nothing_before_the_receiver_begins() {
    let (pid, output) = run("rendezvous");
    let lines: Vec<_> = text_of(&output).lines().collect();
    assert_eq!(lines, ["the receiver begins", "handed over: first", "handed over: second", "handed over: third"]);
    demand_gone(&format!("/lamq-rendezvous-{pid}"));
}

#[test]
fn backpressure_tries_all_three_and_shows_the_gap() {
    let (pid, output) = run("backpressure");
    let lines: Vec<_> = text_of(&output).lines().collect();
    // As many as the window has room for, or fewer on a machine that is so busy that credit comes late.
    let taken: u64 = lines[0].split(' ').nth(1).unwrap().parse().unwrap();
    assert!((1..=10).contains(&taken), "{lines:?}");
    assert!(lines[0].ends_with("came back: timed out: the receiver is alive but gave no credit in time"), "{lines:?}");
    assert_eq!(lines[1], "fail: no room: the receiver has granted no credit for it yet");
    let (gap, last) = (taken + 1, taken + 2);
    let rest = [
        format!("drop: Dropped({gap})"),
        format!("the receiver is told that {gap} to {gap} were dropped"),
        format!("the sender has left; its last number was {last}"),
        format!("after that: Accepted({last})"),
    ];
    assert_eq!(lines[2..], rest);
    demand_gone(&format!("/lamq-backpressure-{pid}"));
}

#[test]
fn ten_integers_are_printed_as_they_come() {
    let (pid, output) = run("ten_integers");
    let text = text_of(&output);
    assert_eq!(text.lines().count(), 11);
    assert!(text.starts_with("have [1]\nhave [1, 2]\n"), "{text}");
    assert!(text.ends_with("\nthe child has left; the sum is 55\n"), "{text}");
    demand_gone(&format!("/lamq-ten-integers-{pid}"));
}

#[test]
fn typed_hands_over_orders_of_two_kinds() {
    let (pid, output) = run("typed");
    let lines: Vec<_> = text_of(&output).lines().collect();
    assert_eq!(lines, ["buy 3 apples", "buy 1 pear", "forget order 1"]);
    demand_gone(&format!("/lamq-typed-{pid}"));
}

#[test]
fn threads_share_both_ends() {
    assert_eq!(text_of(&run("threads").1), "3000 pieces of work, each done once\n");
}

#[test]
fn select_serves_two_queues_in_one_thread() {
    let (pid, output) = run("select");
    let mut lines: Vec<_> = text_of(&output).lines().collect();
    lines.sort_unstable();
    let expected = [
        "order 1: apples",
        "order 2: apples",
        "order 3: apples",
        "return 1: pears",
        "return 2: pears",
        "return 3: pears",
    ];
    assert_eq!(lines, expected);
    for queue in ["orders", "returns"] {
        demand_gone(&format!("/lamq-{queue}-{pid}"));
    }
}

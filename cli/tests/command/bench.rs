//! The bench, in small: that every scenario runs, what it reports, and that nothing of it is left. No figure is judged.

use crate::common::{Permit, command, demand_gone, finish, heeded, lamq, members, send_signal, stderr, stdout, until};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::signal::Signal,
    unistd::Pid,
};
use serde_json::Value;
use std::{
    fs,
    path::PathBuf,
    process::{Child, Output},
};

/// Of the smallest size.
const TINY: [&str; 5] = ["bench", "--rounds", "1", "--time", "5ms"];

/// A comparison, and how many take part.
type Comparison = (&'static str, usize);

/// Scenarios, their comparisons, and how many bars there are.
const SCENARIOS: [(&str, &[Comparison], usize); 8] = [
    ("one-way", &[("one way, 64 B", 7), ("one way, 1 KiB", 7), ("one way, 8 KiB", 6), ("one way, 1 MiB", 6)], 5),
    ("typed", &[("typed", 3)], 1),
    ("round-trip", &[("round trip, spinning", 4), ("round trip, sleeping", 5), ("round trip, one core", 5)], 3),
    ("rendezvous", &[("rendezvous, spinning", 3), ("rendezvous, sleeping", 3)], 2),
    ("fan-in", &[("fan-in", 5)], 2),
    ("paced", &[("paced", 2)], 1),
    ("memory", &[("memory", 2)], 1),
    ("idle", &[("idle", 2)], 1),
];

/// Waits for a bench to end, of which nothing must be left.
fn end(child: Child) -> Output {
    let pid = child.id();
    let output = finish(child);
    until("its processes are gone", || members(pid).is_empty());
    for way in ["/lamq-bench", "/lamq-bench-back"] {
        demand_gone(&format!("{way}.{pid}"));
    }
    output
}

/// Room for a queue each way and for the senders' inboxes.
fn run(arguments: &[&str]) -> Output {
    let _permit = Permit::take_several(3);
    end(lamq(&[&TINY[..], arguments].concat()))
}

fn document(arguments: &[&str]) -> Value {
    let output = run(&[arguments, &["--json"]].concat());
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{arguments:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn has_two_cores() -> bool {
    let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap();
    (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap()).count() > 1
}

fn items<'a>(value: &'a Value, field: &str) -> &'a Vec<Value> {
    value[field].as_array().unwrap_or_else(|| panic!("no list {field} in {value}"))
}

fn check_comparison(comparison: &Value, contestants: usize) {
    assert!(!comparison["unit"].as_str().unwrap().is_empty());
    let contestants_found = items(comparison, "contestants");
    assert_eq!(contestants_found.len(), contestants, "{comparison}");
    assert!(contestants_found[0]["contestant"].as_str().unwrap().starts_with("raw queue"), "{comparison}");
    for contestant in contestants_found {
        let [round] = &items(contestant, "rounds")[..] else { panic!("more or less than one round in {contestant}") };
        assert!(
            round["figure"].as_f64().unwrap() >= 0.0 && round["peak_mib"][0].as_f64().unwrap() > 0.0,
            "{contestant}"
        );
        assert_eq!(contestant["figure"]["median"], round["figure"]);
        assert!(contestant["ratio"].is_null() || contestant["ratio"]["median"].is_f64(), "{contestant}");
        if comparison["unit"] == "µs" {
            assert!(contestant["latency_us"]["p99.9"].as_f64().unwrap() > 0.0, "{contestant}");
        }
    }
}

#[test]
fn every_scenario_measures_every_contestant_and_judges_nothing_after_one_round() {
    for (scenario, comparisons, bars) in SCENARIOS {
        let report = document(&[scenario]);
        assert_eq!((report["version"].as_u64(), report["rounds"].as_u64()), (Some(1), Some(1)));
        assert!(!report["machine"]["kernel"].as_str().unwrap().is_empty());
        if !has_two_cores() {
            assert!(!items(&report, "skipped").is_empty());
            continue;
        }
        let found = items(&report, "comparisons");
        let names: Vec<_> = found.iter().map(|comparison| comparison["name"].as_str().unwrap()).collect();
        assert_eq!(names, comparisons.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        for (comparison, (_, contestants)) in found.iter().zip(comparisons) {
            check_comparison(comparison, *contestants);
        }
        let judged = items(&report, "bars");
        assert_eq!(judged.len(), bars, "{scenario}: {judged:?}");
        for bar in judged {
            let verdict = bar["verdict"].as_str().unwrap();
            let depends_on_time = !["memory", "idle"].contains(&scenario);
            assert_eq!(depends_on_time, verdict == "too_few_rounds", "{bar}");
        }
    }
}

#[test]
fn the_table_and_the_page_tell_the_same() {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{}.html", std::process::id()));
    let output = run(&["round-trip", "memory", "--report", file.to_str().unwrap()]);
    let page = fs::read_to_string(&file);
    fs::remove_file(&file).unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    let (page, table) = (page.unwrap(), stdout(&output));
    for words in ["Linux ", "round trip, one core, µs (median of 1 round)", "raw queue", "System V queue", "is to be"]
    {
        assert!(table.contains(words) && page.contains(words), "{words} is not in:\n{table}\n{page}");
    }
    assert!(page.contains("<svg ") && page.contains("p99.9"), "{page}");
    assert_well_formed(&page);
}

/// Every element that is opened is closed, innermost first.
fn assert_well_formed(page: &str) {
    let mut open = Vec::new();
    for part in page.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap_or_else(|| panic!("<{part} is not closed"));
        assert!(!text.contains('>'), "a bare > in {text}");
        let name = tag.split(' ').next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if tag.ends_with('/') || tag.starts_with('!') => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?} are not closed");
}

#[test]
fn one_core_is_enough_for_what_takes_one() {
    // Of this thread, and so of what it starts.
    let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let mut one = CpuSet::new();
    one.set((0..CpuSet::count()).find(|core| allowed.is_set(*core).unwrap()).unwrap()).unwrap();
    sched_setaffinity(Pid::from_raw(0), &one).unwrap();
    let report = document(&["round-trip"]);
    let names: Vec<_> = items(&report, "comparisons").iter().map(|comparison| comparison["name"].as_str()).collect();
    assert_eq!(names, [Some("round trip, one core")]);
    let skipped: Vec<_> = items(&report, "skipped").iter().filter_map(Value::as_str).collect();
    assert!(skipped.len() == 2 && skipped.iter().all(|line| line.contains("it takes two cores")), "{skipped:?}");
}

/// A bench whose pair on lamq is there.
fn underway(file: &str) -> Child {
    let mut command = command(&["bench", "idle", "--time", "150ms", "--report", file]);
    let child = command.env("NO_COLOR", "1").spawn().unwrap();
    let is_there = |words: &(u32, String)| words.1.contains("\"Lamq\"");
    until("it is the turn of lamq", || members(child.id()).iter().filter(|words| is_there(words)).count() == 2);
    child
}

#[test]
fn an_interrupted_or_killed_bench_leaves_nothing() {
    if !has_two_cores() {
        return;
    }
    for signal in heeded().take(1).chain([Signal::SIGKILL]) {
        let _permit = Permit::take();
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("none-{}.html", std::process::id()));
        let child = underway(file.to_str().unwrap());
        send_signal(child.id(), signal);
        let output = end(child);
        assert!(!file.exists());
        if signal != Signal::SIGKILL {
            assert_eq!(output.status.code(), Some(1));
            assert_eq!(stderr(&output), format!("lamq: interrupted by {signal}\n"));
        }
    }
}

#[test]
fn a_process_of_the_bench_that_somebody_kills_ends_it_with_an_error() {
    if !has_two_cores() {
        return;
    }
    let _permit = Permit::take();
    let child = underway("/dev/null");
    let (victim, _) = members(child.id()).remove(0);
    send_signal(victim, Signal::SIGKILL);
    let output = end(child);
    let said = stderr(&output);
    // Whoever is heard first: the end of the one, or the complaint of the other.
    let complains = said.contains("ended before its time") || said.contains("sender 1: ");
    assert!(output.status.code() == Some(1) && complains, "{said}");
}

#[test]
fn a_process_of_the_bench_that_finds_itself_alone_does_nothing() {
    let duty = "{\"parent\":1,\"medium\":\"Lamq\",\"work\":\"Idle\",\"role\":\"Receiver\",\"core\":0,\"spin\":null,\
                \"ways\":[\"/lamq-bench.alone\",\"\"]}";
    let output = finish(lamq(&["bench-member", duty]));
    let said = "{\"Failed\":\"whoever started it is gone\"}\n";
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), said));
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    for arguments in
        [&["one-away"][..], &["--rounds", "0"], &["--time", "0s"], &["--time", "2min"], &["--time", "x"], &["--report"]]
    {
        let output = finish(lamq(&[&["bench"], arguments].concat()));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    for file in ["/nowhere/at/all.html", "/"] {
        let output = finish(lamq(&["bench", "--report", file]));
        assert_eq!(output.status.code(), Some(1), "{file}");
        assert!(stderr(&output).starts_with(&format!("lamq: cannot write {file}: ")), "{}", stderr(&output));
    }
}

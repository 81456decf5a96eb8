//! The bench with its guests, in small: that each of them carries every message, and that nothing of it is left. Each
//! message that arrives is checked by the bench itself; a wrong one ends it with an error. No figure is judged.
#![allow(missing_docs)]

use serde_json::Value;
use std::{
    env, fs,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const ICEORYX2: &str = "iceoryx2";
const EVENTS: &str = "iceoryx2, events";
const ZEROMQ: &str = "ZeroMQ";
const IPC_CHANNEL: &str = "ipc-channel";
const CROSSBEAM: &str = "crossbeam-channel, threads";

/// Comparisons, and the guests in each.
const PARTS: [(&str, &[&str]); 7] = [
    ("one way, 64 B", &[ICEORYX2, ZEROMQ, IPC_CHANNEL, CROSSBEAM]),
    ("one way, 1 KiB", &[ICEORYX2, ZEROMQ, IPC_CHANNEL, CROSSBEAM]),
    ("one way, 8 KiB", &[ICEORYX2, ZEROMQ, IPC_CHANNEL, CROSSBEAM]),
    ("one way, 1 MiB", &[ICEORYX2, ZEROMQ, IPC_CHANNEL, CROSSBEAM]),
    ("round trip, spinning", &[ICEORYX2, IPC_CHANNEL, CROSSBEAM]),
    ("round trip, sleeping", &[EVENTS, ZEROMQ, IPC_CHANNEL, CROSSBEAM]),
    ("round trip, one core", &[EVENTS, ZEROMQ, IPC_CHANNEL, CROSSBEAM]),
];

/// Starts the bench.
fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lamq-peers"));
    command.arg("bench").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// What guests of that bench have in the file system.
fn left(pid: u32) -> Vec<String> {
    let ours = |name: &String| {
        let of = |way: &str| name == &format!("{way}.{pid}") || name.starts_with(&format!("{way}.{pid}_"));
        of("lamq-bench") || of("lamq-bench-back")
    };
    let names = [env::temp_dir(), "/dev/shm".into()].into_iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).filter(ours).collect()
}

/// Runs the bench, and checks that nothing is left of it.
fn bench(arguments: &[&str]) -> (Option<i32>, Vec<u8>, String) {
    let child = start(arguments);
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    assert_eq!(left(pid), Vec::<String>::new());
    (output.status.code(), output.stdout, String::from_utf8(output.stderr).unwrap())
}

fn items<'a>(value: &'a Value, field: &str) -> &'a Vec<Value> {
    value[field].as_array().unwrap_or_else(|| panic!("no list {field} in {value}"))
}

fn named<'a>(list: &'a [Value], field: &str, name: &str) -> &'a Value {
    list.iter().find(|item| item[field] == name).unwrap_or_else(|| panic!("no {name} among {list:?}"))
}

/// It takes two cores.
#[test]
fn every_guest_carries_every_message_beside_lamq_and_the_raw_queue() {
    let (code, report, said) = bench(&["one-way", "round-trip", "--rounds", "1", "--time", "5ms", "--json"]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_slice(&report).unwrap();
    for (comparison, guests) in PARTS {
        let contestants = items(named(items(&report, "comparisons"), "name", comparison), "contestants");
        for name in guests.iter().chain(&["raw queue", "lamq"]) {
            let contestant = named(contestants, "contestant", name);
            let figure = contestant["figure"]["median"].as_f64().unwrap();
            assert!(figure > 0.0 && contestant["messages"].as_u64().unwrap() >= 4, "{comparison}: {contestant}");
        }
        let known = |name: &Value| [ICEORYX2, EVENTS, ZEROMQ, IPC_CHANNEL, CROSSBEAM].iter().any(|guest| name == guest);
        let there = contestants.iter().filter(|contestant| known(&contestant["contestant"])).count();
        assert_eq!(there, guests.len(), "{comparison}");
    }
    for guest in [ICEORYX2, EVENTS, ZEROMQ, IPC_CHANNEL, CROSSBEAM] {
        let settings = named(items(&report, "guests"), "contestant", guest)["settings"].as_str().unwrap();
        assert!(settings.contains(|letter: char| letter.is_ascii_digit()), "{guest} has no version: {settings}");
    }
    for peer in [ICEORYX2, ZEROMQ] {
        let bar = named(items(&report, "bars"), "bar", &format!("at least 5 × {peer}"));
        assert_eq!((&bar["comparison"], &bar["contestant"]), (&"one way, 64 B".into(), &"lamq".into()));
        assert_eq!(bar["verdict"], "too_few_rounds");
    }
}

#[test]
fn the_table_tells_how_each_guest_is_set_up() {
    let (code, table, said) = bench(&["round-trip", "--rounds", "1", "--time", "1ms"]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let table = String::from_utf8(table).unwrap();
    for words in
        ["ZeroMQ: libzmq ", "iceoryx2, events: iceoryx2 ", "ipc-channel: ipc-channel ", "threads of one process"]
    {
        assert!(table.contains(words), "{words} is not in:\n{table}");
    }
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "in vain: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn an_interrupted_or_killed_bench_leaves_nothing() {
    // Not INT: tests that a shell has started in the background ignore it, and so does what they start.
    for signal in ["-TERM", "-KILL"] {
        let mut child = start(&["one-way", "--rounds", "1", "--time", "50ms", "--json"]);
        let pid = child.id();
        until("a guest is at work", || !left(pid).is_empty());
        assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
        assert!(!child.wait().unwrap().success());
        until("its files are gone", || left(pid).is_empty());
    }
}

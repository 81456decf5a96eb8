//! The simulation: that it is the same each time, what it shows, and that it fails as it should.

use crate::common::{run, stderr, stdout};
use serde_json::Value;

fn document(arguments: &[&str]) -> (Value, Option<i32>, String) {
    let output = run(&[&["simulate", "--json"], arguments].concat());
    let document =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stderr(&output)));
    (document, output.status.code(), stderr(&output))
}

#[test]
fn a_random_seed_is_named_and_gives_the_same_again() {
    let (first, code, said) = document(&["--rounds", "10"]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let seed = first["first_seed"].as_u64().unwrap().to_string();
    let (mut second, _, _) = document(&["--rounds", "10", "--seed", &seed]);
    second["seconds"] = first["seconds"].clone();
    assert_eq!(first, second);
    let (other, _, _) = document(&["--rounds", "10"]);
    assert_ne!((&first["first_seed"], &first["digest"]), (&other["first_seed"], &other["digest"]));
    assert_eq!(
        (first["version"].as_u64(), first["verdict"].as_str(), first["rounds"].as_u64()),
        (Some(1), Some("held"), Some(10))
    );
    assert_eq!((&first["failure"], &first["sabotage"]), (&Value::Null, &Value::Null));
    assert!(first["situations"]["messages_delivered"].as_u64().unwrap() > 0, "{first}");
    assert!(first["virtual_time_ns"].as_u64().unwrap() > 0 && first["seconds"].as_f64().unwrap() > 0.0, "{first}");
}

#[test]
fn the_table_says_what_was_met_and_that_all_held() {
    let output = run(&["simulate", "--seed", "1", "--rounds", "20"]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    let table = stdout(&output);
    assert!(table.starts_with("first seed 1\n"), "{table}");
    for words in ["messages delivered", "grants beyond the window", "20 rounds with ", "Every promise held."] {
        assert!(table.contains(words), "{words} is not in:\n{table}");
    }
}

#[test]
fn what_is_traced_is_every_step() {
    let arguments = ["--seed", "5", "--rounds", "2", "--senders", "2", "--messages", "3", "--lossless"];
    let (report, _, _) = document(&arguments);
    let output = run(&[&["simulate", "--trace"], &arguments[..]].concat());
    let text = stdout(&output);
    let steps = text.lines().filter(|line| line.contains(" ms  ")).count() as u64;
    assert_eq!(Some(steps), report["steps"].as_u64(), "{text}");
    assert!(
        text.contains("seed 5\n") && text.contains("seed 6\n") && text.contains("sender 2 -> receiver: greeting\n")
    );
    assert!(!text.contains("which is lost"), "{text}");
}

#[test]
fn a_violation_ends_with_5_and_the_words_to_type_show_it_again() {
    let output = run(&["simulate", "--seed", "0", "--sabotage", "hand-out-twice", "--lossy"]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.starts_with("lamq: seed ") && said.contains("1 twice"), "{said}");
    assert!(stdout(&output).contains("A promise was broken."));
    let (_, again) = said.trim_end().rsplit_once("To see all of it: lamq ").unwrap();
    assert!(again.contains(" --lossy"), "{again}");
    let replayed = run(&again.split(' ').collect::<Vec<_>>());
    assert_eq!((replayed.status.code(), stderr(&replayed)), (Some(5), said.clone()));
    let trace = stdout(&replayed);
    let last = said.lines().rev().find(|line| line.contains(" ms  ")).unwrap();
    assert!(trace.lines().any(|line| line == last), "{last} is not in:\n{trace}");
}

#[test]
fn a_failure_stands_in_the_document_too() {
    let (report, code, _) = document(&["--seed", "0", "--sabotage", "forge"]);
    assert_eq!(
        (code, report["verdict"].as_str(), report["sabotage"].as_str()),
        (Some(5), Some("violated"), Some("forge"))
    );
    let failure = &report["failure"];
    assert!(failure["what"].as_str().unwrap().contains("sender ") && failure["seed"].is_u64(), "{failure}");
    assert!(failure["scenario"].as_str().unwrap().starts_with("Scenario") && failure["last_steps"].is_array());
}

#[test]
fn a_sabotage_that_had_no_chance_does_not_pass() {
    let output = run(&["simulate", "--seed", "0", "--rounds", "3", "--sabotage", "forget-asking", "--lossless"]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), "lamq: the sabotage was not noticed\n"));
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    for arguments in [
        &["--lossy", "--lossless"][..],
        &["--rounds", "0"],
        &["--senders", "0"],
        &["--trace", "--json"],
        &["--sabotage", "x"],
    ] {
        let output = run(&[&["simulate"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

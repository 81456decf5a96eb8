//! The page of faults names tests that there are, and leaves no fault without one or a reason.

use crate::{
    demand_none,
    tree::{SOURCES, Source, text},
};
use std::collections::BTreeSet;

const PAGE: &str = "docs/faults.md";

/// The faults that lamq is to survive, numbered from 1.
const FAULTS: usize = 24;

/// Begins the words of a row that say why it has no test.
const REASON: &str = "No test";

#[test]
fn every_fault_has_its_row_and_every_test_named_there_exists() {
    demand_none(wrong_rows(&text(PAGE), FAULTS, &tests_of(&SOURCES)));
}

fn tests_of(sources: &[Source]) -> BTreeSet<&str> {
    let functions = sources.iter().flat_map(|source| &source.scan.functions);
    let tests = functions.filter(|function| function.attributes.iter().any(|attribute| attribute == "test"));
    tests.map(|test| &*test.name).collect()
}

fn wrong_rows(page: &str, count: usize, tests: &BTreeSet<&str>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut next = 1;
    for (line, row) in (1..).zip(page.lines()).filter(|(_, line)| line.starts_with("| ") && !line.starts_with("| |")) {
        let place = format!("{PAGE}:{line}");
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [number, _, trust, shown] = cells[..] else {
            faults.push(format!("{place}: {} cells; a row has four", cells.len()));
            continue;
        };
        if number.parse() != Ok(next) {
            faults.push(format!("{place}: fault {number}; the next is {next}"));
        }
        next += 1;
        let named: Vec<_> = shown.split('`').skip(1).step_by(2).collect();
        for name in named.iter().filter(|name| !tests.contains(**name)) {
            faults.push(format!("{place}: there is no test `{name}`; name the one that shows this"));
        }
        if named.is_empty() && !trust.starts_with(REASON) {
            faults.push(format!("{place}: fault {number} has no test; name one, or say why: \"{REASON}: …\""));
        }
    }
    if next != count + 1 {
        faults.push(format!("{PAGE}:1: {} faults; there are {count}", next - 1));
    }
    faults
}

#[test]
fn a_row_that_shows_nothing_is_found() {
    let source = Source::new(
        "tests/a.rs",
        "#[test]\nfn it_holds() {}\nfn helper() {}\nproptest! { #[test] fn it_holds_too(n in 0..9) {} }",
    );
    let tests = tests_of(std::slice::from_ref(&source));
    let wrong = |page: &str, count| wrong_rows(page, count, &tests);
    let good = "| | what | trust | shown by |\n|---|---|---|---|\n| 1 | a | b | `it_holds` `it_holds_too` |\n| 2 | a | No test: c | none |";
    assert_eq!(wrong(good, 2), Vec::<String>::new());
    assert_eq!(wrong(good, 3), ["docs/faults.md:1: 2 faults; there are 3"]);
    let bad = "| 1 | a | b | `helper` |\n| 3 | a | b | none |\n| 3 | a | b |";
    assert_eq!(wrong(bad, 2).len(), 4, "{:?}", wrong(bad, 2));
}

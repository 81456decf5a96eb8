//! What a reader expects to find, and examples that are known to work.

use crate::{
    demand_none,
    spec::words,
    tree::{SOURCES, Source, exists, text},
};

const EXPECTED: &[&str] = &["CHANGELOG.md", "CONTRIBUTING.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md", "SPEC.md"];

#[test]
fn the_expected_files_exist() {
    let missing = EXPECTED.iter().filter(|path| !exists(path) || text(path).trim().is_empty());
    demand_none(missing.map(|path| format!("{path}:1: missing or empty; write it")));
}

#[test]
fn every_example_is_run_by_a_test() {
    demand_none(examples_not_run(&SOURCES));
}

/// A test that runs an example names it.
fn examples_not_run(sources: &[Source]) -> Vec<String> {
    let runs = |source: &Source, name: &str| {
        let is_test = source.path.starts_with("tests/") && !source.path.starts_with("tests/tidy/");
        is_test && words(&source.text).any(|(_, word)| word == name)
    };
    let examples = sources.iter().filter_map(|source| source.path.strip_prefix("examples/")?.strip_suffix(".rs"));
    examples
        .filter(|name| !name.contains('/') && !sources.iter().any(|source| runs(source, name)))
        .map(|name| format!("examples/{name}.rs:1: no test names it; run it in a file under tests/"))
        .collect()
}

#[test]
fn an_example_that_no_test_runs_is_found() {
    let sources = [
        Source::new("examples/first.rs", "fn main() {}"),
        Source::new("examples/second.rs", "fn main() {}"),
        Source::new("tests/examples.rs", "#[test] fn it() { run(\"first\"); run(\"seconds\"); }"),
    ];
    assert_eq!(examples_not_run(&sources), ["examples/second.rs:1: no test names it; run it in a file under tests/"]);
}

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

#[test]
fn every_setting_stands_in_the_table_of_defaults() {
    demand_none(settings_not_told(&SOURCES));
}

/// A method of a builder that takes and gives it, and that users can call.
fn settings_not_told(sources: &[Source]) -> Vec<String> {
    let text_of = |path: &str| sources.iter().find(|source| source.path == path).map_or("", |source| &source.text);
    let table = text_of("src/lib.rs");
    let builders = [("src/connect.rs", "SenderBuilder"), ("src/receiver.rs", "ReceiverBuilder")];
    let methods = builders.into_iter().flat_map(|(path, builder)| {
        let names = text_of(path).lines().zip(1..).filter_map(|(line, number)| {
            let (name, arguments) = line.trim().strip_prefix("pub fn ")?.split_once(['(', '<'])?;
            arguments.contains("self").then_some((name, number))
        });
        names.map(move |(name, number)| (path, format!("{builder}::{name}"), number))
    });
    let ends = ["SenderBuilder::connect", "SenderBuilder::ping", "ReceiverBuilder::bind"];
    methods
        .filter(|(_, method, _)| !ends.contains(&method.as_str()) && !table.contains(&format!("[`{method}`]")))
        .filter(|(path, method, _)| !is_of_receiver(path, method, sources))
        .map(|(path, method, line)| format!("{path}:{line}: {method} is not in the table of src/lib.rs; add it"))
        .collect()
}

/// The file of a builder holds what it builds too; that is behind the `impl` of its own.
fn is_of_receiver(path: &str, method: &str, sources: &[Source]) -> bool {
    let Some(source) = sources.iter().find(|source| source.path == path) else { return false };
    let name = method.split("::").nth(1).unwrap_or_default();
    let at = |what: &str| source.text.find(what).unwrap_or(usize::MAX);
    at(&format!("pub fn {name}(")).min(at(&format!("pub fn {name}<"))) > at("\nimpl Receiver {")
}

#[test]
fn a_setting_that_the_table_does_not_have_is_found() {
    let sources = [
        Source::new("src/connect.rs", "impl SenderBuilder {\n    pub fn wait(mut self) -> Self { self }\n}"),
        Source::new(
            "src/receiver.rs",
            "impl ReceiverBuilder {\n    pub fn slots(mut self) -> Self { self }\n}\nimpl Receiver {\n    pub fn recv(&self) {}\n}",
        ),
        Source::new("src/lib.rs", "//! | [`SenderBuilder::wait`] |"),
    ];
    let expected = "src/receiver.rs:2: ReceiverBuilder::slots is not in the table of src/lib.rs; add it";
    assert_eq!(settings_not_told(&sources), [expected]);
}

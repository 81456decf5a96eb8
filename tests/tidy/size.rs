//! A file can be read at a sitting, a function on one screen.

use crate::{
    demand_none,
    tree::{SOURCES, Source},
};

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;

#[test]
fn files_are_short() {
    demand_none(SOURCES.iter().filter_map(long_file));
}

#[test]
fn functions_are_short() {
    demand_none(SOURCES.iter().flat_map(long_functions));
}

fn long_file(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    let path = &source.path;
    (lines > FILE_LINES).then(|| format!("{path}:{lines}: more than {FILE_LINES} lines; give a part its own file"))
}

fn long_functions(source: &Source) -> Vec<String> {
    let long = source.scan.functions.iter().filter(|function| function.lines > FUNCTION_LINES);
    let fault = |path: &str, line, name: &str, lines| {
        format!("{path}:{line}: `{name}` has {lines} lines, more than {FUNCTION_LINES}; name its parts")
    };
    long.map(|function| fault(&source.path, function.line, &function.name, function.lines)).collect()
}

#[test]
fn what_is_long_is_found() {
    let fits = Source::new("src/a.rs", &format!("fn a() {{{}}}", "\n".repeat(FUNCTION_LINES - 1)));
    assert_eq!((long_file(&fits), long_functions(&fits)), (None, vec![]));
    let long = Source::new("src/b.rs", &format!("\nfn b() {{{}}}", "\n".repeat(FUNCTION_LINES)));
    assert_eq!(long_functions(&long), ["src/b.rs:2: `b` has 71 lines, more than 70; name its parts"]);
    assert!(long_file(&Source::new("src/c.rs", &"\n".repeat(FILE_LINES + 1))).is_some());
}

//! The pages under `docs/`: what they tell the reader to type does what they say.
//!
//! A block ```` ```sh run ```` is run as a script, and prints exactly what a block ```` ```text ```` directly behind it shows. With
//! `namespaces` it is left out where this user may not make any.

use crate::common::{Permit, demand_gone, finish, stderr, stdout};
use lamq::inspect;
use nix::sys::signal::{Signal, killpg};
use std::{
    env, fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio, id},
    thread,
};

const PAGES: [&str; 6] = ["shell", "workers", "containers", "users", "limits", "logging"];

/// The queues of the pages. Each is given a name of its own, lest it be one of the reader's.
const QUEUES: [&str; 3] = ["/orders", "/jobs", "/results"];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn text_of(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A script, and what it is to print.
#[derive(Debug, PartialEq, Eq)]
struct Block<'a> {
    marks: &'a str,
    script: &'a str,
    output: Option<&'a str>,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let scripts = page.split("\n```sh run").skip(1);
    let block = |rest| {
        let (marks, rest): (&str, &str) = str::split_once(rest, '\n').expect("a line has an end");
        let (script, rest) = rest.split_once("\n```\n").expect("the block ends");
        let output = rest.strip_prefix("\n```text\n").map(|rest| rest.split_once("```").expect("the block ends").0);
        Block { marks: marks.trim(), script, output }
    };
    scripts.map(block).collect()
}

#[test]
fn blocks_that_are_to_be_run_are_found_with_their_output() {
    let page = "# A\n\n```sh\nno\n```\n\n```sh run\necho a\necho b\n```\n\n```text\na\nb\n```\n\n```sh run namespaces\n:\n```\nx\n";
    let first = Block { marks: "", script: "echo a\necho b", output: Some("a\nb\n") };
    assert_eq!(blocks(page), [first, Block { marks: "namespaces", script: ":", output: None }]);
}

/// An empty folder; gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A script and what it has started. If the test fails before it ends, they end too.
struct Group(u32);

impl Drop for Group {
    fn drop(&mut self) {
        if thread::panicking() {
            _ = killpg(nix::unistd::Pid::from_raw(self.0.cast_signed()), Signal::SIGTERM);
        }
    }
}

fn has_namespaces() -> bool {
    let namespaces = ["--user", "--map-root-user", "--ipc", "--pid", "--fork"];
    Command::new("unshare").args(namespaces).arg("true").status().is_ok_and(|status| status.success())
}

/// Runs all blocks of a page. Returns how many there were.
fn run(page: &str) -> usize {
    let text = text_of(&format!("docs/{page}.md"));
    let prefix = format!("/lamq-test-{}-{page}-", id());
    let renamed = |text: &str| {
        QUEUES.iter().fold(text.to_owned(), |text, name| text.replace(name, &format!("{prefix}{}", &name[1..])))
    };
    let blocks = blocks(&text);
    for (number, Block { marks, script, output }) in (1..).zip(&blocks) {
        if *marks == "namespaces" && !has_namespaces() {
            println!("no namespaces here: block {number} of {page} is not run");
            continue;
        }
        let _permits = Permit::take_several(3);
        let folder = Folder::new(&format!("{page}-{number}"));
        let bin = Path::new(env!("CARGO_BIN_EXE_lamq")).parent().unwrap();
        let path = env::join_paths([bin.to_owned()].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap())));
        let child = Command::new("sh")
            .args(["-euc", &renamed(script)])
            .env("PATH", path.unwrap())
            .env("LC_ALL", "C")
            .current_dir(&folder.0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let _group = Group(child.id());
        let done = finish(child);
        let said = stderr(&done);
        assert!(done.status.success(), "block {number} of {page}: {said}");
        if let Some(output) = output {
            assert_eq!(stdout(&done), renamed(output), "block {number} of {page}: {said}");
        }
        for name in ["orders", "jobs", "jobs.1", "jobs.2", "results"] {
            demand_gone(&format!("{prefix}{name}"));
        }
        let left = inspect::list().queues.into_iter().find(|listed| listed.name.as_str().starts_with(&prefix));
        assert!(left.is_none(), "block {number} of {page} leaves {left:?}");
    }
    blocks.len()
}

#[test]
fn the_page_of_the_shell_is_true() {
    assert_eq!(run("shell"), 6);
}

#[test]
fn the_page_of_workers_is_true() {
    assert_eq!(run("workers"), 2);
}

#[test]
fn the_page_of_containers_is_true() {
    assert_eq!(run("containers"), 2);
}

#[test]
fn the_page_of_limits_is_true() {
    assert_eq!(run("limits"), 2);
}

#[test]
fn the_page_of_logging_is_true() {
    assert_eq!(run("logging"), 1);
}

#[test]
fn every_page_is_known_here_linked_from_the_readme_and_links_to_what_there_is() {
    let mut pages: Vec<_> =
        fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let mut known = PAGES.map(|page| std::ffi::OsString::from(format!("{page}.md")));
    pages.sort();
    known.sort();
    assert_eq!(pages, known);
    let readme = text_of("README.md");
    for page in PAGES {
        assert!(readme.contains(&format!("(docs/{page}.md)")), "README.md does not link docs/{page}.md");
        for link in text_of(&format!("docs/{page}.md")).split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            let is_there = target.starts_with("https://") || root().join("docs").join(target).exists();
            assert!(is_there, "docs/{page}.md links to {target}");
        }
    }
}

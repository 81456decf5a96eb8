//! README.md and the pages under `docs/`: what they tell the reader to type does what they say.
//!
//! Every block ```` ```sh ```` is run as a script, and prints exactly what a block ```` ```text ```` directly behind it shows. One marked
//! `namespaces` is left out where this user may not make any; one marked `no-run`, which needs root, docker or a changed system, always.

use crate::common::{Permit, demand_gone, finish, stderr, stdout};
use lamq::inspect;
use nix::unistd::getuid;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio, id},
};

const PAGES: [&str; 8] = [
    "send-from-a-shell-script",
    "worker-pool",
    "containers",
    "another-user",
    "limits",
    "logging",
    "faults",
    "performance",
];

/// The queues of the pages. Each is given a name of its own, lest it be one of the reader's.
const QUEUES: [&str; 3] = ["/orders", "/jobs", "/results"];

/// Bash ends a script at the first failure, in a pipe too; what it has started then ends with it.
const ON_FAILURE: &str = "trap 'test $? = 0 || kill 0' EXIT\n";

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn text_of(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Always,
    WithNamespaces,
    Never,
}

/// A script, and what it is to print.
#[derive(Debug, PartialEq, Eq)]
struct Block<'a> {
    when: When,
    script: &'a str,
    output: Option<&'a str>,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let block = |rest| {
        let (mark, rest): (&str, &str) = str::split_once(rest, '\n').expect("a line has an end");
        let when = match mark {
            "" => When::Always,
            ",namespaces" => When::WithNamespaces,
            ",no-run" => When::Never,
            _ => panic!("what is sh{mark}?"),
        };
        let (script, rest) = rest.split_once("\n```\n").expect("the block ends");
        let output = rest.strip_prefix("\n```text\n").map(|rest| rest.split_once("```").expect("the block ends").0);
        Block { when, script, output }
    };
    page.split("\n```sh").skip(1).map(block).collect()
}

#[test]
fn blocks_are_found_with_their_output() {
    let page = "# A\n\n```sh,no-run\nno\n```\n\n```sh\necho a\necho b\n```\n\n```text\na\nb\n```\n\n```sh,namespaces\n:\n```\nx\n";
    let block = |when, script, output| Block { when, script, output };
    let expected = [
        block(When::Never, "no", None),
        block(When::Always, "echo a\necho b", Some("a\nb\n")),
        block(When::WithNamespaces, ":", None),
    ];
    assert_eq!(blocks(page), expected);
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

/// Those that the pages may make, under this prefix; checked to be gone at the end, and removed if the script has failed.
struct Queues<'a>(&'a str);

impl Drop for Queues<'_> {
    fn drop(&mut self) {
        for name in ["orders", &format!("orders.{}", getuid()), "jobs", "jobs.1", "jobs.2", "results"] {
            demand_gone(&format!("{}{name}", self.0));
        }
    }
}

fn has_namespaces() -> bool {
    let namespaces = ["--user", "--map-root-user", "--ipc", "--pid", "--fork"];
    Command::new("unshare").args(namespaces).arg("true").status().is_ok_and(|status| status.success())
}

/// Runs the blocks of a page, given with its path.
#[track_caller]
fn run(path: &str) {
    let text = text_of(path);
    let page = Path::new(path).file_stem().unwrap().to_str().unwrap();
    let prefix = format!("/lamq-test-{}-{page}-", id());
    let renamed = |text: &str| {
        QUEUES.iter().fold(text.to_owned(), |text, name| text.replace(name, &format!("{prefix}{}", &name[1..])))
    };
    let blocks = blocks(&text);
    assert!(blocks.iter().any(|block| block.when != When::Never), "{path} has nothing to run");
    for (number, block) in (1..).zip(&blocks) {
        match block.when {
            When::Always => {}
            When::WithNamespaces if has_namespaces() => {}
            When::WithNamespaces => {
                println!("no namespaces here: block {number} of {path} is not run");
                continue;
            }
            When::Never => continue,
        }
        let _permits = Permit::take_several(3);
        let folder = Folder::new(&format!("{page}-{number}"));
        let _queues = Queues(&prefix);
        let done = finish(script(&renamed(block.script), &folder.0).spawn().unwrap());
        let said = stderr(&done);
        assert!(done.status.success(), "block {number} of {path}: {}: {said}", done.status);
        if let Some(output) = block.output {
            assert_eq!(stdout(&done), renamed(output), "block {number} of {path}: {said}");
        }
        let left = inspect::list().queues.into_iter().find(|listed| listed.name.as_str().starts_with(&prefix));
        assert!(left.is_none(), "block {number} of {path} leaves {left:?}");
    }
}

/// In a process group of its own, which `timeout` leads and ends.
fn script(text: &str, folder: &Path) -> Command {
    let bin = Path::new(env!("CARGO_BIN_EXE_lamq")).parent().unwrap().to_owned();
    let path = env::join_paths([bin].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap())));
    let mut command = Command::new("timeout");
    command.args(["50", "bash", "-euo", "pipefail", "-c", &format!("{ON_FAILURE}{text}")]);
    command.env("PATH", path.unwrap()).env("LC_ALL", "C").current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn what_a_script_has_started_ends_when_it_fails() {
    let folder = Folder::new("failing");
    // Its output would stay open as long as the first lives.
    let done = finish(script("sleep 1000 &\nfalse | true\necho on", &folder.0).spawn().unwrap());
    assert_eq!((done.status.success(), stdout(&done).as_str()), (false, ""));
}

#[test]
fn the_readme_is_true() {
    run("README.md");
}

#[test]
fn the_page_of_the_shell_is_true() {
    run("docs/send-from-a-shell-script.md");
}

#[test]
fn the_page_of_workers_is_true() {
    run("docs/worker-pool.md");
}

#[test]
fn the_page_of_containers_is_true() {
    run("docs/containers.md");
}

#[test]
fn the_page_of_other_users_is_true() {
    run("docs/another-user.md");
}

#[test]
fn the_page_of_limits_is_true() {
    run("docs/limits.md");
}

#[test]
fn the_page_of_logging_is_true() {
    run("docs/logging.md");
}

#[test]
fn every_page_is_known_here_linked_from_the_readme_and_links_to_what_there_is() {
    let mut pages: Vec<_> =
        fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let mut known = PAGES.map(|page| std::ffi::OsString::from(format!("{page}.md")));
    pages.sort();
    known.sort();
    assert_eq!(pages, known);
    let (readme, tests) = (text_of("README.md"), include_str!("docs.rs"));
    for page in PAGES {
        assert!(readme.contains(&format!("(docs/{page}.md)")), "README.md does not link docs/{page}.md");
        let text = text_of(&format!("docs/{page}.md"));
        let is_run = tests.contains(&format!("run(\"docs/{page}.md\")"));
        assert!(is_run || !text.contains("```sh"), "docs/{page}.md is not run by a test here");
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            let is_there = target.starts_with("https://") || root().join("docs").join(target).exists();
            assert!(is_there, "docs/{page}.md links to {target}");
        }
    }
}

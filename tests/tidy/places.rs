//! One place for each danger, and none for some.

use crate::{
    demand_none,
    tree::{SOURCES, Source},
};

/// Names that code under `inside` may use only in some places.
struct Place {
    /// `a::b` is found as a part of any path, `a::` at the start of one, the others as they are.
    names: &'static [&'static str],
    inside: &'static str,
    only_in: &'static [&'static str],
    remedy: &'static str,
}

/// All that tells or waits by the clock of the system. What `nix` and `libc` call the deadlines of queues is among it.
const CLOCKS_THAT_JUMP: &[&str] =
    &["SystemTime", "UNIX_EPOCH", "CLOCK_REALTIME", "CLOCK_TAI", "gettimeofday", "mq_timedreceive", "mq_timedsend"];

/// For code that ships; a test may hold a clock and a lock of its own.
const PLACES: &[Place] = &[
    Place {
        names: &["std::sync", "core::sync", "alloc::sync", "parking_lot::", "loom::"],
        inside: "src/",
        only_in: &["src/sync.rs", "src/sync/"],
        remedy: "take it from crate::sync, so that loom sees it too",
    },
    Place {
        names: &["Instant::now", "SystemTime::now", ".elapsed", "clock_gettime", "thread::sleep"],
        inside: "src/",
        only_in: &["src/clock.rs"],
        remedy: "ask crate::clock, the one reader of time",
    },
    Place {
        names: CLOCKS_THAT_JUMP,
        inside: "src/",
        only_in: &[],
        remedy: "wait with poll and crate::clock: somebody may set this clock",
    },
    Place {
        names: CLOCKS_THAT_JUMP,
        inside: "cli/src/",
        only_in: &[],
        remedy: "ask crate::clock: somebody may set this clock",
    },
    Place {
        names: &["Instant::now", "SystemTime::now", ".elapsed", "clock_gettime"],
        inside: "cli/src/",
        only_in: &["cli/src/clock.rs"],
        remedy: "ask crate::clock, the one reader of time",
    },
    Place {
        names: &["nix::mqueue", "mqueue::"],
        inside: "src/",
        only_in: &["src/link/sys.rs"],
        remedy: "call crate::link::sys, the one file that knows the system calls of queues",
    },
    Place {
        names: &["nix::mqueue", "mqueue::"],
        inside: "cli/src/",
        only_in: &["cli/src/queue.rs"],
        remedy: "use crate::queue, the one file of the command that knows the system calls of queues",
    },
    Place {
        names: &["bincode::"],
        inside: "src/",
        only_in: &["src/codec/bincode.rs"],
        remedy: "use crate::codec::Bincode: nothing else knows the crate, which is unmaintained",
    },
    Place {
        names: &[
            "std::sync",
            "core::sync",
            "alloc::sync",
            "std::thread",
            "std::time::Instant",
            "std::time::SystemTime",
            "std::env",
            "std::fs",
            "std::net",
            "std::os",
            "std::process",
            "libc::",
            "loom::",
            "nix::",
            "parking_lot::",
            "rustix::",
        ],
        inside: "protocol/src/",
        only_in: &[],
        remedy: "the core touches nothing: let its caller do it and pass the outcome in",
    },
];

/// Where there is no safe interface, or it costs too much: what a child does at a fork, the lock and the count of each message; the queues
/// of System V; and to fork in a test.
const UNSAFE: &[&str] = &["src/raw.rs", "cli/src/bench/system_v.rs", "tests/kernel/forked.rs"];

/// Nowhere, tests included.
const BANNED: &[(&str, &str)] = &[
    ("unsafe", "use a safe interface of nix or rustix"),
    ("todo!", "write it, or leave the feature out"),
    ("unimplemented!", "write it, or leave the feature out"),
    ("dbg!", "take it out"),
    ("#[ignore]", "make the test fast and sure, or delete it"),
];

/// In comments.
const BANNED_WORDS: &[&str] = &["TODO", "FIXME", "XXX"];

#[test]
fn each_danger_has_its_place() {
    demand_none(SOURCES.iter().flat_map(|source| misplaced(source, PLACES)));
}

#[test]
fn nothing_banned_is_used() {
    demand_none(SOURCES.iter().flat_map(banned));
}

#[test]
fn every_crate_forbids_unsafe_code() {
    demand_none(SOURCES.iter().filter_map(unsafe_not_forbidden));
}

fn misplaced(source: &Source, places: &[Place]) -> Vec<String> {
    let mut faults = Vec::new();
    let applies = |place: &&Place| {
        source.path.starts_with(place.inside) && !place.only_in.iter().any(|path| source.path.starts_with(path))
    };
    for place in places.iter().filter(applies) {
        for name in source.scan.names.iter().filter(|name| source.ships(name.line)) {
            if place.names.iter().any(|wanted| is_part(wanted, &name.text)) {
                faults.push(format!("{}:{}: `{}`; {}", source.path, name.line, name.text, place.remedy));
            }
        }
    }
    faults
}

fn is_part(wanted: &str, name: &str) -> bool {
    if wanted.ends_with("::") {
        name.starts_with(wanted)
    } else {
        name == wanted || format!("::{name}::").contains(&format!("::{wanted}::"))
    }
}

fn banned(source: &Source) -> Vec<String> {
    let path = &source.path;
    let names = source.scan.names.iter().filter_map(|name| {
        let (word, remedy) = BANNED.iter().find(|(word, _)| *word == name.text)?;
        let is_allowed = *word == "unsafe" && UNSAFE.contains(&path.as_str());
        (!is_allowed).then(|| format!("{path}:{}: `{word}`; {remedy}", name.line))
    });
    let words = crate::spec::words(&source.comments).filter(|(_, word)| BANNED_WORDS.contains(word));
    names.chain(words.map(|(line, word)| format!("{path}:{line}: {word}; do it, or take it out"))).collect()
}

fn unsafe_not_forbidden(source: &Source) -> Option<String> {
    let folder = ["lib.rs", "main.rs"].iter().find_map(|root| source.path.strip_suffix(root))?;
    let is_root = folder == "src/" || folder.ends_with("/src/");
    // What is forbidden cannot be allowed in one file.
    let has_exceptions = UNSAFE.iter().any(|file| file.starts_with(folder));
    let attribute = if has_exceptions { "deny(unsafe_code)" } else { "forbid(unsafe_code)" };
    let forbids = source.scan.inner.iter().any(|inner| inner == attribute);
    (is_root && !forbids).then(|| format!("{}:1: unsafe code is allowed; add #![{attribute}]", source.path))
}

#[test]
fn what_is_misplaced_is_found() {
    let shim = "use std::{sync::Arc, time::Duration};";
    assert_eq!(misplaced(&Source::new("src/sync/parker.rs", shim), PLACES), Vec::<String>::new());
    let faults = misplaced(&Source::new("src/pump.rs", shim), PLACES);
    assert_eq!(faults, ["src/pump.rs:1: `std::sync::Arc`; take it from crate::sync, so that loom sees it too"]);
    let in_core = |text| misplaced(&Source::new("protocol/src/send.rs", text), PLACES).len();
    assert_eq!(in_core("use std::time::Duration; use nixie::x; use crate::sync::Arc;"), 0);
    assert_eq!(in_core("use std::time::Instant; use nix::unistd; fn f() { std::fs::read(\"x\"); }"), 3);
    let clock = |path, text| misplaced(&Source::new(path, text), PLACES).len();
    assert_eq!(
        clock("src/a.rs", "fn f() { time::Instant::now(); std::thread::sleep(start.elapsed()); elapsed(); }"),
        3
    );
    assert_eq!(clock("src/clock.rs", "fn f() { Instant::now(); }"), 0);
    assert_eq!(clock("src/a.rs", "#[cfg(test)] mod tests { fn f() { Instant::now(); } }"), 0);
    assert_eq!(clock("cli/src/a.rs", "fn f() { Instant::now(); }"), 1);
    assert_eq!(clock("src/clock.rs", "use std::time::{Instant, SystemTime}; fn f() { libc::mq_timedsend(); }"), 2);
    assert_eq!(clock("src/link/posix.rs", "use nix::mqueue::MqdT; use nix::poll::poll;"), 1);
}

#[test]
fn what_is_banned_is_found() {
    let found = |text| banned(&Source::new("tests/a.rs", text)).len();
    assert_eq!(found("#![forbid(unsafe_code)] // all done, \"unsafe\" or not\nfn ignore() { \"TODO\"; }"), 0);
    assert_eq!(found("fn f() { unsafe { g() } }"), 1);
    assert_eq!(banned(&Source::new("src/raw.rs", "fn f() { unsafe { g() } }")).len(), 0);
    assert_eq!(found("#[test]\n#[ignore = \"slow\"]\nfn f() { todo!() } // FIXME: now"), 3);
    assert_eq!(found("proptest! { fn f(n in 0..9) { dbg!(n); } }"), 1);
}

#[test]
fn a_crate_that_allows_unsafe_code_is_found() {
    let fault = |path, text| unsafe_not_forbidden(&Source::new(path, text)).is_some();
    assert!(fault("src/lib.rs", "//! Doc.") && fault("study/src/lib.rs", "#![deny(unsafe_code)]"));
    assert!(!fault("study/src/lib.rs", "#![forbid(unsafe_code)]") && !fault("src/link/lib_rs.rs", ""));
    assert!(!fault("src/lib.rs", "#![deny(unsafe_code)]"), "one of its files is allowed to");
    assert!(!fault("cli/src/main.rs", "#![deny(unsafe_code)]"), "so is one here");
}

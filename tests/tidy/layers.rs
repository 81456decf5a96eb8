//! Imports point one way.

use crate::{
    demand_none,
    tree::{SOURCES, Source, text},
};

/// What the crate of a manifest may use of the workspace, and what its tests may use besides.
const CRATES: &[(&str, &[&str], &[&str])] = &[
    ("proves/Cargo.toml", &[], &[]),
    ("protocol/Cargo.toml", &[], &["lamq-proves"]),
    ("Cargo.toml", &["lamq-protocol"], &["lamq-proves", "lamq-study"]),
    ("study/Cargo.toml", &["lamq-protocol"], &["lamq-proves"]),
    ("cli/Cargo.toml", &["lamq", "lamq-protocol", "lamq-study"], &["lamq-proves"]),
    ("bench/instructions/Cargo.toml", &["lamq", "lamq-protocol"], &[]),
    ("bench/Cargo.toml", &["lamq-cli"], &[]),
];

/// The modules of the protocol, from the bottom up: one uses itself and what stands in a row above its own.
const PROTOCOL: &[&[&str]] =
    &[&["aside", "number"], &["lamport"], &["wire"], &["recv", "send"], &["session"], &["endpoint"]];

#[test]
fn crates_use_only_crates_below() {
    let faults = CRATES.iter().flat_map(|(manifest, normal, dev)| wrong_crates(manifest, &text(manifest), normal, dev));
    demand_none(faults);
}

#[test]
fn modules_of_the_protocol_use_only_modules_below() {
    demand_none(SOURCES.iter().flat_map(|source| wrong_modules(source, "protocol/src/", PROTOCOL)));
}

fn wrong_crates(path: &str, manifest: &str, normal: &[&str], dev: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    for (line, table, name) in dependencies(manifest).filter(|(_, _, name)| name.starts_with("lamq")) {
        let may_use = normal.contains(&name) || (table.ends_with("dev-dependencies") && dev.contains(&name));
        if !may_use {
            faults.push(format!("{path}:{line}: [{table}] {name} is not below it; move the code, not the border"));
        }
    }
    faults
}

/// Line, table and name of every dependency of a manifest.
fn dependencies(manifest: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    let mut table = "";
    manifest.lines().enumerate().filter_map(move |(index, line)| {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = header;
            let (table, name) = header.rsplit_once('.')?;
            return is_dependencies(table).then_some((index + 1, table, name));
        }
        let (name, _) = line.split_once(['.', ' ', '='])?;
        is_dependencies(table).then_some((index + 1, table, name))
    })
}

fn is_dependencies(table: &str) -> bool {
    table.ends_with("dependencies") && !table.starts_with("workspace")
}

fn wrong_modules(source: &Source, folder: &str, layers: &[&[&str]]) -> Vec<String> {
    let layer = |module: &str| layers.iter().position(|names| names.contains(&module));
    let Some(inner) = source.path.strip_prefix(folder) else { return Vec::new() };
    let own = inner.trim_end_matches(".rs").split('/').next().unwrap_or(inner);
    if own == "lib" {
        return Vec::new();
    }
    let Some(height) = layer(own) else {
        return vec![format!("{}:1: module `{own}` has no layer; give it one in tests/tidy/layers.rs", source.path)];
    };
    let mut faults = Vec::new();
    for name in source.scan.names.iter().filter(|name| source.ships(name.line)) {
        let Some(used) = used_module(inner, &name.text) else { continue };
        let remedy = match layer(used) {
            _ if used == own => continue,
            Some(below) if below < height => continue,
            Some(_) => "is not below it; move what both need further down",
            None => "is not a module; name it by the module that defines it",
        };
        faults.push(format!("{}:{}: `{}`: `{used}` {remedy}", source.path, name.line, name.text));
    }
    faults
}

/// The module of the crate that a path names, as `crate::…` or from the file `inner` as `super::…`.
fn used_module<'a>(inner: &str, path: &'a str) -> Option<&'a str> {
    let mut rest = path;
    let mut depth = inner.trim_end_matches("/mod.rs").split('/').count();
    while let Some(tail) = rest.strip_prefix("super::") {
        rest = tail;
        depth = depth.saturating_sub(1);
    }
    let from_root = rest.strip_prefix("crate::").or((rest != path && depth == 0).then_some(rest))?;
    from_root.split("::").next()
}

#[test]
fn a_crate_that_reaches_up_is_found() {
    let manifest = "[package]\nname = \"lamq-protocol\"\n[dependencies]\nlamq.workspace = true\nserde = \"1\"\n\
                    [dev-dependencies]\nlamq-proves = { path = \"x\" }\n[target.'cfg(x)'.dependencies]\n\
                    lamq-study = \"1\"\n[dependencies.lamq-cli]\npath = \"x\"\n[workspace.dependencies]\nlamq = \"1\"";
    let faults = wrong_crates("protocol/Cargo.toml", manifest, &[], &["lamq-proves"]);
    let lines: Vec<_> = faults.iter().map(|fault| fault.split(':').nth(1).unwrap()).collect();
    assert_eq!(lines, ["4", "9", "10"], "{faults:?}");
}

#[test]
fn a_module_that_reaches_up_is_found() {
    let layers: &[&[&str]] = &[&["wire"], &["send", "recv"], &["session"]];
    let faults = |path, text| wrong_modules(&Source::new(path, text), "protocol/src/", layers).len();
    assert_eq!(faults("protocol/src/send.rs", "use crate::{send::X, wire::{Y, Z}};"), 0);
    assert_eq!(faults("protocol/src/send.rs", "use crate::recv::X;"), 1, "a neighbour is not below");
    assert_eq!(faults("protocol/src/wire/data.rs", "use super::header; use super::super::session;"), 1);
    assert_eq!(faults("protocol/src/wire/mod.rs", "use super::session; use self::data::X;"), 1);
    assert_eq!(faults("protocol/src/wire.rs", "fn f(_: crate::Number) {}"), 1, "the root is on top");
    assert_eq!(faults("protocol/src/wire.rs", "#[cfg(test)] mod tests { use crate::session::X; }"), 0);
    assert_eq!(faults("protocol/src/new.rs", ""), 1, "a module needs a layer");
    assert_eq!(faults("protocol/src/lib.rs", "use crate::session::X;") + faults("src/pump.rs", "use crate::x;"), 0);
}

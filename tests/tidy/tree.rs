//! The files of the checkout, found by walking: there may be no `.git` to ask.

use crate::{builds::Builds, comments::comments, scan::Scan};
use std::{
    fs::{read_dir, read_to_string},
    path::Path,
    sync::LazyLock,
};

/// Every `.rs` file of the workspace, read once.
pub(crate) static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let mut paths = Vec::new();
    walk("", &mut paths);
    paths.sort();
    let mut sources: Vec<_> = paths.iter().map(|path| Source::new(path, &text(path))).collect();
    mark_conditional_files(&mut sources);
    sources
});

pub(crate) struct Source {
    /// From the root of the workspace.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Like the text, with all but its comments blanked.
    pub(crate) comments: String,
    pub(crate) scan: Scan,
    /// Where the file as a whole is compiled, as the `mod` that names it says.
    pub(crate) builds: Builds,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let tokens = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        Self {
            path: path.to_string(),
            text: text.to_string(),
            comments: comments(text, &tokens),
            scan: Scan::of(tokens),
            builds: Builds::ALL,
        }
    }

    /// Whether a line is in a build that users get.
    pub(crate) fn ships(&self, line: usize) -> bool {
        self.path.split('/').any(|part| part == "src") && self.builds.shipped && self.scan.ships(line)
    }

    /// The folder of the files that this one's `mod name;` lines mean.
    fn children(&self) -> &str {
        ["mod.rs", "lib.rs", "main.rs"]
            .iter()
            .find_map(|name| self.path.strip_suffix(name)?.strip_suffix('/'))
            .unwrap_or_else(|| self.path.trim_end_matches(".rs"))
    }
}

/// A file named by a conditional `mod` is itself conditional, and so is all below it.
fn mark_conditional_files(sources: &mut [Source]) {
    let modules: Vec<_> = (sources.iter())
        .flat_map(|source| source.scan.modules.iter().map(|module| (source.children(), module)))
        .filter(|(_, module)| module.builds != Builds::ALL)
        .map(|(folder, module)| (format!("{folder}/{}", module.name), module.builds))
        .collect();
    for source in sources {
        for (stem, builds) in &modules {
            if source.path.strip_prefix(stem.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/')) {
                source.builds = source.builds.and(*builds);
            }
        }
    }
}

/// The `.rs` files of a folder and those below, without what is built and what is hidden.
fn walk(folder: &str, found: &mut Vec<String>) {
    for entry in read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}")) {
        let entry = entry.expect("the folder was just opened");
        let name = entry.file_name().into_string().expect("our names are UTF-8");
        if name.starts_with('.') || name == "target" {
            continue;
        }
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        if entry.file_type().expect("the entry was just read").is_dir() {
            walk(&path, found);
        } else if Path::new(&path).extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

pub(crate) fn exists(path: &str) -> bool {
    root().join(path).is_file()
}

pub(crate) fn text(path: &str) -> String {
    read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_file_behind_a_conditional_mod_is_conditional() {
    let mut sources = vec![
        Source::new("src/lib.rs", "mod a;\n#[cfg(test)] mod tests;"),
        Source::new("src/a.rs", "fn a() {}\n#[cfg(all(test, lamq_loom))] mod models;"),
        Source::new("src/a/models.rs", ""),
        Source::new("src/tests/deep.rs", ""),
        Source::new("src/testsuite.rs", ""),
    ];
    mark_conditional_files(&mut sources);
    let shipped: Vec<_> = sources.iter().filter(|source| source.ships(1)).map(|source| &*source.path).collect();
    assert_eq!(shipped, ["src/lib.rs", "src/a.rs", "src/testsuite.rs"]);
}

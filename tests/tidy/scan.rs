//! Reads a `.rs` file as tokens: macros such as `proptest!` are seen through, strings and comments are not mistaken
//! for code. No type is resolved; a name is what is written.

use crate::builds::{Builds, is};
use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};
use std::ops::RangeInclusive;

/// What the checks want to know of a file.
#[derive(Default)]
pub(crate) struct Scan {
    pub(crate) names: Vec<Name>,
    pub(crate) functions: Vec<Function>,
    /// With a body here or in another file.
    pub(crate) modules: Vec<Module>,
    /// Attributes of the whole file, without blanks: `forbid(unsafe_code)`.
    pub(crate) inner: Vec<String>,
    /// Lines of items that no build outside of tests contains.
    unshipped: Vec<RangeInclusive<usize>>,
    /// How many modules with a body are around what is being read.
    depth: usize,
}

/// A path (`std::sync::Arc`, also out of `use std::{sync::Arc}`), a method (`.elapsed`), a macro (`todo!`), an
/// attribute (`#[ignore]`) or any other single word. `super` means what it would at the top of the file.
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) line: usize,
}

pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// From `fn` to the closing brace.
    pub(crate) lines: usize,
    /// Without blanks: `proves("NUM-1")`.
    pub(crate) attributes: Vec<String>,
    /// Where it is compiled.
    pub(crate) builds: Builds,
}

pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) builds: Builds,
}

impl Scan {
    pub(crate) fn of(tokens: TokenStream) -> Self {
        let mut scan = Self::default();
        scan.level(tokens, Builds::ALL, usize::MAX, true);
        scan
    }

    pub(crate) fn ships(&self, line: usize) -> bool {
        !self.unshipped.iter().any(|lines| lines.contains(&line))
    }

    /// One level of nesting, a file or what stands between two delimiters, up to the line `last`.
    fn level(&mut self, tokens: TokenStream, mut builds: Builds, last: usize, file: bool) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut item = Item::new(builds);
        let mut at = 0;
        while at < tokens.len() {
            let rest = &tokens[at..];
            at += match rest {
                [hash, bang, TokenTree::Group(attribute), ..] if is('#')(hash) && is('!')(bang) => {
                    builds = builds.narrowed(attribute);
                    if !builds.shipped {
                        self.unshipped.push(line(hash)..=last);
                    }
                    if file {
                        self.inner.push(unspaced(attribute));
                    }
                    item = Item::new(builds);
                    3
                }
                [hash, TokenTree::Group(attribute), ..]
                    if is('#')(hash) && attribute.delimiter() == Delimiter::Bracket =>
                {
                    item.attribute(hash, attribute);
                    self.push(&format!("#[{}]", first_word(attribute)), line(hash));
                    self.level(attribute.stream(), builds, last, false);
                    2
                }
                [TokenTree::Ident(_), ..] => {
                    item.word(rest);
                    let before = &tokens[..at];
                    self.name(before, rest)
                }
                [TokenTree::Group(group), ..] => {
                    let end = group.span_close().end().line;
                    let deeper = usize::from(matches!(item.kind, Kind::Module { .. }));
                    self.depth += deeper;
                    self.level(group.stream(), item.builds, end, false);
                    self.depth -= deeper;
                    if group.delimiter() == Delimiter::Brace {
                        self.finish(&item, end);
                        item = Item::new(builds);
                    }
                    1
                }
                [token, ..] => {
                    if is(';')(token) || (is(',')(token) && !item.has_generics) {
                        self.finish(&item, line(token));
                        item = Item::new(builds);
                    }
                    1
                }
                [] => unreachable!("the loop ends before"),
            };
        }
    }

    /// Takes the path that starts `rest`, and says how many tokens it is.
    fn name(&mut self, before: &[TokenTree], rest: &[TokenTree]) -> usize {
        let (path, length) = path(rest);
        let line = line(&rest[0]);
        let text = match (before, &rest[length..]) {
            (_, [bang, ..]) if is_macro_bang(bang) => format!("{path}!"),
            (_, [first, second, TokenTree::Group(group), ..]) if is(':')(first) && is(':')(second) => {
                self.use_tree(&path, group);
                return length + 3;
            }
            ([.., dot], _) if is('.')(dot) && !matches!(before, [.., earlier, _] if is('.')(earlier)) => {
                format!(".{path}")
            }
            _ => path,
        };
        self.push(&text, line);
        length
    }

    fn push(&mut self, text: &str, line: usize) {
        let within_file = (0..self.depth).fold(text, |path, _| path.strip_prefix("super::").unwrap_or(path));
        self.names.push(Name { text: within_file.to_string(), line });
    }

    /// The names in the braces of `use prefix::{…}`.
    fn use_tree(&mut self, prefix: &str, group: &Group) {
        let tokens: Vec<_> = group.stream().into_iter().collect();
        for branch in tokens.split(is(',')).filter(|branch| matches!(branch, [TokenTree::Ident(_), ..])) {
            let (tail, length) = path(branch);
            let text = if tail == "self" { prefix.to_string() } else { format!("{prefix}::{tail}") };
            match &branch[length..] {
                [.., TokenTree::Group(inner)] => self.use_tree(&text, inner),
                _ => self.push(&text, line(&branch[0])),
            }
        }
    }

    fn finish(&mut self, item: &Item, end: usize) {
        if let (false, Some(start)) = (item.builds.shipped, item.start) {
            self.unshipped.push(start..=end);
        }
        match &item.kind {
            Kind::Function { name, line } => self.functions.push(Function {
                name: name.clone(),
                line: *line,
                lines: end + 1 - line,
                attributes: item.attributes.clone(),
                builds: item.builds,
            }),
            Kind::Module { name } => self.modules.push(Module { name: name.clone(), builds: item.builds }),
            Kind::Other => {}
        }
    }
}

/// The item, field or statement being read.
struct Item {
    start: Option<usize>,
    attributes: Vec<String>,
    builds: Builds,
    kind: Kind,
    /// A comma may stand inside of it.
    has_generics: bool,
}

enum Kind {
    Function { name: String, line: usize },
    Module { name: String },
    Other,
}

impl Item {
    fn new(builds: Builds) -> Self {
        Self { start: None, attributes: Vec::new(), builds, kind: Kind::Other, has_generics: false }
    }

    fn attribute(&mut self, hash: &TokenTree, attribute: &Group) {
        self.start.get_or_insert(line(hash));
        self.attributes.push(unspaced(attribute));
        self.builds = self.builds.narrowed(attribute);
    }

    fn word(&mut self, rest: &[TokenTree]) {
        self.start.get_or_insert(line(&rest[0]));
        let word = rest[0].to_string();
        self.has_generics |= ["enum", "fn", "impl", "struct", "trait", "type", "use"].contains(&word.as_str());
        match rest {
            [keyword, TokenTree::Ident(name), ..] if word == "fn" => {
                self.kind = Kind::Function { name: name.to_string(), line: line(keyword) };
            }
            [_, TokenTree::Ident(name), ..] if word == "mod" => self.kind = Kind::Module { name: name.to_string() },
            _ => {}
        }
    }
}

/// The path that starts the tokens, such as `a::b`, and its length in tokens.
fn path(tokens: &[TokenTree]) -> (String, usize) {
    let mut text = tokens[0].to_string();
    let mut length = 1;
    while let [first, second, TokenTree::Ident(word), ..] = &tokens[length..]
        && is(':')(first)
        && is(':')(second)
    {
        text = format!("{text}::{word}");
        length += 3;
    }
    (text, length)
}

fn is_macro_bang(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == '!' && punct.spacing() == Spacing::Alone)
}

fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

fn first_word(group: &Group) -> String {
    group.stream().into_iter().next().map(|token| token.to_string()).unwrap_or_default()
}

fn unspaced(group: &Group) -> String {
    group.stream().to_string().split_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Scan {
        Scan::of(text.parse().expect("a test writes Rust"))
    }

    fn names(text: &str) -> Vec<String> {
        scan(text).names.into_iter().map(|name| name.text).collect()
    }

    #[test]
    fn names_are_whole_paths_wherever_they_stand() {
        assert_eq!(names("std::sync::Arc::new(1);"), ["std::sync::Arc::new"]);
        assert_eq!(names("use a::{b::{self, c}, d as e};"), ["use", "a::b", "a::b::c", "a::d"]);
        assert_eq!(names("proptest! { #[ignore] x.y(); }"), ["proptest!", "#[ignore]", "ignore", "x", ".y"]);
        assert_eq!(names("mod m { use super::super::a; }"), ["mod", "m", "use", "super::a"]);
        assert_eq!(names("// a::b\n\"a::b\"; 0..n; a != b"), ["n", "a", "b"]);
    }

    #[test]
    fn functions_are_found_in_modules_and_macros() {
        let scan = scan("mod m { proptest! { #[proves(\"EX-1\")]\n#[test]\nfn f<A, B>(n in 0..9) {\n\n} } }\nfn g();");
        let [f, ..] = scan.functions.as_slice() else { panic!("none found") };
        assert_eq!((f.name.as_str(), f.line, f.lines), ("f", 3, 3));
        assert_eq!(f.attributes, ["proves(\"EX-1\")", "test"]);
        assert_eq!(f.builds, Builds::ALL);
    }

    #[test]
    fn conditional_items_are_set_apart() {
        let scan = scan(
            "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\n#[cfg(all(test, lamq_loom))]\nmod models;\n\
             #[cfg(not(lamq_loom))]\nfn c() {}\n#[cfg(feature = \"x\")]\nfn d() {}",
        );
        assert_eq!((1..12).filter(|line| scan.ships(*line)).collect::<Vec<_>>(), [1, 8, 9, 10, 11]);
        let builds = |shipped, tested| Builds { shipped, tested };
        let functions: Vec<_> = scan.functions.iter().map(|function| (&*function.name, function.builds)).collect();
        let expected = [
            ("a", builds(true, true)),
            ("b", builds(false, true)),
            ("c", builds(true, true)),
            ("d", builds(true, false)),
        ];
        assert_eq!(functions, expected);
        let models = scan.modules.iter().find(|module| module.name == "models").unwrap();
        assert_eq!(models.builds, builds(false, false));
    }

    #[test]
    fn a_condition_on_a_field_ends_with_it() {
        let scan = scan("struct S {\n#[cfg(test)]\na: u32,\nb: u32,\n}");
        assert_eq!((1..=5).filter(|line| !scan.ships(*line)).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn a_condition_of_the_whole_file_reaches_its_end() {
        let scan = scan("#![forbid(unsafe_code)]\n#![cfg(test)]\nfn a() {}");
        assert!(!scan.ships(3));
        assert_eq!(scan.inner[0], "forbid(unsafe_code)");
        assert_eq!(scan.functions[0].builds, Builds { shipped: false, tested: true });
    }
}

//! A rule of `SPEC.md` is one sentence that is obeyed somewhere and proven somewhere, and both say its id.

use crate::{
    demand_none, rule,
    tree::{SOURCES, Source, exists, text},
};
use std::collections::BTreeSet;

/// What begins like the id of a rule and is none. EX is for examples, as in the tests of these checks.
const OTHER_AREAS: &[&str] = &["CRC", "EX", "IEEE", "ISO", "RFC", "SHA", "UTF"];

/// Where the rules are obeyed.
const OBEYED_IN: &[&str] = &["protocol/src/", "src/", "cli/src/", "study/src/"];

/// Texts that cite rules, besides code.
const CITING: &[&str] = &["SPEC.md", "README.md", "CONTRIBUTING.md"];

#[test]
fn every_rule_is_one_sentence_with_its_own_id() {
    demand_none(badly_written(&rules(&text("SPEC.md"))));
}

#[test]
fn every_rule_is_proven() {
    demand_none(unproven(&rules(&text("SPEC.md")), &SOURCES));
}

#[test]
fn every_rule_is_cited_where_it_is_obeyed() {
    demand_none(uncited(&rules(&text("SPEC.md")), &SOURCES));
}

#[test]
fn every_cited_rule_exists() {
    let rules = rules(&text("SPEC.md"));
    let texts =
        CITING.iter().filter(|path| exists(path)).flat_map(|path| unknown(path, &text(path), &rules, OTHER_AREAS));
    let code = SOURCES.iter().flat_map(|source| unknown(&source.path, &source.text, &rules, OTHER_AREAS));
    demand_none(texts.chain(code));
}

struct Rule {
    id: String,
    line: usize,
    text: String,
}

/// The rules of a specification. The text of one ends at a blank line, a heading or the next item of a list.
fn rules(spec: &str) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut inside = false;
    for (index, line) in spec.lines().enumerate() {
        let start = line.trim_start();
        if let Some(id) = rule::begun_by(line) {
            rules.push(Rule { id: id.to_string(), line: index + 1, text: line.to_string() });
            inside = true;
        } else if start.is_empty() || start.starts_with('#') || start.starts_with("- ") {
            inside = false;
        } else if let (true, Some(rule)) = (inside, rules.last_mut()) {
            rule.text = format!("{} {start}", rule.text);
        }
    }
    rules
}

fn badly_written(rules: &[Rule]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for Rule { id, line, text } in rules {
        let musts = words(text).filter(|(_, word)| *word == "MUST").count();
        if musts != 1 {
            faults.push(format!("SPEC.md:{line}: {id} says MUST {musts} times; make it one rule for each"));
        }
        if !seen.insert(id) {
            faults.push(format!("SPEC.md:{line}: {id} was defined before; give this one the next free number"));
        }
    }
    faults
}

fn unproven(rules: &[Rule], sources: &[Source]) -> Vec<String> {
    let proven: BTreeSet<&str> = sources.iter().flat_map(proven_in).collect();
    let open = rules.iter().filter(|rule| !proven.contains(&*rule.id));
    open.map(|Rule { id, line, .. }| format!("SPEC.md:{line}: no running test proves {id}; write #[proves(\"{id}\")]"))
        .collect()
}

/// The rules named by tests of a file that a plain `cargo test` runs.
fn proven_in(source: &Source) -> impl Iterator<Item = &str> {
    let tests = source.scan.functions.iter().filter(|function| {
        let has = |name: &str| function.attributes.iter().any(|attribute| last_word(attribute) == name);
        has("test") && !has("ignore") && function.builds.and(source.builds).tested
    });
    let proofs = tests.flat_map(|test| &test.attributes).filter(|attribute| last_word(attribute) == "proves");
    proofs.flat_map(|proof| words(proof).map(|(_, word)| word).filter(|word| rule::is_id(word)))
}

/// `test` of `tokio::test(threads=2)`.
fn last_word(attribute: &str) -> &str {
    let path = attribute.split(['(', '=']).next().unwrap_or(attribute);
    path.rsplit("::").next().unwrap_or(path)
}

fn uncited(rules: &[Rule], sources: &[Source]) -> Vec<String> {
    let shipped = sources.iter().filter(|source| OBEYED_IN.iter().any(|folder| source.path.starts_with(folder)));
    let cited: BTreeSet<&str> = shipped
        .flat_map(|source| words(&source.comments).filter(|(line, _)| source.ships(*line)))
        .map(|(_, word)| word)
        .collect();
    let open = rules.iter().filter(|rule| !cited.contains(&*rule.id));
    open.map(|Rule { id, line, .. }| format!("SPEC.md:{line}: no code cites {id}; say in a comment where it is obeyed"))
        .collect()
}

fn unknown(path: &str, text: &str, rules: &[Rule], other_areas: &[&str]) -> Vec<String> {
    let is_other = |id: &str| other_areas.iter().any(|area| id.split('-').next() == Some(area));
    let cited = words(text).filter(|(_, word)| rule::is_id(word) && !is_other(word));
    cited
        .filter(|(_, word)| !rules.iter().any(|rule| rule.id == *word))
        .map(|(line, id)| format!("{path}:{line}: SPEC.md has no rule {id}; write it there, or cite the right one"))
        .collect()
}

/// The words of a text, each with its line. A word may have hyphens and underscores in it.
pub(crate) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let border = |c: char| !c.is_alphanumeric() && c != '-' && c != '_';
    (1..).zip(text.lines()).flat_map(move |(number, line)| {
        line.split(border)
            .map(|word| word.trim_matches('-'))
            .filter(|word| !word.is_empty())
            .map(move |word| (number, word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str =
        "# Rules\n\n- **EX-1** One MUST\n  do it.\n- A note: it MUST.\n\n**EX-2** One MUST NOT.\n## Next\nMUST";

    #[test]
    fn rules_end_where_the_next_thing_begins() {
        let rules = rules(SPEC);
        let read: Vec<_> = rules.iter().map(|rule| (rule.line, &*rule.text)).collect();
        assert_eq!(read, [(3, "- **EX-1** One MUST do it."), (7, "**EX-2** One MUST NOT.")]);
        assert_eq!(badly_written(&rules), Vec::<String>::new());
    }

    #[test]
    fn a_badly_written_rule_is_found() {
        let faults = |spec| badly_written(&rules(spec));
        assert_eq!(
            faults("**EX-1** It MUST and\nMUST NOT."),
            ["SPEC.md:1: EX-1 says MUST 2 times; make it one rule for each"]
        );
        assert_eq!(faults("- **EX-1** It should."), ["SPEC.md:1: EX-1 says MUST 0 times; make it one rule for each"]);
        assert!(
            faults("- **EX-1** It MUST.\n- **EX-1** It MUST.")[0].starts_with("SPEC.md:2: EX-1 was defined before")
        );
    }

    #[test]
    fn only_a_test_that_runs_is_a_proof() {
        let open = |test| unproven(&rules(SPEC), &[Source::new("tests/a.rs", test)]).len();
        assert_eq!(open("#[proves(\"EX-1\", \"EX-2\")]\n#[test] fn t() {}"), 0);
        assert_eq!(open("proptest! { #[lamq_proves::proves(\"EX-1\")]\n#[test] fn t(n in 0..9) {} }"), 1);
        for no_proof in [
            "#[proves(\"EX-1\")] fn t() {}",
            "#[proves(\"EX-1\")] #[test] #[ignore = \"slow\"] fn t() {}",
            "#[cfg(lamq_loom)] mod m { #[proves(\"EX-1\")] #[test] fn t() {} }",
            "#![cfg(feature = \"x\")] #[proves(\"EX-1\")] #[test] fn t() {}",
            "// #[proves(\"EX-1\")]\n#[test] fn t() {}",
        ] {
            assert_eq!(open(no_proof), 2, "{no_proof}");
        }
    }

    #[test]
    fn only_comments_of_shipped_code_cite() {
        let open = |path, text| uncited(&rules(SPEC), &[Source::new(path, text)]).len();
        assert_eq!(open("src/a.rs", "/// EX-1 and (EX-2).\nfn f() {}"), 0);
        assert_eq!(open("study/src/a.rs", "fn f() {} // EX-1, EX-22, MY-EX-2"), 1);
        assert_eq!(open("src/a.rs", "fn f() { \"EX-1\"; }\n#[cfg(test)]\nmod tests {\n/* EX-2 */}"), 2);
        assert_eq!(open("tests/a.rs", "// EX-1"), 2);
    }

    #[test]
    fn an_unknown_rule_is_found() {
        let faults = unknown("README.md", "EX-1: CRC-32\n(`EX-3`), EX-4-x", &rules(SPEC), &["CRC"]);
        assert_eq!(faults, ["README.md:2: SPEC.md has no rule EX-3; write it there, or cite the right one"]);
    }
}

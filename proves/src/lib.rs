//! The attribute by which a test says which rules of `SPEC.md` it proves.
//!
//! ```text
//! #[proves("NUM-1", "NUM-2")]
//! #[test]
//! fn refused_messages_take_no_number() { … }
//! ```
//!
//! It leaves the test as it is, and refuses to compile when it would prove nothing: no rule named, a rule that
//! `SPEC.md` does not have, no `#[test]` below it, or a test that may not run. That every rule has such a test is
//! checked from the other side, in `tests/tidy`.
//!
//! Inside `proptest!` it stands where it always does, above `#[test]`: proptest hands the attributes of a test on
//! in their order.
#![forbid(unsafe_code)]

mod rule;

use proc_macro2::{Span, TokenStream};
use quote::quote;
use std::{
    env,
    fmt::Display,
    fs::read_to_string,
    path::{Path, PathBuf},
};
use syn::{
    Attribute, Error, LitStr, Result, Token,
    parse::{Parse, ParseStream, Parser},
    punctuated::Punctuated,
};

/// Names the rules of `SPEC.md` that a test proves. It stands above `#[test]`.
#[proc_macro_attribute]
pub fn proves(rules: proc_macro::TokenStream, test: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let test = TokenStream::from(test);
    let verdict = spec_above(Path::new(&env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()))
        .and_then(|spec| judge(rules.into(), test.clone(), &spec.text).map(|()| spec.tracked()))
        .unwrap_or_else(Error::into_compile_error);
    quote!(#verdict #test).into()
}

struct Spec {
    path: PathBuf,
    text: String,
}

impl Spec {
    /// Makes the compiler watch `SPEC.md`: a rule that goes away must break its tests, not wait for their next edit.
    fn tracked(&self) -> TokenStream {
        let path = self.path.to_string_lossy();
        quote!(
            const _: &str = ::core::include_str!(#path);
        )
    }
}

fn spec_above(crate_folder: &Path) -> Result<Spec> {
    let path = crate_folder.ancestors().map(|folder| folder.join("SPEC.md")).find(|path| path.is_file());
    let path = path.ok_or_else(|| {
        refuse(format!("no SPEC.md in {} or above it: #[proves] works inside a checkout", crate_folder.display()))
    })?;
    let text = read_to_string(&path).map_err(|error| refuse(format!("{}: {error}", path.display())))?;
    Ok(Spec { path, text })
}

/// A refusal that concerns the whole attribute.
fn refuse(message: impl Display) -> Error {
    Error::new(Span::call_site(), message)
}

fn judge(rules: TokenStream, test: TokenStream, spec: &str) -> Result<()> {
    let rules = Punctuated::<LitStr, Token![,]>::parse_terminated.parse2(rules)?;
    if rules.is_empty() {
        return Err(refuse("name the rules of SPEC.md that this test proves, as in #[proves(\"NUM-1\")]"));
    }
    for rule in &rules {
        judge_rule(&rule.value(), spec).map_err(|message| Error::new(rule.span(), message))?;
    }
    judge_test(&syn::parse2::<Test>(test)?.attributes)
}

fn judge_rule(id: &str, spec: &str) -> std::result::Result<(), String> {
    if !rule::is_id(id) {
        return Err(format!("`{id}` is not the id of a rule: write capitals, a hyphen, a number, as in \"NUM-1\""));
    }
    if !spec.lines().any(|line| rule::begun_by(line) == Some(id)) {
        return Err(format!("SPEC.md has no rule {id}: write it there first, or name one that stands there"));
    }
    Ok(())
}

fn judge_test(attributes: &[Attribute]) -> Result<()> {
    for attribute in attributes {
        let path = attribute.path();
        if path.is_ident("ignore") {
            return Err(Error::new_spanned(
                attribute,
                "an ignored test proves nothing: let it run, or take #[proves] away",
            ));
        }
        if path.is_ident("cfg") || path.is_ident("cfg_attr") {
            return Err(Error::new_spanned(
                attribute,
                "a test that is compiled only sometimes proves nothing: take the condition away, or #[proves]",
            ));
        }
    }
    let is_test = |attribute: &Attribute| attribute.path().segments.last().is_some_and(|name| name.ident == "test");
    if attributes.iter().any(is_test) {
        Ok(())
    } else {
        Err(refuse("only a test proves a rule: put #[proves] above the #[test] of a function"))
    }
}

/// What the attribute stands on: further attributes, then a function that is none of its business.
struct Test {
    attributes: Vec<Attribute>,
}

impl Parse for Test {
    fn parse(input: ParseStream) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        input.parse::<TokenStream>()?;
        Ok(Self { attributes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str =
        "# Rules\n\n- **EX-1** Tests MUST run.\n\n**EX-22** Rules MUST NOT be\nproven by nothing (**EX-3**).\n";

    fn refusal(rules: &str, test: &str) -> String {
        match judge(rules.parse().unwrap(), test.parse().unwrap(), SPEC) {
            Ok(()) => "none".to_string(),
            Err(refusal) => refusal.to_string(),
        }
    }

    #[test]
    fn a_test_of_standing_rules_is_accepted() {
        assert_eq!(refusal(r#""EX-1""#, "#[test] fn it() {}"), "none");
        assert_eq!(refusal(r#""EX-1", "EX-22","#, "/// Why.\n#[test] #[should_panic] fn it() {}"), "none");
        assert_eq!(refusal(r#""EX-1""#, "#[some::test(threads = 2)] async fn it() {}"), "none");
        assert_eq!(refusal(r#""EX-1""#, "#[test] fn in_proptest(n in 0..9u8) {}"), "none");
    }

    #[test]
    fn a_test_that_names_no_standing_rule_is_refused() {
        assert!(refusal("", "#[test] fn it() {}").starts_with("name the rules"));
        assert!(refusal(r#""ex-1""#, "#[test] fn it() {}").contains("is not the id of a rule"));
        assert!(refusal(r#""EX-1", "EX-2""#, "#[test] fn it() {}").starts_with("SPEC.md has no rule EX-2"));
        assert!(refusal(r#""EX-3""#, "#[test] fn it() {}").starts_with("SPEC.md has no rule EX-3"));
        assert_eq!(refusal("EX-1", "#[test] fn it() {}"), "expected string literal");
    }

    #[test]
    fn what_is_no_test_that_always_runs_is_refused() {
        assert!(refusal(r#""EX-1""#, "fn it() {}").starts_with("only a test proves a rule"));
        assert!(refusal(r#""EX-1""#, "#[test] #[ignore = \"slow\"] fn it() {}").starts_with("an ignored test"));
        assert!(refusal(r#""EX-1""#, "#[cfg(unix)] #[test] fn it() {}").starts_with("a test that is compiled only"));
        assert!(
            refusal(r#""EX-1""#, "#[test] #[cfg_attr(x, ignore)] fn it() {}").starts_with("a test that is compiled")
        );
    }

    #[test]
    fn a_missing_spec_is_named() {
        let refusal = spec_above(Path::new("/proc/nothing")).err().expect("there is no /proc/SPEC.md");
        assert!(refusal.to_string().starts_with("no SPEC.md in /proc/nothing"));
    }

    #[test]
    fn the_compiler_watches_the_spec_in_use() {
        let spec = Spec { path: "/somewhere/SPEC.md".into(), text: SPEC.into() };
        assert!(spec.tracked().to_string().contains("\"/somewhere/SPEC.md\""));
    }

    #[test]
    fn ids_and_the_lines_that_begin_a_rule() {
        assert!(rule::is_id("EX-1") && rule::is_id("EX-120"));
        for word in ["E-1", "EXAMPLE-1", "EX-", "EX1", "Ex-1", "EX-1a", "-1", ""] {
            assert!(!rule::is_id(word), "{word}");
        }
        assert_eq!(rule::begun_by("- **EX-1** Text."), Some("EX-1"));
        assert_eq!(rule::begun_by("**EX-1** Text."), Some("EX-1"));
        assert_eq!(rule::begun_by("See **EX-1**."), None);
        assert_eq!(rule::begun_by("- **Note** EX-1"), None);
    }
}

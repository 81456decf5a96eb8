//! Which builds contain a piece of code, as far as `#[cfg(…)]` tells.

use proc_macro2::{Delimiter, Group, TokenTree};

/// The builds that certainly, or possibly, contain a piece of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Builds {
    /// Perhaps a build that users get.
    pub(crate) shipped: bool,
    /// Certainly that of a plain `cargo test`.
    pub(crate) tested: bool,
}

impl Builds {
    pub(crate) const ALL: Self = Self { shipped: true, tested: true };

    pub(crate) fn and(self, other: Self) -> Self {
        Self { shipped: self.shipped && other.shipped, tested: self.tested && other.tested }
    }

    /// What `#[cfg(…)]` leaves.
    pub(crate) fn narrowed(self, attribute: &Group) -> Self {
        let tokens: Vec<_> = attribute.stream().into_iter().collect();
        match tokens.as_slice() {
            [TokenTree::Ident(word), TokenTree::Group(predicate)] if word == "cfg" => self.and(Self {
                shipped: all_hold(predicate, &[("test", false)]) != Some(false),
                tested: all_hold(predicate, &[("test", true), ("lamq_loom", false)]) == Some(true),
            }),
            _ => self,
        }
    }
}

/// Whether all predicates of a list hold; `None` if that depends on more than is `known`.
fn all_hold(list: &Group, known: &[(&str, bool)]) -> Option<bool> {
    and(&each_holds(list, known))
}

fn any_holds(list: &Group, known: &[(&str, bool)]) -> Option<bool> {
    let fail: Vec<_> = each_holds(list, known).into_iter().map(not).collect();
    not(and(&fail))
}

fn each_holds(list: &Group, known: &[(&str, bool)]) -> Vec<Option<bool>> {
    let tokens: Vec<_> = list.stream().into_iter().collect();
    let predicates = tokens.split(is(',')).filter(|predicate| !predicate.is_empty());
    let holds = |predicate: &[TokenTree]| match predicate {
        [TokenTree::Ident(word)] => known.iter().find(|(name, _)| word == name).map(|(_, value)| *value),
        [TokenTree::Ident(word), TokenTree::Group(inner)] if word == "not" => not(all_hold(inner, known)),
        [TokenTree::Ident(word), TokenTree::Group(inner)] if word == "all" => all_hold(inner, known),
        [TokenTree::Ident(word), TokenTree::Group(inner)] if word == "any" => any_holds(inner, known),
        _ => None,
    };
    predicates.map(holds).collect()
}

fn and(values: &[Option<bool>]) -> Option<bool> {
    if values.contains(&Some(false)) { Some(false) } else { (!values.contains(&None)).then_some(true) }
}

fn not(value: Option<bool>) -> Option<bool> {
    value.map(|value| !value)
}

/// Finds a sign among tokens.
pub(crate) fn is(wanted: char) -> impl Fn(&TokenTree) -> bool {
    move |token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

#[test]
fn a_condition_narrows_the_builds() {
    let builds = |attribute: &str| {
        let attribute = attribute.parse().expect("a test writes Rust");
        let Builds { shipped, tested } = Builds::ALL.narrowed(&Group::new(Delimiter::Bracket, attribute));
        (shipped, tested)
    };
    assert_eq!(builds("test"), (true, true));
    assert_eq!(builds("cfg(test)"), (false, true));
    assert_eq!(builds("cfg(not(test))"), (true, false));
    assert_eq!(builds("cfg(lamq_loom)"), (true, false));
    assert_eq!(builds("cfg(all(test, not(lamq_loom)))"), (false, true));
    assert_eq!(builds("cfg(all(test, feature = \"x\"))"), (false, false));
    assert_eq!(builds("cfg(any(test, feature = \"x\"))"), (true, true));
    assert_eq!(builds("cfg(any(lamq_loom, feature = \"x\"))"), (true, false));
}

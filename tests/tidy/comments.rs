//! Tells comments from code and from strings that look like them.

use proc_macro2::{TokenStream, TokenTree};

/// The text with everything but comments blanked out; lines stay where they are.
pub(crate) fn comments(text: &str, tokens: &TokenStream) -> String {
    let mut bytes = text.as_bytes().to_vec();
    blank(text, tokens, &mut bytes);
    String::from_utf8(bytes).expect("whole tokens were blanked")
}

fn blank(text: &str, tokens: &TokenStream, bytes: &mut [u8]) {
    for token in tokens.clone() {
        let whole = &text[token.span().byte_range()];
        if whole.starts_with("//") || whole.starts_with("/*") {
            continue; // A doc comment is a token too.
        }
        let spans = match &token {
            TokenTree::Group(group) => {
                blank(text, &group.stream(), bytes);
                vec![group.span_open(), group.span_close()]
            }
            single => vec![single.span()],
        };
        for range in spans.into_iter().map(|span| span.byte_range()) {
            bytes[range].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        }
    }
}

#[test]
fn only_comments_remain() {
    let text = "//! one\nlet ü = \"// no\"; // two\n/* three */ fn f() { /// four\n}";
    let tokens = text.parse().unwrap();
    let words: String = comments(text, &tokens).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words, "//! one // two /* three */ /// four");
}

//! What a rule of `SPEC.md` looks like.
//!
//! `tests/tidy` includes this file too, so that the attribute and the checks cannot disagree about it.

/// Whether `word` has the form of a rule's id: two to six capitals, a hyphen, a number.
pub(crate) fn is_id(word: &str) -> bool {
    word.split_once('-').is_some_and(|(area, number)| {
        (2..=6).contains(&area.len())
            && area.bytes().all(|byte| byte.is_ascii_uppercase())
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The id of the rule that this line of `SPEC.md` begins: a list item or paragraph that opens with a bold id.
pub(crate) fn begun_by(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("- ").unwrap_or(line);
    let (id, _text) = line.strip_prefix("**")?.split_once("**")?;
    is_id(id).then_some(id)
}

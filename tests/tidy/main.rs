//! House style that runs as a test.
//!
//! Each check is one `#[test]`. It lists every fault as `file:line: what is wrong; what to do`, and a second test
//! beside it shows on a few lines of text that the check can fail. The constants at the top of each module are the
//! policy; everything below them is mechanism.

mod builds;
mod comments;
mod faults;
mod files;
mod layers;
mod places;
mod scan;
mod size;
mod spec;
mod tree;

#[path = "../../proves/src/rule.rs"]
mod rule;

#[track_caller]
fn demand_none(faults: impl IntoIterator<Item = String>) {
    let faults: Vec<_> = faults.into_iter().collect();
    assert!(faults.is_empty(), "{} to mend:\n{}", faults.len(), faults.join("\n"));
}

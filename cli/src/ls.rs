//! `lamq ls`.

use crate::failure::{Failure, counted};
use clap::Args;
use comfy_table::{Cell, CellAlignment, Table, presets};
use lamq::inspect::{self, Listed, Listing, Ownership};
use serde_json::{Value, json};
use std::fmt::Write;

/// List the message queues of this machine, or of this container.
///
/// Also those that lamq did not make, marked as foreign. What cannot be seen is said on standard error.
#[derive(Args)]
#[command(after_help = crate::failure::EXIT_CODES)]
pub(crate) struct LsArgs {
    /// Only queues whose names begin like this.
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,
    /// Write one JSON document.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &LsArgs) -> Result<(), Failure> {
    let mut listing = inspect::list();
    listing.queues.retain(|listed| listed.name.as_str().starts_with(&arguments.prefix));
    listing.nameless.retain(|queue| queue.name.starts_with(&arguments.prefix));
    if arguments.json {
        return print(format_args!("{:#}", document(&listing)));
    }
    print(text(&listing))?;
    if listing.unseen.is_anything() {
        eprintln!("lamq: not seen: {}", listing.unseen);
    }
    Ok(())
}

/// Writes to standard output.
pub(crate) fn print(text: impl std::fmt::Display) -> Result<(), Failure> {
    use std::io::{Write, stdout};
    let written = writeln!(stdout(), "{text}").and_then(|()| stdout().flush());
    written.map_err(|error| Failure::general(format!("cannot write to standard output: {error}")))
}

fn text(listing: &Listing) -> String {
    let mut text = if listing.queues.is_empty() { "no queues".to_owned() } else { table(&listing.queues).to_string() };
    if !listing.nameless.is_empty() {
        let what = counted(listing.nameless.len() as u64, "queue");
        let holders: Vec<_> = listing.nameless.iter().flat_map(|queue| &queue.open_in).map(u32::to_string).collect();
        // Writing to a string cannot fail.
        _ = write!(text, "\n{what} without a name, as every sender has one, open in: {}", unique(holders).join(", "));
    }
    text
}

fn unique(mut words: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    words.retain(|word| seen.insert(word.clone()));
    words
}

fn table(queues: &[Listed]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["name", "owner", "user", "mode", "waiting", "capacity", "bytes"]);
    for listed in queues {
        let Listed { name, uid, mode, report, .. } = listed;
        let mut cells = vec![Cell::new(shown(name.as_str())), Cell::new(owner(listed))];
        let mut numbers = vec![uid.to_string(), format!("{mode:04o}")];
        match report {
            Some(report) => {
                let capacity = format!("{} x {}", report.geometry.slots, report.geometry.frame_size);
                numbers.extend([report.waiting.to_string(), capacity, report.bytes().to_string()]);
            }
            None => numbers.extend(["?".to_owned(), "?".to_owned(), "?".to_owned()]),
        }
        cells.extend(numbers.into_iter().map(|number| Cell::new(number).set_alignment(CellAlignment::Right)));
        table.add_row(cells);
    }
    table
}

fn owner(listed: &Listed) -> String {
    let Some(report) = &listed.report else { return "(no permission to look)".into() };
    if !report.is_lamq() {
        return "(foreign)".into();
    }
    match report.ownership {
        Ownership::Nobody => "dead".into(),
        Ownership::Alive { pid } => format!("{pid}"),
        Ownership::Dead { pid } => format!("{pid}, dead; a child holds it"),
        other => format!("{}, not visible", other.pid().unwrap_or(0)),
    }
}

/// A name can hold what a terminal obeys.
pub(crate) fn shown(name: &str) -> String {
    let show =
        |letter: char| if letter.is_control() { letter.escape_default().to_string() } else { letter.to_string() };
    name.chars().map(show).collect()
}

/// Fields may be added to version 1, and none is taken away or changed.
fn document(listing: &Listing) -> Value {
    let queues: Vec<_> = listing.queues.iter().map(queue).collect();
    let nameless = listing.nameless.iter().map(|queue| {
        json!({ "name": queue.name, "uid": queue.uid, "mode": format!("{:04o}", queue.mode), "open_in": queue.open_in })
    });
    json!({
        "version": 1,
        "queues": queues,
        "nameless": nameless.collect::<Vec<_>>(),
        "complete": !listing.unseen.is_anything(),
        "unseen": listing.unseen.to_string(),
    })
}

fn queue(listed: &Listed) -> Value {
    let mut fields = json!({
        "name": listed.name.as_str(),
        "uid": listed.uid,
        "mode": format!("{:04o}", listed.mode),
        "open_in": listed.open_in,
        "readable": listed.report.is_some(),
    });
    if let Some(report) = &listed.report {
        let state = if report.is_lamq() { report.ownership.word() } else { "foreign" };
        fields["lamq"] = report.is_lamq().into();
        fields["owner"] = json!({ "state": state, "pid": report.ownership.pid().filter(|_| report.is_lamq()) });
        fields["waiting"] = report.waiting.into();
        fields["slots"] = report.geometry.slots.into();
        fields["frame_size"] = report.geometry.frame_size.into();
        fields["bytes"] = report.bytes().into();
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a_name_moves_no_cursor() {
        assert_eq!(shown("/a\u{1b}[2J\nü"), "/a\\u{1b}[2J\\nü");
    }
}

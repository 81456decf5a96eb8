//! The report as a page: one HTML file that needs nothing else.

use super::{bars::Verdict, plot, report::Report, table};
use std::fmt::Write;

const STYLE: &str = "\
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h2 { margin-top: 2.5rem; font-size: 1.1rem }
table { border-collapse: collapse; font-size: 13px; margin: 1rem 0 }
th, td { border-bottom: 1px solid #ddd; padding: .25rem .6rem; text-align: left; white-space: nowrap }
.met { color: #06690f } .not { color: #a3160b } .unknown { color: #777 }
svg { display: block; max-width: 100%; height: auto }
svg text { font: 12px system-ui, sans-serif; fill: #222 }";

pub(super) fn render(report: &Report) -> String {
    let mut page = String::new();
    // Writing to a string cannot fail.
    _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<title>lamq bench</title>\n<style>\n{STYLE}\n\
         </style>\n</head>\n<body>\n<h1>lamq bench</h1>\n"
    );
    for line in report.facts().iter().chain(&report.skipped) {
        _ = writeln!(page, "<p>{}</p>", escape(line));
    }
    if !report.bars.is_empty() {
        let (titles, rows) = table::bar_cells(&report.bars);
        let classes: Vec<_> = report.bars.iter().map(|judged| class(judged.verdict)).collect();
        _ = writeln!(page, "<h2>What is to be reached</h2>\n{}", rows_of(&titles, &rows, &classes));
    }
    for compared in &report.results {
        let (titles, rows) = table::cells(compared);
        _ = writeln!(page, "<h2>{}</h2>", escape(&table::heading(compared)));
        for plot in [plot::ratios(compared), plot::tails(compared)].into_iter().flatten() {
            _ = writeln!(page, "{plot}");
        }
        _ = writeln!(page, "{}", rows_of(&titles, &rows, &[]));
    }
    page + "</body>\n</html>\n"
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met => "met",
        Verdict::NotMet => "not",
        Verdict::TooNoisy | Verdict::TooFewRounds => "unknown",
    }
}

fn rows_of(titles: &[&str], rows: &[Vec<String>], classes: &[&str]) -> String {
    let line = |kind: &str, cells: Vec<&str>| {
        let cells = cells.iter().map(|cell| format!("<{kind}>{}</{kind}>", escape(cell)));
        cells.collect::<String>()
    };
    let mut text = format!("<table>\n<tr>{}</tr>\n", line("th", titles.to_vec()));
    for (index, row) in rows.iter().enumerate() {
        let class = classes.get(index).map(|class| format!(" class=\"{class}\"")).unwrap_or_default();
        _ = writeln!(text, "<tr{class}>{}</tr>", line("td", row.iter().map(String::as_str).collect()));
    }
    text + "</table>"
}

/// So that it is text, wherever in the page it stands.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[test]
fn text_is_no_markup() {
    assert_eq!(escape("a < b & \"c\" > 'd'"), "a &lt; b &amp; &quot;c&quot; &gt; &#39;d&#39;");
}

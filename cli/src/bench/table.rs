//! The report for people.

use super::{
    bars::Judged,
    plan::Measure,
    report::Report,
    results::Compared,
    statistics::{Spread, digits},
};
use crate::failure::counted;
use comfy_table::{Cell, CellAlignment, Table, presets};
use std::fmt::Write;

pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    for line in report.facts() {
        _ = writeln!(text, "{line}");
    }
    for compared in &report.results {
        _ = writeln!(text, "\n{}\n{}", heading(compared), rows(compared));
    }
    for line in &report.skipped {
        _ = writeln!(text, "\n{line}");
    }
    if !report.bars.is_empty() {
        _ = write!(text, "\n{}", bars(&report.bars));
    }
    text.truncate(text.trim_end().len());
    text
}

pub(super) fn heading(compared: &Compared) -> String {
    let comparison = &compared.comparison;
    let rounds = counted(compared.samples[0].len() as u64, "round");
    format!("{}, {} (median of {rounds})", comparison.name, comparison.measure.unit())
}

/// The columns, and the cells of each entry.
pub(super) fn cells(compared: &Compared) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let has_latency = (0..compared.samples.len()).any(|entry| compared.latency(entry).is_some());
    let has_load = compared.comparison.measure != Measure::Wakes; // two messages say nothing
    let mut titles =
        vec!["contestant", "median", "min .. max", "× raw", "middle half", "min .. max", "CPU s/million", "peak MiB"];
    if has_latency {
        titles.extend(["p50 µs", "p99", "p99.9", "max"]);
    }
    let row = |entry: usize| {
        let figure = compared.figure(entry);
        let ratio = compared.ratio(entry, 0);
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let peaks = [0, 1].map(|side| digits(compared.spread(entry, |sample| sample.peak_mib[side]).max));
        let mut row = vec![
            compared.comparison.entries[entry].label.clone(),
            digits(figure.median),
            extremes(figure),
            or_none(ratio.map(|ratio| digits(ratio.median))),
            or_none(ratio.map(|ratio| format!("{} .. {}", digits(ratio.lower), digits(ratio.upper)))),
            or_none(ratio.map(extremes)),
            or_none(has_load.then(|| digits(compared.spread(entry, |sample| sample.cpu_seconds_per_million).median))),
            peaks.join(", "),
        ];
        if let Some(latency) = compared.latency(entry) {
            row.extend([latency.p50, latency.p99, latency.p999, latency.max].map(digits));
        }
        row
    };
    (titles, (0..compared.samples.len()).map(row).collect())
}

fn extremes(spread: Spread) -> String {
    format!("{} .. {}", digits(spread.min), digits(spread.max))
}

fn rows(compared: &Compared) -> Table {
    let (titles, rows) = cells(compared);
    table(&titles, rows)
}

/// The columns, and the cells of each bar.
pub(super) fn bar_cells(bars: &[Judged]) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let row = |judged: &Judged| {
        vec![
            judged.comparison.to_owned(),
            judged.contestant.to_owned(),
            judged.bar.clone(),
            digits(judged.figure.median),
            format!("{} .. {}", digits(judged.figure.lower), digits(judged.figure.upper)),
            extremes(judged.figure),
            format!("{:.0} %", judged.noise * 100.0),
            judged.verdict.to_string(),
        ]
    };
    let titles = vec!["bar", "contestant", "is to be", "is", "middle half", "min .. max", "noise", "verdict"];
    (titles, bars.iter().map(row).collect())
}

fn bars(bars: &[Judged]) -> Table {
    let (titles, rows) = bar_cells(bars);
    table(&titles, rows)
}

fn table(titles: &[&str], rows: Vec<Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(titles);
    for row in rows {
        table.add_row(row.into_iter().enumerate().map(|(column, text)| {
            // Words on the left, figures on the right.
            let is_word = column == 0 || text.chars().any(char::is_alphabetic);
            Cell::new(text).set_alignment(if is_word { CellAlignment::Left } else { CellAlignment::Right })
        }));
    }
    table
}

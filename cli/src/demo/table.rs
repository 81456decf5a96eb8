//! The report for people.

use super::report::{Report, SenderReport};
use comfy_table::{Cell, CellAlignment, Table, presets};
use lamq_study::Verdict;
use std::fmt::Write;

const COLUMNS: [&str; 10] = [
    "sender",
    "process",
    "sent",
    "acknowledged",
    "delivered",
    "lost",
    "doubled",
    "out of order",
    "credit stalls",
    "fate",
];

pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    _ = writeln!(text, "{}\n", rows(report));
    for sender in &report.senders {
        _ = writeln!(text, "{}", finding(sender));
        if sender.fate == "disconnected" {
            for what in &sender.noticed {
                _ = writeln!(text, "          {what}.");
            }
        }
    }
    if let Some(sabotage) = report.sabotage {
        _ = writeln!(text, "sabotaged {}", sabotage.what());
    }
    let totals = report.totals();
    let others = report.senders.iter().map(|sender| Verdict::from(sender.counts)).sum::<Verdict>();
    if totals != others {
        _ = writeln!(text, "VIOLATED  Messages arrived that no sender of the demo has sent.");
    }
    _ = writeln!(text, "\n{}", throughput(report));
    _ = write!(text, "\n{}", if report.holds() { "Every promise held." } else { "A promise was broken." });
    text
}

fn rows(report: &Report) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    let numeric = 2..COLUMNS.len() - 1;
    table.set_header(COLUMNS.iter().enumerate().map(|(index, title)| {
        let side = if numeric.contains(&index) { CellAlignment::Right } else { CellAlignment::Left };
        Cell::new(title).set_alignment(side)
    }));
    let cells = |first: [String; 2], numbers: [u64; 7], fate: &str| {
        let numbers = numbers.map(|number| Cell::new(thousands(number)).set_alignment(CellAlignment::Right));
        first.map(Cell::new).into_iter().chain(numbers).chain([Cell::new(fate)]).collect::<Vec<_>>()
    };
    for sender in &report.senders {
        let SenderReport { counts, .. } = sender;
        let numbers = [
            sender.sent,
            sender.acknowledged,
            counts.delivered,
            counts.lost,
            counts.doubled,
            counts.misordered,
            sender.stalls,
        ];
        let fate = match sender.fate {
            "killed" => "killed by SIGKILL",
            "disconnected" => "session ended",
            fate => fate,
        };
        table.add_row(cells([sender.sender.to_string(), sender.pid.to_string()], numbers, fate));
    }
    let sum = |of: fn(&SenderReport) -> u64| report.senders.iter().map(of).sum();
    let numbers = [
        sum(|sender| sender.sent),
        sum(|sender| sender.acknowledged),
        report.totals.delivered,
        report.totals.lost,
        report.totals.doubled,
        report.totals.misordered,
        sum(|sender| sender.stalls),
    ];
    table.add_row(cells(["all".into(), String::new()], numbers, ""));
    table
}

/// What was promised of one sender, and what came of it.
fn finding(sender: &SenderReport) -> String {
    let SenderReport { sender: number, counts, quota, .. } = sender;
    let (word, delivered) = (word(Verdict::from(*counts).holds()), thousands(counts.delivered));
    let acknowledged = thousands(sender.acknowledged);
    let faults = faults(sender);
    if sender.fate == "killed" {
        let promise =
            format!("Of sender {number}, killed in the middle, a prefix with all it saw acknowledged arrives");
        format!("{word}  {promise}: {delivered} arrived, {acknowledged} of them acknowledged{faults}.")
    } else {
        let promise = format!("Every message of sender {number} arrives once and in order");
        format!("{word}  {promise}: {delivered} of {}{faults}.", thousands(*quota))
    }
}

fn word(holds: bool) -> &'static str {
    if holds { "held    " } else { "VIOLATED" }
}

fn faults(sender: &SenderReport) -> String {
    let counts = sender.counts;
    let unsent = if sender.fate == "disconnected" { sender.quota - sender.sent } else { 0 };
    let mut text = String::new();
    for (count, what) in [
        (counts.lost, "lost"),
        (unsent, "of these could no longer be sent"),
        (counts.acknowledged_lost, "of the lost had been acknowledged"),
        (counts.doubled, "doubled"),
        (counts.misordered, "out of order"),
        (counts.corrupt, "corrupt"),
        (counts.invented, "never sent"),
    ] {
        if count > 0 {
            _ = write!(text, "; {} {what}", thousands(count));
        }
    }
    text
}

fn throughput(report: &Report) -> String {
    let Report { ratio, message_bytes, .. } = report;
    let [lamq, raw] = [report.throughput, report.raw_throughput].map(thousands);
    let messages = thousands(report.raw_messages);
    let width = lamq.len().max(raw.len());
    format!(
        "Messages of {message_bytes} bytes a second, by the receiver's clock from the first message to the end:\n  \
         lamq                   {lamq:>width$}\n  \
         mq_send, mq_receive    {raw:>width$}   ({messages} messages, one a call, a queue with the same attributes)\n  \
         ratio                  {ratio:.1}"
    )
}

/// 1,000,000 for a million.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn a_comma_stands_before_every_third_digit() {
        let texts = [0, 999, 1000, 123_456, 1_000_000].map(thousands);
        assert_eq!(texts, ["0", "999", "1,000", "123,456", "1,000,000"]);
    }
}

//! What was counted, for people.

use crate::expected::Expected;
use comfy_table::{Cell, CellAlignment, Table, presets};

pub(crate) fn of(expected: &Expected, counts: &[(&str, f64)]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["instructions of", "expected", "counted", "verdict"]);
    let number = |number: f64| Cell::new(format!("{number:.1}")).set_alignment(CellAlignment::Right);
    for (name, counted) in counts {
        let before = expected.instructions.get(*name).map_or_else(|| Cell::new(""), |before| number(*before));
        let verdict = expected.judge(name, *counted);
        table.add_row([Cell::new(name), before, number(*counted), Cell::new(verdict)]);
    }
    table
}

//! Pictures for the page.

use super::{page::escape, results::Compared, statistics::digits};
use std::fmt::Write;

/// Of lines and bars; the first is the raw queue's.
const COLOURS: [&str; 7] = ["#888", "#1763a6", "#b5541c", "#3c8031", "#7a3e9d", "#a8890a", "#0e8a8a"];

const WIDTH: f64 = 760.0;
/// For words on the left, and for figures on the right.
const LEFT: f64 = 170.0;
const RIGHT: f64 = 90.0;
const BAR: f64 = 18.0;
const GAP: f64 = 8.0;
/// Of a plot of lines.
const HEIGHT: f64 = 260.0;
const MARGIN: f64 = 40.0;

fn colour(index: usize) -> &'static str {
    COLOURS[index % COLOURS.len()]
}

/// How often as much as the raw queue: the median as a bar, the middle half as a thick line, all rounds as a thin one. `None` if there is
/// nothing to compare with.
pub(super) fn ratios(compared: &Compared) -> Option<String> {
    let ratios = (0..compared.samples.len()).map(|entry| compared.ratio(entry, 0)).collect::<Option<Vec<_>>>()?;
    let most = ratios.iter().map(|ratio| ratio.max).fold(1.0, f64::max);
    let x = |ratio: f64| LEFT + ratio / most * (WIDTH - LEFT - RIGHT);
    let mut y = GAP;
    let mut parts = String::new();
    for (index, (entry, ratio)) in compared.comparison.entries.iter().zip(&ratios).enumerate() {
        let (middle, low, colour) = (y + BAR / 2.0, y + BAR * 0.72, colour(index));
        // Writing to a string cannot fail.
        _ = writeln!(parts, "{}", label(LEFT - 8.0, low, "end", &entry.label));
        let width = x(ratio.median) - LEFT;
        _ = writeln!(
            parts,
            "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{colour}\" opacity=\"0.55\"/>"
        );
        _ = writeln!(parts, "{}", line([(x(ratio.min), middle), (x(ratio.max), middle)], "#222", 1.0));
        _ = writeln!(parts, "{}", line([(x(ratio.lower), middle), (x(ratio.upper), middle)], "#222", 4.0));
        _ = writeln!(parts, "{}", label(x(ratio.max) + 8.0, low, "start", &format!("× {}", digits(ratio.median))));
        y += BAR + GAP;
    }
    _ = writeln!(parts, "{}", line([(x(1.0), 0.0), (x(1.0), y)], "#888", 1.0));
    Some(picture(y, &parts))
}

/// How long the slowest of so many take. `None` where no latencies were measured.
pub(super) fn tails(compared: &Compared) -> Option<String> {
    let tails: Vec<_> = (0..compared.samples.len()).map(|entry| compared.tail(entry)).collect();
    let points = || tails.iter().flatten();
    let rarest = points().map(|(one_in, _)| *one_in).fold(10.0, f64::max).log10().ceil();
    let least = points().map(|(_, micros)| micros.max(0.01)).fold(f64::MAX, f64::min).log10().floor();
    let most = points().map(|(_, micros)| micros.max(0.01)).fold(f64::MIN, f64::max).log10().ceil().max(least + 1.0);
    points().next()?;
    let x = |one_in: f64| LEFT + one_in.log10() / rarest * (WIDTH - LEFT - RIGHT);
    let bottom = HEIGHT - MARGIN;
    let y = |micros: f64| bottom - (micros.max(0.01).log10() - least) / (most - least) * (bottom - GAP * 2.0);
    let mut parts = String::new();
    for (power, name) in decades(0.0, rarest).zip(["p0", "p90", "p99", "p99.9", "p99.99", "p99.999", "p99.9999"]) {
        let at = x(10_f64.powf(power));
        _ = writeln!(parts, "{}", line([(at, GAP), (at, bottom)], "#ddd", 1.0));
        _ = writeln!(parts, "{}", label(at, bottom + 16.0, "middle", name));
    }
    for power in decades(least, most) {
        let at = y(10_f64.powf(power));
        _ = writeln!(parts, "{}", line([(LEFT, at), (WIDTH - RIGHT, at)], "#ddd", 1.0));
        _ = writeln!(parts, "{}", label(LEFT - 8.0, at + 4.0, "end", &format!("{} µs", digits(10_f64.powf(power)))));
    }
    for (index, (entry, tail)) in
        compared.comparison.entries.iter().zip(&tails).enumerate().filter(|(_, (_, tail))| !tail.is_empty())
    {
        let colour = colour(index);
        _ = writeln!(parts, "{}", line(tail.iter().map(|(one_in, micros)| (x(*one_in), y(*micros))), colour, 2.0));
        let (row, words) = (GAP * 2.0 + 18.0 * f64::from(u32::try_from(index).unwrap_or(0)), LEFT + 34.0);
        _ = writeln!(parts, "{}", line([(LEFT + 10.0, row), (LEFT + 28.0, row)], colour, 3.0));
        _ = writeln!(parts, "{}", label(words, row + 4.0, "start", &entry.label));
    }
    Some(picture(HEIGHT, &parts))
}

fn decades(from: f64, to: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(from), |power| Some(power + 1.0)).take_while(move |power| *power <= to)
}

fn picture(height: f64, parts: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\">\n{parts}</svg>"
    )
}

fn label(x: f64, y: f64, anchor: &str, text: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escape(text))
}

fn line(points: impl IntoIterator<Item = (f64, f64)>, colour: &str, width: f64) -> String {
    let points: Vec<_> = points.into_iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    format!("<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>", points.join(" "))
}

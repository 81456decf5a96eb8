//! What many rounds say together.

use serde::Serialize;

/// Of one figure over all rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) min: f64,
    /// A quarter of the rounds is below.
    pub(super) lower: f64,
    pub(super) median: f64,
    /// A quarter of the rounds is above.
    pub(super) upper: f64,
    pub(super) max: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let [lower, median, upper] = [1, 2, 3].map(|quarters| quarter(&values, quarters));
        Some(Self { min, lower, median, upper, max })
    }

    /// The width of the middle half, measured by the median.
    pub(super) fn relative(self) -> f64 {
        if self.median > 0.0 { (self.upper - self.lower) / self.median } else { 0.0 }
    }
}

/// Between two values where it falls between them.
#[allow(clippy::cast_precision_loss)] // a part of one
fn quarter(sorted: &[f64], quarters: usize) -> f64 {
    let position = (sorted.len() - 1) * quarters;
    let (index, rest) = (position / 4, (position % 4) as f64 / 4.0);
    let next = sorted[(index + 1).min(sorted.len() - 1)];
    sorted[index] + (next - sorted[index]) * rest
}

/// Three digits, or all that stand before the point.
pub(super) fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 => 0,
        size if size < 0.001 => 6,
        size if size < 0.1 => 4,
        size if size < 1.0 => 3,
        size if size < 10.0 => 2,
        size if size < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // all of them are exact
mod tests {
    use super::*;

    #[test]
    fn quarters_fall_between_values() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!(spread, Spread { min: 1.0, lower: 1.75, median: 2.5, upper: 3.25, max: 4.0 });
        assert_eq!(spread.relative(), 0.6);
        assert_eq!(Spread::of([]), None);
        let one = Spread::of([7.0]).unwrap();
        assert_eq!((one.min, one.median, one.max, one.relative()), (7.0, 7.0, 7.0, 0.0));
        assert_eq!(Spread::of([0.0, 0.0]).unwrap().relative(), 0.0);
    }

    #[test]
    fn three_digits_are_shown() {
        assert_eq!(
            [0.0, 0.0567, 0.567, 5.678, 56.78, 5678.9].map(digits),
            ["0", "0.0567", "0.567", "5.68", "56.8", "5679"]
        );
    }
}

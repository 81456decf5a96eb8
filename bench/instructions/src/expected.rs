//! What is expected, and whether a count agrees.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, env, error::Error, fmt, fs, process::Command};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/expected.json");

/// The margin when nothing was recorded before.
const MARGIN_PERCENT: f64 = 5.0;

#[derive(Serialize, Deserialize)]
pub(crate) struct Expected {
    /// What `rustc -V` says of itself.
    pub(crate) compiler: String,
    pub(crate) margin_percent: f64,
    /// Instructions by path.
    pub(crate) instructions: BTreeMap<String, f64>,
}

/// What is to be said of a count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    Fits,
    /// By so many percent.
    More(f64),
    Fewer(f64),
    /// Nothing is expected of this path.
    New,
}

impl Expected {
    pub(crate) fn read() -> Result<Self, Box<dyn Error>> {
        let text = fs::read_to_string(FILE).map_err(|error| format!("{FILE}: {error}"))?;
        Ok(serde_json::from_str(&text).map_err(|error| format!("{FILE}: {error}"))?)
    }

    /// Writes down what was counted; the margin stays what it was.
    pub(crate) fn record(compiler: &str, counts: &[(&str, f64)]) -> Result<(), Box<dyn Error>> {
        let margin_percent = Self::read().map_or(MARGIN_PERCENT, |before| before.margin_percent);
        let rounded = |count: f64| (count * 10.0).round() / 10.0;
        let instructions = counts.iter().map(|(name, count)| ((*name).to_owned(), rounded(*count))).collect();
        let text = serde_json::to_string_pretty(&Self { compiler: compiler.to_owned(), margin_percent, instructions })?;
        Ok(fs::write(FILE, text + "\n").map_err(|error| format!("{FILE}: {error}"))?)
    }

    pub(crate) fn judge(&self, path: &str, counted: f64) -> Verdict {
        let Some(expected) = self.instructions.get(path) else { return Verdict::New };
        let percent = (counted / expected - 1.0) * 100.0;
        if percent > self.margin_percent {
            Verdict::More(percent)
        } else if percent < -self.margin_percent {
            Verdict::Fewer(-percent)
        } else {
            Verdict::Fits
        }
    }
}

impl Verdict {
    pub(crate) const fn is_failure(self) -> bool {
        matches!(self, Self::More(_) | Self::New)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fits => write!(f, "as expected"),
            Self::More(percent) => write!(f, "TOO MANY: {percent:.1} % more"),
            Self::Fewer(percent) => write!(f, "{percent:.1} % fewer: expect less, by --record"),
            Self::New => write!(f, "NOT RECORDED"),
        }
    }
}

/// The compiler that cargo uses.
pub(crate) fn compiler() -> Result<String, Box<dyn Error>> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-V").output().map_err(|error| format!("rustc cannot be asked: {error}"))?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_beyond_the_margin_is_found() {
        let instructions = BTreeMap::from([("send".to_owned(), 800.0)]);
        let expected = Expected { compiler: String::new(), margin_percent: 5.0, instructions };
        let verdict = |counted| expected.judge("send", counted);
        assert_eq!([760.1, 800.0, 839.9].map(verdict), [Verdict::Fits; 3]);
        assert!(matches!(verdict(841.0), Verdict::More(_)) && verdict(841.0).is_failure());
        assert!(matches!(verdict(759.0), Verdict::Fewer(_)) && !verdict(759.0).is_failure());
        assert!(expected.judge("recv", 1.0).is_failure(), "who adds a path records it");
    }

    #[test]
    fn every_path_has_an_expectation_and_no_other() {
        let expected = Expected::read().expect("it is in the repository");
        let mut paths: Vec<_> = crate::PATHS.iter().map(|path| path.name).collect();
        paths.sort_unstable();
        assert_eq!(expected.instructions.into_keys().collect::<Vec<_>>(), paths);
    }
}

//! Bars on a terminal while the demo runs.

use super::talk::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// One bar a sender; gone when it goes.
pub(super) struct Bars {
    bars: Vec<ProgressBar>,
    all: MultiProgress,
}

/// Redrawings a second.
const RATE: u8 = 10;

impl Bars {
    /// Shown on standard error if that is a terminal.
    pub(super) fn new(shown: bool, label: &str, quotas: &[u64]) -> Self {
        let target = if shown { ProgressDrawTarget::stderr_with_hz(RATE) } else { ProgressDrawTarget::hidden() };
        let all = MultiProgress::with_draw_target(target);
        let style = ProgressStyle::with_template("{prefix} [{bar:40}] {human_pos} of {human_len} {msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ");
        let bars = (1..).zip(quotas).map(|(sender, &quota)| {
            let bar = all.add(ProgressBar::new(quota));
            bar.set_style(style.clone());
            bar.set_prefix(format!("{label}, sender {sender}"));
            bar
        });
        let bars = bars.collect();
        Self { bars, all }
    }

    /// Where a sender is: what it knows to be delivered, or what it sent where nobody acknowledges.
    pub(super) fn show(&self, sender: usize, progress: Progress) {
        let position = if progress.acknowledged > 0 { progress.acknowledged } else { progress.sent };
        self.bars[sender].set_position(position);
    }

    /// A sender was killed.
    pub(super) fn end(&self, sender: usize) {
        self.bars[sender].abandon_with_message("killed");
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // What is to be kept is printed afterwards.
        _ = self.all.clear();
    }
}

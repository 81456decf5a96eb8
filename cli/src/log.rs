//! What happens underway, on standard error.

use std::io::{self, IsTerminal};
use tracing_subscriber::filter::LevelFilter;

/// Warnings at least, more with each `-v`.
pub(crate) fn level(verbose: u8) -> LevelFilter {
    match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

/// Coloured on a terminal, unless the user says no (<https://no-color.org>).
pub(crate) fn start(level: LevelFilter) {
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).with_ansi(colours).without_time().init();
}

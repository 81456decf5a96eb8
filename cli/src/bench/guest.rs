//! Contestants that other crates bring along: how they are named, set up, and made to do the same work as all others.

pub use super::media::{Ends, Inlet, Letter, Outcome, Outlet, Sheet, Site, Way};
use super::{member, talk::Duty};
use std::fmt;

/// Where a guest takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// In all that goes one way, however long the messages are.
    OneWay,
    /// In round trips that look all the time, on two cores: [`Site::spin`] is long.
    Spinning,
    /// In round trips that sleep, on two cores: [`Site::spin`] is zero.
    Sleeping,
    /// In round trips on one core: [`Site::spin`] is `None`.
    OneCore,
}

/// A contestant from outside this crate.
pub struct Guest {
    pub(super) name: &'static str,
    pub(super) settings: fn() -> String,
    pub(super) parts: &'static [Part],
    pub(super) bar: Option<f64>,
    pub(super) is_one_process: bool,
    pub(super) clear: fn(&str),
    pub(super) act: fn(&Duty, &Site) -> Outcome,
}

impl Guest {
    /// One with the ends `E`. The report names it and says by `settings` how it is set up.
    pub const fn new<E: Ends>(name: &'static str, settings: fn() -> String, parts: &'static [Part]) -> Self {
        let act = member::act::<E>;
        Self { name, settings, parts, bar: None, is_one_process: false, clear: |_| {}, act }
    }

    /// Of messages of 64 bytes, lamq is to carry so many times as many a second.
    #[must_use]
    pub const fn bar(self, times: f64) -> Self {
        Self { bar: Some(times), ..self }
    }

    /// Sender and receiver are threads of one process.
    #[must_use]
    pub const fn in_one_process(self) -> Self {
        Self { is_one_process: true, ..self }
    }

    /// What is to be done for each [way](Site::way) when a run is over, or a signal ends it: `clear` removes what is left
    /// there, if anything is.
    #[must_use]
    pub const fn clearing(self, clear: fn(&str)) -> Self {
        Self { clear, ..self }
    }

    pub(super) fn takes_part_in(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("name", &self.name).finish_non_exhaustive()
    }
}

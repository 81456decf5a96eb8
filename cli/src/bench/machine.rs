//! Where it was measured.

use crate::failure::Failure;
use nix::{
    sched::{CpuSet, sched_getaffinity},
    unistd::Pid,
};
use serde::Serialize;
use std::fs;

/// The machine and this program, as far as they matter to the figures.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    pub(super) kernel: String,
    pub(super) cpu: String,
    /// That this process may use.
    pub(super) cores: usize,
    /// Who sets the clock of the processor, if that can be read.
    pub(super) governor: Option<String>,
    /// Of lamq.
    pub(super) version: &'static str,
    /// `"release"`, or `"debug"`, which measures nothing of interest.
    pub(super) build: &'static str,
}

/// The cores to measure on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) first: usize,
    pub(super) second: Option<usize>,
}

impl Pair {
    /// The second one, where it is known to be there.
    pub(super) fn other(self) -> usize {
        self.second.unwrap_or(self.first)
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

impl Machine {
    pub(super) fn look(cores: &[usize]) -> Self {
        let model = |line: &str| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim().to_owned());
        let cpus = read("/proc/cpuinfo").unwrap_or_default();
        Self {
            kernel: read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".into()),
            cpu: cpus.lines().find_map(model).unwrap_or_else(|| std::env::consts::ARCH.into()),
            cores: cores.len(),
            governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            version: env!("CARGO_PKG_VERSION"),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
        }
    }
}

/// The cores that this process may use.
pub(super) fn cores() -> Result<Vec<usize>, Failure> {
    let allowed = sched_getaffinity(Pid::from_raw(0))
        .map_err(|error| Failure::general(format!("cannot tell which cores this process may use: {error}")))?;
    Ok((0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false)).collect())
}

/// Two that are not halves of one, if there are such.
pub(super) fn pair(cores: &[usize]) -> Pair {
    let first = cores.first().copied().unwrap_or(0);
    let topology = format!("/sys/devices/system/cpu/cpu{first}/topology/thread_siblings_list");
    let siblings = read(&topology).map(|list| numbers(&list)).unwrap_or_default();
    let others = || cores.iter().copied().filter(|core| *core != first);
    Pair { first, second: others().find(|core| !siblings.contains(core)).or_else(|| others().next()) }
}

/// Of a list such as `0-2,7`.
fn numbers(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.trim().parse().ok()?..=to.trim().parse().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_cores_is_read() {
        assert_eq!(numbers("0-2,7"), [0, 1, 2, 7]);
        assert_eq!(numbers("3\n"), [3]);
        assert_eq!(numbers(""), Vec::<usize>::new());
    }

    #[test]
    fn one_core_makes_no_pair() {
        assert_eq!(pair(&[5]), Pair { first: 5, second: None });
        assert!(pair(&cores().unwrap()).first < CpuSet::count());
    }
}

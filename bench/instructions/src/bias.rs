//! Locks without a bias: when a thread gets one, and loses it to the keeper, is a question of time, and so would be what is counted.

use nix::libc;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::{env::consts::ARCH, error::Error};

/// Refuses the barrier that a bias needs (`membarrier(2)`) to this process and those that it starts, as a kernel does that does not have it. They have
/// to be started: valgrind does not know the call that sets such a filter.
pub(crate) fn rule_out() -> Result<(), Box<dyn Error>> {
    let missing = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let barriers = [(libc::SYS_membarrier, Vec::new())].into();
    let filter = SeccompFilter::new(barriers, SeccompAction::Allow, missing, ARCH.try_into()?)?;
    seccompiler::apply_filter(&BpfProgram::try_from(filter)?)
        .map_err(|error| format!("membarrier(2) cannot be ruled out, and counts would depend on time: {error}"))?;
    Ok(())
}

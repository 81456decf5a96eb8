//! What only the kernel can show: real queues seen from outside, hostile frames, processes that stop, die and run into limits.
//!
//! The other processes of a test are this binary again, in one of the [`process::ROLES`].

mod conformance;
mod crowd;
mod deaths;
mod flood;
mod forked;
mod hostile;
mod jam;
mod kills;
mod large;
mod limits;
mod names;
mod odd_deaths;
mod owner;
mod ping;
mod process;
mod quiet;
mod removed;
// Another architecture has other registers.
#[cfg(target_arch = "x86_64")]
mod refusals;
mod resting;
mod select;
mod stampede;
mod stops;
mod storm;
mod surroundings;
mod sweep;
mod tap;
mod trace;
mod trust;
mod typed;
mod wire;
mod world;

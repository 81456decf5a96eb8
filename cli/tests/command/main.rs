//! The command as users and scripts meet it: exit codes, output, transfer, signals, the demo, the simulation, the bench.

mod bench;
mod cleaning;
mod common;
mod demo;
mod docs;
mod exit_codes;
mod json;
mod limits;
mod manual;
mod ping;
mod policies;
mod resuming;
mod signals;
mod simulate;
mod tools;
mod transfer;

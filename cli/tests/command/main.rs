//! The command as users and scripts meet it: exit codes, output, transfer, signals, the demo.

mod common;
mod demo;
mod exit_codes;
mod signals;
mod transfer;

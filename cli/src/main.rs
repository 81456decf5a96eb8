//! The command `lamq`.
#![deny(unsafe_code)] // but for one file

use std::process::ExitCode;

fn main() -> ExitCode {
    lamq_cli::run(&[])
}

//! The command `lamq`: ordered, acknowledged messages between processes, from the shell.
//!
//! It is a library so that the crate in `bench/` can run the same bench with other libraries as [guests](guest). What
//! it offers to Rust may change with every version.
#![deny(unsafe_code)] // but for one file

mod bench;
mod clock;
mod crew;
mod demo;
mod doctor;
mod failure;
mod inbox;
mod limit;
mod log;
mod ls;
mod manual;
mod ping;
mod queue;
mod recv;
mod rm;
mod send;
mod signals;
mod simulate;

pub use bench::guest;

use clap::{ArgAction, CommandFactory, Parser, Subcommand};
use guest::Guest;
use std::process::ExitCode;

/// Ordered, acknowledged, flow-controlled messages between processes, on POSIX message queues.
#[derive(Parser)]
#[command(name = "lamq", version, after_help = failure::EXIT_CODES)]
struct Cli {
    /// Say more on standard error: -v what happens, -vv details, -vvv everything.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Send(send::SendArgs),
    Recv(recv::RecvArgs),
    Ping(ping::PingArgs),
    Ls(ls::LsArgs),
    Rm(rm::RmArgs),
    Doctor(doctor::DoctorArgs),
    Demo(demo::DemoArgs),
    Simulate(simulate::SimulateArgs),
    Bench(bench::BenchArgs),
    Completions(manual::CompletionsArgs),
    Man(manual::ManArgs),
    /// A process of the demo; only the demo itself starts one.
    #[command(hide = true)]
    DemoMember(demo::MemberArgs),
    /// A process of the bench; only the bench itself starts one.
    #[command(hide = true)]
    BenchMember(bench::MemberArgs),
}

/// Does what the arguments of this process say; its bench has these guests. What went wrong is said on standard error,
/// and by the exit code.
pub fn run(guests: &'static [Guest]) -> ExitCode {
    let cli = Cli::parse();
    if !matches!(cli.command, Command::DemoMember(_) | Command::BenchMember(_)) {
        log::start(log::level(cli.verbose));
    }
    let result = match &cli.command {
        Command::Send(arguments) => send::run(arguments),
        Command::Recv(arguments) => recv::run(arguments),
        Command::Ping(arguments) => ping::run(arguments),
        Command::Ls(arguments) => ls::run(arguments),
        Command::Rm(arguments) => rm::run(arguments),
        Command::Doctor(arguments) => doctor::run(arguments),
        Command::Simulate(arguments) => simulate::run(arguments),
        Command::Completions(arguments) => manual::complete(&Cli::command(), arguments),
        Command::Man(arguments) => manual::describe(Cli::command(), arguments),
        Command::Demo(arguments) => demo::run(arguments, cli.verbose),
        Command::Bench(arguments) => bench::run(arguments, guests, cli.verbose),
        Command::BenchMember(arguments) => return bench::run_member(arguments, guests, cli.verbose),
        Command::DemoMember(arguments) => return demo::run_member(arguments, cli.verbose),
    };
    result.map_or_else(|failure| failure.report(), |()| ExitCode::SUCCESS)
}

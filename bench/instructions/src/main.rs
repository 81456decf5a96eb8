//! Counts the instructions of the hot paths by callgrind, which is the same on a busy machine, and compares them with what stands in
//! `expected.json` beside this package.
//!
//! For each path this program starts itself anew under valgrind. Counts depend on the compiler: those of another one are shown, and not
//! judged.
#![forbid(unsafe_code)]

mod bias;
mod callgrind;
mod channel;
mod endpoint;
mod expected;
mod frames;
mod table;

use clap::Parser;
use expected::Expected;
use std::{error::Error, process::ExitCode};

/// Count the instructions that the hot paths of lamq take, and compare them with what is expected.
///
/// Needs valgrind. Exits with 1 if a path takes more than the margin allows.
#[derive(Parser)]
struct Arguments {
    /// Write what was counted down as what is to be expected.
    #[arg(long)]
    record: bool,
    /// Run one path, to be counted; only this program itself does so.
    #[arg(long, hide = true)]
    run: Option<String>,
}

/// A path whose instructions are counted.
struct Path {
    name: &'static str,
    /// Runs it many times within [`counted_part`]. Returns how many messages, or frames, it was.
    run: fn() -> u64,
}

/// For messages of 64 bytes, as many as fit in a frame of the default size; each count is for one of them where nothing else is said.
const PATHS: &[Path] = &[
    Path { name: "encode", run: frames::encode },
    Path { name: "decode", run: frames::decode },
    Path { name: "handle_frame, data", run: endpoint::handle_data },
    Path { name: "handle_frame, an acknowledgement", run: endpoint::handle_acknowledgement },
    Path { name: "send", run: channel::send },
    Path { name: "recv", run: channel::recv },
    Path { name: "recv_many", run: channel::recv_many },
    Path { name: "round trip", run: channel::round_trip },
];

/// What callgrind counts: it knows this function by its name, and must find no other one inside that has it too.
#[inline(never)]
fn counted_part<R>(work: impl FnOnce() -> R) -> R {
    std::hint::black_box(work())
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::parse();
    if let Some(name) = arguments.run {
        let path = PATHS.iter().find(|path| path.name == name).ok_or("there is no such path")?;
        println!("{}", (path.run)());
        return Ok(ExitCode::SUCCESS);
    }
    let compiler = expected::compiler()?;
    bias::rule_out()?;
    let mut counts = Vec::new();
    for path in PATHS {
        counts.push((path.name, callgrind::count(path.name)?));
    }
    if arguments.record {
        Expected::record(&compiler, &counts)?;
    }
    let expected = Expected::read()?;
    println!("{}", table::of(&expected, &counts));
    if compiler != expected.compiler {
        println!("not judged: this is {compiler}, and they are expected of {}", expected.compiler);
        return Ok(ExitCode::SUCCESS);
    }
    let verdicts = counts.iter().map(|(name, counted)| expected.judge(name, *counted));
    let failures = verdicts.filter(|verdict| verdict.is_failure()).count();
    if failures > 0 {
        println!(
            "{failures} beyond the margin of {} %; if that is meant, run this with --record",
            expected.margin_percent
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

//! `lamq` with guests in its bench: ipc-channel, iceoryx2, ZeroMQ and crossbeam-channel.
//!
//! They do the same work as all contestants, in the same rounds, judged by the same rules; see README.md here. How each
//! of them is set up stands in the report and, with the reason, in the module of that name.
#![forbid(unsafe_code)]

mod crossbeam_channel;
mod iceoryx2;
mod ipc_channel;
mod version;
mod zeromq;

use lamq_cli::guest::{Guest, Part};
use std::process::ExitCode;

const ALL: &[Part] = &[Part::OneWay, Part::Spinning, Part::Sleeping, Part::OneCore];

/// What lamq is to reach: so many times as many messages of 64 bytes.
const TIMES: f64 = 5.0;

static GUESTS: [Guest; 5] = [
    Guest::new::<iceoryx2::Polled>("iceoryx2", iceoryx2::polled, &[Part::OneWay, Part::Spinning])
        .bar(TIMES)
        .clearing(iceoryx2::clear),
    Guest::new::<iceoryx2::Notified>("iceoryx2, events", iceoryx2::notified, &[Part::Sleeping, Part::OneCore])
        .clearing(iceoryx2::clear),
    Guest::new::<zeromq::PushPull>("ZeroMQ", zeromq::settings, &[Part::OneWay, Part::Sleeping, Part::OneCore])
        .bar(TIMES),
    Guest::new::<ipc_channel::Bytes>("ipc-channel", ipc_channel::settings, ALL).clearing(ipc_channel::clear),
    Guest::new::<crossbeam_channel::Bounded>("crossbeam-channel, threads", crossbeam_channel::settings, ALL)
        .in_one_process(),
];

fn main() -> ExitCode {
    lamq_cli::run(&GUESTS)
}

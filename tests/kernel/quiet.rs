//! A pair of processes that has nothing to say makes no system call, and what waits is told at once when the other one is killed.
//!
//! `LAMQ_SWEEP=all` listens for ten seconds, otherwise it is two.

use crate::{
    process::{hear, say},
    sweep::points::is_complete,
    trace::{Stop, Tracer, name_of},
    world::{Name, WATCHDOG},
};
use lamq::{Departure, Disconnected, Ended, Event, Receiver, SendFailure, Sender};
use lamq_proves::proves;
use std::{
    iter,
    time::{Duration, Instant},
};

/// Role: has received one message, and waits for another.
pub(crate) fn receive(name: &str) {
    let receiver = Receiver::builder().slots(2).frame_size(512).bind(name).unwrap();
    assert_eq!(receiver.recv().unwrap().number(), 1);
    say("ready");
    let event = receiver.recv_event(None).unwrap();
    let Event::Departed { departure: Departure::Died, last: 1, .. } = event else { panic!("{event:?}") };
}

/// Role: has sent one message, and does nothing.
pub(crate) fn keep_silent(name: &str) {
    let sender = Sender::builder().wait(WATCHDOG).connect(name).unwrap();
    sender.send("one").unwrap();
    sender.flush().unwrap();
    say("ready");
    hear();
}

/// Role: has what nobody asks for.
pub(crate) fn ignore(name: &str) {
    let _receiver = Receiver::builder().slots(2).frame_size(512).window(1024).bind(name).unwrap();
    say("ready");
    hear();
}

/// Role: has sent until there was no credit any more, and waits for some.
pub(crate) fn insist(name: &str) {
    let sender = Sender::builder().wait(WATCHDOG).connect(name).unwrap();
    while sender.send_timeout([0; 100], Duration::from_millis(200)).is_ok() {}
    say("ready");
    let error = iter::repeat_with(|| sender.send("one more")).find_map(Result::err).unwrap();
    assert_eq!(error.message, "one more");
    assert_eq!(error.failure, SendFailure::Disconnected(Disconnected { why: Ended::PeerDied }));
}

/// The other one of the two lives on, and says in its role what it was told.
fn demand_silence_then_kill(test: &str, roles: [&str; 2], killed: usize) {
    let name = Name::new(test);
    let mut tracer = Tracer::start(&roles.map(|role| (role, name.as_str())));
    let silence = Duration::from_secs(if is_complete() { 10 } else { 2 });
    let start = Instant::now();
    let mut calls = Vec::new();
    while let Some(stop) = tracer.next_until(Instant::now() + silence) {
        if let Stop::Entry { call, .. } = stop {
            calls.push(name_of(call));
        }
        assert!(start.elapsed() < WATCHDOG, "it is never silent: {calls:?}");
    }
    let start = Instant::now();
    tracer.kill(killed);
    let mut processes = tracer.end();
    let took = start.elapsed();
    // So it was not some timer, none of which has run out in the silence.
    assert!(took < silence, "it took {took:?} to notice");
    println!("{test}: no call within {silence:?}, {} before; a death was noticed within {took:?}", calls.len());
    processes.remove(1 - killed).finish();
    if name.exists() {
        name.remove(); // a killed receiver has left it
    }
}

#[proves("DTH-3", "DTH-4")]
#[test]
fn an_idle_pair_makes_no_call_and_a_receiver_is_told_at_once_of_a_death() {
    demand_silence_then_kill("quiet-receiver", ["quiet-receive", "quiet-send"], 1);
}

#[proves("DTH-3", "CAL-2")]
#[test]
fn a_pair_without_credit_makes_no_call_and_a_sender_is_told_at_once_of_a_death() {
    demand_silence_then_kill("quiet-sender", ["quiet-ignore", "quiet-insist"], 0);
}

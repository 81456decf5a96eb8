//! Every interleaving of a small world, with the shipping cores in it.
//!
//! A search takes every [step](steps::Step) that is possible in every state of the [world](world::World) that a
//! [setup](setup::Setup) can reach, and checks the [laws](properties) in each. A law that is broken comes with the shortest
//! way there. A search that came across too little proves nothing: each test names the situations that it must have met.
//!
//! The number of states is pinned. It changes with every change of what the core remembers, or of what can happen here: then
//! see that it moved the way you expect, and pin the new one. A change that was to alter nothing must leave it alone.
#![forbid(unsafe_code)]

mod effects;
mod properties;
mod setup;
mod steps;
mod world;

use lamq_protocol::Level;
use lamq_proves::proves;
use setup::{Bug, Channel, Disturbance, Exit, Setup};
use stateright::{Checker, HasDiscoveries, Model};

/// What a search found.
struct Findings {
    states: usize,
    /// Laws that do not hold, with the way to the first state that breaks them.
    broken: Vec<(&'static str, String)>,
    met: Vec<&'static str>,
}

fn search(setup: Setup) -> Findings {
    let checker = setup.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let (mut broken, mut met) = (Vec::new(), Vec::new());
    for property in checker.model().properties() {
        match checker.discovery(property.name) {
            Some(way) if property.expectation.discovery_is_failure() => {
                broken.push((property.name, format!("{:?}", way.into_actions())));
            }
            Some(_) => met.push(property.name),
            None => {}
        }
    }
    Findings { states: checker.unique_state_count(), broken, met }
}

/// All laws hold, and the search met these situations in so many states.
#[track_caller]
fn holds(setup: Setup, situations: &[&str], states: usize) {
    let findings = search(setup);
    assert!(findings.broken.is_empty(), "{:#?}", findings.broken);
    assert!(situations.iter().all(|situation| findings.met.contains(situation)), "only met {:#?}", findings.met);
    assert_eq!(findings.states, states, "the states that can be reached; see the top of this file");
}

/// The search finds out that this law is broken.
#[track_caller]
fn breaks(setup: Setup, law: &str) {
    let findings = search(setup);
    assert!(findings.broken.iter().any(|(broken, _)| *broken == law), "{:#?}", findings.broken);
}

#[proves("PRO-1", "PRO-2", "ACK-1", "CLO-1", "CLO-2", "DTH-4")]
#[test]
fn either_side_may_die_at_any_moment() {
    let setup = Setup { messages: 4, exits: &[Exit::SenderDies, Exit::ReceiverDies], ..Setup::SMALL };
    let situations = [
        "two messages in a frame",
        "no credit",
        "all is delivered, and both sides know",
        "a death leaves a strict prefix",
        "a death is told behind what was read after it",
        "the receiver's death leaves messages in doubt",
    ];
    holds(setup, &situations, 534_106);
}

#[proves("PRO-2", "CLO-5")]
#[test]
fn the_receiver_may_leave_at_any_moment() {
    let situations = ["all is delivered, and both sides know", "the receiver leaves in the middle"];
    holds(Setup { messages: 2, exits: &[Exit::ReceiverLeaves], ..Setup::WIDE }, &situations, 42_765);
}

#[test]
fn a_sender_may_wait_until_its_messages_are_processed() {
    let setup = Setup { level: Level::Processed, auto_process: false, exits: &[Exit::SenderDies], ..Setup::SMALL };
    holds(setup, &["two messages in a frame", "no credit", "all is delivered, and both sides know"], 569_044);
}

#[proves("ACK-3")]
#[test]
fn an_idle_receiver_leaves_nothing_unacknowledged() {
    holds(Setup::WIDE, &["two messages in a frame", "all is delivered, and both sides know"], 258_669);
}

#[proves("CRD-4")]
#[test]
fn bytes_may_be_scarcer_than_slots() {
    holds(Setup { window: 2, ..Setup::WIDE }, &["no credit", "all is delivered, and both sides know"], 64_153);
}

#[proves("RDV-1")]
#[test]
fn a_receiver_may_have_no_capacity() {
    let setup = Setup { channel: Channel::WithoutCapacity, exits: &[Exit::SenderDies], ..Setup::SMALL };
    holds(setup, &["no credit", "all is delivered, and both sides know"], 4_673);
}

#[proves("RDV-1", "RTX-2")]
#[test]
fn a_receiver_without_capacity_may_lose_any_frame() {
    let disturbance = Some(Disturbance::Drop);
    let setup = Setup { channel: Channel::WithoutCapacity, messages: 2, disturbance, lossy: true, ..Setup::SMALL };
    holds(setup, &["no credit", "all is delivered although the link erred"], 96_250);
}

#[proves("RSM-1", "RSM-2", "PRO-1")]
#[test]
fn a_sender_may_go_on_with_another_receiver() {
    let situations = ["a message is handed out by two receivers", "all is delivered by two receivers"];
    let setup = Setup { channel: Channel::Resuming, messages: 2, exits: &[Exit::ReceiverDies], ..Setup::WIDE };
    holds(setup, &situations, 210_464);
}

#[test]
fn inboxes_may_be_full_at_any_moment() {
    let situations = ["all is delivered, and both sides know", "a death is told behind what was read after it"];
    holds(Setup { room: 1, exits: &[Exit::SenderDies], ..Setup::SMALL }, &situations, 59_058);
}

#[proves("PRO-3")]
#[test]
fn one_of_two_senders_may_die_at_any_moment() {
    let setup = Setup { senders: 2, residents: 1, messages: 1, room: 1, exits: &[Exit::SenderDies], ..Setup::SMALL };
    let situations = ["all is delivered, and both sides know", "a death leaves a strict prefix"];
    holds(setup, &situations, 743_498);
}

#[proves("DAT-3")]
#[test]
fn a_frame_that_comes_twice_does_no_harm() {
    let setup = Setup { messages: 2, disturbance: Some(Disturbance::Double), ..Setup::SMALL };
    holds(setup, &["all is delivered, and both sides know"], 85_575);
}

#[proves("RTX-1", "RTX-3", "PRO-1")]
#[test]
fn a_frame_that_somebody_else_took_is_sent_again_when_the_next_arrives() {
    let situations = ["a frame waits for one before it", "all is delivered although the link erred"];
    holds(Setup { disturbance: Some(Disturbance::Drop), ..Setup::SMALL }, &situations, 117_208);
}

#[proves("RTX-1", "RTX-3", "PRO-1")]
#[test]
fn a_frame_that_is_overtaken_is_waited_for() {
    let situations = ["a frame waits for one before it", "all is delivered although the link erred"];
    holds(Setup { disturbance: Some(Disturbance::Swap), ..Setup::SMALL }, &situations, 233_261);
}

#[proves("PRO-3")]
#[test]
fn a_frame_that_is_lost_disturbs_no_other_session() {
    let disturbance = Some(Disturbance::Drop);
    let setup = Setup { senders: 2, residents: 2, messages: 1, disturbance, ..Setup::SMALL };
    holds(setup, &["a frame waits for one before it"], 401_278);
}

#[proves("RTX-2", "PRO-1", "CLO-2")]
#[test]
fn a_lossy_link_may_lose_any_frame() {
    let setup = Setup { messages: 2, disturbance: Some(Disturbance::Drop), lossy: true, ..Setup::SMALL };
    holds(setup, &["a frame waits for one before it", "all is delivered although the link erred"], 653_483);
}

#[proves("RTX-3", "PRO-1", "CLO-2")]
#[test]
fn a_lossy_link_may_swap_any_two_frames() {
    let setup = Setup { messages: 1, disturbance: Some(Disturbance::Swap), lossy: true, ..Setup::SMALL };
    holds(setup, &["a frame waits for one before it", "all is delivered although the link erred"], 18_045);
}

#[proves("DAT-3", "PRO-1", "CLO-2")]
#[test]
fn a_lossy_link_may_double_any_frame() {
    let setup = Setup { messages: 1, disturbance: Some(Disturbance::Double), lossy: true, ..Setup::SMALL };
    holds(setup, &["all is delivered although the link erred"], 35_427);
}

#[proves("ACK-6", "SES-3")]
#[test]
fn a_forged_acknowledgement_ends_the_session_by_name() {
    let setup = Setup { messages: 2, disturbance: Some(Disturbance::Forge), ..Setup::SMALL };
    holds(setup, &["an impossible acknowledgement is found"], 80_062);
}

#[test]
fn a_shell_that_tells_a_death_too_early_is_found_out() {
    let setup = Setup { bug: Some(Bug::DeathFirst), exits: &[Exit::SenderDies], ..Setup::SMALL };
    breaks(setup, "a departure is told behind the last message");
}

#[test]
fn a_shell_that_acknowledges_before_it_delivers_is_found_out() {
    breaks(Setup { bug: Some(Bug::Prefetch), ..Setup::SMALL }, "what is received is a prefix of what was sent");
}

#[test]
fn a_shell_that_waits_in_silence_is_found_out() {
    breaks(Setup { bug: Some(Bug::SilentWait), ..Setup::WIDE }, "left alone, all is settled");
}

#[test]
fn a_shell_that_drops_what_finds_no_room_is_found_out() {
    breaks(Setup { bug: Some(Bug::DropWhenFull), room: 1, ..Setup::SMALL }, "left alone, all is settled");
}

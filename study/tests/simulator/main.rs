//! The simulator: what it promises of itself, what it must meet, and what it must find.

use lamq_proves::proves;
use lamq_study::simulator::{Failure, Report, Sabotage, Settings, Situation, Situations, Step, run, trace};

/// So many worlds every change is to pass: few enough to be run in seconds.
const SEEDS: u64 = 300;

/// In so many worlds each sabotage is to be found.
const SEEDS_OF_SABOTAGE: u64 = 300;

#[track_caller]
fn report(seed: u64, settings: &Settings) -> Report {
    run(seed, settings).unwrap_or_else(|failure| panic!("{failure}"))
}

#[proves(
    "PRO-1", "PRO-2", "PRO-3", "LAM-2", "DRP-1", "ACK-8", "CRD-1", "CRD-2", "LRG-4", "CLO-2", "DTH-2", "RTX-2",
    "ACK-11", "ACK-12", "DPX-1"
)]
#[test]
fn every_world_keeps_its_promises_and_comes_to_rest_and_all_situations_are_met() {
    let mut met = Situations::default();
    for seed in 0..SEEDS {
        met += report(seed, &Settings::default()).situations;
    }
    let missing: Vec<_> = Situation::ALL.iter().filter(|situation| met.count(**situation) == 0).collect();
    assert!(missing.is_empty(), "never met: {missing:?}");
}

#[test]
fn a_run_depends_on_its_seed_and_settings_alone() {
    let steps_of = |seed| {
        let mut steps: Vec<Step> = Vec::new();
        let report = trace(seed, &Settings::default(), |step| steps.push(step.clone())).unwrap();
        assert_eq!(report.steps, steps.len() as u64);
        (report, steps)
    };
    let mut digests = Vec::new();
    for seed in 0..20 {
        let (first, second) = (steps_of(seed), steps_of(seed));
        assert!(first == second, "seed {seed} ran in two ways");
        digests.push(first.0.digest);
    }
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 20, "two seeds ran alike");
}

#[test]
fn settings_are_kept() {
    let met = |settings: &Settings, situation| {
        let reports = (0..20).map(|seed| report(seed, settings));
        reports.map(|report| report.situations.count(situation)).collect::<Vec<_>>()
    };
    let lossy = |lossy| Settings { lossy: Some(lossy), ..Settings::default() };
    assert!(met(&lossy(false), Situation::Lost).iter().all(|lost| *lost == 0));
    assert!(met(&lossy(true), Situation::Lost).iter().filter(|lost| **lost > 0).count() > 10);
    let small = Settings { senders: Some(2), messages: 3, ..Settings::default() };
    let delivered = met(&small, Situation::Delivered);
    assert!(delivered.iter().all(|delivered| *delivered <= 6) && delivered.contains(&6), "{delivered:?}");
    assert!(met(&Settings { messages: 0, ..small }, Situation::Delivered).iter().all(|delivered| *delivered == 0));
}

#[test]
fn a_crowd_comes_to_its_end() {
    let settings = Settings { senders: Some(100), messages: 10, ..Settings::default() };
    (0..3).for_each(|seed| _ = report(seed, &settings));
}

/// The first failure, which must come soon and look the same each time.
#[track_caller]
fn found(sabotage: Sabotage) -> Failure {
    let settings = Settings { sabotage: Some(sabotage), ..Settings::default() };
    let failures = (0..SEEDS_OF_SABOTAGE).filter_map(|seed| run(seed, &settings).err());
    let failure = failures.into_iter().next().unwrap_or_else(|| panic!("{sabotage:?} was not found"));
    assert_eq!(run(failure.seed, &settings).unwrap_err(), failure);
    assert_eq!(failure.settings, settings);
    assert!(!failure.last_steps.is_empty());
    failure
}

/// The failure says one of these.
#[track_caller]
fn demand_found(sabotage: Sabotage, words: &[&str]) {
    let failure = found(sabotage);
    assert!(words.iter().any(|words| failure.what.contains(words)), "{failure}");
}

#[test]
fn a_forged_acknowledgement_is_found() {
    demand_found(Sabotage::Forge, &["of these acknowledged", "is behind the delivery of"]);
}

#[test]
fn credit_that_nobody_granted_is_found() {
    demand_found(Sabotage::RaiseCredit, &["for a credit of"]);
}

#[test]
fn a_message_that_is_handed_out_twice_is_found() {
    demand_found(Sabotage::HandOutTwice, &["1 twice"]);
}

#[test]
fn a_death_that_is_told_too_early_is_found() {
    demand_found(Sabotage::DeathFirst, &["died with last number"]);
}

#[test]
fn frames_that_a_full_inbox_swallows_are_found_missing() {
    demand_found(Sabotage::DropWhenFull, &["is quiet, and not done", "comes any further"]);
}

#[test]
fn a_sender_that_does_not_notice_room_is_found_stuck() {
    demand_found(Sabotage::ForgetRetry, &["is quiet, and not done"]);
}

#[test]
fn a_sender_that_does_not_ask_again_is_found_stuck() {
    demand_found(Sabotage::ForgetAsking, &["is quiet, and not done"]);
}

#[test]
fn a_receiver_that_waits_in_silence_is_found() {
    demand_found(Sabotage::SilentWait, &["is quiet, and not done"]);
}

#[test]
fn an_acknowledgement_that_waits_for_an_answer_in_vain_is_found() {
    demand_found(Sabotage::ForgetUnanswered, &["(ACK-4, ACK-12)"]);
}

#[test]
fn a_failure_says_what_how_and_how_to_see_it_again() {
    let failure = found(Sabotage::HandOutTwice);
    let text = failure.to_string();
    let seed = failure.seed;
    let command = format!("lamq simulate --seed {seed} --rounds 1 --messages 40 --sabotage hand-out-twice --trace");
    assert!(text.starts_with(&format!("seed {seed}: of sender ")) && text.ends_with(&command), "{text}");
    assert!(text.contains("Scenario {") && text.contains("the application gets message "), "{text}");
    let last = failure.last_steps.last().map(ToString::to_string);
    assert!(last.is_some_and(|step| text.contains(&step)));
}

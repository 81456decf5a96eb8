//! Somebody records every frame of a run and sends each of them again, to everybody, at every moment.

use crate::net::{Net, Seen, Setup};
use lamq_protocol::session::{Departure, Ended};
use lamq_proves::proves;
use std::collections::BTreeSet;

const LARGE: &[u8] = &[7; 1200];

/// A run with every kind of frame: sender 0 leaves, sender 1 stays, sender 2 is refused. Before every step of it,
/// `meanwhile` happens.
fn run(world: u64, meanwhile: impl Fn(&mut Net)) -> (Net, Vec<Seen>) {
    let mut net = Net::new(Setup { world, senders: 3, max_sessions: 2, window: 1000, ..Setup::default() });
    let mut seen = Vec::new();
    let steps: [fn(&mut Net, &mut Vec<Seen>); 13] = [
        |net, _| net.greet(0),
        |net, _| net.greet(1),
        |net, _| net.greet(2),
        |net, _| assert_eq!(net.send(0, "one"), Ok(1)),
        |net, _| assert_eq!(net.send(0, "two"), Ok(2)),
        |net, seen| seen.extend(net.recv_all()),
        |net, _| assert_eq!(net.send(1, "of another"), Ok(1)),
        |net, _| net.pump(),
        |net, _| assert!(net.send(1, LARGE).is_err(), "longer than the window: it asks"),
        |net, seen| seen.extend(net.recv_all()),
        |net, _| assert_eq!(net.send(1, LARGE), Ok(2)),
        |net, _| net.close(0),
        |net, seen| seen.extend(net.recv_all()),
    ];
    for step in steps {
        meanwhile(&mut net);
        step(&mut net, &mut seen);
    }
    (net, seen)
}

/// Every frame of the run once, in the order in which the nodes handled them.
fn record(net: &Net) -> Vec<Vec<u8>> {
    let senders = net.senders.iter().flat_map(|sender| &sender.node.handled);
    let mut known = BTreeSet::new();
    net.receiver.handled.iter().chain(senders).filter(|frame| known.insert(*frame)).cloned().collect()
}

/// Sends a frame to everybody, and returns how many of them counted it as dropped.
fn send_to_all(net: &mut Net, frame: &[u8]) -> u64 {
    let before = dropped(net);
    net.give_receiver(frame.to_vec());
    (0..net.senders.len()).for_each(|index| net.give_sender(index, frame.to_vec()));
    dropped(net) - before
}

/// Frames dropped by all nodes for any cause.
fn dropped(net: &Net) -> u64 {
    let nodes = net.senders.iter().map(|sender| &sender.node).chain([&net.receiver]);
    let of = |node: &crate::net::Node| {
        let counters = node.counters();
        assert_eq!((counters.violations, counters.all_faults()), (0, 0));
        let unneeded =
            counters.repeated_greeting + counters.repeated_welcome + counters.late_refusals + counters.misaddressed;
        let old =
            counters.duplicates + counters.stale_acknowledgements + counters.stale_asks + counters.unknown_session;
        old + unneeded + counters.untrusted_greeting
    };
    nodes.map(of).sum()
}

/// What the run comes to when nobody disturbs it.
fn assert_undisturbed(net: &Net, seen: &[Seen]) {
    let message = |index, number, body: &str| Seen::Message(index, number, body.into());
    let joined = [Seen::Joined(0), Seen::Joined(1)];
    let messages = [message(0, 1, "one"), message(0, 2, "two"), message(1, 1, "of another")];
    let ends = [Seen::Message(1, 2, LARGE.to_vec()), Seen::Departed(0, Departure::Left, 2)];
    assert_eq!(seen, [&joined[..], &messages, &ends].concat());
    assert_eq!(net.ended(0), Some(Ended::Finished));
    assert!(net.senders[1].outbound().is_open());
    assert!(matches!(net.ended(2), Some(Ended::Refused(_))));
}

#[test]
fn the_recorded_run_has_frames_of_every_kind() {
    let (net, seen) = run(1, |_| ());
    assert_undisturbed(&net, &seen);
    let kinds: BTreeSet<_> = record(&net).iter().map(|frame| frame[7]).collect();
    assert_eq!(kinds, BTreeSet::from([1, 2, 3, 4, 5, 6, 7]));
}

#[proves("PRO-1", "FRM-2", "GRT-3", "DAT-3", "ACK-5", "WEL-2", "SES-2")]
#[test]
fn frames_that_come_again_after_the_run_are_counted_by_everybody_and_change_nothing() {
    let (mut net, _) = run(1, |_| ());
    let frames = record(&net);
    let sessions = |net: &Net| {
        let outbound: Vec<_> = net.senders.iter().map(|sender| sender.outbound().clone()).collect();
        (outbound, net.inbound(1).cloned(), net.receiver.core.senders().len(), net.receiver.core.now())
    };
    let before = sessions(&net);
    for frame in &frames {
        assert_eq!(send_to_all(&mut net, frame), 4, "by the receiver and all three senders");
    }
    assert_eq!(sessions(&net), before);
    assert_eq!(net.recv_all(), []);
    assert_eq!(net.send(1, "on and on"), Ok(3));
    assert_eq!(net.recv_all(), [Seen::Message(1, 3, b"on and on".to_vec())]);
}

#[proves("PRO-1", "FRM-2", "GRT-3", "DAT-3", "ACK-5", "WEL-2", "SES-2")]
#[test]
fn frames_that_come_again_during_the_run_change_nothing() {
    let (net, seen) = run(1, |net| {
        for frame in record(net) {
            send_to_all(net, &frame);
        }
    });
    assert_undisturbed(&net, &seen);
}

#[proves("PRO-1", "FRM-2")]
#[test]
fn frames_of_an_earlier_run_change_nothing_in_a_later_one() {
    let earlier = record(&run(1, |_| ()).0);
    let (net, seen) = run(2, |net| {
        for frame in &earlier {
            assert_eq!(send_to_all(net, frame), 4, "nobody has any use for it");
        }
    });
    assert_undisturbed(&net, &seen);
}

//! Sections 12 and 14 of `SPEC.md`: how a session ends when all is well, or when one side dies.

use crate::{
    forge::{close, data},
    net::{Net, Seen, Setup},
};
use lamq_protocol::{
    Level,
    endpoint::SendRefused,
    lamport::Clock,
    send::{Manner, NoRoom},
    session::{Departure, Ended},
    wire::{EndReason, Frame, decode},
};
use lamq_proves::proves;

fn message(index: usize, number: u64, body: &str) -> Seen {
    Seen::Message(index, number, body.into())
}

/// What the last two frames say that a sender got, the older first.
fn last_frames(net: &Net, index: usize) -> [Frame<Vec<u8>>; 2] {
    let (_, last) = net.senders[index].node.handled.split_last_chunk::<2>().expect("two frames");
    last.clone().map(|frame| decode(frame).unwrap().1)
}

#[proves("CLO-2")]
#[test]
fn that_a_sender_left_or_died_is_told_behind_its_last_message() {
    type End = fn(&mut Net, usize);
    let endings: [(End, Departure); 2] = [
        (Net::close, Departure::Left),
        (
            |net, index| {
                net.stage_timeout(index);
                net.kill(index);
                net.mourn(index);
            },
            Departure::Died,
        ),
    ];
    for (end, departure) in endings {
        let mut net = Net::greeted(Setup { senders: 2, ..Setup::default() });
        net.send(0, "one").unwrap();
        net.send(0, "two").unwrap();
        net.send(0, "three").unwrap();
        end(&mut net, 0);
        net.take_at_receiver(usize::MAX);
        net.send(1, "of another").unwrap();
        let seen = net.recv_all();
        let expected = [message(0, 1, "one"), message(0, 2, "two"), message(0, 3, "three")];
        let departed = Seen::Departed(0, departure, 3);
        assert_eq!(seen, [expected.as_slice(), &[departed, message(1, 1, "of another")]].concat());
    }
}

#[proves("DTH-4", "PRO-1")]
#[test]
fn the_report_of_a_death_names_the_last_number_received() {
    let mut net = Net::pair();
    net.send(0, "one").unwrap();
    net.send(0, "staged: it dies with the sender").unwrap();
    net.kill(0);
    net.mourn(0);
    assert_eq!(net.recv_all(), [message(0, 1, "one"), Seen::Departed(0, Departure::Died, 1)]);
    let mut silent = Net::pair();
    silent.kill(0);
    silent.mourn(0);
    assert_eq!(silent.recv_all(), [Seen::Departed(0, Departure::Died, 0)]);
    assert_eq!((silent.receiver.core.senders().len(), silent.ended.len()), (0, 1));
}

#[proves("PRO-3")]
#[test]
fn the_death_of_a_sender_at_any_moment_changes_nothing_for_the_others() {
    // What the receiver gets of sender 1 while sender 0 does as much as `steps`, and dies if it `dies`.
    let witness = |steps: usize, dies: bool| {
        let mut net = Net::new(Setup { senders: 2, ..Setup::default() });
        net.greet(1);
        let actions: [fn(&mut Net); 7] = [
            |net| net.connect(0),
            |net| net.transmit_from_sender(0),
            Net::pump,
            |net| _ = net.send(0, "a").ok(),
            |net| _ = net.send(0, "b").ok(),
            |net| net.stage_timeout(0),
            |net| net.close(0),
        ];
        let mut seen = Vec::new();
        for (at, action) in actions.iter().enumerate() {
            net.send(1, format!("{at}")).unwrap();
            if at < steps {
                action(&mut net);
            } else if at == steps && dies {
                net.kill(0);
                net.mourn(0);
            }
            seen.extend(net.recv_all());
        }
        net.close(1);
        seen.extend(net.recv_all());
        seen.retain(|seen| matches!(seen, Seen::Joined(1) | Seen::Message(1, ..) | Seen::Departed(1, ..)));
        seen
    };
    for steps in 0..7 {
        let undisturbed = witness(steps, false);
        assert_eq!(undisturbed.len(), 1 + 7 + 1);
        assert_eq!(witness(steps, true), undisturbed, "dead after {steps} steps");
    }
}

#[proves("CLO-3", "SES-3")]
#[test]
fn a_close_with_another_number_than_the_last_received_is_a_violation() {
    for last in [0, 1, 3, u64::MAX] {
        let mut net = Net::pair();
        net.send(0, "one").unwrap();
        net.send(0, "two").unwrap();
        net.stage_timeout(0);
        net.take_at_receiver(usize::MAX);
        net.give_receiver(close(net.senders[0].at_receiver.unwrap(), 3, last, EndReason::Finished));
        let departed = Seen::Departed(0, Departure::Violated(EndReason::Final), 2);
        assert_eq!(net.recv_all(), [message(0, 1, "one"), message(0, 2, "two"), departed], "close after {last}");
        assert_eq!(net.ended(0), Some(Ended::Accused(EndReason::Final)));
    }
}

#[proves("CLO-1", "CRD-1")]
#[test]
fn a_close_needs_no_credit() {
    let mut net = Net::greeted(Setup { slots: 3, ..Setup::default() });
    net.send(0, "the one frame that it may send").unwrap();
    net.close(0);
    assert_eq!(net.receiver.inbox.len(), 2, "the message and the close");
    net.pump();
    assert_eq!(net.receiver.counters().violations, 0);
}

#[proves("CLO-4", "NUM-2")]
#[test]
fn a_sender_that_was_closed_accepts_nothing_more_and_says_why() {
    for (reason, ended) in [
        (EndReason::Finished, Ended::ClosedByPeer),
        (EndReason::Sequence, Ended::Accused(EndReason::Sequence)),
        (EndReason::Credit, Ended::Accused(EndReason::Credit)),
    ] {
        let mut net = Net::pair();
        net.send(0, "one").unwrap();
        net.give_sender(0, close(net.senders[0].session, 0, 0, reason));
        let before = net.senders[0].outbound().window().clone();
        for _ in 0..2 {
            assert_eq!(net.send(0, "x"), Err(SendRefused::Ended(ended)));
            assert!(!net.senders[0].node.core.has_room(net.senders[0].session, 0));
            net.flush(0);
            net.close(0);
        }
        assert_eq!(net.ended(0), Some(ended));
        assert_eq!(*net.senders[0].outbound().window(), before, "no number was used");
    }
}

#[proves("NUM-2")]
#[test]
fn a_sender_that_closed_accepts_nothing_more() {
    let mut net = Net::pair();
    net.send(0, "one").unwrap();
    net.close(0);
    assert_eq!(net.send(0, "two"), Err(SendRefused::Ended(Ended::Finished)));
    let mut outbound = net.senders[0].outbound().clone();
    assert_eq!(outbound.begin(b"two", &mut Clock::default(), Manner::default()), Err(NoRoom::Credit));
    assert!(!net.senders[0].node.core.has_room(net.senders[0].session, 0));
    assert!(net.senders[0].outbound().receiver().is_some(), "whose death would still matter");
    assert_eq!(net.recv_all(), [message(0, 1, "one"), Seen::Departed(0, Departure::Left, 1)]);
}

#[proves("CLO-5")]
#[test]
fn who_leaves_acknowledges_what_it_delivered_then_closes() {
    let mut net = Net::greeted(Setup { senders: 2, ..Setup::default() });
    for body in ["one", "two", "three"] {
        net.send(0, body).unwrap();
        net.stage_timeout(0);
    }
    net.pump();
    net.recv();
    net.recv();
    net.receiver.core.leave();
    net.pump();
    let [Frame::Acknowledgement(acknowledged), Frame::Close(close)] = last_frames(&net, 0) else {
        panic!("an acknowledgement and a close")
    };
    assert_eq!((acknowledged.received.get(), acknowledged.delivered.get()), (3, 2));
    assert_eq!((close.last.get(), close.reason), (2, EndReason::Finished));
    assert_eq!([net.ended(0), net.ended(1)], [Some(Ended::ClosedByPeer); 2], "also the one that had sent nothing");
}

#[proves("CLO-5")]
#[test]
fn who_leaves_tells_also_a_sender_that_waits_for_the_end() {
    let mut net = Net::pair();
    net.send(0, "never read").unwrap();
    net.close(0);
    net.pump();
    assert_eq!(net.ended(0), None, "it waits until its message is delivered");
    net.receiver.core.leave();
    net.pump();
    assert_eq!(net.ended(0), Some(Ended::ClosedByPeer));
    assert_eq!(net.senders[0].outbound().window().settled().get(), 0);
}

#[proves("CLO-5", "SES-2")]
#[test]
fn who_has_left_has_no_session_any_more_and_says_no_more_when_a_latecomer_is_told() {
    let mut net = Net::new(Setup { senders: 2, ..Setup::default() });
    net.connect(0);
    net.pump();
    net.recv_all();
    net.send(0, "not handed out").unwrap();
    net.pump();
    net.receiver.core.leave();
    assert!(!net.receiver.core.has_event());
    net.pump();
    assert_eq!((net.ended(0), net.receiver.core.senders().len()), (Some(Ended::ClosedByPeer), 0));
    net.connect(1);
    net.transmit_from_sender(1);
    net.take_at_receiver(usize::MAX);
    net.receiver.core.leave();
    net.transmit_from_receiver(true);
    assert_eq!((net.senders[0].node.inbox.len(), net.receiver.core.senders().len()), (0, 0));
    net.pump();
    assert_eq!(net.ended(1), Some(Ended::ClosedByPeer));
}

#[test]
fn a_sender_that_closes_before_it_is_welcomed_leaves_no_session_behind() {
    let mut net = Net::new(Setup::default());
    net.connect(0);
    net.transmit_from_sender(0);
    net.close(0);
    assert_eq!(net.ended(0), None, "its greeting is on the way");
    assert_eq!(net.recv_all(), [Seen::Joined(0), Seen::Departed(0, Departure::Left, 0)]);
    assert_eq!((net.ended(0), net.receiver.core.senders().len()), (Some(Ended::Finished), 0));
    let mut unsent = Net::new(Setup::default());
    unsent.connect(0);
    unsent.close(0);
    assert_eq!((unsent.ended(0), unsent.receiver.inbox.len()), (Some(Ended::Finished), 0));
}

#[test]
fn a_closed_session_is_over_for_both_when_all_has_come_to_the_level() {
    for (level, reads) in [(Level::Received, 0), (Level::Delivered, 1), (Level::Processed, 2)] {
        let mut net = Net::greeted(Setup { level, ..Setup::default() });
        net.send(0, "one").unwrap();
        net.close(0);
        net.pump();
        for read in 0..=2 {
            let ended = net.ended(0);
            assert_eq!(ended, Some(Ended::Finished).filter(|_| read >= reads), "{level:?} after {read} reads");
            net.recv();
            net.transmit_from_receiver(false);
            net.pump();
        }
        assert_eq!(net.receiver.core.senders().len(), 0);
        assert_eq!(net.ended, [net.senders[0].at_receiver.unwrap()], "told once");
        assert_eq!(net.senders[0].ended, [net.senders[0].session], "told once");
        let session = net.senders[0].session;
        assert!(net.senders[0].node.core.forget(session).is_some_and(|outbound| outbound.ended().is_some()));
        assert!(net.senders[0].node.core.outbound(session).is_none());
    }
}

#[test]
fn with_manual_processing_a_session_stays_until_the_application_is_done_with_it() {
    let mut net = Net::greeted(Setup { level: Level::Processed, auto_process: false, ..Setup::default() });
    net.send(0, "one").unwrap();
    net.close(0);
    assert_eq!(net.recv_all(), [message(0, 1, "one"), Seen::Departed(0, Departure::Left, 1)]);
    assert_eq!((net.ended(0), net.receiver.core.senders().len()), (None, 1));
    net.receiver.core.process_all();
    net.recv_all();
    assert_eq!((net.ended(0), net.receiver.core.senders().len()), (Some(Ended::Finished), 0));
}

#[test]
fn a_sender_that_dies_after_its_close_has_left() {
    let mut net = Net::pair();
    net.send(0, "one").unwrap();
    net.close(0);
    net.take_at_receiver(usize::MAX);
    net.kill(0);
    net.mourn(0);
    assert_eq!(net.recv_all(), [message(0, 1, "one"), Seen::Departed(0, Departure::Left, 1)]);
    assert_eq!((net.receiver.core.senders().len(), net.ended.len()), (0, 1), "nobody is waited for");
}

#[test]
fn the_death_of_the_receiver_ends_a_session_in_any_state() {
    let stages: [fn(&mut Net); 4] = [
        |_| (),
        |net| net.connect(0),
        |net| net.greet(0),
        |net| {
            net.greet(0);
            net.send(0, "x").unwrap();
            net.close(0);
        },
    ];
    for (at, stage) in stages.iter().enumerate() {
        let mut net = Net::new(Setup::default());
        stage(&mut net);
        let session = net.senders[0].session;
        net.senders[0].node.core.handle_death(session);
        net.transmit_from_sender(0);
        if at > 0 {
            assert_eq!(net.ended(0), Some(Ended::PeerDied), "stage {at}");
            assert_eq!(net.senders[0].ended, [session], "stage {at}");
        }
    }
}

#[proves("SES-2")]
#[test]
fn data_behind_a_close_is_not_taken() {
    let mut net = Net::pair();
    net.close(0);
    net.take_at_receiver(usize::MAX);
    net.give_receiver(data(net.senders[0].at_receiver.unwrap(), 2, 1, &[b"late"]));
    net.give_receiver(close(net.senders[0].at_receiver.unwrap(), 1, 0, EndReason::Finished));
    assert_eq!(net.recv_all(), [Seen::Departed(0, Departure::Left, 0)]);
    assert_eq!((net.receiver.counters().unknown_session, net.receiver.counters().violations), (2, 0));
}

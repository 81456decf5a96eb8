//! Section 10 of `SPEC.md`: messages that the application acknowledges one by one.

use crate::net::{Net, Setup};
use lamq_protocol::{Event, Level, Number, SessionId};
use lamq_proves::proves;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// The application's next message, which it will acknowledge; `None` if there is none. Everything else is passed over.
fn next_delivery(net: &mut Net) -> Option<(SessionId, u64)> {
    net.pump();
    while let Some(event) = net.receiver.core.next_delivery() {
        if let Event::Message { session, number, .. } = event {
            return Some((session, number.get()));
        }
    }
    None
}

/// The last number that the sender knows to be processed.
fn told(net: &mut Net) -> u64 {
    net.transmit_from_receiver(true);
    net.take_at_sender(0, usize::MAX);
    net.senders[0].outbound().window().acknowledged().processed.get()
}

#[derive(Clone, Debug)]
enum Step {
    Send,
    Drop,
    Receive,
    /// As `Receive`, and asking for the next one acknowledges it.
    ReceivePlain,
    /// Of those not acknowledged, the one at this place modulo their number.
    Acknowledge(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Send),
        1 => Just(Step::Drop),
        3 => Just(Step::Receive),
        1 => Just(Step::ReceivePlain),
        3 => any::<usize>().prop_map(Step::Acknowledge),
    ]
}

proptest! {
    /// In whatever order the application acknowledges, "processed up to n" is told when it is true and not before.
    #[proves("ACK-9")]
    #[test]
    fn what_is_told_as_processed_is_all_acknowledged(steps in prop::collection::vec(step(), 1..80)) {
        let mut net = Net::greeted(Setup { level: Level::Processed, ..Setup::default() });
        let mut open = BTreeSet::new();
        let mut plain = None;
        let (mut session, mut handed) = (None, BTreeSet::new());
        for step in steps {
            match step {
                Step::Send => _ = net.send(0, "x"),
                Step::Drop => _ = net.drop_message(0).unwrap(),
                Step::Receive | Step::ReceivePlain => {
                    open.remove(&plain.take().unwrap_or(0));
                    let is_plain = matches!(step, Step::ReceivePlain);
                    let got = if is_plain {
                        net.pump();
                        std::iter::from_fn(|| net.receiver.core.next_event()).find_map(|event| match event {
                            Event::Message { session, number, .. } => Some((session, number.get())),
                            _ => None,
                        })
                    } else {
                        next_delivery(&mut net)
                    };
                    if let Some((from, number)) = got {
                        session = Some(from);
                        prop_assert!(handed.insert(number));
                        open.insert(number);
                        plain = is_plain.then_some(number);
                    }
                }
                Step::Acknowledge(place) => {
                    let candidates: Vec<_> = open.iter().copied().filter(|number| Some(*number) != plain).collect();
                    if let Some(number) = candidates.get(place % candidates.len().max(1)) {
                        open.remove(number);
                        prop_assert!(net.receiver.core.process(session.unwrap(), Number::new(*number)));
                    }
                }
            }
            if let Some(session) = session {
                net.receiver.core.process(session, Number::NONE); // none of them, but what is true is told now
            }
            let told = told(&mut net);
            // Nothing but gaps may lie between the last one that is done and the first one that is not.
            let first_open = open.first().copied().unwrap_or(u64::MAX);
            let last_done = handed.range(..first_open).next_back().copied().unwrap_or(0);
            prop_assert!((last_done..first_open).contains(&told), "{} of {:?}, open {:?}", told, handed, open);
        }
    }
}

#[proves("ACK-9")]
#[test]
fn asking_for_the_next_message_acknowledges_none_that_the_application_is_to_acknowledge() {
    let mut net = Net::greeted(Setup { level: Level::Processed, ..Setup::default() });
    (0..3).for_each(|_| _ = net.send(0, "x").unwrap());
    let (session, first) = next_delivery(&mut net).unwrap();
    net.transmit_from_receiver(true);
    net.pump();
    assert!(net.recv().is_some() && net.recv().is_some(), "the call for the third acknowledges the second");
    assert_eq!(told(&mut net), 0, "the first is not");
    assert!(net.receiver.core.process(session, Number::new(first)));
    assert_eq!(told(&mut net), 2, "the third is in hand");
    net.receiver.core.process_all();
    assert_eq!(told(&mut net), 3);
    assert!(net.receiver.core.process(session, Number::new(first)), "once more does no harm");
    assert_eq!(told(&mut net), 3);
}

#[proves("ACK-9")]
#[test]
fn an_acknowledgement_that_nobody_hears_says_so() {
    let mut net = Net::greeted(Setup { level: Level::Processed, ..Setup::default() });
    net.send(0, "x").unwrap();
    let (session, number) = next_delivery(&mut net).unwrap();
    net.receiver.core.handle_death(session);
    assert!(!net.receiver.core.process(session, Number::new(number)), "the sender is dead");
    while net.receiver.core.next_event().is_some() {}
    net.transmit_from_receiver(true);
    assert!(!net.receiver.core.process(session, Number::new(number)), "the session is gone");
}

/// Whoever waits for less does not care, and its session takes a place and descriptors.
#[test]
fn a_session_that_its_sender_has_left_waits_for_no_more_than_the_senders_level() {
    for (level, waits) in [(Level::Received, false), (Level::Delivered, false), (Level::Processed, true)] {
        let mut net = Net::greeted(Setup { level, ..Setup::default() });
        net.send(0, "x").unwrap();
        net.close(0);
        let (session, number) = next_delivery(&mut net).unwrap();
        while net.receiver.core.next_delivery().is_some() {}
        net.transmit_from_receiver(true);
        net.pump();
        net.transmit_from_receiver(true);
        assert_eq!(net.receiver.core.senders().len(), usize::from(waits), "{level:?}");
        assert_eq!(net.receiver.core.process(session, Number::new(number)), waits);
        net.transmit_from_receiver(true);
        assert_eq!(net.receiver.core.senders().len(), 0);
    }
}

#[proves("ACK-10")]
#[test]
fn of_several_messages_taken_at_once_none_is_processed_before_more_is_asked_for() {
    let mut net = Net::greeted(Setup { senders: 2, level: Level::Processed, ..Setup::default() });
    net.greet(1);
    for who in [0, 1, 0, 1, 0] {
        net.send(who, "x").unwrap();
        net.flush(who);
        net.pump();
    }
    let take = |net: &mut Net, one_more: bool| {
        std::iter::from_fn(|| if one_more { net.receiver.core.next_of_many() } else { net.receiver.core.next_event() })
            .find(|event| matches!(event, Event::Message { .. }))
    };
    assert!(take(&mut net, false).is_some() && take(&mut net, true).is_some() && take(&mut net, true).is_some());
    let told_both = |net: &mut Net| {
        net.transmit_from_receiver(true);
        [0, 1].map(|who| {
            net.take_at_sender(who, usize::MAX);
            let known = *net.senders[who].outbound().window().acknowledged();
            (known.delivered.get(), known.processed.get())
        })
    };
    assert_eq!(told_both(&mut net), [(2, 0), (1, 0)], "three were handed out, of two senders");
    assert!(take(&mut net, false).is_some(), "the next call");
    assert_eq!(told_both(&mut net), [(2, 2), (2, 1)], "says that all three are done with");
    assert!(take(&mut net, true).is_some() && take(&mut net, true).is_none(), "there is no more to take with it");
    assert_eq!(told_both(&mut net), [(3, 2), (2, 1)], "which says nothing of what is in hand");
    assert!(take(&mut net, false).is_none());
    assert_eq!(told_both(&mut net), [(3, 3), (2, 2)], "a call for more does, though it finds nothing");
}

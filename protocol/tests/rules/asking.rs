//! Sections 6 to 8 of `SPEC.md`: who asks only, and wants no session.

use crate::net::{GREETER, Net, Seen, Setup, pid};
use lamq_protocol::{
    Epoch, SessionId, Stamp,
    session::Ended,
    wire::{Frame, Greeting, Refusal, RefusalReason, Welcome, decode},
};
use lamq_proves::proves;

/// A greeting that asks only.
fn question() -> Greeting {
    let mut net = Net::new(Setup::default());
    net.ask(0);
    net.pump();
    let Frame::Greeting(greeting) = decode(net.receiver.handled[0].clone()).unwrap().1 else { panic!("a greeting") };
    assert_eq!(greeting.level, None);
    greeting
}

fn answer(sessions: u32) -> Refusal {
    Refusal { reason: RefusalReason::AskedOnly { sessions }, versions: (1, 1) }
}

#[proves("GRT-6")]
#[test]
fn whoever_asks_is_answered_each_time_whatever_it_speaks_and_however_full_it_is() {
    let mut net = Net::greeted(Setup { senders: 2, max_sessions: 2, ..Setup::default() });
    let mut asked = 0;
    for (versions, codec) in [((1, 1), 0), ((1, 1), 0), ((2, 9), 0), ((0, 0), 7)] {
        let question = Greeting { versions, codec, ..question() };
        let arrival = net.receiver.core.handle_frame(question.encode(Stamp::new(1))).expect("it deserves an answer");
        asked += 1;
        assert_eq!((arrival.greeting, arrival.refusal), (question, Some(answer(2))));
        let counters = net.receiver.counters();
        assert_eq!((counters.pings, counters.refused, counters.repeated_greeting), (asked, 0, 0));
    }
    net.close(0);
    net.recv_all();
    let arrival = net.receiver.core.handle_frame(question().encode(Stamp::new(1))).unwrap();
    assert_eq!(arrival.refusal, Some(answer(1)), "who has left does not count");
}

#[proves("GRT-7")]
#[test]
fn whoever_asks_makes_no_session_and_is_not_seen() {
    let mut net = Net::new(Setup { senders: 2, ..Setup::default() });
    net.ask(0);
    net.pump();
    assert_eq!(net.ended(0), Some(Ended::Refused(answer(0))));
    assert_eq!(net.senders[0].ended, [net.senders[0].session], "its link is needed no more");
    net.greet(1);
    net.ask(0);
    net.pump();
    assert_eq!(net.ended(0), Some(Ended::Refused(answer(1))));
    assert_eq!(net.recv_all(), [Seen::Joined(1)]);
    let counters = net.receiver.counters();
    assert_eq!((counters.accepted, counters.departed, counters.pings), (1, 0, 2));
    // Not even if the shell forgot that there is nothing to accept.
    let before = net.receiver.core.clone();
    net.receiver.core.accept(&question(), GREETER, SessionId::new(0xBAD).unwrap());
    assert_eq!((&net.receiver.core, net.receiver.counters().accepted), (&before, 1));
}

#[test]
fn an_endpoint_that_only_sends_is_no_receiver_whoever_asks() {
    let mut net = Net::new(Setup { max_sessions: 0, ..Setup::default() });
    net.ask(0);
    net.pump();
    let reason = RefusalReason::TooManySessions { limit: 0 };
    assert_eq!(net.ended(0), Some(Ended::Refused(Refusal { reason, versions: (1, 1) })));
    assert_eq!((net.receiver.counters().pings, net.receiver.counters().refused), (0, 1));
}

/// A sender that asks in the same breath as it sends is known by the same epoch and stream.
#[proves("GRT-6", "GRT-7")]
#[test]
fn a_sender_that_also_asks_keeps_its_session() {
    let mut net = Net::pair();
    let Frame::Greeting(greeting) = decode(net.receiver.handled[0].clone()).unwrap().1 else { panic!("a greeting") };
    let question = Greeting { level: None, ..greeting };
    let arrival = net.receiver.core.handle_frame(question.encode(Stamp::new(1))).expect("it deserves an answer");
    assert_eq!(arrival.refusal, Some(answer(1)));
    assert_eq!(net.receiver.counters().repeated_greeting, 0);
    net.send(0, "x").unwrap();
    assert_eq!(net.recv_all(), [Seen::Message(0, 1, b"x".to_vec())]);
}

#[proves("WEL-3")]
#[test]
fn a_welcome_that_nobody_wanted_is_counted_and_changes_nothing() {
    for (greet, wanted) in [(Net::connect as fn(&mut Net, usize), true), (Net::ask, false)] {
        let mut net = Net::new(Setup::default());
        greet(&mut net, 0);
        net.transmit_from_sender(0);
        let (data_session, epoch) = (SessionId::new(1).unwrap(), Epoch::new(1).unwrap());
        let welcome = Welcome { data_session, epoch, pid: pid(9), terms: crate::forge::terms(8, 1000), back: None };
        let state = |net: &Net| (net.senders[0].outbound().clone(), net.senders[0].node.core.now());
        let before = state(&net);
        net.give_sender(0, welcome.encode(net.senders[0].session, Stamp::new(99)));
        assert_eq!((net.senders[0].outbound().is_open(), state(&net) == before), (wanted, !wanted));
        assert_eq!(net.senders[0].node.counters().repeated_welcome, u64::from(!wanted));
    }
}

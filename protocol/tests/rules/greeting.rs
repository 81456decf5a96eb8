//! Sections 6 to 8 of `SPEC.md`: how a session comes about, or not.

use crate::{
    forge::{acknowledgement, altered, data, terms},
    net::{GREETER, Net, PID_NAMESPACE, Seen, Setup, pid},
};
use lamq_protocol::{
    Epoch, SessionId, Stamp,
    endpoint::SendRefused,
    session::Ended,
    wire::{Fault, Frame, Greeting, Refusal, RefusalReason, Welcome, decode},
};
use lamq_proves::proves;

/// The greeting that a new sender would send.
fn greeting() -> (Net, Greeting) {
    let mut net = Net::new(Setup::default());
    net.connect(0);
    net.transmit_from_sender(0);
    net.take_at_receiver(1);
    let frame = net.receiver.handled[0].clone();
    let Frame::Greeting(greeting) = decode(frame).unwrap().1 else { panic!("a greeting") };
    (Net::new(Setup::default()), greeting)
}

/// How a receiver answers: `None` for a welcome.
fn answer(greeting: &Greeting) -> Option<RefusalReason> {
    answer_of(Setup::default(), greeting)
}

fn answer_of(setup: Setup, greeting: &Greeting) -> Option<RefusalReason> {
    let mut net = Net::new(setup);
    let arrival = net.receiver.core.handle_frame(greeting.encode(Stamp::new(1))).expect("it deserves an answer");
    assert_eq!(arrival.greeting, *greeting);
    assert_eq!(net.receiver.counters().refused, u64::from(arrival.refusal.is_some()));
    arrival.refusal.map(|refusal| refusal.reason)
}

#[proves("GRT-1")]
#[test]
fn a_greeter_that_does_not_speak_version_1_is_refused_and_all_others_get_it() {
    let (_, greeting) = greeting();
    for (versions, refusal) in [
        ((1, 1), None),
        ((1, 9), None),
        ((0, 1), None),
        ((2, 9), Some(RefusalReason::Version)),
        ((0, 0), Some(RefusalReason::Version)),
    ] {
        assert_eq!(answer(&Greeting { versions, ..greeting.clone() }), refusal, "{versions:?}");
    }
    let mut net = Net::new(Setup::default());
    net.greet(0);
    let welcome = net.senders[0].node.handled[0].clone();
    assert_eq!(welcome[6], 1, "of all versions the greeter speaks, the highest that the receiver speaks too");
}

#[proves("GRT-2")]
#[test]
fn a_codec_other_than_the_receivers_is_refused_and_the_receivers_is_named() {
    let (_, greeting) = greeting();
    for expected in [0, 1, 128, 255] {
        for codec in [0, 1, 2, 128, 255] {
            let refusal = (codec != expected).then_some(RefusalReason::Codec { expected });
            let setup = Setup { codec: expected, ..Setup::default() };
            assert_eq!(answer_of(setup, &Greeting { codec, ..greeting.clone() }), refusal, "{codec}, not {expected}");
        }
    }
}

#[test]
fn a_greeting_names_the_codec_of_its_sender() {
    let mut net = Net::greeted(Setup { codec: 200, ..Setup::default() });
    let Frame::Greeting(greeting) = decode(net.receiver.handled[0].clone()).unwrap().1 else { panic!("a greeting") };
    assert_eq!(greeting.codec, 200);
    net.send(0, "encoded").unwrap();
    net.pump();
    assert_eq!(net.recv_all(), [Seen::Message(0, 1, b"encoded".to_vec())]);
}

#[proves("GRT-9")]
#[test]
fn a_greeter_of_another_pid_namespace_is_refused_if_both_are_known() {
    let (_, greeting) = greeting();
    assert_eq!(greeting.pid_namespace, PID_NAMESPACE);
    for (pid_namespace, refusal) in [
        (PID_NAMESPACE, None),
        (0, None),
        (PID_NAMESPACE + 1, Some(RefusalReason::PidNamespace)),
        (u64::MAX, Some(RefusalReason::PidNamespace)),
    ] {
        assert_eq!(answer(&Greeting { pid_namespace, ..greeting.clone() }), refusal, "{pid_namespace}");
    }
}

#[proves("GRT-5", "REF-1")]
#[test]
fn one_sender_too_many_is_refused_and_told_the_limit() {
    let mut net = Net::new(Setup { senders: 4, max_sessions: 2, ..Setup::default() });
    (0..3).for_each(|index| net.greet(index));
    assert_eq!(net.recv_all(), [Seen::Joined(0), Seen::Joined(1)]);
    let refusal = Refusal { reason: RefusalReason::TooManySessions { limit: 2 }, versions: (1, 1) };
    assert_eq!(net.ended(2), Some(Ended::Refused(refusal)));
    assert_eq!(net.send(2, "x"), Err(SendRefused::Ended(Ended::Refused(refusal))));
    assert!(net.ended(2).unwrap().to_string().contains("has 2 senders already"), "the error names the limit");
    net.close(0);
    net.recv_all();
    net.greet(3);
    assert!(net.senders[3].outbound().is_open(), "there is room again");
}

#[proves("REF-1")]
#[test]
fn every_refusal_ends_the_sender_with_its_reason_and_detail() {
    for (reason, words) in [
        (RefusalReason::Version, "none of our protocol versions"),
        (RefusalReason::Codec { expected: 7 }, "expects codec 7"),
        (RefusalReason::TooManySessions { limit: 12 }, "12 senders already"),
        (RefusalReason::AskedOnly { sessions: 34 }, "has 34 senders"),
        (RefusalReason::PidNamespace, "another pid namespace"),
    ] {
        let mut net = Net::new(Setup::default());
        net.connect(0);
        net.transmit_from_sender(0);
        let refusal = Refusal { reason, versions: (3, 4) };
        let session = net.senders[0].session;
        net.give_sender(0, refusal.encode(session, Stamp::new(1)));
        assert_eq!(net.ended(0), Some(Ended::Refused(refusal)));
        let message = net.send(0, "x").unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
        net.transmit_from_sender(0);
        assert_eq!(net.senders[0].ended, [session], "its link is needed no more");
    }
}

#[test]
fn a_refusal_of_an_open_session_is_counted_and_changes_nothing() {
    let mut net = Net::pair();
    let before = net.senders[0].node.core.clone();
    let refusal = Refusal { reason: RefusalReason::Version, versions: (1, 1) };
    let frame = refusal.encode(net.senders[0].session, Stamp::new(99));
    net.give_sender(0, frame);
    assert!(net.senders[0].outbound().is_open());
    assert_eq!(net.senders[0].node.core.now(), before.now());
    assert_eq!(net.senders[0].node.counters().late_refusals, 1);
}

#[proves("GRT-3")]
#[test]
fn a_repeated_greeting_makes_no_second_session_and_is_answered_until_data_came() {
    let mut net = Net::pair();
    let greeting = net.receiver.handled[0].clone();
    let welcome = net.senders[0].node.handled[0].clone();
    net.give_receiver(greeting.clone());
    net.transmit_from_receiver(false);
    net.take_at_sender(0, 1);
    assert_eq!(net.senders[0].node.handled.last(), Some(&welcome), "the same answer, of the same session");
    net.send(0, "x").unwrap();
    net.pump();
    let answers = net.senders[0].node.handled.len();
    net.give_receiver(greeting);
    net.pump();
    assert_eq!(net.senders[0].node.handled.len(), answers, "no answer any more");
    assert_eq!(net.receiver.counters().repeated_greeting, 2);
    assert_eq!((net.receiver.core.senders().len(), net.receiver.counters().accepted), (1, 1));
    assert_eq!(net.recv_all(), [Seen::Message(0, 1, b"x".to_vec())]);
}

#[proves("GRT-3")]
#[test]
fn a_greeting_that_comes_twice_before_it_is_answered_makes_one_session() {
    let (mut net, greeting) = greeting();
    let frame = greeting.encode(Stamp::new(1));
    let core = &mut net.receiver.core;
    let [first, second] = [core.handle_frame(frame.clone()), core.handle_frame(frame)].map(Option::unwrap);
    core.accept(&first.greeting, GREETER, SessionId::new(1).unwrap());
    core.accept(&second.greeting, GREETER, SessionId::new(2).unwrap());
    assert_eq!((core.senders().len(), core.counters().accepted, core.counters().repeated_greeting), (1, 1, 1));
}

#[proves("GRT-3")]
#[test]
fn streams_and_epochs_are_told_apart() {
    let (mut net, greeting) = greeting();
    let mut other_stream = greeting.clone();
    other_stream.stream.index += 1;
    let mut other_epoch = greeting.clone();
    other_epoch.stream.epoch = Epoch::new(0xABC).unwrap();
    for (session, greeting) in (1..).zip([&greeting, &other_stream, &other_epoch]) {
        let arrival = net.receiver.core.handle_frame(greeting.encode(Stamp::new(1))).expect("a stream of its own");
        net.receiver.core.accept(&arrival.greeting, GREETER, SessionId::new(session).unwrap());
    }
    assert_eq!(net.receiver.core.senders().len(), 3);
}

/// What the shell finds out, the core counts; the shell's part is proven with real queues.
#[test]
fn a_greeting_that_the_shell_does_not_trust_is_counted_and_not_answered() {
    let (mut net, greeting) = greeting();
    net.senders[0].is_alive = false;
    net.give_receiver(greeting.encode(Stamp::new(1)));
    assert_eq!(net.receiver.counters().untrusted_greeting, 1);
    assert_eq!(net.receiver.core.senders().len(), 0);
    assert!(!net.receiver.core.wants_transmit() && !net.receiver.core.has_event());
}

#[proves("WEL-2")]
#[test]
fn a_second_welcome_is_counted_and_changes_nothing() {
    let mut net = Net::pair();
    net.send(0, "x").unwrap();
    net.pump();
    let session = net.senders[0].session;
    let other = Welcome {
        data_session: SessionId::new(0xBAD).unwrap(),
        epoch: Epoch::new(0xBAD).unwrap(),
        pid: pid(9),
        terms: terms(1000, 1 << 30),
        back: None,
    };
    let repeated = net.senders[0].node.handled[0].clone();
    let core = &mut net.senders[0].node.core;
    for (count, frame) in (1..).zip([other.encode(session, Stamp::new(99)), repeated]) {
        let before = (core.outbound(session).cloned(), core.now());
        core.handle_frame(frame);
        assert_eq!((core.outbound(session).cloned(), core.now()), before);
        assert_eq!(core.counters().repeated_welcome, count);
    }
}

#[test]
fn an_acknowledgement_that_overtakes_the_welcome_is_understood() {
    let mut net = Net::new(Setup::default());
    net.connect(0);
    net.transmit_from_sender(0);
    net.take_at_receiver(1);
    net.transmit_from_receiver(true);
    let session = net.senders[0].session;
    let early = acknowledgement(0, [0, 0, 0, 9, 300_000]).encode(session, Stamp::new(1));
    net.give_sender(0, early);
    net.take_at_sender(0, 1);
    let known = net.senders[0].outbound().window().acknowledged();
    assert_eq!((known.frame_credit, known.byte_credit), (9, 300_000));
}

/// As a sender does when the receiver that it greeted is gone, and the queue has a new owner.
#[proves("GRT-3")]
#[test]
fn a_greeting_that_is_sent_again_under_the_same_id_opens_one_session() {
    let mut net = Net::new(Setup::default());
    net.connect(0);
    net.transmit_from_sender(0);
    net.transmit_from_sender(0);
    assert_eq!(net.receiver.inbox.len(), 1, "it is sent once");
    let session = net.senders[0].session;
    assert!(net.senders[0].node.core.forget(session).is_some());
    net.connect(0);
    net.transmit_from_sender(0);
    assert_eq!((net.senders[0].session, net.receiver.inbox.len()), (session, 2));
    net.pump();
    assert!(net.senders[0].outbound().is_open());
    assert_eq!((net.receiver.core.senders().len(), net.receiver.counters().repeated_greeting), (1, 1));
    net.transmit_from_sender(0);
    assert_eq!(net.receiver.inbox.len(), 0, "an open session needs no greeting");
}

#[proves("FRM-1")]
#[test]
fn the_name_in_a_greeting_has_1_to_255_bytes_and_fills_the_frame() {
    let (mut net, greeting) = greeting();
    for length in [1, 255] {
        let frame = Greeting { inbox: vec![b'x'; length], ..greeting.clone() }.encode(Stamp::new(1));
        assert!(decode(frame).is_ok(), "{length}");
    }
    let mut longer = greeting.encode(Stamp::new(1));
    longer.resize(64 + 256, b'x');
    let no_name = greeting.encode(Stamp::new(1))[..64].to_vec();
    let one_less = altered(greeting.encode(Stamp::new(1)), 60, &[8]);
    for (frame, fault) in [
        (altered(longer, 60, &256_u16.to_le_bytes()), Fault::Length),
        (altered(no_name, 60, &[0, 0]), Fault::TooShort),
        (one_less, Fault::Length),
    ] {
        let before = net.receiver.counters().of_fault(fault);
        net.give_receiver(frame);
        assert_eq!(net.receiver.counters().of_fault(fault), before + 1);
    }
    assert_eq!(net.receiver.core.senders().len(), 0);
    net.give_receiver(data(SessionId::new(1).unwrap(), 1, 1, &[b"x"]));
    assert_eq!(net.receiver.counters().unknown_session, 1);
}

#[proves("GRT-8")]
#[test]
fn a_greeting_that_was_meant_for_an_incarnation_before_is_counted_and_not_answered() {
    let mut net = Net::new(Setup::default());
    net.connect(0);
    net.transmit_from_sender(0);
    net.take_at_receiver(0);
    let late: Vec<_> = std::iter::from_fn(|| net.receiver.inbox.take()).collect();
    net.replace_receiver();
    for frame in late {
        net.give_receiver(frame);
    }
    let counters = net.receiver.counters();
    assert_eq!((counters.misaddressed, counters.accepted, net.receiver.core.has_event()), (1, 0, false));
    // Who greets the one that is there is answered.
    let session = net.senders[0].session;
    net.senders[0].node.core.forget(session);
    net.greet(0);
    assert_eq!(net.recv(), Some(Seen::Joined(0)));
}

#[proves("GRT-3")]
#[test]
fn a_welcome_is_not_said_again_to_who_has_sent_data_meanwhile() {
    for sends in [false, true] {
        let mut net = Net::pair();
        let greeting = net.receiver.handled[0].clone();
        net.give_receiver(greeting);
        if sends {
            net.send(0, "x").unwrap();
            net.take_at_receiver(1);
        }
        net.recv_all();
        let is_welcome = |frame: &&Vec<u8>| matches!(decode(frame.as_slice()), Ok((_, Frame::Welcome(_))));
        let welcomes = net.senders[0].node.handled.iter().filter(is_welcome).count();
        assert_eq!(welcomes, if sends { 1 } else { 2 });
    }
}

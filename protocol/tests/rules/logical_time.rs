//! Section 4 of `SPEC.md`, seen from outside: what the clocks of endpoints show.

use crate::{
    forge::{acknowledgement, data_from},
    net::{Net, Seen, Setup},
};
use lamq_protocol::{
    Event, FrameNumber, Number, Stamp,
    lamport::MAX_LEAD,
    session::{Departure, Ended},
    wire::{Ask, Close, EndReason, Fault, Frame, Greeting, Refusal, RefusalReason, decode},
};
use lamq_proves::proves;

/// The stamp of the next message that the application is handed, and the clock right after.
fn recv(net: &mut Net) -> (u64, u64) {
    loop {
        if let Event::Message { stamp, .. } = net.receiver.core.next_event().expect("a message") {
            return (stamp.get(), net.receiver.core.now().get());
        }
    }
}

/// What the sender, which has just connected, is about to send.
fn greeting(net: &Net) -> Greeting {
    let mut net = net.clone();
    net.transmit_from_sender(0);
    net.take_at_receiver(1);
    match decode(net.receiver.handled[0].clone()).unwrap().1 {
        Frame::Greeting(greeting) => greeting,
        other => panic!("a greeting, not {other:?}"),
    }
}

const CLOSE: Close = Close { last: Number::NONE, reason: EndReason::Finished, frame: FrameNumber::NONE };

const REFUSAL: Refusal = Refusal { reason: RefusalReason::Version, versions: (1, 1) };

fn sender_now(net: &Net) -> u64 {
    net.senders[0].node.core.now().get()
}

#[proves("LAM-1")]
#[test]
fn each_accepted_message_is_one_later_and_a_refused_one_takes_no_time() {
    let mut net = Net::greeted(Setup { max_message: 599, ..Setup::default() });
    let start = sender_now(&net);
    net.send(0, "one").unwrap();
    net.send(0, [0; 600]).unwrap_err();
    net.send(0, "two").unwrap();
    assert_eq!(sender_now(&net), start + 2);
    net.stage_timeout(0);
    net.pump();
    assert_eq!([recv(&mut net).0, recv(&mut net).0], [start + 1, start + 2]);
}

#[proves("LAM-2")]
#[test]
fn being_handed_a_message_is_later_than_its_sending_and_than_all_before() {
    let mut net = Net::greeted(Setup { senders: 2, ..Setup::default() });
    let start = net.receiver.core.now().get();
    let session = |net: &Net, index: usize| net.senders[index].at_receiver.unwrap();
    net.give_receiver(data_from(session(&net, 0), 1, 1, start + 100, &[b"far ahead"]));
    net.give_receiver(data_from(session(&net, 1), 1, 1, start + 5, &[b"far behind"]));
    assert_eq!(net.receiver.core.now().get(), start, "receiving data is no event of the application");
    assert_eq!(recv(&mut net), (start + 100, start + 101));
    assert_eq!(recv(&mut net), (start + 5, start + 102));
}

/// A greeting and the frames of either side raise the other's clock; frames that are dropped do not.
#[proves("LAM-3")]
#[test]
fn every_accepted_frame_raises_the_clock_to_its_stamp() {
    let mut net = Net::new(Setup { senders: 2, ..Setup::default() });
    net.greet(1);
    let more = acknowledgement(0, [0, 0, 0, 99, 1 << 20]).encode(net.senders[1].session, Stamp::new(50));
    net.give_sender(1, more);
    assert_eq!(net.senders[1].node.core.now().get(), 50, "an acknowledgement");
    let ask = Ask { question: 1, bytes: 0, given_back: 0 }.encode(net.senders[1].at_receiver.unwrap(), Stamp::new(45));
    let mut asked = net.clone();
    asked.give_receiver(ask);
    assert_eq!(asked.receiver.core.now().get(), 45, "an ask");
    net.close(1);
    net.recv_all();
    assert_eq!(net.receiver.core.now().get(), 50, "a close of a sender");
    net.greet(0);
    assert_eq!(sender_now(&net), 50, "a welcome");
    let session = net.senders[0].session;
    net.give_sender(0, acknowledgement(0, [0; 5]).encode(session, Stamp::new(60)));
    assert_eq!(sender_now(&net), 50, "a stale acknowledgement changes nothing");
    net.give_sender(0, CLOSE.encode(session, Stamp::new(70)));
    assert_eq!(sender_now(&net), 70, "a close of the receiver");
}

/// Also before there is a session, and when there will be none: what follows on either side is later.
#[proves("LAM-3")]
#[test]
fn a_greeting_and_a_refusal_raise_the_clock_too() {
    for max_sessions in [0, 1] {
        let mut net = Net::new(Setup { max_sessions, ..Setup::default() });
        net.connect(0);
        let greeting = greeting(&net);
        net.give_receiver(greeting.encode(Stamp::new(40)));
        assert_eq!(net.receiver.core.now().get(), 40, "a greeting");
        net.pump();
        assert_eq!(sender_now(&net), 40, "a refusal, or a welcome");
    }
}

#[proves("LAM-4", "SES-3")]
#[test]
fn data_from_too_far_ahead_ends_the_session_and_leaves_the_clock_alone() {
    let mut net = Net::greeted(Setup { senders: 2, ..Setup::default() });
    let now = net.receiver.core.now().get();
    let session = |net: &Net, index: usize| net.senders[index].at_receiver.unwrap();
    // The second record is too far, the first is not.
    net.give_receiver(data_from(session(&net, 1), 1, 1, now + MAX_LEAD, &[b"too", b"far"]));
    assert_eq!(net.recv_all(), [Seen::Departed(1, Departure::Violated(EndReason::Stamp), 0)]);
    assert_eq!(net.receiver.core.now().get(), now);
    assert_eq!(net.ended(1), Some(Ended::Accused(EndReason::Stamp)));
    assert_eq!(net.receiver.counters().violations, 1);
    net.give_receiver(data_from(session(&net, 0), 1, 1, now + MAX_LEAD, &[b"as far as may be"]));
    assert_eq!(recv(&mut net), (now + MAX_LEAD, now + MAX_LEAD + 1));
}

#[proves("LAM-4")]
#[test]
fn any_frame_from_too_far_ahead_is_a_violation() {
    let far = Stamp::new(MAX_LEAD + 1000);
    // To a receiver.
    let mut net = Net::pair();
    let start = net.receiver.core.now();
    let close = Close { frame: FrameNumber::new(1), ..CLOSE };
    net.give_receiver(close.encode(net.senders[0].at_receiver.unwrap(), far));
    assert_eq!(net.recv(), Some(Seen::Departed(0, Departure::Violated(EndReason::Stamp), 0)));
    assert_eq!(net.receiver.core.now(), start);
    // To a sender.
    let session = net.senders[0].session;
    for frame in [
        acknowledgement(0, [0, 0, 0, 99, 1 << 20]).encode(session, far).to_vec(),
        CLOSE.encode(session, far),
        REFUSAL.encode(session, far),
    ] {
        let mut net = Net::pair();
        net.give_sender(0, frame);
        assert_eq!(net.ended(0), Some(Ended::PeerViolated(EndReason::Stamp)));
        assert_eq!(net.senders[0].node.counters().violations, 1);
        assert!(sender_now(&net) < MAX_LEAD);
        assert_eq!(net.recv_all(), [Seen::Departed(0, Departure::Accused(EndReason::Stamp), 0)], "both sides hear");
    }
}

#[proves("LAM-4", "SES-3")]
#[test]
fn a_welcome_from_too_far_ahead_ends_the_session_at_the_receiver_too() {
    let mut net = Net::new(Setup::default());
    net.connect(0);
    net.transmit_from_sender(0);
    net.take_at_receiver(1);
    net.transmit_from_receiver(false);
    let welcome = {
        let mut copy = net.clone();
        copy.take_at_sender(0, 1);
        copy.senders[0].node.handled[0].clone()
    };
    let Frame::Welcome(welcome) = decode(welcome).unwrap().1 else { panic!("a welcome") };
    let far = welcome.encode(net.senders[0].session, Stamp::new(MAX_LEAD + 1));
    net.give_sender(0, far);
    assert_eq!(net.ended(0), Some(Ended::PeerViolated(EndReason::Stamp)));
    let accused = Seen::Departed(0, Departure::Accused(EndReason::Stamp), 0);
    assert_eq!(net.recv_all(), [Seen::Joined(0), accused]);
}

#[proves("LAM-4")]
#[test]
fn a_greeting_from_too_far_ahead_has_no_session_to_end_and_is_dropped() {
    let mut net = Net::new(Setup::default());
    net.connect(0);
    let greeting = greeting(&net);
    net.give_receiver(greeting.encode(Stamp::new(MAX_LEAD + 1)));
    assert_eq!(net.receiver.counters().of_fault(Fault::Field), 1);
    assert_eq!((net.receiver.core.now().get(), net.receiver.core.senders().len()), (0, 0));
}

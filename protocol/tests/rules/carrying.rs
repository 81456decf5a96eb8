//! Acknowledgements that travel with what goes the other way.

use crate::{
    forge::check,
    net::{Channel, Fate, Net, Seen, Setup},
};
use lamq_protocol::{
    Level,
    session::Outbound,
    wire::{Fault, Frame, Priority, decode},
};
use lamq_proves::proves;

fn both_ways(setup: &Setup) -> Net {
    let mut net = Net::greeted(Setup { channel: Channel::BothWays, ..setup.clone() });
    net.recv_all();
    net.recv_back(0);
    net
}

/// The application at the receiver looks, and what is due leaves it.
fn look(net: &mut Net, idle: bool) -> Option<Seen> {
    let seen = net.recv();
    net.transmit_from_receiver(idle);
    seen
}

/// Question and answer, at the receiver by the book of a shell that waits: it looks, finds nothing, waits, takes what comes.
fn trip(net: &mut Net) {
    net.send(0, "what?").unwrap();
    net.take_at_receiver(usize::MAX);
    assert!(matches!(look(net, false), Some(Seen::Message(0, ..))));
    net.send_back(0, "that").unwrap();
    assert_eq!(look(net, true), None);
    net.take_at_sender(0, usize::MAX);
    let node = &mut net.senders[0].node;
    assert!(node.core.next_event().is_some() && node.core.next_event().is_none());
}

fn kinds(frames: &[Vec<u8>]) -> Vec<&'static str> {
    let kind = |frame: &Vec<u8>| match decode(frame.as_slice()).unwrap().1 {
        Frame::Data(data) if data.carried().is_some() => "data and acknowledgement",
        Frame::Data(_) => "data",
        Frame::Acknowledgement(_) => "acknowledgement",
        Frame::Ask(_) => "ask",
        other => panic!("{other:?}"),
    };
    frames.iter().map(kind).collect()
}

#[proves("ACK-11", "ACK-12", "DPX-1")]
#[test]
fn who_answers_sends_one_frame_each_time() {
    for level in [Level::Received, Level::Delivered] {
        let mut net = both_ways(&Setup { level, ..Setup::default() });
        trip(&mut net); // nobody knows yet that there will be an answer
        trip(&mut net);
        let before = [net.receiver.handled.len(), net.senders[0].node.handled.len()];
        (0..5).for_each(|_| trip(&mut net));
        let (there, back) = (&net.receiver.handled[before[0]..], &net.senders[0].node.handled[before[1]..]);
        assert_eq!(kinds(there), ["data and acknowledgement"; 5], "{level:?}");
        assert_eq!(kinds(back), ["data and acknowledgement"; 5], "{level:?}");
        let window = net.senders[0].outbound().window();
        assert_eq!(
            (window.settled(), window.frames_kept()),
            (window.accepted(), 0),
            "{level:?}: as if it had come by itself"
        );
    }
}

#[proves("ACK-12")]
#[test]
fn where_no_answer_came_the_acknowledgement_does_not_wait() {
    let mut net = both_ways(&Setup::default());
    trip(&mut net);
    trip(&mut net);
    let acknowledgements = |net: &Net| {
        let frames = net.senders[0].node.inbox.len();
        let window = net.inbound(0).unwrap().window();
        (frames, window.delivered().get())
    };
    net.send(0, "no question").unwrap();
    net.take_at_receiver(usize::MAX);
    look(&mut net, false).unwrap();
    assert_eq!(acknowledgements(&net), (0, 3), "it waits for an answer");
    assert_eq!(look(&mut net, false), None);
    assert_eq!(acknowledgements(&net), (1, 3), "there will be none");
    net.take_at_sender(0, usize::MAX);
    net.send(0, "no question either").unwrap();
    net.take_at_receiver(usize::MAX);
    look(&mut net, false).unwrap();
    assert_eq!(acknowledgements(&net), (1, 4), "now it is told at once");
}

#[proves("ACK-12")]
#[test]
fn an_application_that_does_not_call_does_not_hold_the_acknowledgement_back() {
    let mut net = both_ways(&Setup::default());
    trip(&mut net);
    trip(&mut net);
    net.send(0, "hard question").unwrap();
    net.take_at_receiver(usize::MAX);
    look(&mut net, false).unwrap();
    assert_eq!(net.senders[0].node.inbox.len(), 0);
    net.transmit_from_receiver(true);
    net.take_at_sender(0, 1);
    let window = net.senders[0].outbound().window();
    assert_eq!(window.settled(), window.accepted());
}

#[proves("ACK-11")]
#[test]
fn a_long_frame_does_not_carry_and_the_acknowledgement_goes_by_itself() {
    let mut net = both_ways(&Setup::default());
    trip(&mut net);
    trip(&mut net);
    net.send(0, "what?").unwrap();
    net.take_at_receiver(usize::MAX);
    look(&mut net, false).unwrap();
    let before = net.senders[0].node.handled.len();
    net.send_back(0, [7; 440]).unwrap(); // not 72 bytes less than a frame
    look(&mut net, true);
    net.take_at_sender(0, usize::MAX);
    let mut kinds = kinds(&net.senders[0].node.handled[before..]);
    kinds.sort_unstable();
    assert_eq!(kinds, ["acknowledgement", "data"]);
}

/// A data frame that carries an acknowledgement, as a round trip brings it.
fn carrying() -> Vec<u8> {
    let mut net = both_ways(&Setup::default());
    trip(&mut net);
    trip(&mut net);
    net.receiver.handled.last().unwrap().clone()
}

#[proves("ACK-11", "FRM-1")]
#[test]
fn what_is_carried_belongs_to_the_frame() {
    let good = carrying();
    let broken = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut frame = good.clone();
        change(&mut frame);
        let sum = check(&frame);
        frame[..4].copy_from_slice(&sum.to_le_bytes());
        decode(frame).map(|_| ())
    };
    assert_eq!(broken(&|_| ()), Ok(()));
    let mut altered = good.clone();
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(decode(altered).map(|_| ()), Err(Fault::Check));
    assert_eq!(broken(&|frame| frame.truncate(60)), Err(Fault::Length), "no room for one");
    assert_eq!(broken(&|frame| frame[46] &= !4), Err(Fault::Length), "bytes that belong to nothing");
}

/// What lies in a sender's inbox, in the order in which it will be taken.
fn kinds_at(net: &Net, index: usize) -> Vec<&'static str> {
    let mut inbox = net.senders[index].node.inbox.clone();
    kinds(&std::iter::from_fn(|| inbox.take()).collect::<Vec<_>>())
}

#[proves("ACK-11", "DPX-3")]
#[test]
fn what_comes_for_a_direction_that_has_ended_still_carries() {
    let mut net = both_ways(&Setup::default());
    assert_eq!((net.send(0, "one"), net.send(0, "two")), (Ok(1), Ok(2)), "the second is staged");
    net.take_at_receiver(usize::MAX);
    assert!(net.recv().is_some());
    net.send_back(0, "answer").unwrap();
    assert_eq!(kinds_at(&net, 0), ["data and acknowledgement"]);
    net.senders[0].node.core.leave();
    net.transmit_from_sender(0);
    net.take_at_receiver(usize::MAX);
    net.take_at_sender(0, 1);
    let node = &net.senders[0].node;
    assert!(node.core.wants_transmit(), "the second can leave now");
    net.transmit_from_sender(0);
    net.take_at_receiver(usize::MAX);
    assert_eq!(net.inbound(0).unwrap().window().received().get(), 2);
}

/// A question is handed to an application that answered those before, while another sender's message waits for it.
fn asked(window: u64) -> Net {
    let mut net = both_ways(&Setup { senders: 2, window, ..Setup::default() });
    net.recv_back(1);
    trip(&mut net);
    trip(&mut net);
    net.send(0, "what?").unwrap();
    net.take_at_receiver(usize::MAX);
    net.send(1, "me, too").unwrap();
    net.take_at_receiver(usize::MAX);
    assert!(matches!(look(&mut net, false), Some(Seen::Message(0, ..))));
    assert_eq!((kinds_at(&net, 0), net.receiver.core.has_event()), (vec![], true));
    net
}

#[proves("ACK-12")]
#[test]
fn an_answer_that_cannot_carry_does_not_hold_the_acknowledgement_back() {
    let mut net = asked(1 << 20);
    net.send_back(0, [7; 440]).unwrap();
    assert_eq!(kinds_at(&net, 0), ["acknowledgement", "data"], "there may be many more like this one");
}

#[proves("ACK-12")]
#[test]
fn an_answer_that_finds_no_room_does_not_hold_the_acknowledgement_back() {
    let mut net = asked(300);
    assert!(net.send_back(0, [7; 301]).is_err(), "who asks may read only when the question is acknowledged");
    assert_eq!(kinds_at(&net, 0), ["acknowledgement", "ask"]);
}

#[proves("ACK-12")]
#[test]
fn an_application_that_waits_for_something_else_does_not_hold_the_acknowledgement_back() {
    let mut net = asked(1 << 20);
    net.receiver.core.expect_no_answer();
    assert!(net.receiver.core.wants_transmit());
    net.transmit_from_receiver(false);
    assert_eq!(kinds_at(&net, 0), ["acknowledgement"]);
    net.receiver.core.expect_no_answer();
    assert!(!net.receiver.core.wants_transmit(), "there is nothing more to say");
}

#[proves("ACK-12")]
#[test]
fn to_ask_for_another_message_of_the_frame_is_to_send_nothing_back() {
    let mut net = both_ways(&Setup { level: Level::Received, ..Setup::default() });
    trip(&mut net);
    trip(&mut net);
    for body in ["one", "two", "three", "four"] {
        net.send(0, body).unwrap();
    }
    net.take_at_receiver(usize::MAX);
    net.transmit_from_receiver(false);
    net.take_at_sender(0, usize::MAX);
    net.transmit_from_sender(0);
    look(&mut net, false).unwrap();
    net.send_back(0, "answer").unwrap();
    net.take_at_receiver(usize::MAX);
    look(&mut net, false).unwrap();
    let before = kinds_at(&net, 0).len();
    assert!(net.receiver.core.lease().is_none(), "what is to be said waits for an answer, or for a call");
    look(&mut net, false).unwrap();
    assert_eq!(kinds_at(&net, 0).len(), before + 1, "there was none");
    assert!(net.receiver.core.lease().is_none(), "the last one is not lent");
}

#[proves("ACK-11", "RTX-1", "FRM-1")]
#[test]
fn a_frame_that_carried_an_acknowledgement_can_leave_again_without() {
    let mut net = both_ways(&Setup { lossy: true, ..Setup::default() });
    trip(&mut net);
    trip(&mut net);
    assert!(net.recv_all().is_empty(), "and all is said");
    while net.senders[0].node.inbox.put(Priority::Ordered, b"in the way") {}
    net.send_back(0, "offered by itself").unwrap();
    net.transmit_from_receiver(false); // and there is no room
    net.send(0, "what?").unwrap();
    net.take_at_receiver(usize::MAX);
    assert!(matches!(look(&mut net, true), Some(Seen::Message(0, ..))), "offered with an acknowledgement, too");
    while net.senders[0].node.inbox.take().is_some() {}
    net.senders[0].node.inbox.fates.push_back(Fate::Lose);
    net.transmit_from_receiver(true);
    assert_eq!(net.senders[0].node.inbox.len(), 0, "it has left, and is lost");
    let before = net.senders[0].node.handled.len();
    net.send_back(0, "behind it").unwrap();
    net.receiver.core.with_outbound(net.senders[0].at_receiver.unwrap(), Outbound::flush);
    let told = net.recv_back(0);
    assert!(
        matches!(&told[..], [Seen::Message(_, 3, first), Seen::Message(_, 4, _)] if first == b"offered by itself"),
        "{told:?}"
    );
    assert!(kinds(&net.senders[0].node.handled[before..]).len() >= 2);
    assert_eq!(net.senders[0].node.counters().all_faults(), 0);
}

//! Section 10 of `SPEC.md`, the receiver's side: what it acknowledges, and when.

use crate::{
    forge::{WHOLE, decode_data, deliver, receive, session},
    net::{Net, Seen, Setup},
};
use lamq_protocol::{
    FrameNumber, Level, Number, Stamp,
    recv::{Pace, RecvWindow},
    wire::{Acknowledgement, DataFrame, Frame, OpenFrame, decode},
};
use lamq_proves::proves;
use proptest::prelude::*;

const SHARE: u64 = 8;
const WINDOW: u64 = 1000;

fn window(level: Level) -> RecvWindow {
    let mut window = RecvWindow::new(level, WINDOW);
    window.told(Acknowledgement { frame_credit: SHARE, byte_credit: WINDOW, ..Acknowledgement::default() });
    window
}

/// Frame number `frame`, of `records` messages of `length` bytes.
fn frame(frame: u64, first: u64, records: u64, length: usize, solicit: bool) -> DataFrame<Vec<u8>> {
    let mut open = OpenFrame::new(Vec::new(), 1 << 20, Number::new(first));
    for number in first..first + records {
        open.push(WHOLE, &vec![0; length], Stamp::new(number));
    }
    decode_data(open.seal(session(), FrameNumber::new(frame), solicit))
}

/// A receiver whose windows are so large that no half of them is ever used up.
fn patient(level: Level, auto_process: bool) -> Net {
    Net::greeted(Setup { level, auto_process, slots: 1000, ..Setup::default() })
}

/// Received, delivered, processed of the last acknowledgement that the sender got.
fn told(net: &Net) -> [u64; 3] {
    let told = net.senders[0].outbound().window().acknowledged();
    [told.received.get(), told.delivered.get(), told.processed.get()]
}

proptest! {
    /// Whatever the application does, an acknowledgement claims what has happened, or less until there is a cause for it.
    #[proves("ACK-1", "PRO-2")]
    #[test]
    fn an_acknowledgement_claims_no_more_than_has_happened(steps in prop::collection::vec(0..4, 1..60)) {
        let mut net = Net::greeted(Setup { auto_process: false, level: Level::Processed, ..Setup::default() });
        let [mut sent, mut handed, mut done] = [0_u64; 3];
        for step in steps {
            match step {
                0 if net.send(0, "x").is_ok() => sent += 1,
                1 => handed += u64::from(net.recv().is_some()),
                2 => {
                    net.receiver.core.process_all();
                    done = handed;
                }
                _ => net.pump(),
            }
            net.transmit_from_receiver(true);
            net.take_at_sender(0, usize::MAX);
            let taken = net.inbound(0).unwrap().window().received().get();
            let told = told(&net);
            prop_assert!(taken <= sent && told[0] <= taken && told[1] <= handed && told[2] <= done, "{:?}", told);
            prop_assert!(told.is_sorted_by(|received, delivered| received >= delivered));
        }
        handed += net.recv_all().len() as u64;
        net.receiver.core.process_all();
        net.recv_all();
        prop_assert_eq!(told(&net), [handed; 3], "all that has happened is told in the end");
    }
}

#[proves("ACK-8")]
#[test]
fn a_delivery_that_is_waited_for_is_told_at_once_and_once() {
    for level in [Level::Received, Level::Delivered, Level::Processed] {
        let mut window = window(level);
        let mut open = OpenFrame::new(Vec::new(), 512, Number::new(1));
        (1..=2).for_each(|stamp| open.push(WHOLE, b"x", Stamp::new(stamp)));
        open.await_delivery();
        receive(&mut window, &decode_data(open.seal(session(), FrameNumber::new(1), false))).unwrap();
        deliver(&mut window, 1);
        assert_eq!(
            window.due(SHARE).and_then(|due| due.at(Pace::Reading)),
            None,
            "{level:?}: the last one is waited for"
        );
        deliver(&mut window, 1);
        let due = window.due(SHARE).and_then(|due| due.at(Pace::Reading)).expect("both are delivered");
        assert_eq!((due.delivered.get(), due.processed.get()), (2, 0));
        window.told(due);
        assert_eq!(window.due(SHARE).and_then(|due| due.at(Pace::Reading)), None, "{level:?}: it was told");
    }
}

#[proves("ACK-2")]
#[test]
fn half_of_the_frames_used_up_is_acknowledged() {
    let mut window = window(Level::Delivered);
    for number in 1..=3 {
        receive(&mut window, &frame(number, number, 1, 1, false)).unwrap();
        assert_eq!(window.due(SHARE).and_then(|due| due.at(Pace::Reading)), None, "{number} of 8 frames");
    }
    receive(&mut window, &frame(4, 4, 1, 1, false)).unwrap();
    let due = window.due(SHARE).and_then(|due| due.at(Pace::Reading)).expect("4 of 8 frames are used up");
    assert_eq!((due.received.get(), due.delivered.get()), (4, 0));
    window.told(due);
    assert_eq!(window.due(SHARE).and_then(|due| due.at(Pace::Reading)), None, "it was told");
}

#[proves("ACK-2")]
#[test]
fn half_of_the_bytes_used_up_or_given_back_is_acknowledged() {
    let mut window = window(Level::Delivered);
    receive(&mut window, &frame(1, 1, 1, 499, false)).unwrap();
    assert_eq!(window.due(SHARE).and_then(|due| due.at(Pace::Reading)), None);
    receive(&mut window, &frame(2, 2, 1, 1, false)).unwrap();
    let used_up = window.due(SHARE).and_then(|due| due.at(Pace::Reading)).expect("500 of 1000 bytes are used up");
    assert_eq!(used_up.byte_credit, WINDOW, "and none given back");
    window.told(used_up);
    deliver(&mut window, 499);
    assert_eq!(window.due(SHARE).and_then(|due| due.at(Pace::Reading)), None);
    deliver(&mut window, 1);
    let given_back = window.due(SHARE).and_then(|due| due.at(Pace::Reading)).expect("500 bytes are given back");
    assert_eq!(given_back.byte_credit, WINDOW + 500);
}

#[proves("ACK-3")]
#[test]
fn who_finds_nothing_more_says_what_is_not_yet_acknowledged_and_says_it_once() {
    let mut net = patient(Level::Processed, true); // so that no question is answered before
    net.send(0, "x").unwrap();
    net.pump();
    assert_eq!(net.recv(), Some(Seen::Message(0, 1, b"x".to_vec())));
    net.transmit_from_receiver(false);
    assert_eq!(net.senders[0].node.inbox.len(), 0, "it may find more");
    assert!(net.receiver.core.wants_idle_transmit());
    assert_eq!(net.recv(), None);
    net.transmit_from_receiver(true);
    net.take_at_sender(0, 1);
    assert_eq!(told(&net), [1, 1, 1]);
    assert!(!net.receiver.core.wants_idle_transmit());
    net.transmit_from_receiver(true);
    assert_eq!(net.senders[0].node.inbox.len(), 0, "nothing new");
}

#[proves("ACK-3")]
#[test]
fn what_finds_no_room_is_said_when_there_is_some() {
    let mut net = Net::new(Setup { sender_slots: 1, level: Level::Processed, ..Setup::default() });
    net.connect(0);
    net.transmit_from_sender(0);
    net.take_at_receiver(1);
    let mut full = |_, _, _: &[u8]| false;
    let session = net.senders[0].at_receiver.unwrap();
    assert_eq!(net.receiver.core.transmit(true, &mut full), [session], "the welcome");
    net.recv_all();
    assert!(net.senders[0].outbound().is_open());
    net.send(0, "x").unwrap();
    net.take_at_receiver(1);
    net.recv();
    assert_eq!(net.receiver.core.transmit(true, &mut full), [session], "the acknowledgement");
    net.receiver.core.retry(session);
    assert!(net.receiver.core.wants_transmit());
    net.pump();
    assert_eq!(told(&net), [0, 0, 0], "nobody is idle");
    net.transmit_from_receiver(true);
    net.pump();
    assert_eq!(told(&net), [1, 1, 0]);
}

/// So that a shell can see to it that a sender is told in time while the application is busy.
#[test]
fn what_is_not_yet_acknowledged_can_be_told_while_there_is_more_to_read() {
    let mut net = patient(Level::Delivered, true);
    net.send(0, "x").unwrap();
    net.pump();
    assert_eq!((told(&net), net.receiver.core.has_event()), ([0, 0, 0], true));
    net.transmit_from_receiver(true);
    net.take_at_sender(0, 1);
    assert_eq!((told(&net), net.receiver.core.has_event()), ([1, 0, 0], true));
}

#[proves("ACK-4")]
#[test]
fn a_question_is_answered_when_its_number_has_come_to_the_level_and_once() {
    type Step = fn(&mut RecvWindow);
    let steps: [(&str, Step); 3] = [
        ("received", |window| _ = receive(window, &frame(1, 1, 2, 1, true)).unwrap()),
        ("delivered", |window| (0..2).for_each(|_| deliver(window, 1))),
        ("processed", RecvWindow::process_all),
    ];
    for (level, answer) in [(Level::Received, 0), (Level::Delivered, 1), (Level::Processed, 2)] {
        let mut window = window(level);
        for (at, (name, step)) in steps.iter().enumerate() {
            step(&mut window);
            let due = window.due(SHARE).and_then(|due| due.at(Pace::Reading));
            assert_eq!(due.is_some(), at == answer, "{level:?}, when {name}");
            if let Some(due) = due {
                window.told(due);
            }
        }
    }
    let mut half = window(Level::Delivered);
    receive(&mut half, &frame(1, 1, 2, 1, true)).unwrap();
    deliver(&mut half, 1);
    assert_eq!(half.due(SHARE).and_then(|due| due.at(Pace::Reading)), None, "the last record of the frame counts");
}

#[proves("ACK-4")]
#[test]
fn every_question_is_answered_in_its_turn_also_when_there_are_several() {
    let mut net = patient(Level::Delivered, true);
    let mut expected = Vec::new();
    for number in 1..=5 {
        net.send(0, "x").unwrap();
        net.send(0, "y").unwrap();
        net.flush(0);
        expected.push(2 * number);
    }
    net.pump();
    let mut answers = Vec::new();
    while net.recv().is_some() {
        net.transmit_from_receiver(false);
        if net.take_at_sender(0, usize::MAX) > 0 {
            answers.push(told(&net)[1]);
        }
    }
    for number in expected {
        assert!(answers.contains(&number), "{number} in {answers:?}");
    }
}

#[proves("ACK-4")]
#[test]
fn a_question_about_processing_is_answered_while_more_is_to_be_read() {
    let mut net = patient(Level::Processed, true);
    net.send(0, "at once").unwrap();
    net.send(0, "asked about").unwrap();
    net.flush(0);
    net.send(0, "behind it").unwrap();
    net.send(0, "behind it too").unwrap();
    net.stage_timeout(0);
    net.pump();
    for number in 1..=3 {
        assert!(matches!(net.recv(), Some(Seen::Message(0, n, _)) if n == number));
        assert!(number < 3 || net.receiver.core.wants_transmit(), "by asking for 3 it is done with 2");
        net.transmit_from_receiver(false);
    }
    net.take_at_sender(0, usize::MAX);
    assert_eq!(told(&net), [4, 3, 2]);
}

#[proves("ACK-4")]
#[test]
fn with_manual_processing_the_answer_waits_for_the_word_of_the_application() {
    let mut net = patient(Level::Processed, false);
    net.send(0, "x").unwrap();
    net.flush(0);
    net.send(0, "y").unwrap();
    net.stage_timeout(0);
    net.pump();
    net.recv();
    net.recv();
    net.transmit_from_receiver(true);
    net.take_at_sender(0, usize::MAX);
    assert_eq!(net.senders[0].outbound().window().settled(), Number::NONE);
    assert_eq!(net.ended(0), None);
    net.receiver.core.process_all();
    assert!(net.receiver.core.wants_transmit());
    let answer = net.inbound(0).unwrap().window().due(SHARE).and_then(|due| due.at(Pace::Idle)).unwrap();
    assert_eq!(answer.processed.get(), 2);
}

#[proves("POS-9")]
#[test]
fn acknowledgements_overtake_and_all_else_stays_in_order() {
    let mut net = Net::pair();
    net.send(0, "x").unwrap();
    net.pump();
    net.recv();
    let mut priorities = Vec::new();
    net.receiver.core.leave();
    net.receiver.core.transmit(true, &mut |_, priority, frame| {
        let kind = decode(frame.to_vec()).unwrap().1;
        priorities.push((matches!(kind, Frame::Acknowledgement(_)), priority.number()));
        true
    });
    assert_eq!(priorities, [(true, 1), (false, 0)], "an acknowledgement and a close");
    for sent in &net.receiver.handled {
        assert!(!matches!(decode(sent.clone()).unwrap().1, Frame::Acknowledgement(_)), "a sender has none to send");
    }
}

//! Section 21 of `SPEC.md`: what is between two receivers.

use crate::{
    net::{Fate, Seen, Setup},
    resuming::{greeting, read, resuming, send},
};
use lamq_protocol::{
    Number,
    endpoint::SendRefused,
    send::NoRoom,
    session::{Departure, Ended},
    wire::{Frame, decode},
};
use lamq_proves::proves;

#[proves("RSM-1", "DRP-2", "CLO-1")]
#[test]
fn what_is_accepted_dropped_or_closed_meanwhile_comes_behind() {
    for drops in [true, false] {
        let mut net = resuming(&Setup { window: 4000, frame_size: 1024, ..Setup::default() });
        (0..3).for_each(|_| _ = net.send(0, [1; 900]).unwrap());
        net.setup.window = 1024;
        // Twice, so that what waits for credit is lost once more.
        for _ in 0..2 {
            net.replace_receiver();
            net.resume(0);
            assert_eq!(net.senders[0].outbound().window().transmitted().get(), 1, "credit for one of them");
        }
        assert_eq!(net.send(0, "there would be credit"), Err(SendRefused::NoRoom(NoRoom::Credit)));
        if drops {
            net.drop_message(0).unwrap();
        }
        net.close(0);
        let seen = net.recv_all();
        let long = |number| Seen::Message(0, number, vec![1; 900]);
        let mut expected = vec![Seen::Joined(0), long(1), long(2), long(3)];
        expected.extend(drops.then_some(Seen::Gap(0, 4, 4)));
        expected.push(Seen::Departed(0, Departure::Left, if drops { 4 } else { 3 }));
        assert_eq!(seen, expected);
        assert_eq!(net.senders[0].ended.len(), 3, "the links of two lost receivers, and of the last one");
    }
}

#[proves("RSM-2", "RSM-5")]
#[test]
fn a_message_of_which_a_piece_has_left_may_have_been_seen() {
    let mut net = resuming(&Setup { slots: 3, ..Setup::default() });
    net.send(0, [0; 2000]).unwrap();
    assert_eq!(net.senders[0].outbound().window().transmitted(), Number::NONE);
    assert_eq!(net.senders[0].outbound().window().exposed().get(), 1);
    net.replace_receiver();
    net.resume(0);
    assert_eq!(greeting(&net).exposed.get(), 1);
}

#[proves("RSM-1")]
#[test]
fn frames_are_made_anew_for_the_next_inbox() {
    let mut net = resuming(&Setup { frame_size: 4096, ..Setup::default() });
    (0..20).for_each(|_| _ = net.send(0, [1; 150]).unwrap());
    net.flush(0);
    net.setup.frame_size = 512;
    net.replace_receiver();
    net.resume(0);
    assert_eq!(read(&mut net).len(), 20);
    assert!(net.receiver.handled.iter().all(|frame| frame.len() <= 512));
}

#[proves("RSM-2", "RTX-2", "GRT-3")]
#[test]
fn a_welcome_that_is_lost_on_the_way_back_is_said_again() {
    let mut net = resuming(&Setup { lossy: true, ..Setup::default() });
    send(&mut net, 1..=2);
    net.flush(0);
    read(&mut net);
    net.replace_receiver();
    net.senders[0].node.inbox.fates.push_back(Fate::Lose);
    net.resume(0);
    assert!(net.senders[0].outbound().seeks().is_some());
    net.answer_timeout(0);
    net.pump();
    assert_eq!(net.senders[0].outbound().seeks(), None);
    let before = net.senders[0].node.handled.len();
    net.recv_all();
    assert_eq!(net.senders[0].node.handled.len(), before, "nothing has come, and there is nothing to acknowledge");
}

#[test]
fn who_has_only_its_close_to_say_looks_for_nobody() {
    let mut net = resuming(&Setup { lossy: true, ..Setup::default() });
    send(&mut net, 1..=1);
    net.flush(0);
    read(&mut net);
    net.receiver.inbox.fates.push_back(Fate::Lose);
    net.close(0);
    net.replace_receiver();
    assert_eq!(net.ended(0), Some(Ended::PeerDied));
    assert_eq!(net.senders[0].outbound().window().settled().get(), 1);
    // Nor has one that is told to close when it has nothing more to say than that.
    let mut net = resuming(&Setup::default());
    send(&mut net, 1..=1);
    net.recv_all();
    net.replace_receiver();
    assert!(net.senders[0].outbound().is_lost());
    net.close(0);
    assert_eq!(net.ended(0), Some(Ended::Finished));
}

#[proves("RSM-1", "FRM-2")]
#[test]
fn late_words_are_of_no_session_also_before_the_next_receiver_is_found() {
    let mut net = resuming(&Setup { lossy: true, ..Setup::default() });
    send(&mut net, 1..=4);
    net.flush(0);
    net.pump();
    assert!(net.recv().is_some());
    net.transmit_from_receiver(true);
    net.pump();
    let is_acknowledgement = |frame: &&Vec<u8>| matches!(decode(frame.as_slice()), Ok((_, Frame::Acknowledgement(_))));
    let late = net.senders[0].node.handled.iter().rev().find(is_acknowledgement).unwrap().clone();
    net.receiver.core.leave();
    net.transmit_from_receiver(true);
    net.pump();
    assert!(net.senders[0].outbound().is_lost());
    net.give_sender(0, late);
    assert_eq!(net.ended(0), None);
}

#[proves("RSM-3")]
#[test]
fn who_will_not_look_for_another_receiver_ends_with_this_one() {
    for lost_before in [true, false] {
        let mut net = resuming(&Setup::default());
        send(&mut net, 1..=1);
        let session = net.senders[0].session;
        if lost_before {
            net.replace_receiver();
        }
        net.senders[0].node.core.stop_resuming(session);
        assert_eq!(net.ended(0).is_some(), lost_before);
        net.replace_receiver();
        assert_eq!(net.ended(0), Some(Ended::PeerDied));
        assert!(!net.senders[0].outbound().is_lost());
    }
}

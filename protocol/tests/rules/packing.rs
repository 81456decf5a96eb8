//! A message longer than a frame is packed in parts, and what is packed leaves meanwhile.

use crate::{
    net::{Net, Seen, Setup},
    resuming::{read, resuming},
};
use lamq_protocol::{
    endpoint::SendRefused,
    send::{Manner, NoRoom},
    session::Ended,
};
use lamq_proves::proves;

/// Takes twenty-three frames of 512 bytes.
fn long() -> Vec<u8> {
    (0..10_000_u32).map(|place| (place % 251) as u8).collect()
}

fn setup() -> Setup {
    Setup { max_message: 20_000, window: 40_000, ..Setup::default() }
}

/// Begins to send the long message; the first of it leaves.
fn begin(net: &mut Net) -> u64 {
    let session = net.senders[0].session;
    let (number, has_more) = net.senders[0].node.core.begin(session, &long(), Manner::default()).unwrap();
    assert!(has_more);
    net.transmit_from_sender(0);
    number.get()
}

fn go_on(net: &mut Net) -> Result<bool, SendRefused> {
    let session = net.senders[0].session;
    let result = net.senders[0].node.core.go_on(session, &long());
    net.transmit_from_sender(0);
    result
}

fn accepted(net: &Net) -> u64 {
    net.senders[0].outbound().window().accepted().get()
}

#[proves("LRG-1", "PRO-1", "CRD-1")]
#[test]
fn each_frame_of_a_long_message_leaves_before_the_next_is_packed_and_credit_comes_meanwhile() {
    let mut net = Net::greeted(setup());
    net.recv_all();
    assert_eq!(begin(&mut net), 1);
    let mut frames = 1;
    loop {
        assert_eq!(net.take_at_receiver(usize::MAX), 1, "it has left");
        net.transmit_from_receiver(false);
        net.take_at_sender(0, usize::MAX);
        frames += 1;
        if !go_on(&mut net).unwrap() {
            break;
        }
    }
    assert!(frames > 20, "it takes {frames}");
    assert_eq!(net.send(0, "behind it"), Ok(2));
    assert_eq!(net.recv_all(), [Seen::Message(0, 1, long()), Seen::Message(0, 2, b"behind it".to_vec())]);
    let window = net.senders[0].outbound().window();
    assert_eq!((window.settled(), window.frames_kept()), (window.accepted(), 0));
}

#[proves("NUM-2", "RSM-5")]
#[test]
fn a_message_whose_receiver_leaves_before_all_is_packed_was_not_accepted() {
    let mut net = Net::greeted(setup());
    net.recv_all();
    net.send(0, "before it").unwrap();
    net.recv_all();
    assert_eq!(begin(&mut net), 2);
    net.receiver.core.leave();
    net.transmit_from_receiver(true);
    net.take_at_sender(0, usize::MAX);
    assert_eq!(go_on(&mut net), Err(SendRefused::Ended(Ended::ClosedByPeer)));
    assert_eq!(accepted(&net), 1, "its number was not used");
    assert_eq!(net.senders[0].outbound().window().unacknowledged(), []);
}

#[proves("NUM-2", "RSM-1", "RSM-2")]
#[test]
fn a_message_whose_receiver_is_lost_before_all_is_packed_is_sent_to_the_next_one_as_if_anew() {
    let mut net = resuming(&setup());
    net.recv_all();
    assert_eq!(begin(&mut net), 1);
    net.replace_receiver();
    assert_eq!(go_on(&mut net), Err(SendRefused::NoRoom(NoRoom::Credit)));
    assert_eq!(accepted(&net), 0, "its number was not used");
    net.resume(0);
    let mut seen = Vec::new();
    for (number, body) in [(1, long()), (2, b"behind it".to_vec())] {
        assert_eq!(net.send(0, &body), Ok(number));
        seen.extend(read(&mut net).into_iter().map(|(number, got, _)| (number, got == body)));
    }
    assert_eq!(seen, [(1, true), (2, true)]);
}

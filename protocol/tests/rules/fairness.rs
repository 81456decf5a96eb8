//! Nobody is held up by a long message of somebody else.

use crate::net::{Net, Seen, Setup};
use lamq_protocol::wire::{Frame, decode};
use lamq_proves::proves;

#[proves("CRD-3", "LRG-2")]
#[test]
fn at_most_eight_pieces_of_a_long_message_pass_between_two_frames_of_a_sender_that_always_has_some() {
    let mut net = Net::greeted(Setup { senders: 2, window: 4000, ..Setup::default() });
    let body = vec![5; 200_000];
    let (mut accepted, mut arrived, mut short) = (false, false, 0);
    while !arrived {
        while net.send(1, [7; 64]).is_ok() {}
        accepted = accepted || net.send(0, &body).is_ok();
        net.transmit_from_sender(0);
        net.transmit_from_sender(1);
        let taken = net.take_at_receiver(1);
        while let Some(seen) = net.recv() {
            match seen {
                Seen::Message(0, 1, whole) => arrived = whole == body,
                Seen::Message(1, ..) => short += 1,
                other => panic!("{other:?}"),
            }
        }
        net.transmit_from_receiver(taken == 0);
        (0..2).for_each(|index| _ = net.take_at_sender(index, usize::MAX));
    }
    let data = net.receiver.handled.iter().filter_map(|frame| match decode(frame.as_slice()).unwrap().1 {
        Frame::Data(data) => Some(data.starts_inside() || data.ends_inside()),
        _ => None,
    });
    let data: Vec<_> = data.collect();
    let longest = data.split(|is_piece| !is_piece).map(<[bool]>::len).max().unwrap();
    assert!((1..=8).contains(&longest), "{longest} pieces in a row");
    assert!(short > 300, "{short} short ones beside 435 pieces");
}

//! Section 11 of `SPEC.md`: a receiver without capacity.

use crate::net::{Channel, Fate, Net, Seen, Setup};
use lamq_protocol::{endpoint::SendRefused, send::NoRoom};
use lamq_proves::proves;
use proptest::prelude::*;

const NO_ROOM: Result<u64, SendRefused> = Err(SendRefused::NoRoom(NoRoom::Credit));

fn without_capacity(setup: &Setup) -> Net {
    let mut net = Net::new(Setup { channel: Channel::WithoutCapacity, ..setup.clone() });
    (0..net.senders.len()).for_each(|index| net.greet(index));
    for index in 0..net.senders.len() {
        assert_eq!(net.recv(), Some(Seen::Joined(index)));
    }
    net.pump();
    net
}

/// The receiving application asks, and finds nothing.
fn ask(net: &mut Net) {
    assert_eq!(net.recv(), None);
    net.transmit_from_receiver(false);
    net.pump();
}

#[proves("RDV-1")]
#[test]
fn a_sender_has_credit_only_while_the_application_asks() {
    let mut net = without_capacity(&Setup { senders: 2, ..Setup::default() });
    assert!(net.senders[0].outbound().window().is_rendezvous());
    assert_eq!(net.send(0, "too soon"), NO_ROOM);
    for number in 1..=3 {
        ask(&mut net);
        assert_eq!(net.send(0, "now"), Ok(number));
        assert_eq!(net.send(0, "one is enough"), NO_ROOM);
        net.pump();
        assert_eq!(net.send(0, "it is not taken yet"), NO_ROOM);
        assert_eq!(net.recv(), Some(Seen::Message(0, number, b"now".to_vec())));
        net.transmit_from_receiver(true);
        net.pump();
        assert_eq!(net.send(0, "it asks for nothing more"), NO_ROOM);
    }
    // The other one was granted as much all the time, and holds up nobody.
    assert_eq!(net.send(1, "at last"), Ok(1));
    assert_eq!(net.send(1, "one is enough"), NO_ROOM);
    net.pump();
    assert_eq!(net.recv(), Some(Seen::Message(1, 1, b"at last".to_vec())));
}

#[proves("RDV-1")]
#[test]
fn a_long_message_that_has_begun_comes_to_its_end_while_the_application_asks() {
    let setup = Setup { window: 1000, max_message: 5000, ..Setup::default() };
    let mut net = without_capacity(&setup);
    let long = vec![7; 4000];
    assert_eq!(net.send(0, &long), NO_ROOM);
    net.pump();
    assert_eq!(net.send(0, &long), NO_ROOM, "the bytes are granted, a frame is not");
    ask(&mut net);
    assert_eq!(net.send(0, &long), Ok(1));
    net.pump();
    assert_eq!(net.recv(), Some(Seen::Message(0, 1, long)));
}

#[proves("RDV-1", "RTX-2")]
#[test]
fn a_grant_that_is_lost_is_asked_for() {
    let mut net = without_capacity(&Setup { lossy: true, ..Setup::default() });
    assert_eq!(net.send(0, "x"), NO_ROOM);
    ask(&mut net);
    assert_eq!(net.send(0, "first"), Ok(1));
    net.pump();
    assert_eq!(net.recv(), Some(Seen::Message(0, 1, b"first".to_vec())));
    net.transmit_from_receiver(true);
    net.pump();
    assert_eq!(net.send(0, "second"), NO_ROOM);
    net.senders[0].node.inbox.fates.push_back(Fate::Lose);
    ask(&mut net);
    assert_eq!(net.send(0, "second"), NO_ROOM, "the grant was lost");
    net.answer_timeout(0);
    net.pump();
    assert_eq!(net.send(0, "second"), Ok(2));
}

proptest! {
    /// However they take turns, what is taken from the link and not handed out is one message of each sender at most.
    #[proves("RDV-1")]
    #[test]
    fn no_sender_is_ever_two_messages_ahead(steps in prop::collection::vec(0..4_usize, 1..80)) {
        let mut net = without_capacity(&Setup { senders: 2, ..Setup::default() });
        let (mut sent, mut taken) = ([0; 2], [0; 2]);
        for step in steps {
            match step {
                0 | 1 => sent[step] += u64::from(net.send(step, "x").is_ok()),
                2 => {
                    if let Some(Seen::Message(index, number, _)) = net.recv() {
                        taken[index] = number;
                    }
                    net.transmit_from_receiver(false);
                }
                _ => net.pump(),
            }
            prop_assert!((0..2).all(|index| sent[index] - taken[index] <= 1), "{:?} {:?}", sent, taken);
        }
        // And whoever goes on asking gets all of it.
        while let Some(Seen::Message(index, number, _)) = { net.pump(); net.recv() } {
            taken[index] = number;
            net.transmit_from_receiver(false);
        }
        prop_assert_eq!(sent, taken);
    }
}

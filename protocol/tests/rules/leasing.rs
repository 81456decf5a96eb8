//! Messages that are handed out by a lease: to everybody else it is as if each had been asked for.

use crate::net::{Channel, Net, Setup};
use lamq_protocol::{
    Endpoint, Event, Level,
    endpoint::{Counters, Lease},
    send::Manner,
};
use lamq_proves::proves;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// By this sender, so many bytes, which it may wait for.
    Send(usize, usize, bool),
    Drop(usize),
    Flush(usize),
    Close(usize),
    Pump,
    /// So many messages, in batches of so many; of each lease at most so many.
    Receive(usize, usize, usize),
    Transmit(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![8 => 0..40_usize, 1 => 400..1200_usize];
    prop_oneof![
        12 => (0..2_usize, length, prop::bool::weighted(0.1)).prop_map(|(who, length, waits)| Step::Send(who, length, waits)),
        1 => (0..2_usize).prop_map(Step::Drop),
        1 => (0..2_usize).prop_map(Step::Flush),
        1 => prop::bool::weighted(0.1).prop_map(|closes| if closes { Step::Close(0) } else { Step::Pump }),
        3 => Just(Step::Pump),
        4 => (0..12_usize, prop_oneof![Just(1), 2..6_usize], 1..9_usize)
            .prop_map(|(messages, batch, most)| Step::Receive(messages, batch, most)),
        2 => any::<bool>().prop_map(Step::Transmit),
    ]
}

/// Whether the application asks for the event at this place as one more beside those that it has.
fn is_more(place: usize, batch: usize) -> bool {
    !place.is_multiple_of(batch)
}

fn ask(core: &mut Endpoint<Vec<u8>>, one_more: bool) -> Option<Event<Vec<u8>>> {
    if one_more { core.next_of_many() } else { core.next_event() }
}

/// So many events, in batches of so many, asked for one by one.
fn asked(core: &mut Endpoint<Vec<u8>>, count: usize, batch: usize) -> Vec<Event<Vec<u8>>> {
    (0..count).map_while(|place| ask(core, is_more(place, batch))).collect()
}

/// The next message of a lease, as the endpoint would hand it out.
fn message(lease: &mut Lease<Vec<u8>>, one_more: bool) -> Option<Event<Vec<u8>>> {
    let record = lease.next_message(one_more)?;
    Some(Event::Message {
        session: lease.session(),
        peer: lease.peer(),
        number: record.number,
        stamp: record.stamp,
        may_repeat: lease.may_repeat(&record),
        frame: lease.frame().clone(),
        body: record.body,
    })
}

/// The same, by leases of at most so many wherever there is one. Returns also how many messages came out of leases.
fn leased(core: &mut Endpoint<Vec<u8>>, count: usize, batch: usize, most: usize) -> (Vec<Event<Vec<u8>>>, usize) {
    let (mut events, mut by_lease) = (Vec::new(), 0);
    while events.len() < count {
        if let Some(mut lease) = core.lease() {
            let before = events.len();
            let end = count.min(before + most);
            events.extend((before..end).map_while(|place| message(&mut lease, is_more(place, batch))));
            by_lease += events.len() - before;
            core.settle(lease);
            if events.len() > before {
                continue;
            }
        }
        match ask(core, is_more(events.len(), batch)) {
            Some(event) => events.push(event),
            None => break,
        }
    }
    (events, by_lease)
}

fn run(setup: Setup, steps: &[Step]) -> Result<usize, TestCaseError> {
    let mut net = Net::new(setup);
    net.greet(0);
    net.greet(1);
    let mut by_lease = 0;
    for step in steps {
        match *step {
            Step::Send(who, length, awaited) => {
                _ = net.send_as(who, vec![7; length], Manner { awaited, reserved: None });
            }
            Step::Drop(who) => _ = net.drop_message(who),
            Step::Flush(who) => net.flush(who),
            Step::Close(who) => net.close(who),
            Step::Pump => net.pump(),
            Step::Transmit(idle) => net.transmit_from_receiver(idle),
            Step::Receive(count, batch, most) => {
                let mut other = net.receiver.core.clone();
                let (events, messages) = leased(&mut other, count, batch, most);
                by_lease += messages;
                prop_assert_eq!(events, asked(&mut net.receiver.core, count, batch));
                prop_assert_eq!(&other, &net.receiver.core);
                let counters: [&Counters; 2] = [other.counters(), net.receiver.core.counters()];
                prop_assert_eq!(counters[0], counters[1]);
            }
        }
    }
    Ok(by_lease)
}

proptest! {
    #[proves("PRO-1", "LAM-2", "ACK-1", "ACK-4", "ACK-10")]
    #[test]
    fn a_lease_leaves_the_endpoint_as_if_each_message_had_been_asked_for(
        level in prop_oneof![Just(Level::Received), Just(Level::Delivered), Just(Level::Processed)],
        steps in prop::collection::vec(step(), 1..120),
    ) {
        run(Setup { senders: 2, level, window: 4096, ..Setup::default() }, &steps)?;
    }
}

#[test]
fn most_of_what_comes_in_full_frames_is_handed_out_by_leases() {
    let mut steps = vec![Step::Send(0, 8, false); 300];
    steps.extend([Step::Flush(0), Step::Pump, Step::Receive(10_000, 1, 1000)]);
    let by_lease = run(Setup { senders: 2, window: 1 << 16, slots: 100, ..Setup::default() }, &steps).unwrap();
    assert!(by_lease > 250, "{by_lease}");
}

#[test]
fn there_is_no_lease_where_a_message_is_processed_by_a_word_or_taken_by_a_sender_that_waits() {
    for setup in [
        Setup { auto_process: false, ..Setup::default() },
        Setup { channel: Channel::WithoutCapacity, ..Setup::default() },
    ] {
        let mut net = Net::greeted(setup);
        (0..20).for_each(|_| _ = net.send(0, "x"));
        net.flush(0);
        net.pump();
        assert!(net.receiver.core.lease().is_none());
        while net.receiver.core.next_event().is_some() {
            assert!(net.receiver.core.lease().is_none());
        }
    }
}

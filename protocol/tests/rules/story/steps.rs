//! What can happen in a story.

use crate::net::Setup;
use lamq_protocol::Level;
use proptest::{prelude::*, sample::Index};

/// Something that happens next, to the sender it names; it is left out if it cannot happen.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Connect(usize),
    Send(usize, usize),
    Drop(usize),
    Flush(usize),
    StageTimeout(usize),
    Close(usize),
    Kill(usize),
    Mourn(usize),
    TransmitFromSender(usize),
    TransmitFromReceiver {
        idle: bool,
    },
    TakeAtReceiver(usize),
    TakeAtSender(usize, usize),
    Read(usize),
    ProcessAll,
    /// A frame that one node has handled comes to another, or comes again. The receiver stands behind the senders.
    Replay {
        from: usize,
        frame: Index,
        to: usize,
    },
}

/// The longest message of a story; a few frames have room for it.
pub(super) const MAX_LENGTH: usize = 2500;

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![4 => Just(0), 4 => 0..40_usize, 4 => 0..468_usize, 2 => 0..=MAX_LENGTH]
}

/// `eagerness` is how often the receiving application reads.
fn step(senders: usize, eagerness: u32) -> impl Strategy<Value = Step> {
    use Step::*;
    let who = || 0..senders;
    let node = || 0..=senders;
    prop_oneof![
        5 => who().prop_map(Connect),
        60 => (who(), length()).prop_map(|(who, length)| Send(who, length)),
        8 => who().prop_map(Drop),
        5 => who().prop_map(Flush),
        10 => who().prop_map(StageTimeout),
        1 => who().prop_map(Close),
        1 => who().prop_map(Kill),
        10 => who().prop_map(Mourn),
        15 => who().prop_map(TransmitFromSender),
        20 => any::<bool>().prop_map(|idle| TransmitFromReceiver { idle }),
        30 => (1..6_usize).prop_map(TakeAtReceiver),
        30 => (who(), 1..4_usize).prop_map(|(who, most)| TakeAtSender(who, most)),
        eagerness => (1..6_usize).prop_map(Read),
        5 => Just(ProcessAll),
        15 => (node(), any::<Index>(), node()).prop_map(|(from, frame, to)| Replay { from, frame, to }),
    ]
}

fn setup() -> impl Strategy<Value = Setup> {
    let level = prop::sample::select(&[Level::Received, Level::Delivered, Level::Processed][..]);
    let slots = (prop::sample::select(&[1, 2, 3, 10, 40][..]), 1..=4_usize);
    let senders = prop_oneof![1 => Just(1), 1 => 1..=6_usize];
    let retain = prop_oneof![Just(1 << 20), 0..4000_usize];
    (senders, level, any::<bool>(), slots, 512..6000_u64, 2..=6_u32, retain).prop_map(
        |(senders, level, auto_process, (slots, sender_slots), window, max_sessions, retain)| {
            let setup = Setup { senders, level, auto_process, max_sessions, retain, ..Setup::default() };
            let (max_message, large_memory) = (u32::try_from(MAX_LENGTH).expect("short"), 3000);
            Setup { slots, sender_slots, window, max_message, large_memory, ..setup }
        },
    )
}

pub(super) fn story() -> impl Strategy<Value = (Setup, Vec<Step>)> {
    (setup(), prop::sample::select(&[2, 10, 40][..])).prop_flat_map(|(setup, eagerness)| {
        let senders = setup.senders;
        (Just(setup), prop::collection::vec(step(senders, eagerness), 1..300))
    })
}

//! What an application calls, on a link in memory: the calls of the system are the kernel's part.
//!
//! Locks are counted as they are without a bias: see [`bias`](crate::bias).

use crate::{counted_part, frames::BODY};
use lamq::{Event, Receiver, Sender, link::Memory};
use std::{hint::black_box, time::Duration};

/// How many messages fill a frame of [`FRAME_SIZE`].
const IN_A_FRAME: u64 = 118;

/// Nearly the default, and such that the last message fills its frame to the last byte: then it leaves at once, nobody waits for it, and
/// every round is like the other.
const FRAME_SIZE: usize = 48 + 118 * (4 + BODY.len());

/// How many messages are sent before they are received: one by itself, as nothing is on its way, and five full frames, for which there is
/// credit.
const MESSAGES: u64 = 1 + 5 * IN_A_FRAME;

const ROUNDS: u64 = 20;

/// Of round trips.
const TRIPS: u64 = 1000;

/// Until buffers are as large as they will ever be.
const WARM_UP: u64 = 5;

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Sending,
    Receiving,
    /// Many at a time.
    Batches,
}

/// The most messages of a batch: it ends within a frame, or with it.
const BATCH: usize = 100;

/// Returns how many messages were sent and received while one end was counted.
fn exchange(counted: End) -> u64 {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).frame_size(FRAME_SIZE).spin(Duration::ZERO);
    let receiver = receiver.bind("/counted").expect("the space is empty");
    let sender = Sender::builder().link(space).spin(Duration::ZERO).connect("/counted").expect("it is bound");
    for round in 0..WARM_UP + ROUNDS {
        let during = |end, work: &dyn Fn()| {
            if round >= WARM_UP && end == counted { counted_part(work) } else { work() }
        };
        during(End::Sending, &|| {
            for _ in 0..MESSAGES {
                _ = black_box(sender.send(black_box(&BODY)).expect("the receiver is there"));
            }
        });
        match counted {
            End::Batches => during(End::Batches, &|| receive_batches(&receiver)),
            _ => during(End::Receiving, &|| {
                for _ in 0..MESSAGES {
                    assert_eq!(receiver.recv().expect("the sender is there").len(), BODY.len());
                }
            }),
        }
        assert!(receiver.try_recv().is_err(), "it has received all, and says so now that it finds nothing more");
    }
    ROUNDS * MESSAGES
}

fn receive_batches(receiver: &Receiver) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut taken = 0;
    while taken < MESSAGES {
        taken += receiver.recv_many(&mut batch, BATCH).expect("the sender is there") as u64;
        assert!(batch.drain(..).all(|message| message.len() == BODY.len()));
    }
}

pub(crate) fn send() -> u64 {
    exchange(End::Sending)
}

pub(crate) fn recv() -> u64 {
    exchange(End::Receiving)
}

pub(crate) fn recv_many() -> u64 {
    exchange(End::Batches)
}

/// A question and its answer, each after the other: what both sides do for them.
pub(crate) fn round_trip() -> u64 {
    let space = Memory::new();
    let server =
        Receiver::builder().link(space.clone()).spin(Duration::ZERO).bind("/counted").expect("the space is empty");
    let client = Sender::builder().link(space).spin(Duration::ZERO);
    let (questions, answers) = client.connect_both_ways("/counted", &Receiver::builder()).expect("it is bound");
    let Ok(Event::Joined(peer)) = server.recv_event(None) else { panic!("the client came first") };
    let back = server.sender_to(peer).expect("it wants answers");
    let trips = || {
        for _ in 0..TRIPS {
            questions.send(black_box(&BODY)).expect("the server is there");
            let question = server.recv().expect("the client is there");
            back.send(&*question).expect("the client is there");
            assert_eq!(answers.recv().expect("the server is there").len(), BODY.len());
        }
    };
    trips(); // until each side expects answers, and buffers are as large as they will ever be
    counted_part(trips);
    TRIPS
}

//! Once a channel is warm nothing is allocated, neither for a message nor for a frame: buffers are used again.
//!
//! A receiver and its sender are two threads of this process, as busy as they can be, and each counts what it allocates itself.

use allocation_counter::measure;
use lamq::{
    Event, Receiver, Sender, TryRecvError,
    link::{Link, Memory, Posix},
    typed,
};
use serde::{Deserialize, Serialize};
use std::{process, thread};

/// Until every buffer is as large as it will ever be.
const WARM_UP: u64 = 20_000;

const MESSAGES: u64 = 100_000;

/// More may be on its way than ever before: then a new buffer grows to its size, and in every tenth frame that is no fault. One allocation
/// for each frame would be ten times as many, one for each message far more.
const FRAMES_FOR_ONE: u64 = 10;

/// So much in a short run.
const IN_ANY_CASE: u64 = 50;

/// How many allocations there were while so many messages went through, and in how many frames they went.
#[derive(Clone, Copy, Debug)]
struct Counted {
    sending: u64,
    receiving: u64,
    frames: u64,
}

impl Counted {
    fn tolerated(self) -> u64 {
        self.frames / FRAMES_FOR_ONE + IN_ANY_CASE
    }

    #[track_caller]
    fn demand_none(self) {
        assert!(self.tolerated() < self.frames / 2, "one for each frame would not be noticed: {self:?}");
        assert!(self.sending <= self.tolerated(), "while sending: {self:?}");
        assert!(self.receiving <= self.tolerated(), "while receiving: {self:?}");
    }
}

/// Sends and takes messages on two threads.
fn count<S: Send, R: Send>(
    (receiver, sender): (R, S),
    untyped: impl Fn(&R) -> &Receiver + Send,
    send: impl Fn(&S) + Send,
    take: impl Fn(&R) + Send,
) -> Counted {
    let repeat = |times, what: &dyn Fn()| (0..times).for_each(|_| what());
    thread::scope(|scope| {
        let sending = scope.spawn(move || {
            let send = || send(&sender);
            repeat(WARM_UP, &send);
            measure(|| repeat(MESSAGES, &send)).count_total
        });
        let receiving = scope.spawn(move || {
            let take = || take(&receiver);
            repeat(WARM_UP, &take);
            let frames = untyped(&receiver).stats().data_frames;
            let allocations = measure(|| repeat(MESSAGES, &take)).count_total;
            (allocations, untyped(&receiver).stats().data_frames - frames)
        });
        let (receiving, frames) = receiving.join().unwrap();
        Counted { sending: sending.join().unwrap(), receiving, frames }
    })
}

/// The two ends of a channel.
fn bytes(link: impl Link + Clone + 'static, name: &str) -> (Receiver, Sender) {
    let name = format!("/lamq.test.allocations.{}.{name}", process::id());
    let receiver = Receiver::builder().link(link.clone()).bind(&*name).unwrap();
    (receiver, Sender::builder().link(link).connect(&*name).unwrap())
}

/// Messages of `LENGTH` bytes, taken as by `take`, over both links.
fn count_bytes<const LENGTH: usize>(name: &str, take: fn(&Receiver) -> usize) -> [Counted; 2] {
    let body = [7; LENGTH];
    let send = |sender: &Sender| assert!(sender.send(&body).is_ok());
    let take = |receiver: &Receiver| assert_eq!(take(receiver), LENGTH);
    [bytes(Memory::new(), name), bytes(Posix, name)].map(|ends| count(ends, |receiver| receiver, send, take))
}

fn recv(receiver: &Receiver) -> usize {
    receiver.recv().unwrap().len()
}

#[test]
fn messages_of_64_bytes() {
    count_bytes::<64>("64", recv).into_iter().for_each(Counted::demand_none);
}

#[test]
fn messages_of_1_kib() {
    count_bytes::<1024>("1024", recv).into_iter().for_each(Counted::demand_none);
}

/// As long as a frame can hold.
#[test]
fn messages_that_fill_a_frame() {
    count_bytes::<8072>("8072", recv).into_iter().for_each(Counted::demand_none);
}

/// A little longer than a frame can hold: the receiver puts the pieces together, in memory of the message's own.
#[test]
fn messages_of_8_kib() {
    for counted in count_bytes::<8192>("8192", recv) {
        Counted { receiving: 0, ..counted }.demand_none();
        // Each frame but the first begins with the rest of a message, at most.
        let pieces = MESSAGES + counted.frames;
        let sharing = MESSAGES;
        assert!(counted.receiving <= pieces + sharing + counted.tolerated(), "{counted:?}");
    }
}

#[test]
fn asked_for_again_and_again() {
    let counted = count_bytes::<64>("try", |receiver| {
        loop {
            match receiver.try_recv() {
                Ok(message) => return message.len(),
                Err(TryRecvError::Empty) => thread::yield_now(),
                Err(TryRecvError::Disconnected) => panic!("it was not closed"),
            }
        }
    });
    counted.into_iter().for_each(Counted::demand_none);
}

#[test]
fn seen_as_events() {
    let counted = count_bytes::<64>("events", |receiver| {
        loop {
            if let Event::Message(message) = receiver.recv_event(None).unwrap() {
                return message.len();
            }
        }
    });
    counted.into_iter().for_each(Counted::demand_none);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Measurement {
    place: [u16; 3],
    value: f64,
    is_final: bool,
}

const MEASUREMENT: Measurement = Measurement { place: [1, 500, 7], value: 21.5, is_final: true };

fn values(link: impl Link + Clone + 'static) -> (typed::Receiver<Measurement>, typed::Sender<Measurement>) {
    let name = format!("/lamq.test.allocations.{}.typed", process::id());
    let receiver = Receiver::builder().link(link.clone()).typed().bind(&*name).unwrap();
    (receiver, Sender::builder().link(link).typed().connect(&*name).unwrap())
}

#[test]
fn values_that_own_no_memory() {
    for ends in [values(Memory::new()), values(Posix)] {
        let send = |sender: &typed::Sender<_>| assert!(sender.send(&MEASUREMENT).is_ok());
        let take = |receiver: &typed::Receiver<_>| assert_eq!(receiver.recv().unwrap().decode().unwrap(), MEASUREMENT);
        count(ends, typed::Receiver::untyped, send, take).demand_none();
    }
}

/// That there is nothing to count says little, unless what there is is counted.
#[test]
fn an_allocation_for_each_message_is_counted() {
    let send = |sender: &Sender| assert!(sender.send(Vec::from([7; 64])).is_ok());
    let take = |receiver: &Receiver| assert_eq!(receiver.recv().unwrap().to_vec().len(), 64);
    let Counted { sending, receiving, frames } = count(bytes(Memory::new(), "canary"), |receiver| receiver, send, take);
    assert!(sending >= MESSAGES && receiving >= MESSAGES, "{sending} and {receiving}");
    assert!(frames < MESSAGES / 10, "many messages share a frame: {frames}");
}

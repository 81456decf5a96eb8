//! Frames that a stranger writes into the inboxes of a live session: none of them reaches the application or disturbs the
//! session, and each is counted under what it is.

use crate::{
    tap::{Tap, Way},
    world::{Dice, Name, Raw, WATCHDOG, wait_until},
};
use lamq::{Counters, Event, Receiver, SendFailure, Sender};
use lamq_protocol::wire::{self, Frame};
use lamq_proves::proves;
use std::{collections::BTreeSet, ops::Range, thread, time::Duration};

/// How many frames of each cause an endpoint is to have dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Dropped {
    malformed: u64,
    unknown_session: u64,
    duplicates: u64,
    repeated_greeting: u64,
    untrusted_greeting: u64,
    repeated_welcome: u64,
    stale: u64,
}

impl Dropped {
    fn by(counters: &Counters) -> Self {
        assert_eq!((counters.violations, counters.refused, counters.late_refusals), (0, 0, 0), "{counters:?}");
        Self {
            malformed: counters.all_faults(),
            unknown_session: counters.unknown_session,
            duplicates: counters.duplicates,
            repeated_greeting: counters.repeated_greeting,
            untrusted_greeting: counters.untrusted_greeting,
            repeated_welcome: counters.repeated_welcome,
            stale: counters.stale_acknowledgements,
        }
    }
}

/// One end of a session, and what a stranger has written into its inbox.
struct End {
    tap: Tap,
    inbox: Raw,
    injected: u64,
    expected: Dropped,
}

impl End {
    /// Every different frame that this end was sent, or sent, so far.
    fn frames(&self, way: Way) -> Vec<Vec<u8>> {
        let mut known = BTreeSet::new();
        let log = self.tap.log();
        let frames = log.frames.iter().filter(|(passed, _)| *passed == way).map(|(_, frame)| frame.clone());
        frames.filter(|frame| known.insert(frame.clone())).collect()
    }
}

/// A receiver with one sender, both driven by the test's thread.
struct Stage {
    sender: Sender,
    at_sender: End,
    receiver: Receiver,
    at_receiver: End,
    name: Name,
    sent: u64,
    taken: u64,
    /// Honest frames that have passed before this sender joined, towards the receiver and from it.
    before: (u64, u64),
}

impl Stage {
    fn new(test: &str) -> Self {
        let name = Name::new(test);
        let tap = Tap::default();
        let receiver = Receiver::builder().slots(4).frame_size(512).link(tap.clone()).bind(name.as_str()).unwrap();
        let inbox = Raw::open(name.as_str()).unwrap();
        let at_receiver = End { tap, inbox, injected: 0, expected: Dropped::default() };
        let (sender, at_sender) = join(&name, &receiver, &at_receiver.tap);
        Self { name, receiver, at_receiver, sender, at_sender, sent: 0, taken: 0, before: (0, 0) }
    }

    /// The sender leaves, and another one joins. Returns what the first one sent and what it got.
    fn succeed(mut self) -> (Self, Vec<Vec<u8>>, Vec<Vec<u8>>) {
        self.settle();
        let Self { name, receiver, at_receiver, sender, at_sender, before, .. } = self;
        let closing = thread::spawn(move || sender.close(WATCHDOG).unwrap());
        while !matches!(receiver.recv_event(Some(WATCHDOG)).unwrap(), Event::Departed { .. }) {}
        closing.join().unwrap();
        let (sent, got) = (at_sender.frames(Way::Out), at_sender.frames(Way::In));
        let before = (before.0 + at_sender.tap.log().count(Way::Out), at_receiver.tap.log().count(Way::Out));
        let (sender, at_sender) = join(&name, &receiver, &at_receiver.tap);
        (Self { name, receiver, at_receiver, sender, at_sender, sent: 0, taken: 0, before }, sent, got)
    }

    /// Lets both ends work once; what arrives must be the next message.
    fn work(&mut self) {
        _ = self.sender.flush_timeout(Duration::ZERO);
        match self.receiver.recv_event(Some(Duration::ZERO)) {
            Ok(Event::Message(message)) => {
                self.taken += 1;
                assert_eq!((message.number(), message.to_vec()), (self.taken, body(self.taken)));
            }
            Ok(event) => panic!("{event:?}"),
            Err(_) => {}
        }
    }

    fn send(&mut self) {
        let mut body = body(self.sent + 1);
        while let Err(error) = self.sender.try_send(body) {
            assert_eq!(error.failure, SendFailure::Full);
            body = error.message;
            self.work();
        }
        self.sent += 1;
    }

    fn tell_receiver(&mut self, frame: &[u8], priority: u32) -> &mut Dropped {
        while !self.at_receiver.inbox.send(frame, priority) {
            self.work();
        }
        self.at_receiver.injected += 1;
        &mut self.at_receiver.expected
    }

    fn tell_sender(&mut self, frame: &[u8], priority: u32) -> &mut Dropped {
        while !self.at_sender.inbox.send(frame, priority) {
            self.work();
        }
        self.at_sender.injected += 1;
        &mut self.at_sender.expected
    }

    /// Until all is delivered and acknowledged, and every frame in the inboxes is counted.
    fn settle(&mut self) {
        wait_until("everything is delivered and counted", || {
            self.work();
            let towards = self.at_sender.tap.log().count(Way::Out) + self.before.0;
            let back = self.at_receiver.tap.log().count(Way::Out) - self.before.1;
            let stats = self.sender.stats();
            stats.delivered == self.sent
                && self.receiver.stats().frames == towards + self.at_receiver.injected
                && stats.frames.frames == back + self.at_sender.injected
        });
        assert_eq!(Dropped::by(&self.receiver.stats()), self.at_receiver.expected, "at the receiver");
        assert_eq!(Dropped::by(&self.sender.stats().frames), self.at_sender.expected, "at the sender");
    }
}

fn join(name: &Name, receiver: &Receiver, receiver_tap: &Tap) -> (Sender, End) {
    let tap = Tap::default();
    let connecting = {
        let (tap, name) = (tap.clone(), name.as_str().to_string());
        thread::spawn(move || Sender::builder().wait(WATCHDOG).linger(Duration::ZERO).link(tap).connect(name).unwrap())
    };
    while !matches!(receiver.recv_event(Some(WATCHDOG)).unwrap(), Event::Joined(_)) {}
    let sender = connecting.join().unwrap();
    let inbox = receiver_tap.log().peers.pop().unwrap();
    (sender, End { tap, inbox, injected: 0, expected: Dropped::default() })
}

/// Message `number`: many are short and share frames.
fn body(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(usize::try_from(number * number % 29).unwrap())
}

/// The bytes of a frame that its check does not cover.
fn bodies(frame: &[u8]) -> Range<usize> {
    match wire::decode(frame).unwrap().1 {
        Frame::Data(_) => 48..48 + usize::try_from(u32::from_le_bytes(frame[40..44].try_into().unwrap())).unwrap(),
        _ => 0..0,
    }
}

/// Every shorter frame, and every one in which one bit is flipped that the check covers.
fn mutilations(frame: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let bodies = bodies(frame);
    let flips = (0..frame.len()).filter(move |at| !bodies.contains(at)).flat_map(move |at| {
        (0..8).map(move |bit| {
            let mut flipped = frame.to_vec();
            flipped[at] ^= 1 << bit;
            flipped
        })
    });
    (0..frame.len()).map(|length| frame[..length].to_vec()).chain(flips)
}

#[proves("FRM-1", "FRM-3", "CAL-5")]
#[test]
fn every_mutilation_of_every_kind_of_frame_is_counted_and_does_nothing_else() {
    let mut stage = Stage::new("mutilated");
    (0..30).for_each(|_| stage.send());
    let (mut stage, sent_before, got_before) = stage.succeed();
    (0..30).for_each(|_| stage.send());
    stage.settle();
    let longest = |frames: &[Vec<u8>]| frames.iter().max_by_key(|frame| frame.len()).unwrap().clone();
    let (sent, got) = (stage.at_sender.frames(Way::Out), stage.at_sender.frames(Way::In));
    // Of the session that has ended: greeting, data and close; of the one that lives: greeting and data.
    let to_receiver = [&sent_before[0], &longest(&sent_before), sent_before.last().unwrap(), &sent[0], &longest(&sent)];
    // Of either session: welcome and acknowledgement.
    let to_sender = [&got_before[0], got_before.last().unwrap(), &got[0], got.last().unwrap()];
    for (count, frame) in to_receiver.into_iter().flat_map(|frame| mutilations(frame)).enumerate() {
        stage.tell_receiver(&frame, u32::from(count % 2 == 0)).malformed += 1;
        if count % 16 == 0 {
            stage.send();
        }
    }
    for (count, frame) in to_sender.into_iter().flat_map(|frame| mutilations(frame)).enumerate() {
        stage.tell_sender(&frame, u32::from(count % 2 == 0)).malformed += 1;
        if count % 16 == 0 {
            stage.send();
        }
    }
    stage.settle();
    assert!(stage.sent > 300 && stage.receiver.stats().accepted == 2);
}

#[proves("FRM-2", "SES-2", "DAT-3", "GRT-3", "WEL-2", "ACK-5", "CAL-5")]
#[test]
fn every_frame_may_come_again_at_any_time_and_is_counted_for_what_it_is() {
    let mut stage = Stage::new("replayed");
    let greeting = stage.at_sender.frames(Way::Out).remove(0);
    for priority in [0, 1] {
        stage.tell_receiver(&greeting, priority).repeated_greeting += 1;
        // Answered again, as no data has come; the sender needs it no more.
        stage.at_sender.expected.repeated_welcome += 1;
        stage.settle();
    }
    for _ in 0..12 {
        (0..5).for_each(|_| stage.send());
        stage.settle(); // so that no replay overtakes its original
        for (count, frame) in stage.at_sender.frames(Way::Out).iter().enumerate() {
            let is_greeting = *frame == greeting;
            let dropped = stage.tell_receiver(frame, u32::from(count % 2 == 0));
            *(if is_greeting { &mut dropped.repeated_greeting } else { &mut dropped.duplicates }) += 1;
            if count % 8 == 0 {
                stage.send(); // not behind each: the number of frames would double every round
            }
        }
        for (count, frame) in stage.at_sender.frames(Way::In).iter().enumerate() {
            let is_welcome = matches!(wire::decode(frame).unwrap().1, Frame::Welcome(_));
            let dropped = stage.tell_sender(frame, u32::from(count % 2 == 0));
            *(if is_welcome { &mut dropped.repeated_welcome } else { &mut dropped.stale }) += 1;
            if count % 8 == 0 {
                stage.send();
            }
        }
    }
    let (mut stage, sent, got) = stage.succeed();
    for (count, frame) in sent.iter().enumerate() {
        let is_greeting = *frame == greeting;
        let dropped = stage.tell_receiver(frame, u32::from(count % 2 == 0));
        *(if is_greeting { &mut dropped.untrusted_greeting } else { &mut dropped.unknown_session }) += 1;
        stage.send();
    }
    for (count, frame) in got.iter().enumerate() {
        stage.tell_sender(frame, u32::from(count % 2 == 0)).unknown_session += 1;
        stage.send();
    }
    stage.settle();
}

#[proves("FRM-1", "FRM-3", "CAL-5")]
#[test]
fn random_bytes_are_counted_and_do_nothing_else() {
    let mut dice = Dice::new();
    let mut stage = Stage::new("random");
    (0..30).for_each(|_| stage.send());
    stage.settle();
    let known = [stage.at_sender.frames(Way::Out), stage.at_sender.frames(Way::In)].concat();
    for round in 0..2000 {
        let length = dice.below(513);
        let mut frame = dice.bytes(length);
        if round % 2 == 0 {
            // Behind the start of an honest frame, which names its kind and a session that lives.
            let honest = &known[dice.below(known.len())];
            frame = [&honest[..honest.len().min(24)], &frame].concat();
            frame.truncate(512);
        }
        let priority = u32::try_from(dice.below(2)).unwrap();
        if dice.below(2) == 0 {
            stage.tell_receiver(&frame, priority).malformed += 1;
        } else {
            stage.tell_sender(&frame, priority).malformed += 1;
        }
        if round % 16 == 0 {
            stage.send();
        }
    }
    stage.settle();
}

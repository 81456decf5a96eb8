//! Whose calls fail, and who talks to them.

use crate::{
    kills::report,
    process::{hear, say},
    world::WATCHDOG,
};
use lamq::{Departure, Event, Receiver, ReceiverBuilder, Sender};
use std::{fmt::Display, thread, time::Duration};

/// Messages of a stream. The second takes several frames.
const LENGTHS: [usize; 4] = [20, 1500, 300, 20];

fn body(number: usize) -> Vec<u8> {
    format!("{number} ").bytes().cycle().take(LENGTHS[number - 1]).collect()
}

/// How a patient application does it.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// To whom refusals are told.
    tell: fn(&str),
    tries: u32,
    /// For an answer.
    wait: Duration,
}

/// Of one whose calls fail.
const REFUSED: Patience = Patience { tell: report, tries: 3, wait: WATCHDOG };

/// Of its peer. A greeting that a receiver had not the means to answer is not answered (GRT-4): its sender asks again.
pub(super) const PEER: Patience =
    Patience { tell: |line| println!("{line}"), tries: 300, wait: Duration::from_millis(200) };

impl Patience {
    /// An operation that failed, and said so, is done again.
    fn insist<T, E: Display>(self, what: &str, mut operation: impl FnMut() -> Result<T, E>) -> T {
        for _ in 0..self.tries {
            match operation() {
                Ok(done) => return done,
                Err(error) => (self.tell)(&format!("refused {what}: {error}")),
            }
        }
        panic!("{what} was refused again and again");
    }
}

fn names(argument: &str) -> (&str, &str) {
    argument.split_once(' ').unwrap()
}

pub(super) fn send_all(patience: Patience, shaken: &str, steady: &Sender) {
    let builder = Sender::builder().wait(patience.wait).spin(Duration::ZERO);
    let sender = patience.insist("connect", || builder.clone().connect(shaken));
    for number in 1..=LENGTHS.len() {
        for (what, sender) in [("send", &sender), ("send on the other", steady)] {
            let given = patience.insist(what, || sender.send(body(number)));
            assert_eq!(given, number as u64, "no number is burned");
        }
    }
    patience.insist("close", || sender.clone().close(WATCHDOG));
    patience.insist("close the other", || steady.clone().close(WATCHDOG));
}

/// Role: sends on two channels, one of which is there before.
pub(crate) fn send(argument: &str) {
    let (steady, shaken) = names(argument);
    let steady = Sender::builder().wait(WATCHDOG).spin(Duration::ZERO).connect(steady).unwrap();
    say("ready");
    hear();
    send_all(REFUSED, shaken, &steady);
}

pub(super) fn builder() -> ReceiverBuilder {
    Receiver::builder().slots(2).frame_size(512).window(1024).spin(Duration::ZERO)
}

/// Role: receives on two channels, one of which is there before.
pub(crate) fn receive(argument: &str) {
    let (steady, shaken) = names(argument);
    let steady = builder().bind(steady).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(matches!(steady.recv_event(Some(WATCHDOG)).unwrap(), Event::Joined(_)));
            say("ready");
            demand_one_stream(&steady);
        });
        hear();
        demand_one_stream(&REFUSED.insist("bind", || builder().bind(shaken)));
    });
}

/// One whole stream, and nothing else.
pub(super) fn demand_one_stream(receiver: &Receiver) {
    let mut last = 0;
    loop {
        match receiver.recv_event(Some(WATCHDOG)).unwrap() {
            Event::Message(message) => {
                last += 1;
                assert_eq!((message.number(), &*message), (last as u64, &body(last)[..]));
            }
            Event::Departed { departure, last: told, .. } => {
                assert_eq!((departure, told, last), (Departure::Left, LENGTHS.len() as u64, LENGTHS.len()));
                return;
            }
            Event::Joined(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

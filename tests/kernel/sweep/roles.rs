//! Who is killed, and who meets them: short lives, as alike each time as processes can be.

use crate::{
    kills::report,
    process::{hear, say},
    world::WATCHDOG,
};
use lamq::{
    Departure, Ended, Event, FlushFailure, Level, Message, Receiver, SendFailure, SendSyncError, Sender,
    inspect::{self, Ownership, RemoveError},
};
use std::{collections::BTreeMap, thread, time::Duration};

/// What a sender and a receiver do together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// The sender ends with its receiver. One message is a rendezvous, one is longer than the window, and the receiver is slow.
    Plain,
    /// The sender resumes, and each message is acknowledged when it is recorded.
    Resuming,
    /// There is room, and messages share frames: it shows if one is said to be delivered that was only received.
    Packed,
    /// The receiver has no capacity.
    Rendezvous,
}

impl Life {
    pub(super) const ALL: [Self; 4] = [Self::Plain, Self::Resuming, Self::Packed, Self::Rendezvous];

    pub(crate) fn word(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    fn of(word: &str) -> Self {
        Self::ALL.into_iter().find(|life| life.word() == word).expect("a life")
    }

    /// Of the messages. A frame takes 452 bytes of one, and the window is two frames.
    pub(crate) const fn lengths(self) -> &'static [usize] {
        match self {
            Self::Plain | Self::Resuming => &[20, 40, 1500, 300, 300, 30],
            Self::Packed => &[10; 8],
            Self::Rendezvous => &[20, 1000, 20],
        }
    }

    /// The last number of a whole stream.
    pub(crate) const fn last(self) -> u64 {
        self.lengths().len() as u64
    }

    fn body(self, label: &str, number: u64) -> Vec<u8> {
        let length = self.lengths()[usize::try_from(number - 1).unwrap()];
        format!("{label} {number} ").bytes().cycle().take(length).collect()
    }
}

fn words<const N: usize>(argument: &str) -> [&str; N] {
    argument.split(' ').collect::<Vec<_>>().try_into().expect("so many words")
}

/// Role: sends one stream, and reports how far it came and what was handed back.
pub(crate) fn send(argument: &str) {
    let [label, life, name] = words(argument);
    let life = Life::of(life);
    say("ready");
    hear();
    let builder = Sender::builder().wait(WATCHDOG).spin(Duration::ZERO);
    let builder = if life == Life::Resuming { builder.level(Level::Processed).resume(WATCHDOG) } else { builder };
    let sender = builder.connect(name).unwrap();
    let gave = (1..=life.last()).try_for_each(|number| give(&sender, life.body(label, number), number));
    let outcome = gave.and_then(|()| sender.clone().close(WATCHDOG).map_err(|error| died(&error.why)));
    let (stats, left) = (sender.stats(), sender.unacknowledged());
    assert!(left.iter().all(|left| left.message == life.body(label, left.number)));
    let word = if outcome.is_ok() { "done" } else { "lost" };
    let numbers = [stats.sent, stats.delivered, stats.stalls].into_iter().chain(left.iter().map(|left| left.number));
    let numbers: Vec<_> = numbers.map(|number| number.to_string()).collect();
    report(&format!("{word} {}", numbers.join(" ")));
}

/// What a sender may be told of its receiver in this test, if anything.
fn died(why: &FlushFailure) -> Lost {
    let FlushFailure::Disconnected(disconnected) = why else { panic!("{why}") };
    assert_eq!(disconnected.why, Ended::PeerDied);
    Lost
}

/// The receiver died.
struct Lost;

fn give(sender: &Sender, body: Vec<u8>, number: u64) -> Result<(), Lost> {
    let kept = body.clone();
    let (result, back) = if number == 2 {
        match sender.send_sync(body) {
            Ok(receipt) => (Ok(receipt.number()), None),
            Err(SendSyncError::NotSent(error)) => (Err(error.failure), Some(error.message)),
            Err(SendSyncError::Unknown { ticket, why }) => (Err(SendFailure::Unknown { ticket, why }), None),
        }
    } else {
        match sender.send(body) {
            Ok(number) => (Ok(number), None),
            Err(error) => (Err(error.failure), Some(error.message)),
        }
    };
    match result {
        Ok(given) => assert_eq!(given, number),
        Err(SendFailure::Disconnected(disconnected)) => {
            assert_eq!((disconnected.why, back), (Ended::PeerDied, Some(kept)));
            return Err(Lost);
        }
        Err(SendFailure::Unknown { why, ticket }) => {
            assert_eq!(ticket.number(), number);
            return Err(died(&why));
        }
        Err(failure) => panic!("{failure}"),
    }
    Ok(())
}

/// Role: receives, and reports all that it sees, until the sender with the label given has left.
pub(crate) fn receive(argument: &str) {
    let [until, life, name] = words(argument);
    let life = Life::of(life);
    say("ready");
    hear();
    let slots = if life == Life::Packed { 8 } else { 2 };
    let builder = Receiver::builder().slots(slots).frame_size(512).window(1024).spin(Duration::ZERO);
    let builder = if life == Life::Rendezvous { builder.rendezvous() } else { builder };
    let receiver = builder.bind(name).unwrap();
    report("bound");
    let note = |message: &Message| {
        let label = std::str::from_utf8(message).unwrap().split(' ').next().unwrap().to_string();
        assert_eq!(**message, life.body(&label, message.number()), "what was sent");
        report(&format!("message {} {} {}", message.peer().pid, message.number(), message.may_repeat()));
        label
    };
    if life == Life::Resuming {
        loop {
            let delivery = receiver.recv_delivery().unwrap();
            let label = note(&delivery);
            let number = delivery.number();
            _ = delivery.ack(); // its sender may have been killed
            if label == until && number == life.last() {
                return;
            }
        }
    }
    let mut labels = BTreeMap::new();
    loop {
        match receiver.recv_event(None).unwrap() {
            Event::Joined(peer) => {
                report(&format!("joined {}", peer.pid));
                thread::sleep(Duration::from_millis(3)); // the sender has to wait
            }
            Event::Message(message) => _ = labels.insert(message.peer().pid, note(&message)),
            Event::Departed { peer, departure, last } => {
                report(&format!("{departure} {} {last}", peer.pid));
                if departure == Departure::Left && labels.get(&peer.pid).is_some_and(|label| label == until) {
                    return;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Role: removes what the dead have left, as the command does (`lamq rm --stale`). It knows the names: to list them takes a thousand
/// calls that change nothing.
pub(crate) fn clean(names: &str) {
    say("ready");
    hear();
    for name in names.split(' ') {
        let name = name.try_into().unwrap();
        let Ok(report) = inspect::queue(&name) else { continue };
        // One that is owned, too: what counts is what the lock says.
        let is_owned = matches!(report.ownership, Ownership::Alive { .. });
        match inspect::remove(&name, false) {
            Err(RemoveError::InUse { .. }) if is_owned => {}
            Ok(_) | Err(RemoveError::Waiting { .. }) if !is_owned => {}
            other => panic!("{other:?}"),
        }
    }
}

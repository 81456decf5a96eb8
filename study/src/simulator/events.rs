//! What is to happen, and when: virtual time passes from one event to the next.

use lamq_protocol::{SessionId, wire::Priority};
use std::{cmp::Reverse, collections::BinaryHeap, rc::Rc};

/// Nanoseconds since the beginning of the world.
pub(super) type Time = u64;

pub(super) const MICROSECOND: Time = 1_000;
pub(super) const MILLISECOND: Time = 1_000 * MICROSECOND;
pub(super) const SECOND: Time = 1_000 * MILLISECOND;

/// A frame as the link carries it.
pub(super) type Bytes = Rc<[u8]>;

/// A process of the world, by its place in it.
pub(super) type Place = usize;

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    /// A frame comes out of the link.
    Arrival { to: Place, priority: Priority, frame: Bytes },
    /// The inbox of a peer has room again, for whoever found it full.
    Room { of: Place, session: SessionId },
    /// A process hears that another one is dead.
    Bell { of: Place, dead: Place },
    /// The thread that waits in a call of this process runs again.
    Wake(Place),
    /// The keeper of this process looks after it.
    Tick(Place),
    /// It is time to ask once more for an answer.
    Alarm(Place),
    /// The application does the next thing.
    Act(Place),
    /// The application leaves, if it does not do so by itself.
    Leave(Place),
    /// The process ends.
    Die(Place),
    /// From now on nothing goes wrong any more.
    Calm,
}

impl Event {
    /// The process that it happens to, if that has to run for it.
    pub(super) const fn runs(&self) -> Option<Place> {
        match self {
            Self::Wake(place) | Self::Tick(place) | Self::Alarm(place) | Self::Act(place) | Self::Leave(place) => {
                Some(*place)
            }
            _ => None,
        }
    }
}

/// The events to come, by their time; of two at the same time, the one that was planned first.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    now: Time,
    planned: u64,
    events: BinaryHeap<Reverse<(Time, u64, Event)>>,
}

impl Schedule {
    pub(super) const fn now(&self) -> Time {
        self.now
    }

    /// Plans an event for a time that has not passed.
    pub(super) fn at(&mut self, time: Time, event: Event) {
        self.planned += 1;
        self.events.push(Reverse((time.max(self.now), self.planned, event)));
    }

    pub(super) fn after(&mut self, delay: Time, event: Event) {
        self.at(self.now + delay, event);
    }

    /// Goes to the next event.
    pub(super) fn next(&mut self) -> Option<Event> {
        let Reverse((time, _, event)) = self.events.pop()?;
        self.now = time;
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_as_planned() {
        let mut schedule = Schedule::default();
        for (time, place) in [(20, 1), (10, 3), (20, 0), (10, 2)] {
            schedule.at(time, Event::Act(place));
        }
        let order: Vec<_> = std::iter::from_fn(|| schedule.next().map(|event| (schedule.now(), event))).collect();
        assert_eq!(order, [(10, 3), (10, 2), (20, 1), (20, 0)].map(|(time, place)| (time, Event::Act(place))));
        schedule.at(5, Event::Act(7));
        assert_eq!((schedule.next(), schedule.now()), (Some(Event::Act(7)), 20), "time does not go back");
    }
}

//! Cut-through held against the long way: whatever the frame, an application that asks for what is next must not be able to tell.

use super::Shell;
use crate::simulator::{link::Surroundings, scenario::Core, situations::Situation};
use lamq_protocol::{SessionId, endpoint::Handled, wire::Priority};

/// Of so many frames one is handled both ways: it takes two copies of all that there is.
const OF: u64 = 4;

impl Shell {
    pub(super) fn compare_ways(&self, around: &mut Surroundings<'_>, frame: &[u8]) {
        if !self.core.counters().frames.is_multiple_of(OF) {
            return;
        }
        let (mut through, mut long) = (self.core.clone(), self.core.clone());
        let handled = through.handle_and_next(frame.into());
        let arrival = long.handle_frame(frame.into());
        let agrees = match handled {
            Handled::Quietly => arrival.is_none(),
            Handled::Greeting(greeting) => arrival.is_some_and(|arrival| arrival == greeting),
            Handled::Message(event) => {
                around.met(Situation::Through);
                long.next_event() == Some(event)
            }
        };
        // Most often nothing is due, and neither need ask.
        let knows = through.wants_transmit() || !long.wants_transmit() || !self.blocked.is_empty();
        let share = through.share();
        let said = [&mut through, &mut long].map(said);
        // What a larger share makes due only a transmit finds out, whatever that is made for: the long way may have had another reason.
        let knows = knows || said[0].is_empty() || through.share() != share;
        let same = agrees && said[0] == said[1] && knows && through == long;
        around.check.comes_through(self.place, same && through.counters() == long.counters());
    }
}

/// What it transmits now.
fn said(core: &mut Core) -> Vec<(SessionId, Priority, Vec<u8>)> {
    let mut said = Vec::new();
    core.transmit(false, &mut |session, priority, frame| {
        said.push((session, priority, frame.to_vec()));
        true
    });
    said
}

//! A process as the net sees it: an endpoint with an inbox.

use lamq_protocol::{
    Endpoint, SessionId,
    endpoint::{Arrival, Counters, Handled, Settings},
    session::Outbound,
    wire::Priority,
};
use std::collections::VecDeque;

/// What becomes of a frame on its way into an inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Arrive,
    Lose,
    /// It arrives twice.
    Double,
    /// It arrives before so many others that were there first.
    Overtake(usize),
}

/// An inbox: few slots, the urgent overtake, each priority stays in order. Unless fate has it otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inbox {
    slots: usize,
    urgent: VecDeque<Vec<u8>>,
    ordered: VecDeque<Vec<u8>>,
    /// What becomes of the next frames; all others arrive.
    pub(crate) fates: VecDeque<Fate>,
}

impl Inbox {
    pub(super) fn new(slots: usize) -> Self {
        Self { slots, ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.urgent.len() + self.ordered.len()
    }

    pub(crate) fn put(&mut self, priority: Priority, frame: &[u8]) -> bool {
        if self.len() >= self.slots {
            return false;
        }
        let fate = self.fates.pop_front().unwrap_or(Fate::Arrive);
        let queue = if priority == Priority::Urgent { &mut self.urgent } else { &mut self.ordered };
        let (copies, overtaken) = match fate {
            Fate::Arrive => (1, 0),
            Fate::Lose => (0, 0),
            Fate::Double => (2, 0),
            Fate::Overtake(others) => (1, others),
        };
        for _ in 0..copies {
            queue.insert(queue.len().saturating_sub(overtaken), frame.to_vec());
        }
        true
    }

    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        self.urgent.pop_front().or_else(|| self.ordered.pop_front())
    }
}

/// An endpoint, its inbox, and every frame that it has handled.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) core: Endpoint<Vec<u8>>,
    pub(crate) inbox: Inbox,
    pub(crate) handled: Vec<Vec<u8>>,
    /// How many of them brought a message that cut-through would have handed out.
    pub(crate) through: usize,
}

impl Node {
    pub(super) fn new(settings: Settings, slots: usize) -> Self {
        Self { core: Endpoint::new(settings), inbox: Inbox::new(slots), handled: Vec::new(), through: 0 }
    }

    pub(crate) fn counters(&self) -> Counters {
        *self.core.counters()
    }

    /// Handles a frame. By cut-through it would come to the same, whatever it is.
    pub(super) fn handle(&mut self, frame: Vec<u8>) -> Option<Arrival> {
        let mut through = self.core.clone();
        let handled = through.handle_and_next(frame.clone());
        self.handled.push(frame.clone());
        let arrival = self.core.handle_frame(frame);
        let mut long = self.core.clone();
        match handled {
            Handled::Quietly => assert_eq!(arrival, None),
            Handled::Greeting(greeting) => assert_eq!(arrival.as_ref(), Some(&greeting)),
            Handled::Message(event) => {
                assert_eq!(long.next_event(), Some(event));
                self.through += 1;
            }
        }
        let knows = through.wants_transmit() || !long.wants_transmit();
        let said = [&mut through, &mut long].map(said);
        assert_eq!(said[0], said[1]);
        assert!(knows || said[0].is_empty(), "what is due is noticed, as it is without");
        assert_eq!((&through, through.counters()), (&long, long.counters()));
        arrival
    }
}

/// What it transmits now.
fn said(core: &mut Endpoint<Vec<u8>>) -> Vec<(SessionId, Priority, Vec<u8>)> {
    let mut said = Vec::new();
    core.transmit(false, &mut |session, priority, frame| {
        said.push((session, priority, frame.to_vec()));
        true
    });
    said
}

/// A sender, and how it stands to the receiver.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(crate) node: Node,
    /// Its session, as it knows it.
    pub(crate) session: SessionId,
    /// Its session, as the receiver knows it.
    pub(crate) at_receiver: Option<SessionId>,
    pub(crate) is_alive: bool,
    /// Its sessions that need no link any more.
    pub(crate) ended: Vec<SessionId>,
}

impl Sender {
    pub(crate) fn outbound(&self) -> &Outbound {
        self.node.core.outbound(self.session).expect("kept until it is forgotten")
    }

    /// Whether its inbox still has a name: it has one until it is welcomed (POS-10).
    pub(super) fn can_be_opened(&self) -> bool {
        let is_new = |outbound: &Outbound| outbound.receiver().is_none() || outbound.seeks().is_some();
        let waits = |outbound: &Outbound| is_new(outbound) && outbound.ended().is_none();
        self.is_alive && self.node.core.outbound(self.session).is_some_and(waits)
    }
}

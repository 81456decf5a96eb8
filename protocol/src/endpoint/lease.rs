//! Messages that are handed out without asking the endpoint for each.

use super::{Endpoint, Event, incoming::Ready};
use crate::{
    lamport::Clock,
    number::{Number, SessionId},
    session::Peer,
    wire::{DataFrame, Item, RecordCursor},
};

/// The next messages of one frame, to be handed out without asking the endpoint for each. It must be settled
/// ([`Endpoint::settle`]) before the endpoint is used again for anything: then all is as if each had been asked for by
/// [`Endpoint::next_event`].
#[derive(Clone, Debug)]
pub struct Lease<B> {
    session: SessionId,
    peer: Peer,
    exposed: Number,
    frame: DataFrame<B>,
    cursor: RecordCursor,
    /// How many may be handed out yet.
    left: u16,
    clock: Clock,
    handed: u64,
    bytes: u64,
    last: Number,
}

impl<B: AsRef<[u8]> + Clone> Lease<B> {
    /// The next message; `None` when the endpoint is to be asked.
    pub fn next_message(&mut self) -> Option<Event<B>> {
        if self.left == 0 {
            return None;
        }
        let mut cursor = self.cursor.clone();
        let Some(Item::Message(record)) = self.frame.next_item(&mut cursor) else {
            self.left = 0; // a gap is not only to be counted
            return None;
        };
        self.cursor = cursor;
        self.left -= 1;
        self.handed += 1;
        self.bytes += record.body.len() as u64;
        self.last = record.number;
        self.clock.deliver(record.stamp);
        Some(Event::Message {
            session: self.session,
            peer: self.peer,
            number: record.number,
            stamp: record.stamp,
            may_repeat: record.number <= self.exposed,
            frame: self.frame.buffer().clone(),
            body: record.body,
        })
    }
}

impl<B: AsRef<[u8]> + Clone + From<Vec<u8>>> Endpoint<B> {
    /// What comes next, if it can be handed out by itself: whole messages of one frame, but for the last of it, of which the sender may
    /// want to know at once. Only where asking for a message says that the application is done with the one before.
    pub fn lease(&self) -> Option<Lease<B>> {
        let Some(Ready::Frame(session, frame, cursor)) = self.ready.front() else { return None };
        let kept = 1 + u16::from(frame.ends_inside());
        let left = frame.records_behind(cursor).saturating_sub(kept);
        if left == 0 || !self.settings.auto_process || self.settings.rendezvous {
            return None;
        }
        let inbound = &self.inbound.get(session)?.session;
        Some(Lease {
            session: *session,
            peer: inbound.peer(),
            exposed: inbound.exposed(),
            frame: frame.clone(),
            cursor: cursor.clone(),
            left,
            clock: self.clock.clone(),
            handed: 0,
            bytes: 0,
            last: Number::NONE,
        })
    }

    /// Takes a lease back: what was handed out of it is delivered, and all but the last of that processed.
    pub fn settle(&mut self, lease: Lease<B>) {
        if lease.handed == 0 {
            return;
        }
        let Some(Ready::Frame(session, _, cursor)) = self.ready.front_mut() else { return };
        debug_assert!(*session == lease.session, "the endpoint was used while a lease was out");
        *cursor = lease.cursor;
        if let Some((session, number)) = self.handed.replace((lease.session, lease.last)) {
            self.pass(session, number);
        }
        let Some(incoming) = self.inbound.get_mut(&lease.session) else { return };
        let window = incoming.session.window_mut();
        window.deliver_run(lease.last, lease.handed, lease.bytes);
        if lease.handed > 1 && window.owes_answer() {
            self.touch(lease.session);
        }
        self.clock = lease.clock;
        self.counters.delivered += lease.handed;
        self.hungry = false;
    }
}

//! Messages that are handed out without asking the endpoint for each.

use super::{Endpoint, incoming::Ready};
use crate::{
    number::{Number, SessionId},
    session::Peer,
    wire::{DataFrame, Record, RecordCursor, Run},
};

/// The next messages of one frame, to be handed out without asking the endpoint for each. It must be settled
/// ([`Endpoint::settle`]) before the endpoint is used again for anything: then all is as if each had been asked for by
/// [`Endpoint::next_event`], or [`Endpoint::next_of_many`].
#[derive(Clone, Debug)]
pub struct Lease<B> {
    session: SessionId,
    peer: Peer,
    exposed: Number,
    frame: DataFrame<B>,
    /// Before the first of them, and before the next. Little else is noted for each: what this says is told when they are settled.
    start: RecordCursor,
    cursor: RecordCursor,
    /// How many may be handed out yet.
    left: u16,
    /// The first message that was handed out, and the first one with which the application is not done.
    first: Number,
    unprocessed: Number,
    /// Whether the application is done with what it got before all of these.
    passed: bool,
}

impl<B: AsRef<[u8]>> Lease<B> {
    /// The next message; `None` when the endpoint is to be asked. With it the application gets one more beside what it has (ACK-10),
    /// or says that it is done with that.
    #[inline]
    pub fn next_message(&mut self, one_more: bool) -> Option<Record> {
        if self.left == 0 {
            return None;
        }
        let Some(record) = self.frame.next_message(&mut self.cursor) else {
            self.left = 0; // a gap is not only to be counted
            return None;
        };
        if self.first == Number::NONE {
            (self.first, self.unprocessed) = (record.number, record.number);
        }
        if !one_more {
            (self.unprocessed, self.passed) = (record.number, true);
        }
        self.left -= 1;
        Some(record)
    }

    /// How many may be handed out yet, at most.
    pub const fn left(&self) -> u16 {
        self.left
    }

    /// The session they came in.
    #[inline]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// Who sent them.
    #[inline]
    pub const fn peer(&self) -> Peer {
        self.peer
    }

    /// The frame that they lie in.
    pub const fn frame(&self) -> &B {
        self.frame.buffer()
    }

    /// Whether an earlier incarnation of us may have been handed a message too (RSM-2).
    #[inline]
    pub fn may_repeat(&self, record: &Record) -> bool {
        record.number <= self.exposed
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
        let incoming = self.inbound.get(session)?;
        let inbound = &incoming.session;
        if incoming.expects_answer() && inbound.window().owes_answer() {
            return None; // ACK-12: to ask for another message is to send nothing back, and what waits for that must leave
        }
        Some(Lease {
            session: *session,
            peer: inbound.peer(),
            exposed: inbound.exposed(),
            frame: frame.clone(),
            start: cursor.clone(),
            cursor: cursor.clone(),
            left,
            first: Number::NONE,
            unprocessed: Number::NONE,
            passed: false,
        })
    }

    /// Takes a lease back: what was handed out of it is delivered, and what the application is done with is processed.
    pub fn settle(&mut self, lease: Lease<B>) {
        if lease.first == Number::NONE {
            return;
        }
        let Run { messages, bytes, last, follows } = lease.start.run_to(&lease.cursor);
        let Some(Ready::Frame(session, _, cursor)) = self.ready.front_mut() else { return };
        debug_assert!(*session == lease.session, "the endpoint was used while a lease was out");
        *cursor = lease.cursor;
        if lease.passed {
            self.pass();
        }
        self.hand(lease.session, lease.unprocessed, last);
        let Some(incoming) = self.inbound.get_mut(&lease.session) else { return };
        let window = incoming.session.window_mut();
        window.deliver_run(lease.unprocessed, last, messages, bytes);
        let passed_some = lease.unprocessed > lease.first;
        if passed_some && window.owes_answer() {
            self.touch(lease.session);
        }
        self.clock.deliver_run(messages, follows);
        self.touched.insert(lease.session); // CAL-6: when there is time for it
        self.counters.delivered += messages;
        self.hungry = false;
    }
}

//! The staged frame, on loan to whoever appends to it.

use super::SendWindow;
use crate::{
    lamport::Clock,
    number::Number,
    wire::{MAX_RECORDS, OpenFrame},
};

/// What a message takes besides its bytes.
const ENTRY: usize = OpenFrame::ENTRY;

/// The staged frame of a session, to which short messages are appended without asking the endpoint for each. It must be returned
/// ([`Endpoint::return_stage`](crate::Endpoint::return_stage)) before the endpoint is used again for anything: then all is as if each had
/// been sent by [`Endpoint::send`](crate::Endpoint::send).
#[derive(Clone, Debug)]
pub struct Stage {
    frame: OpenFrame,
    /// How many bytes, with their entries, may be appended yet.
    room: usize,
    /// The longest message that the receiver takes.
    max_message: usize,
    /// How many bytes of bodies it had.
    before: usize,
}

impl Stage {
    /// The number of the first message in the frame.
    pub fn first(&self) -> Number {
        self.frame.first()
    }

    /// Accepts a message that can be staged (NUM-1, LAM-1), and returns its number; `None` when the endpoint is to be asked.
    #[inline]
    pub fn push(&mut self, body: &[u8]) -> Option<Number> {
        let used = body.len() + ENTRY;
        if used > self.room || body.len() > self.max_message {
            return None;
        }
        self.room -= used;
        Some(self.frame.append(body))
    }
}

impl SendWindow {
    /// The first number of the staged frame, if there is one that may leave.
    pub fn staged(&self) -> Option<Number> {
        self.open.as_ref().filter(|_| self.may_leave()).map(OpenFrame::first)
    }

    /// Whether there is a staged frame.
    pub const fn is_staging(&self) -> bool {
        self.open.is_some()
    }

    /// Whether a frame is not known to have been received.
    pub fn is_behind(&self) -> bool {
        self.flight.is_behind()
    }

    /// Whether something can leave only when more credit has come.
    pub const fn awaits_credit(&self) -> bool {
        self.flight.has_waiting() || (self.open.is_some() && !self.may_leave())
    }

    /// Lends the staged frame, if what comes next goes there, and stays there for a while.
    pub(crate) fn lend_stage(&mut self, clock: &Clock) -> Option<Stage> {
        let open = self.open.as_ref().filter(|open| open.is_followed_by(clock.now().next()))?;
        let is_next = self.session.is_some() && !self.rendezvous && self.dropped == 0 && self.backlog.is_empty();
        // LRG-3. DAT-5, CRD-7: there is something to stage behind, or no credit. What waits for the link is offered again with each message.
        let waits = self.flight.is_behind() || self.waits_for_credit();
        let stays = !self.has_waiter() && waits && !self.flight.has_waiting();
        if !is_next || !stays {
            return None;
        }
        // CRD-2, CRD-6. DAT-6: it leaves when not even an empty message fits behind the last.
        let records = (MAX_RECORDS - 1).saturating_sub(open.count()) * ENTRY;
        let room = open.space().saturating_sub(ENTRY).min(self.spendable()).min(records);
        if room < ENTRY {
            return None;
        }
        let before = open.body_bytes();
        Some(Stage { frame: self.open.take()?, room, max_message: self.max_message, before })
    }

    /// Takes the staged frame back: what was appended to it is accepted.
    pub(crate) fn return_stage(&mut self, stage: Stage, clock: &mut Clock) {
        let Stage { frame, before, .. } = stage;
        debug_assert!(self.open.is_none(), "the endpoint was used while the stage was lent");
        clock.witness(frame.last_stamp());
        self.accepted = frame.last();
        self.spend((frame.body_bytes() - before) as u64);
        self.open = Some(frame);
    }
}

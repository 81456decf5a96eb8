//! Cut-through: a message that comes alone, and before which nothing waits, is handed out as its frame comes, and never queued. A question
//! and its answer always do.

use super::{ACTIVE_FRAMES, Endpoint, Event, Handled, Settings, output::pace};
use crate::{
    number::SessionId,
    session::Peer,
    wire::{DataFrame, Record},
};

/// A message that was handed out, but for the frame it lies in.
pub(super) struct Through {
    peer: Peer,
    may_repeat: bool,
    record: Record,
}

impl Through {
    pub(super) fn message<B>(self, session: SessionId, frame: B) -> Event<B> {
        let Self { peer, may_repeat, record: Record { number, stamp, body } } = self;
        Event::Message { session, peer, number, stamp, may_repeat, frame, body }
    }
}

impl<B: AsRef<[u8]> + Clone + From<Vec<u8>>> Endpoint<B> {
    /// As [`handle_frame`](Self::handle_frame), and [`next_event`](Self::next_event) right behind it, if the frame brings one message and
    /// nothing waits before that. Otherwise the application has not asked for anything yet.
    pub fn handle_and_next(&mut self, frame: B) -> Handled<B> {
        self.handle(frame, true)
    }

    /// Hands out the message of a frame for which nothing waits, if it brings one and nothing else, and is the next of its session.
    pub(super) fn hand_through(&mut self, session: SessionId, data: &DataFrame<B>) -> Option<Through> {
        let Self { settings, clock, inbound, ready, asking, touched, handed, counters, .. } = self;
        let Settings { auto_process, rendezvous, max_message, .. } = *settings;
        // LRG-2: what was read may make room for what others have asked for.
        if !auto_process || rendezvous || !ready.is_empty() || !asking.is_empty() {
            return None;
        }
        let record = data.only_message()?;
        let incoming = inbound.get_mut(&session)?;
        let is_next = incoming.session.is_open() && clock.is_plausible(record.stamp) && incoming.expects(data);
        let is_short = data.body_bytes() <= max_message;
        // What the application has is of this session, as a rule. Of two runs of it the second would count as one that was not answered.
        let has_no_other = handed.len() <= 1 && handed.iter().all(|(of, ..)| *of == session);
        if !is_next || !is_short || !has_no_other {
            return None;
        }
        incoming.session.window_mut().take(data).ok()?;
        self.frames_seen += 1;
        incoming.active = self.frames_seen + ACTIVE_FRAMES;
        counters.data_frames += 1;
        // Before that the application is done with what it has.
        if let Some((_, first, last)) = handed.pop_front() {
            incoming.answers = core::mem::take(&mut incoming.answered);
            incoming.session.window_mut().process(first, last);
        }
        incoming.session.release_frame();
        incoming.session.deliver(record.number, record.body.len() as u64);
        handed.push_back((session, record.number, record.number));
        clock.deliver(record.stamp);
        counters.delivered += 1;
        touched.insert(session); // CAL-6: when there is time for it
        let pace = pace(session, incoming, handed, false);
        self.fresh = self.fresh || incoming.session.is_urgent(self.share, pace);
        let (peer, may_repeat) = (incoming.session.peer(), record.number <= incoming.session.exposed());
        Some(Through { peer, may_repeat, record })
    }
}

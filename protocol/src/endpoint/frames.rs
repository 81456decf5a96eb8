//! What arrives: each frame goes to the session it names, or is dropped and counted.

use super::{
    ACTIVE_FRAMES, Arrival, Endpoint, Event,
    incoming::{Incoming, Outcome, Placed, Ready, Then},
    replies::Reply,
};
use crate::{
    lamport::Stamp,
    number::{FrameNumber, SessionId, StreamId},
    session::{Departure, Ended},
    wire::{self, Ask, Close, DataFrame, EndReason, Fault, Frame, Greeting, Header, Kind, Refusal, RefusalReason},
};

/// What came of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handled<B> {
    /// Nothing for the shell to do.
    Quietly,
    /// A greeting that deserves an answer, for the shell to check.
    Greeting(Arrival),
    /// It brought a message, which is handed out ([`Event::Message`]).
    Message(Event<B>),
}

impl<B: AsRef<[u8]> + Clone + From<Vec<u8>>> Endpoint<B> {
    /// A frame arrived. A greeting that deserves an answer is returned for the shell to check.
    pub fn handle_frame(&mut self, frame: B) -> Option<Arrival> {
        match self.handle(frame, false) {
            Handled::Greeting(arrival) => Some(arrival),
            Handled::Quietly | Handled::Message(_) => None,
        }
    }

    /// A frame arrived, and is handled; `through`: if it is a message that comes next, that is handed out at once.
    pub(super) fn handle(&mut self, frame: B, through: bool) -> Handled<B> {
        self.counters.frames += 1;
        let handled = match Header::decode(frame.as_ref()) {
            Ok(header) if header.kind == Kind::Data => {
                let decoded = wire::decode_data(frame, &header);
                decoded.map(|(session, data)| self.handle_messages(session, data, through))
            }
            Ok(header) => {
                let decoded = wire::decode_other(frame.as_ref(), &header);
                decoded.map(|frame| self.handle_other(&header, frame))
            }
            Err(fault) => Err(fault),
        };
        handled.unwrap_or_else(|fault| {
            self.counters.malformed(fault); // FRM-1
            Handled::Quietly
        })
    }

    #[inline]
    fn handle_messages(&mut self, session: SessionId, data: DataFrame<B>, through: bool) -> Handled<B> {
        let Some(session) = self.known_as(session) else {
            self.counters.unknown_session += 1; // RSM-1: of a receiver that was lost
            return Handled::Quietly;
        };
        self.handle_carried(session, &data);
        if through && let Some(through) = self.hand_through(session, &data) {
            return Handled::Message(through.message(session, data.into_buffer()));
        }
        if self.handle_data(session, data) {
            self.touch_if_urgent(session);
        } else {
            self.counters.unknown_session += 1; // FRM-2, SES-2
        }
        Handled::Quietly
    }

    fn handle_other(&mut self, header: &Header, frame: Frame<B>) -> Handled<B> {
        let Some(session) = header.session else {
            let Frame::Greeting(greeting) = frame else { return Handled::Quietly };
            let arrival = self.handle_greeting(greeting, header.stamp);
            return arrival.map_or(Handled::Quietly, Handled::Greeting);
        };
        let Some(session) = self.known_as(session) else {
            self.counters.unknown_session += 1; // RSM-1: of a receiver that was lost
            return Handled::Quietly;
        };
        let known = match frame {
            Frame::Close(close) => self.handle_close(session, header.stamp, close),
            Frame::Welcome(welcome) => self.handle_reply(session, header.stamp, Reply::Welcome(welcome)),
            Frame::Refusal(refusal) => self.handle_reply(session, header.stamp, Reply::Refusal(refusal)),
            Frame::Acknowledgement(acknowledgement) => {
                self.handle_acknowledgement(session, header.stamp, &acknowledgement).is_some()
            }
            Frame::Ask(ask) => self.handle_ask(session, header.stamp, ask),
            Frame::Data(_) | Frame::Greeting(_) => false,
        };
        if known {
            self.touch(session);
        } else {
            self.counters.unknown_session += 1; // FRM-2, SES-2
        }
        Handled::Quietly
    }

    /// The session to which this id belongs on the wire. An id of one that has gone on belongs to none.
    fn known_as(&self, id: SessionId) -> Option<SessionId> {
        if self.resumed.is_empty() {
            return Some(id);
        }
        match self.resumed.get(&id) {
            Some(session) => Some(*session),
            None if self.resumed.values().any(|session| *session == id) => None,
            None => Some(id),
        }
    }

    fn handle_greeting(&mut self, greeting: Greeting, stamp: Stamp) -> Option<Arrival> {
        if !self.clock.is_plausible(stamp) {
            self.counters.malformed(Fault::Field); // LAM-4: there is no session to end.
            return None;
        }
        if greeting.to != self.settings.epoch.low_bits() {
            self.counters.misaddressed += 1; // GRT-8
            return None;
        }
        let asks_only = greeting.level.is_none();
        if let Some(session) = self.session_of(greeting.stream).filter(|_| !asks_only) {
            self.handle_greeting_again(session);
            return None;
        }
        // LAM-3. Before the shell knows whether it may trust the greeting: whoever can write here can also join.
        self.clock.witness(stamp);
        let reason = self.reason_to_refuse(&greeting);
        match reason {
            Some(RefusalReason::AskedOnly { .. }) => self.counters.pings += 1,
            Some(_) => self.counters.refused += 1,
            None => {}
        }
        Some(Arrival { greeting, refusal: reason.map(refusal) })
    }

    /// To be called before a greeting is answered later than when it came: others may have come meanwhile (GRT-5).
    pub fn reconsider(&mut self, arrival: &mut Arrival) {
        if arrival.refusal.is_none() && self.session_of(arrival.greeting.stream).is_none() {
            arrival.refusal = self.reason_to_refuse(&arrival.greeting).map(refusal);
            self.counters.refused += u64::from(arrival.refusal.is_some());
        }
    }

    fn reason_to_refuse(&self, greeting: &Greeting) -> Option<RefusalReason> {
        let asks_only = greeting.level.is_none();
        let (sessions, limit) = (self.sessions(), self.settings.max_sessions);
        let namespaces = [greeting.pid_namespace, self.settings.pid_namespace];
        if asks_only && limit > 0 {
            Some(RefusalReason::AskedOnly { sessions: u32::try_from(sessions).unwrap_or(u32::MAX) }) // GRT-6
        } else if !(greeting.versions.0..=greeting.versions.1).contains(&wire::VERSION) {
            Some(RefusalReason::Version) // GRT-1
        } else if !namespaces.contains(&0) && namespaces[0] != namespaces[1] {
            Some(RefusalReason::PidNamespace) // GRT-9
        } else if greeting.codec != self.settings.codec {
            Some(RefusalReason::Codec { expected: self.settings.codec }) // GRT-2
        } else if sessions >= limit as usize {
            Some(RefusalReason::TooManySessions { limit }) // GRT-5
        } else {
            None
        }
    }

    /// How many sessions there are that somebody needs.
    fn sessions(&self) -> usize {
        let spent = self.inbound.values().filter(|incoming| self.settings.lossy && incoming.session.is_spent());
        self.inbound.len() - spent.count()
    }

    /// The session in which we receive this stream.
    pub(super) fn session_of(&self, stream: StreamId) -> Option<SessionId> {
        self.inbound.iter().find(|(_, incoming)| incoming.session.peer().stream == stream).map(|(session, _)| *session)
    }

    /// GRT-3
    pub(super) fn handle_greeting_again(&mut self, session: SessionId) {
        self.counters.repeated_greeting += 1;
        if let Some(incoming) = self.inbound.get_mut(&session) {
            incoming.session.handle_greeting_again();
            self.touch(session);
        }
    }

    /// Returns whether we have that session.
    fn handle_data(&mut self, session: SessionId, data: DataFrame<B>) -> bool {
        let (frame, stamp) = (data.frame(), data.last_stamp());
        self.handle_placed(session, stamp, frame, Placed::Data(data))
    }

    /// A sender's last word has a place among its frames, a receiver's has none, and a violation ends both directions (DPX-2).
    /// Returns whether we have that session.
    fn handle_close(&mut self, session: SessionId, stamp: Stamp, close: Close) -> bool {
        match close.reason {
            EndReason::Finished if close.frame != FrameNumber::NONE => {
                self.handle_placed(session, stamp, close.frame, Placed::Close(close.last))
            }
            EndReason::Finished => self.handle_reply(session, stamp, Reply::Close(close)),
            reason => {
                let sends = self.handle_reply(session, stamp, Reply::Close(close));
                self.handle_accusation(session, stamp, reason) || sends
            }
        }
    }

    /// Returns whether we receive in that session.
    fn handle_accusation(&mut self, session: SessionId, stamp: Stamp, reason: EndReason) -> bool {
        let Some(incoming) = self.open_session(session, stamp) else { return self.inbound.contains_key(&session) };
        incoming.session.end(Departure::Accused(reason));
        self.clock.witness(stamp); // LAM-3
        self.depart(session);
        true
    }

    /// Returns whether we have that session.
    fn handle_ask(&mut self, session: SessionId, stamp: Stamp, ask: Ask) -> bool {
        let max_message = self.settings.max_message.into();
        let Some(incoming) = self.open_session(session, stamp) else {
            let Some(incoming) = self.inbound.get_mut(&session) else { return false };
            _ = incoming.session.handle_ask(ask, max_message); // counted as for an unknown session
            return true;
        };
        let news = match incoming.session.handle_ask(ask, max_message) {
            Ok(news) => news,
            Err(reason) => {
                self.sender_violated(session, reason);
                return true;
            }
        };
        let wants = incoming.session.window().wants();
        self.counters.stale_asks += u64::from(!news);
        if wants && !self.asking.contains(&session) {
            self.asking.push_back(session);
        }
        self.clock.witness(stamp); // LAM-3
        true
    }

    /// A data frame or a close, in its place or not. Returns whether we have that session.
    fn handle_placed(&mut self, session: SessionId, stamp: Stamp, frame: FrameNumber, placed: Placed<B>) -> bool {
        let Self { inbound, clock, ready, counters, frames_seen, .. } = self;
        let Some(incoming) = inbound.get_mut(&session) else { return false };
        if !incoming.session.is_open() || !clock.is_plausible(stamp) {
            self.turn_away(session);
            return true;
        }
        let is_close = matches!(placed, Placed::Close(_));
        let mut take = |data: DataFrame<B>| {
            let cursor = data.cursor();
            ready.push_back(Ready::Frame(session, data, cursor)); // PRO-4
        };
        match incoming.arrive(frame, placed, &mut take) {
            Ok(Outcome::Taken { count, then }) => {
                *frames_seen += count;
                counters.data_frames += count;
                if count > 0 {
                    incoming.active = *frames_seen + ACTIVE_FRAMES;
                }
                self.end_behind(session, stamp, then);
            }
            Ok(Outcome::Kept) => {
                counters.early += 1;
                if is_close {
                    clock.witness(stamp); // LAM-3
                }
            }
            Ok(Outcome::Duplicate) => counters.duplicates += 1, // DAT-3
            Ok(Outcome::Dropped) => counters.too_early += 1,
            Err(reason) => self.sender_violated(session, reason),
        }
        true
    }

    /// What becomes of a session behind frames that were taken.
    fn end_behind(&mut self, session: SessionId, stamp: Stamp, then: Then) {
        match then {
            Then::GoesOn => {}
            Then::Left => {
                self.clock.witness(stamp); // LAM-3
                self.depart(session);
            }
            Then::Violated(reason) => self.sender_violated(session, reason),
        }
    }

    /// The session that takes frames, if it is there and can follow `stamp`.
    fn open_session(&mut self, session: SessionId, stamp: Stamp) -> Option<&mut Incoming<B>> {
        let incoming = self.inbound.get(&session)?;
        if !incoming.session.is_open() || !self.clock.is_plausible(stamp) {
            self.turn_away(session);
            return None;
        }
        self.inbound.get_mut(&session)
    }

    /// Something came for a session that takes no more, or cannot follow the stamp of this.
    #[cold]
    fn turn_away(&mut self, session: SessionId) {
        match self.inbound.get_mut(&session) {
            Some(incoming) if !incoming.session.is_open() => {
                incoming.session.repeat(); // RTX-4
                self.counters.unknown_session += 1; // SES-2
            }
            _ => self.sender_violated(session, EndReason::Stamp), // LAM-4
        }
    }

    /// SES-3, PRO-3: this session ends, the others do not notice.
    fn sender_violated(&mut self, session: SessionId, reason: EndReason) {
        if let Some(incoming) = self.inbound.get_mut(&session) {
            incoming.session.violated(reason);
            self.counters.violations += 1;
            self.depart(session);
        }
        if let Some(outbound) = self.outbound.get_mut(&session) {
            outbound.end(Ended::PeerViolated(reason)); // DPX-2
        }
    }

    /// A session takes no more frames: the application learns of it behind all that was received.
    pub(super) fn depart(&mut self, session: SessionId) {
        self.ready.push_back(Ready::Departed(session));
        self.asking.retain(|asking| *asking != session);
        if let Some(incoming) = self.inbound.get_mut(&session) {
            incoming.discard();
        }
    }
}

fn refusal(reason: RefusalReason) -> Refusal {
    Refusal { reason, versions: (wire::VERSION, wire::VERSION) }
}

//! What arrives: each frame goes to the session it names, or is dropped and counted.

use super::{
    ACTIVE_FRAMES, Arrival, Endpoint, Settings,
    incoming::{Incoming, Outcome, Placed, Ready, Taken, Then},
};
use crate::{
    lamport::Stamp,
    number::{FrameNumber, SessionId, StreamId},
    session::{Departure, Ended, Outbound},
    wire::{
        self, Acknowledgement, Ask, Close, DataFrame, EndReason, Fault, Frame, Greeting, Refusal, RefusalReason,
        Welcome,
    },
};

/// A frame from the receiver of a session in which we send.
pub(super) enum Reply {
    Welcome(Welcome),
    Refusal(Refusal),
    Acknowledgement(Acknowledgement),
    Close(Close),
}

impl<B: AsRef<[u8]> + Clone + From<Vec<u8>>> Endpoint<B> {
    /// A frame arrived. A greeting that deserves an answer is returned for the shell to check.
    pub fn handle_frame(&mut self, frame: B) -> Option<Arrival> {
        self.counters.frames += 1;
        let (header, frame) = match wire::decode(frame) {
            Ok(decoded) => decoded,
            Err(fault) => {
                self.counters.malformed(fault); // FRM-1
                return None;
            }
        };
        let Some(session) = header.session else {
            let Frame::Greeting(greeting) = frame else { return None };
            return self.handle_greeting(greeting, header.stamp);
        };
        let Some(session) = self.known_as(session) else {
            self.counters.unknown_session += 1; // RSM-1: of a receiver that was lost
            return None;
        };
        let known = match frame {
            Frame::Data(data) => {
                self.handle_carried(session, &data);
                if self.handle_data(session, data) {
                    self.touch_if_urgent(session);
                    return None;
                }
                false
            }
            Frame::Close(close) => self.handle_close(session, header.stamp, close),
            Frame::Welcome(welcome) => self.handle_reply(session, header.stamp, Reply::Welcome(welcome)),
            Frame::Refusal(refusal) => self.handle_reply(session, header.stamp, Reply::Refusal(refusal)),
            Frame::Acknowledgement(acknowledgement) => {
                self.handle_reply(session, header.stamp, Reply::Acknowledgement(acknowledgement))
            }
            Frame::Ask(ask) => self.handle_ask(session, header.stamp, ask),
            Frame::Greeting(_) => false,
        };
        if known {
            self.touch(session);
        } else {
            self.counters.unknown_session += 1; // FRM-2, SES-2
        }
        None
    }

    /// ACK-11: as if it had come by itself, right before.
    fn handle_carried(&mut self, session: SessionId, data: &DataFrame<B>) {
        let Some((stamp, acknowledgement)) = data.carried() else { return };
        if self.handle_reply(session, stamp, Reply::Acknowledgement(acknowledgement)) {
            // Whatever the frame itself is worth: the direction that it is of may have ended (DPX-3).
            self.touched.insert(session);
            self.fresh |= self.outbound.get(&session).is_some_and(Outbound::has_output);
        } else {
            self.counters.unknown_session += 1; // FRM-2
        }
    }

    /// The session to which this id belongs on the wire. An id of one that has gone on belongs to none.
    fn known_as(&self, id: SessionId) -> Option<SessionId> {
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
        let Some(incoming) = self.open_session(session, stamp) else { return self.inbound.contains_key(&session) };
        let is_close = matches!(placed, Placed::Close(_));
        match incoming.arrive(frame, placed) {
            Ok(Outcome::Taken(taken)) => self.take(session, stamp, taken),
            Ok(Outcome::Kept) => {
                self.counters.early += 1;
                if is_close {
                    self.clock.witness(stamp); // LAM-3
                }
            }
            Ok(Outcome::Duplicate) => self.counters.duplicates += 1, // DAT-3
            Ok(Outcome::Dropped) => self.counters.too_early += 1,
            Err(reason) => self.sender_violated(session, reason),
        }
        true
    }

    fn take(&mut self, session: SessionId, stamp: Stamp, taken: Taken<B>) {
        self.frames_seen += taken.count;
        self.counters.data_frames += taken.count;
        if let Some(incoming) = self.inbound.get_mut(&session).filter(|_| taken.count > 0) {
            incoming.active = self.frames_seen + ACTIVE_FRAMES;
        }
        for data in taken.frame.into_iter().chain(taken.frames) {
            let cursor = data.cursor();
            self.ready.push_back(Ready::Frame(session, data, cursor)); // PRO-4
        }
        match taken.then {
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
        let incoming = self.inbound.get_mut(&session)?;
        if !incoming.session.is_open() {
            incoming.session.repeat(); // RTX-4
            self.counters.unknown_session += 1; // SES-2
            return None;
        }
        if !self.clock.is_plausible(stamp) {
            self.sender_violated(session, EndReason::Stamp); // LAM-4
            return None;
        }
        self.inbound.get_mut(&session)
    }

    /// Returns whether we have that session.
    fn handle_reply(&mut self, session: SessionId, stamp: Stamp, reply: Reply) -> bool {
        let Settings { window, lossy, .. } = self.settings;
        let is_there = |outbound: &&mut Outbound| outbound.ended().is_none() && !outbound.is_lost();
        let Some(outbound) = self.outbound.get_mut(&session).filter(is_there) else { return false };
        let mut back = None;
        if self.clock.is_plausible(stamp) {
            let accepted = match &reply {
                Reply::Welcome(welcome) => {
                    let accepted = outbound.handle_welcome(welcome);
                    back = outbound.receiving_side(welcome, window, lossy).filter(|_| accepted);
                    accepted
                }
                Reply::Refusal(refusal) => outbound.handle_refusal(*refusal),
                Reply::Acknowledgement(acknowledgement) => outbound.handle_acknowledgement(acknowledgement),
                Reply::Close(close) => {
                    outbound.handle_close(*close);
                    true
                }
            };
            outbound.window_mut().announce(&mut self.clock); // DRP-2: a welcome brings credit too
            if accepted {
                self.clock.witness(stamp); // LAM-3
            } else {
                self.counters.unneeded(&reply);
            }
        } else {
            if let Reply::Welcome(welcome) = reply {
                outbound.handle_welcome(&welcome); // so that the receiver can be told
            }
            outbound.violated(EndReason::Stamp); // LAM-4
        }
        if let Some(Ended::PeerViolated(reason)) = outbound.ended() {
            self.counters.violations += 1;
            if let Some(incoming) = self.inbound.get_mut(&session).filter(|incoming| incoming.session.is_open()) {
                incoming.session.end(Departure::Violated(reason)); // DPX-2: it is told of the other direction
                self.depart(session);
            }
        }
        if let Some(back) = back {
            self.receive_in(session, back);
        }
        true
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

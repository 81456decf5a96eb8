//! What arrives: each frame goes to the session it names, or is dropped and counted.

use super::{ACTIVE_FRAMES, Arrival, Endpoint, Ready};
use crate::{
    lamport::Stamp,
    number::{SessionId, StreamId},
    recv::Verdict,
    session::Ended,
    wire::{
        self, Acknowledgement, Close, DataFrame, EndReason, Fault, Frame, Greeting, Refusal, RefusalReason, Welcome,
    },
};

/// A frame from the receiver of a session in which we send.
pub(super) enum Reply {
    Welcome(Welcome),
    Refusal(Refusal),
    Acknowledgement(Acknowledgement),
    Close(Close),
}

impl<B: AsRef<[u8]> + Clone> Endpoint<B> {
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
        let known = match frame {
            Frame::Data(data) => self.handle_data(session, data),
            Frame::Close(close) if self.inbound.contains_key(&session) => {
                self.handle_sender_close(session, header.stamp, close)
            }
            Frame::Close(close) => self.handle_reply(session, header.stamp, Reply::Close(close)),
            Frame::Welcome(welcome) => self.handle_reply(session, header.stamp, Reply::Welcome(welcome)),
            Frame::Refusal(refusal) => self.handle_reply(session, header.stamp, Reply::Refusal(refusal)),
            Frame::Acknowledgement(acknowledgement) => {
                self.handle_reply(session, header.stamp, Reply::Acknowledgement(acknowledgement))
            }
            Frame::Greeting(_) => false,
        };
        if known {
            self.touch(session);
        } else {
            self.counters.unknown_session += 1; // FRM-2, SES-2
        }
        None
    }

    fn handle_greeting(&mut self, greeting: Greeting, stamp: Stamp) -> Option<Arrival> {
        if !self.clock.is_plausible(stamp) {
            self.counters.malformed(Fault::Field); // LAM-4: there is no session to end.
            return None;
        }
        if let Some(session) = self.session_of(greeting.stream) {
            self.handle_greeting_again(session);
            return None;
        }
        // LAM-3. Before the shell knows whether it may trust the greeting: whoever can write here can also join.
        self.clock.witness(stamp);
        let reason = if !(greeting.versions.0..=greeting.versions.1).contains(&wire::VERSION) {
            Some(RefusalReason::Version) // GRT-1
        } else if greeting.codec != self.settings.codec {
            Some(RefusalReason::Codec { expected: self.settings.codec }) // GRT-2
        } else if self.inbound.len() >= self.settings.max_sessions as usize {
            Some(RefusalReason::TooManySessions { limit: self.settings.max_sessions }) // GRT-5
        } else {
            None
        };
        let refusal = reason.map(|reason| Refusal { reason, versions: (wire::VERSION, wire::VERSION) });
        if refusal.is_some() {
            self.counters.refused += 1;
        }
        Some(Arrival { greeting, refusal })
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
        let Some(incoming) = self.inbound.get_mut(&session).filter(|incoming| incoming.session.is_open()) else {
            return false;
        };
        if !self.clock.is_plausible(data.last_stamp()) {
            self.sender_violated(session, EndReason::Stamp); // LAM-4
            return true;
        }
        match incoming.session.handle_data(&data) {
            Ok(Verdict::Deliver) => {
                self.frames_seen += 1;
                incoming.active = self.frames_seen + ACTIVE_FRAMES;
                self.counters.data_frames += 1;
                let cursor = data.cursor();
                self.ready.push_back(Ready::Frame(session, data, cursor)); // PRO-4
            }
            Ok(Verdict::Duplicate) => self.counters.duplicates += 1, // DAT-3
            Err(reason) => self.sender_violated(session, reason),
        }
        true
    }

    /// Returns whether we have that session.
    fn handle_sender_close(&mut self, session: SessionId, stamp: Stamp, close: Close) -> bool {
        let Some(incoming) = self.inbound.get_mut(&session).filter(|incoming| incoming.session.is_open()) else {
            return false;
        };
        if !self.clock.is_plausible(stamp) {
            self.sender_violated(session, EndReason::Stamp); // LAM-4
            return true;
        }
        match incoming.session.handle_close(close) {
            Ok(()) => {
                self.clock.witness(stamp); // LAM-3
                self.ready.push_back(Ready::Departed(session));
            }
            Err(reason) => self.sender_violated(session, reason), // CLO-3
        }
        true
    }

    /// Returns whether we have that session.
    fn handle_reply(&mut self, session: SessionId, stamp: Stamp, reply: Reply) -> bool {
        let Some(outbound) = self.outbound.get_mut(&session).filter(|outbound| outbound.ended().is_none()) else {
            return false;
        };
        if self.clock.is_plausible(stamp) {
            let accepted = match &reply {
                Reply::Welcome(welcome) => outbound.handle_welcome(welcome),
                Reply::Refusal(refusal) => outbound.handle_refusal(*refusal),
                Reply::Acknowledgement(acknowledgement) => outbound.handle_acknowledgement(acknowledgement),
                Reply::Close(close) => {
                    outbound.handle_close(*close);
                    true
                }
            };
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
        self.counters.violations += u64::from(matches!(outbound.ended(), Some(Ended::PeerViolated(_))));
        true
    }

    /// SES-3, PRO-3: this session ends, the others do not notice.
    fn sender_violated(&mut self, session: SessionId, reason: EndReason) {
        if let Some(incoming) = self.inbound.get_mut(&session) {
            incoming.session.violated(reason);
            self.counters.violations += 1;
            self.ready.push_back(Ready::Departed(session));
        }
    }
}

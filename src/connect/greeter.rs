//! A sender that is not connected yet: greets, and waits for the answer.

use super::SenderBuilder;
use crate::{
    clock::Deadline,
    link::Outbox,
    pump::{Driver, GREETING_TICK, State},
    random,
    sync::Arc,
};
use lamq_protocol::{SessionId, endpoint::Connect, send::SendSettings, session::Ended, wire::Refusal};
use std::{io, time::Duration};

/// What a greeting is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To send.
    Send,
    /// To send, and to receive what is sent back.
    BothWays,
    /// To know whether somebody is there.
    Ask,
}

/// A sender that is not connected yet.
pub(super) struct Greeter {
    pub(super) driver: Arc<Driver>,
    pub(super) session: SessionId,
    stream: u32,
    purpose: Purpose,
}

/// The answer of a receiver that lives.
pub(super) struct Reply {
    /// `None`: welcome.
    pub(super) refusal: Option<Refusal>,
    /// What was said.
    pub(super) greeting: Connect,
    /// Who was greeted.
    pub(super) pid: u32,
    /// From the greeting to the answer.
    pub(super) round_trip: Duration,
}

/// What came of a greeting.
pub(super) enum Answer {
    Open,
    Ended(Ended),
    /// The receiver is gone, and has not answered.
    Gone,
    /// Nothing in time.
    Late,
}

impl Greeter {
    /// One stream and one id for every attempt: a greeting that a dead receiver left unread is answered by the next owner of the
    /// queue, who takes the one after it for a repetition (GRT-3).
    pub(super) fn new(driver: Arc<Driver>, purpose: Purpose) -> io::Result<Self> {
        let stream = driver.call(|state| state.core.next_stream())?;
        Ok(Self { driver, session: random::session()?, stream, purpose })
    }

    /// Returns what it said.
    pub(super) fn greet(&self, builder: &SenderBuilder, outbox: Box<dyn Outbox>) -> io::Result<Connect> {
        let destination = outbox.destination();
        let (frame_size, uid, to) =
            (destination.geometry().frame_size, destination.user(), destination.owner().epoch_low);
        let SenderBuilder { level, retain, resume, .. } = *builder;
        let resumes = resume.is_some();
        let settings = SendSettings { frame_size, level, retain, lossy: self.driver.link.is_lossy(), resumes };
        let inbox = self.driver.call(|state| {
            state.assure_name();
            state.mailbox.name().as_str().as_bytes().to_vec()
        })?;
        let connect = Connect {
            stream: self.stream,
            codec: builder.codec.id,
            settings,
            asks_only: self.purpose == Purpose::Ask,
            inbox,
            wants_back: self.purpose == Purpose::BothWays,
            uid,
            to,
        };
        self.driver.call(|state| {
            state.add_peer(self.session, outbox)?;
            state.hold(self.session);
            state.core.connect(self.session, connect.clone());
            state.transmit(false);
            Ok(connect)
        })?
    }

    /// What could not be said to that receiver need not be said any more.
    pub(super) fn give_up(&self) {
        _ = self.driver.call(|state| state.give_up(self.session));
    }

    pub(super) fn await_answer(&self, deadline: Deadline) -> Answer {
        loop {
            if let Ok(Some(answer)) = self.driver.wait(deadline.at_most(GREETING_TICK), |state| self.answer(state)) {
                return answer;
            }
            // Nothing wakes us when a receiver goes whose process lives on. Its last words are read before it is taken for gone.
            let gone = self.driver.call(|state| {
                if !state.is_gone(self.session) {
                    return None;
                }
                if !state.can_read() {
                    state.progressed = true; // whoever sleeps in the inbox makes way
                    return None;
                }
                state.drain();
                Some(self.answer(state).unwrap_or(Answer::Gone))
            });
            match gone {
                Ok(Some(answer)) => return answer,
                Ok(None) if !deadline.has_passed() => {}
                _ => return Answer::Late,
            }
        }
    }

    fn answer(&self, state: &mut State) -> Option<Answer> {
        state.step();
        let outbound = state.core.outbound(self.session)?;
        // A sender that resumes may have been welcomed and have lost its receiver in one step. Nobody looks for the next one yet.
        let over = outbound.ended().or_else(|| outbound.seeks());
        outbound.is_open().then_some(Answer::Open).or_else(|| over.map(Answer::Ended))
    }
}

//! The staged frame of a session lies ready for its senders, so that most of their calls need not enter the endpoint: a lock of its own,
//! and no thread that waits for anything else.

use super::{Reading, State};
use crate::sync::Loan;
use lamq_protocol::{
    Number, SessionId,
    endpoint::SendRefused,
    send::{Manner, Stage},
};

/// What lies ready, if anything does, and for whose messages.
pub(crate) type Staging = Loan<(SessionId, Stage)>;

impl Staging {
    /// Accepts a message that can be staged, and returns its number; `None` if the endpoint is to be asked.
    #[inline]
    pub(crate) fn push(&self, session: SessionId, body: &[u8]) -> Option<Number> {
        self.make_use(|(whose, stage)| if *whose == session { stage.push(body) } else { None })
    }
}

impl State {
    /// Accepts a message. Of one that takes many frames the first leave, and credit for the last comes, while these are packed.
    pub(crate) fn send(&mut self, session: SessionId, body: &[u8], manner: Manner) -> Result<Number, SendRefused> {
        let (number, mut has_more) = self.core.begin(session, body, manner)?;
        while has_more {
            self.transmit(false);
            if self.core.outbound(session).is_some_and(|outbound| outbound.window().has_waiting()) {
                self.progressed |= self.read(Reading::Ahead).came();
            }
            has_more = self.core.go_on(session, body)?;
        }
        Ok(number)
    }

    /// Lends the staged frame of a session to its senders. The next step takes it back, be it that of a call or of the keeper, which is at
    /// work as long as something is staged (DAT-6).
    pub(crate) fn lend_stage(&mut self, session: SessionId) {
        debug_assert!(!self.handout.is_out(), "two would have the same clock");
        if let Some(stage) = self.core.lend_stage(session) {
            self.staging.lend((session, stage));
        }
    }

    /// Takes back what was lent, before anything else is done.
    pub(super) fn take_stage_back(&mut self) {
        if let Some((session, stage)) = self.staging.take_back() {
            self.core.return_stage(session, stage);
        }
    }
}

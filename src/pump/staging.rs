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
    /// work as long as something is staged, and leaves it only to those who use it (DAT-6).
    pub(crate) fn lend_stage(&mut self, session: SessionId) {
        debug_assert!(!self.handout.is_out(), "two would have the same clock");
        if let Some(stage) = self.core.lend_stage(session) {
            self.lent_stage = Some((session, stage.first()));
            self.staging.lend((session, stage));
        }
    }

    /// Whether the staged frame that is lent is another one than at the last tick, and no other was there then: none is too old (DAT-6). Notes
    /// those that are there now.
    pub(super) fn is_staging_fresh(&mut self) -> bool {
        let Some(lent) = self.lent_stage.filter(|_| self.staging.is_out()) else { return false };
        let is_fresh = self.staged.iter().all(|(session, first)| (*session, *first) != lent && *session == lent.0);
        if is_fresh {
            self.staged.clear();
            self.staged.push(lent);
            self.staged.extend(self.core.staged());
        }
        is_fresh
    }
}

//! Messages that lie ready for the receiving application, so that most of its calls need not enter the endpoint.

use super::State;
use crate::{message::Message, pool::FrameBuffer, raw::Prepaid, sync::Loan};
use lamq_protocol::{Number, SessionId, endpoint::Lease};

/// What lies ready, if anything does.
pub(crate) type Handout = Loan<Laid>;

/// The next messages of a frame.
#[derive(Debug)]
pub(crate) struct Laid {
    lease: Lease<FrameBuffer>,
    /// For each message one that shares the frame's buffer, so that to take it needs no atomic operation.
    shares: Prepaid<Vec<u8>>,
}

/// How many are taken at one go: others may wait for the lock.
const AT_ONCE: usize = 64;

/// How often the keeper may find somebody at it.
const PATIENCE: u32 = 4;

impl Handout {
    /// The next message; `None` if the endpoint is to be asked. `one_more`: beside those that the application has (ACK-10).
    #[inline]
    pub(crate) fn take(&self, one_more: bool) -> Option<Message> {
        self.make_use(|laid| laid.next(one_more))
    }

    /// Takes more messages beside those that the application has, up to `limit`, and returns how many; some, not all, when there are many.
    #[inline]
    pub(crate) fn take_more(&self, limit: usize, mut append: impl FnMut(Message)) -> usize {
        let taken = self.make_use(|laid| {
            let mut count = 0;
            while count < limit.min(AT_ONCE)
                && let Some(message) = laid.next(true)
            {
                append(message);
                count += 1;
            }
            (count > 0).then_some(count)
        });
        taken.unwrap_or(0)
    }
}

impl Laid {
    #[expect(clippy::inline_always, reason = "else a batch is copied once more, a fifth of its time")]
    #[inline(always)]
    fn next(&mut self, one_more: bool) -> Option<Message> {
        let Self { lease, shares } = self;
        let bytes = shares.take()?; // there are as many as the lease may hand out
        let record = lease.next_message(one_more)?;
        Some(Message {
            may_repeat: lease.may_repeat(&record),
            bytes,
            body: record.body,
            number: record.number,
            stamp: record.stamp,
            peer: lease.peer(),
            session: lease.session(),
        })
    }
}

impl State {
    /// Lays out what can be taken without us. The next step takes the rest back ([`settle`](Self::settle)), be it that of a call or of
    /// the keeper, which is at work as long as something lies there, unless somebody takes of it at that very moment: so senders hear soon of what was
    /// taken (CAL-6).
    pub(crate) fn lay_out(&mut self) {
        if let Some(lease) = self.core.lease() {
            let shares = lease.frame().prepay(lease.left());
            self.handout.lend(Laid { lease, shares });
        }
    }

    /// Takes back what was laid out, and lent, before anything else is done.
    pub(super) fn settle(&mut self) {
        if let Some((session, stage)) = self.staging.take_back() {
            self.core.return_stage(session, stage);
        }
        if let Some(Laid { lease, .. }) = self.handout.take_back() {
            self.core.settle(lease);
        }
    }

    /// For the keeper: as [`settle`](Self::settle), unless a thread is at it that has perhaps lost the processor there. Then nothing else can be done, and
    /// false is returned; but not again and again. Who comes in after the look is waited for: it runs, or ran a moment ago.
    pub(super) fn settle_politely(&mut self, quiet: bool) -> bool {
        if (self.staging.is_held_up() || self.handout.is_held_up()) && !self.courtesy.is_over() {
            self.courtesy.count(quiet, self.lent_stage);
            return false;
        }
        self.courtesy = Courtesy::default();
        self.settle();
        true
    }
}

/// How often in a row the keeper has stood back from what is in use.
#[derive(Debug, Default)]
pub(super) struct Courtesy {
    times: u32,
    lent: Option<(SessionId, Number)>,
}

impl Courtesy {
    const fn is_over(&self) -> bool {
        self.times >= PATIENCE
    }

    /// Once more, unless whoever is at it does not seem to run: no call has ended, and the same frame is lent as before.
    fn count(&mut self, quiet: bool, lent: Option<(SessionId, Number)>) {
        self.times += u32::from(!quiet || self.lent != lent);
        self.lent = lent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keeper_stands_back_for_long_only_from_a_thread_that_does_not_run() {
        let times = |quiet, lent: fn(u64) -> Option<(SessionId, Number)>| {
            let mut courtesy = Courtesy::default();
            (0..100)
                .take_while(|time| {
                    courtesy.count(quiet, lent(*time));
                    !courtesy.is_over()
                })
                .count()
        };
        assert_eq!(times(true, |_| None), 100, "somebody receives, and is not seen to go on");
        assert_eq!(times(true, |_| Some((SessionId::new(7)?, Number::new(1)))), 100);
        assert_eq!(times(false, |_| None), 3);
        assert_eq!(times(true, |time| Some((SessionId::new(7)?, Number::new(time)))), 3);
    }
}

//! Messages that lie ready for the receiving application, so that most of its calls need not enter the endpoint: a lock of
//! their own, and no thread that waits for anything else.

use super::State;
use crate::{
    message::Message,
    pool::FrameBuffer,
    sync::{Arc, AtomicBool, Mutex, Ordering},
};
use lamq_protocol::endpoint::Lease;

/// What lies ready, if anything does.
#[derive(Debug, Default)]
pub(crate) struct Handout {
    lease: Mutex<Option<Lease<FrameBuffer>>>,
    /// Whether there may be something to take: a hint that costs less than the lock.
    open: AtomicBool,
}

impl Handout {
    /// The next message; `None` if the endpoint is to be asked. `one_more`: beside those that the application has (ACK-10).
    #[inline]
    pub(crate) fn take(&self, one_more: bool) -> Option<Message> {
        if !self.open.load(Ordering::Relaxed) {
            return None;
        }
        let mut lease = self.lease.lock();
        if let Some(lease) = &mut *lease
            && let Some(record) = lease.next_message(one_more)
        {
            return Some(Message {
                may_repeat: lease.may_repeat(&record),
                frame: lease.frame().clone(),
                body: record.body,
                number: record.number,
                stamp: record.stamp,
                peer: lease.peer(),
                session: lease.session(),
            });
        }
        self.open.store(false, Ordering::Relaxed);
        None
    }
}

/// The side of the endpoint.
#[derive(Debug, Default)]
pub(super) struct Outlay {
    handout: Arc<Handout>,
    is_out: bool,
}

impl Outlay {
    pub(super) fn handout(&self) -> Arc<Handout> {
        Arc::clone(&self.handout)
    }

    /// Whether something was laid out and not taken back.
    pub(super) const fn is_out(&self) -> bool {
        self.is_out
    }
}

impl State {
    /// Lays out what can be taken without us. The next step takes the rest back ([`settle`](Self::settle)), be it that of a call or of
    /// the keeper, which is at work as long as something lies there: so senders hear soon of what was taken (CAL-6).
    pub(crate) fn lay_out(&mut self) {
        if let Some(lease) = self.core.lease() {
            let Outlay { handout, is_out } = &mut self.outlay;
            *handout.lease.lock() = Some(lease);
            handout.open.store(true, Ordering::Relaxed);
            *is_out = true;
        }
    }

    /// Takes back what was laid out, before anything else is done.
    pub(super) fn settle(&mut self) {
        self.take_stage_back();
        if std::mem::take(&mut self.outlay.is_out)
            && let Some(lease) = self.outlay.handout.lease.lock().take()
        {
            self.core.settle(lease);
        }
    }
}

//! Streams back to those who sent.

use super::{Receiver, Sender};
use crate::{clock::Deadline, reports, sync::Arc};
use lamq_protocol::session::{Outbound, Peer};
use std::collections::btree_map::Entry;

impl Receiver {
    /// The sending end of the stream back to `peer`, if it asked for one and that is not over (DPX-1): it did if it is connected
    /// by [`connect_both_ways`](crate::SenderBuilder::connect_both_ways). It is there from its [`Joined`](crate::Event::Joined) on,
    /// and as long as that side receives, also after it has left as a sender.
    ///
    /// Each call gives a clone of the same sender. The receiver keeps one too, until the stream is over: to end it before, say so by
    /// [`Sender::close`]. When the receiver is dropped, it waits until all that was sent back is acknowledged, no longer
    /// than its [linger](crate::ReceiverBuilder::linger); clones that are still in use go on. What is sent back counts as
    /// acknowledged when delivered, and up to 1 MiB is kept for each peer until then.
    pub fn sender_to(&self, peer: Peer) -> Option<Sender> {
        // Not even the lock may be touched in a forked child: somebody may have it who is not there.
        self.driver.check().ok()?;
        let mut backs = self.backs.lock();
        let now = self.driver.call(|state| {
            let is_over = |session| state.core.outbound(session).is_none_or(|outbound| outbound.ended().is_some());
            let over: Vec<_> = backs.keys().copied().filter(|session| is_over(*session)).collect();
            let session = state.core.back_to(peer.stream).filter(|session| !is_over(*session));
            (session, over)
        });
        let (session, over) = now.ok()?;
        // The last owner of a sender enters the driver when it drops it.
        backs.retain(|session, _| !over.contains(session));
        let sender = match backs.entry(session?) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let sender = Sender::new(Arc::clone(&self.driver), *new.key(), self.linger)?;
                new.insert(sender)
            }
        };
        Some(sender.clone())
    }

    /// The receiver is dropped: those that nobody else has are closed, all at once.
    pub(super) fn close_backs(&self) {
        let mut backs = std::mem::take(&mut *self.backs.lock());
        backs.retain(|_, sender| sender.is_last());
        let deadline = Deadline::after(self.linger);
        _ = self.driver.call(|state| {
            for session in backs.keys() {
                state.core.with_outbound(*session, Outbound::close);
            }
            state.transmit(true);
        });
        for sender in backs.into_values() {
            let left = deadline.remaining().unwrap_or_default();
            if let Err(error) = sender.close(left) {
                reports::tell(|| {
                    tracing::warn!(target: "lamq", %error, "a receiver was dropped, and not all that it sent back was acknowledged");
                });
            }
        }
    }
}

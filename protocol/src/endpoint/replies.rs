//! What the receivers of our sessions say.

use super::{Endpoint, Settings};
use crate::{
    lamport::Stamp,
    number::SessionId,
    session::{Departure, Ended, Outbound},
    wire::{Acknowledgement, Close, DataFrame, EndReason, Refusal, Welcome},
};

/// A frame from the receiver of a session in which we send.
pub(super) enum Reply {
    Welcome(Welcome),
    Refusal(Refusal),
    Close(Close),
}

impl<B: AsRef<[u8]> + Clone + From<Vec<u8>>> Endpoint<B> {
    /// ACK-11: as if it had come by itself, right before.
    pub(super) fn handle_carried(&mut self, session: SessionId, data: &DataFrame<B>) {
        let Some((stamp, acknowledgement)) = data.carried() else { return };
        if let Some(has_output) = self.handle_acknowledgement(session, stamp, &acknowledgement) {
            // Whatever the frame itself is worth: the direction that it is of may have ended (DPX-3).
            self.touched.insert(session);
            self.fresh |= has_output;
        } else {
            self.counters.unknown_session += 1; // FRM-2
        }
    }

    /// Returns whether the session has something to transmit now, if we have it.
    pub(super) fn handle_acknowledgement(
        &mut self,
        session: SessionId,
        stamp: Stamp,
        acknowledgement: &Acknowledgement,
    ) -> Option<bool> {
        let Self { outbound, clock, counters, .. } = self;
        let outbound = outbound.get_mut(&session).filter(|outbound| outbound.listens())?;
        if clock.is_plausible(stamp) {
            let is_news = outbound.handle_acknowledgement(acknowledgement);
            outbound.window_mut().announce(clock); // DRP-2
            if is_news {
                clock.witness(stamp); // LAM-3
            } else {
                counters.stale_acknowledgements += 1; // ACK-5
            }
        } else {
            outbound.violated(EndReason::Stamp); // LAM-4
        }
        let (has_output, ended) = (outbound.has_output(), outbound.ended());
        self.end_both_ways(session, ended);
        Some(has_output)
    }

    /// DPX-2: a receiver that broke the protocol is told of the other direction, too.
    fn end_both_ways(&mut self, session: SessionId, ended: Option<Ended>) {
        let Some(Ended::PeerViolated(reason)) = ended else { return };
        self.counters.violations += 1;
        if let Some(incoming) = self.inbound.get_mut(&session).filter(|incoming| incoming.session.is_open()) {
            incoming.session.end(Departure::Violated(reason));
            self.depart(session);
        }
    }

    /// Returns whether we have that session.
    pub(super) fn handle_reply(&mut self, session: SessionId, stamp: Stamp, reply: Reply) -> bool {
        let Settings { window, lossy, .. } = self.settings;
        let listens = |outbound: &&mut Outbound| outbound.listens();
        let Some(outbound) = self.outbound.get_mut(&session).filter(listens) else { return false };
        let mut back = None;
        if self.clock.is_plausible(stamp) {
            let accepted = match &reply {
                Reply::Welcome(welcome) => {
                    let accepted = outbound.handle_welcome(welcome);
                    back = outbound.receiving_side(welcome, window, lossy).filter(|_| accepted);
                    accepted
                }
                Reply::Refusal(refusal) => outbound.handle_refusal(*refusal),
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
        let ended = outbound.ended();
        self.end_both_ways(session, ended);
        if let Some(back) = back {
            self.receive_in(session, back);
        }
        true
    }
}

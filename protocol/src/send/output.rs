//! What leaves.

use super::{SendWindow, Spent};
use crate::{
    lamport::Stamp,
    wire::{Acknowledgement, Ask},
};

impl SendWindow {
    /// Offers the frames that wait to `link`, in order, until it takes no more, then a question if one is to be asked. Returns
    /// whether all has left that may.
    pub fn transmit(&mut self, stamp: Stamp, link: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        if !self.flight.transmit(self.known.frame_credit, link) {
            return false;
        }
        if let Some(session) = self.session.filter(|_| self.asks) {
            let Spent { wanted, given_back, .. } = self.spent;
            let ask = Ask { question: self.question + 1, bytes: wanted, given_back };
            if !link(&ask.encode(session, stamp)) {
                return false;
            }
            self.asks = false;
            self.question = ask.question;
            self.asked_after = self.flight.transmissions();
        }
        true
    }

    /// Whether [`transmit`](Self::transmit) has something to offer.
    pub(crate) fn has_output(&self) -> bool {
        self.asks || self.flight.has_output(self.known.frame_credit)
    }

    /// Offers the first frame that waits, with an acknowledgement of what comes from the other side. Returns whether it has left.
    pub(crate) fn transmit_with(
        &mut self,
        acknowledgement: &Acknowledgement,
        stamp: Stamp,
        link: &mut dyn FnMut(&[u8]) -> bool,
    ) -> bool {
        let (credit, limit) = (self.known.frame_credit, self.settings.frame_size);
        self.flight.transmit_next(credit, |frame| frame.offer_with(acknowledgement, stamp, limit, link))
    }
}

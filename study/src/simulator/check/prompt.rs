//! What a receiver must do at once: within the call, or the tick of the keeper, in which the cause of it came up.

use super::{Check, Guest};
use crate::simulator::{events::Place, trace::name};
use lamq_protocol::wire::{Frame, decode};

/// What one receiver owes to one sender.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Debt {
    /// The number of the last message whose delivery is waited for.
    awaited: u64,
    /// The last ask that was taken from the inbox.
    asked: u64,
    /// The highest that was offered to the link, which may have had no room.
    delivered: u64,
    answered: u64,
}

impl Check {
    /// The delivery of a message is waited for.
    pub(in super::super) fn awaits(&mut self, sender: Place, number: u64) {
        self.streams[sender].debt.awaited = number;
    }

    /// The receiver has taken this frame from its inbox.
    pub(in super::super) fn taken(&mut self, frame: &[u8]) {
        let Ok((header, Frame::Ask(ask))) = decode(frame) else { return };
        if let Some(sender) = self.stream_of(|stream| stream.data == header.session) {
            let asked = &mut self.streams[sender].debt.asked;
            *asked = ask.question.max(*asked);
        }
    }

    /// The receiver offers this frame to the link.
    pub(in super::super) fn offered(&mut self, frame: &[u8]) {
        let Ok((header, Frame::Acknowledgement(acknowledgement))) = decode(frame) else { return };
        if let Some(sender) = self.stream_of(|stream| stream.reply == header.session) {
            let debt = &mut self.streams[sender].debt;
            debt.delivered = acknowledgement.delivered.get().max(debt.delivered);
            debt.answered = acknowledgement.answered.max(debt.answered);
        }
    }

    /// A call of the receiver is over, or the keeper's tick.
    pub(in super::super) fn receiver_rests(&mut self) {
        if self.receiver_has_left || self.receiver_has_died {
            return;
        }
        for sender in 1..self.streams.len() {
            let stream = &self.streams[sender];
            if stream.guest != Guest::Joined || stream.has_closed || stream.has_died {
                continue;
            }
            let (Debt { awaited, asked, delivered, answered }, told) = (stream.debt, stream.told);
            self.demand(awaited > told || awaited <= delivered, || {
                format!("{} waits for the delivery of {awaited}, and was not told at once (ACK-8)", name(sender))
            });
            self.demand(asked <= answered, || {
                format!("ask {asked} of {} was not answered at once (LRG-4)", name(sender))
            });
        }
    }
}

//! Messages longer than a frame: accepted whole, and packed in pieces.

use super::SendWindow;
use crate::{
    lamport::Stamp,
    number::Number,
    wire::{Shape, record_limit},
};

/// What is known of a message of which not all pieces are packed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Unfinished {
    number: Number,
    stamp: Stamp,
    /// Of the next piece.
    shape: Shape,
    /// How many bytes are packed.
    packed: usize,
    awaited: bool,
    /// Whether it is behind a frame that was not known to be received when it was accepted.
    behind: bool,
}

impl Unfinished {
    pub(super) const fn new(number: Number, stamp: Stamp, shape: Shape) -> Self {
        Self { number, stamp, shape, packed: 0, awaited: false, behind: false }
    }

    pub(super) const fn sent(self, awaited: bool, behind: bool) -> Self {
        Self { awaited, behind, ..self }
    }
}

impl SendWindow {
    /// Whether it is longer than a frame.
    pub(super) const fn is_long(&self, body: &[u8]) -> bool {
        body.len() > record_limit(self.settings.frame_size)
    }

    /// Packs the next frame of a message that is not packed whole, which can leave while it is still in the cache. Returns whether there is
    /// still more.
    pub(crate) fn pack_on(&mut self, body: &[u8]) -> bool {
        let Some(mut message) = self.unfinished.take() else { return false };
        let follows = self.pack_piece(&mut message, body);
        if follows {
            self.unfinished = Some(message);
        } else {
            self.finish_message(message.awaited, message.behind, message.stamp);
        }
        follows
    }

    /// Whether some of a message is still to be packed.
    pub(crate) const fn is_unfinished(&self) -> bool {
        self.unfinished.is_some()
    }

    /// The session is over, or lost, before all of a message was packed: it was not accepted then. Nobody can have got it.
    pub(crate) fn abandon(&mut self) {
        if let Some(message) = self.unfinished.take() {
            self.accepted = message.number.before();
        }
    }

    /// All pieces, the first of which shares its frame with what was before.
    pub(super) fn pack_pieces(&mut self, mut message: Unfinished, body: &[u8]) {
        self.make_room_for_pieces(&message);
        while self.pack_piece(&mut message, body) {}
    }

    /// Closes a staged frame that has no room worth using.
    pub(super) fn make_room_for_pieces(&mut self, message: &Unfinished) {
        // Not for a few bytes: each piece costs an entry, and a copy at the receiver.
        const LEAST: usize = 64;
        let room = self.open.as_ref().and_then(|open| open.room(message.shape, message.stamp));
        if room.is_none_or(|room| room < LEAST) {
            self.seal(false);
        }
    }

    /// Packs the next piece. Returns whether another one follows.
    fn pack_piece(&mut self, message: &mut Unfinished, body: &[u8]) -> bool {
        let left = &body[message.packed..];
        let open = self.open_frame(message.number, message.shape);
        let piece = left.len().min(open.room(message.shape, message.stamp).unwrap_or(left.len()));
        message.shape.more = piece < left.len();
        open.push(message.shape, &left[..piece], message.stamp);
        if message.shape.more {
            self.seal(false);
        }
        message.packed += piece;
        let follows = message.shape.more;
        message.shape = Shape { rest: true, ..Shape::default() };
        follows
    }
}

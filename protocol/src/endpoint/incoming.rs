//! A session in which we receive, with the frames that wait for others, and the message whose pieces are coming in.

use crate::{
    aside::Aside,
    number::{FrameNumber, Number, SessionId},
    recv::Verdict,
    session::Inbound,
    wire::{DataFrame, EndReason, Item, RecordCursor},
};
use std::collections::{BTreeMap, VecDeque};

/// What to do next in order of arrival.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ready<B> {
    Joined(SessionId),
    Frame(SessionId, DataFrame<B>, RecordCursor),
    Departed(SessionId),
}

impl<B: AsRef<[u8]>> Ready<B> {
    /// The buffer of a frame.
    pub(super) fn into_buffer(self) -> Option<B> {
        if let Self::Frame(_, frame, _) = self { Some(frame.into_buffer()) } else { None }
    }
}

/// What has a place among the frames of a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Placed<B> {
    Data(DataFrame<B>),
    /// With the last number.
    Close(Number),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Incoming<B> {
    pub(super) session: Inbound,
    /// Value of `frames_seen` of the endpoint at which this session is not active any more.
    pub(super) active: u64,
    /// Whether something was sent back since the application was handed a message, or was to be and found no room, and whether that was so
    /// the time before (ACK-12).
    pub(super) answered: bool,
    pub(super) answers: bool,
    /// Frames that came before those in front of them (RTX-3).
    early: BTreeMap<FrameNumber, Placed<B>>,
    /// The beginning of a message whose last piece has not come yet.
    pieces: Vec<u8>,
    /// Length of the message that was put together last: the next one may be as long.
    last_length: Aside<usize>,
    /// Messages that came in pieces, in the order in which their last pieces stand in `ready`.
    assembled: VecDeque<B>,
    /// The longest message that is taken.
    max_message: usize,
}

/// What came of a frame.
pub(super) enum Outcome {
    /// It was the next one, and taken with those that waited for it: so many data frames, and what becomes of the session behind them.
    Taken { count: u64, then: Then },
    /// It waits for those before it.
    Kept,
    /// It is of no use.
    Duplicate,
    /// It is too early to be kept.
    Dropped,
}

/// What becomes of a session.
#[derive(Clone, Copy)]
pub(super) enum Then {
    GoesOn,
    Left,
    Violated(EndReason),
}

impl<B: AsRef<[u8]> + Clone + From<Vec<u8>>> Incoming<B> {
    pub(super) fn new(session: Inbound, active: u64, max_message: u32) -> Self {
        Self {
            session,
            active,
            answered: false,
            answers: false,
            early: BTreeMap::new(),
            pieces: Vec::new(),
            last_length: Aside::default(),
            assembled: VecDeque::new(),
            max_message: max_message as usize,
        }
    }

    /// Whether the application, if it has a message of this session, is expected to send something back (ACK-12).
    pub(super) const fn expects_answer(&self) -> bool {
        self.answers && !self.answered
    }

    /// Whether this frame is the next one, and there is credit for it, and none that came before it waits for it.
    pub(super) fn expects(&self, data: &DataFrame<B>) -> bool {
        self.early.is_empty() && self.session.window().expects(data.frame())
    }

    /// A frame that has a place among the others arrived. Gives to `take` the frames of which something is to be handed out.
    ///
    /// # Errors
    /// The violation that it is; nothing of it was taken.
    pub(super) fn arrive(
        &mut self,
        frame: FrameNumber,
        placed: Placed<B>,
        take: &mut impl FnMut(DataFrame<B>),
    ) -> Result<Outcome, EndReason> {
        let is_close = matches!(placed, Placed::Close(_));
        match self.session.window_mut().arrive(frame, is_close)? {
            Verdict::Next => {}
            Verdict::Early => {
                self.early.insert(frame, placed);
                return Ok(Outcome::Kept);
            }
            Verdict::Duplicate => return Ok(Outcome::Duplicate),
            Verdict::TooEarly => return Ok(Outcome::Dropped),
        }
        let mut count = 0;
        let mut then = self.take(placed, &mut count, take);
        // What may have come behind the end is nothing, as if it had come in order.
        while let Then::GoesOn = then
            && let Some(placed) = self.early.remove(&self.session.window().expected())
        {
            then = self.take(placed, &mut count, take);
        }
        Ok(Outcome::Taken { count, then })
    }

    fn take(&mut self, placed: Placed<B>, count: &mut u64, take: &mut impl FnMut(DataFrame<B>)) -> Then {
        let taken = match placed {
            Placed::Data(data) => self.take_data(data, take).map(|()| *count += 1).map(|()| Then::GoesOn),
            Placed::Close(last) => self.session.handle_close(last).map(|()| Then::Left),
        };
        taken.unwrap_or_else(Then::Violated)
    }

    fn take_data(&mut self, data: DataFrame<B>, take: &mut impl FnMut(DataFrame<B>)) -> Result<(), EndReason> {
        self.check_lengths(&data)?;
        self.session.window_mut().take(&data)?;
        self.assemble(&data);
        if data.is_inside() {
            self.session.release_frame(); // its bytes were copied
        } else {
            take(data);
        }
        Ok(())
    }

    /// LRG-1
    fn check_lengths(&self, data: &DataFrame<B>) -> Result<(), EndReason> {
        let known = if data.starts_inside() { self.pieces.len() } else { 0 };
        if known + data.body_bytes() as usize <= self.max_message {
            return Ok(()); // so is each of them
        }
        let mut cursor = data.cursor();
        while let Some(item) = data.next_item(&mut cursor) {
            let length = match item {
                Item::Gap(..) => 0,
                Item::Message(record) | Item::Piece { record, rest: false, .. } => record.body.len(),
                Item::Piece { record, rest: true, .. } => known + record.body.len(),
            };
            if length > self.max_message {
                return Err(EndReason::TooLong);
            }
        }
        Ok(())
    }

    /// Copies the pieces in a frame to where their message is put together.
    fn assemble(&mut self, data: &DataFrame<B>) {
        if !data.starts_inside() && !data.ends_inside() {
            return;
        }
        let mut cursor = data.cursor();
        while let Some(item) = data.next_item(&mut cursor) {
            let Item::Piece { record, rest, more } = item else { continue };
            let piece = &data.buffer().as_ref()[record.body];
            if !rest {
                // At once, where it would be copied each time that it grows; never more than may come (FRM-3, LIM-2).
                let granted = usize::try_from(self.session.window().granted_bytes()).unwrap_or(usize::MAX);
                self.pieces.reserve_exact((*self.last_length).min(piece.len().saturating_add(granted)));
            }
            self.pieces.extend_from_slice(piece);
            if !more {
                *self.last_length = self.pieces.len();
                self.assembled.push_back(std::mem::take(&mut self.pieces).into());
            }
        }
    }

    /// The message whose last piece stands next in `ready`.
    pub(super) fn next_assembled(&mut self) -> Option<B> {
        self.assembled.pop_front()
    }

    /// No further frame will be taken: those that wait, and the beginning of a message, are of no use any more.
    pub(super) fn discard(&mut self) {
        self.early.clear();
        let pieces = std::mem::take(&mut self.pieces);
        self.session.window_mut().end_grant(pieces.len() as u64);
    }
}

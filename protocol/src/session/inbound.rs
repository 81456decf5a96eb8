//! The receiving side of a session.

use super::LinkFn;
use crate::{
    lamport::Clock,
    number::{FrameNumber, Level, Number, SessionId, StreamId},
    recv::{Due, Pace, RecvWindow},
    wire::{Acknowledgement, Ask, Close, EndReason, Priority, Terms, Welcome},
};

/// Who is on the sending side of an [`Inbound`] session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// The stream it sends.
    pub stream: StreamId,
    /// Its process id.
    pub pid: u32,
    /// Its user id, as the link knows it.
    pub uid: u32,
}

/// How a sender's session ended, as its receiver sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Departure {
    /// It closed the session behind its last message.
    #[error("left")]
    Left,
    /// It died; what it had accepted but not transmitted is gone with it.
    #[error("died")]
    Died,
    /// It broke the protocol.
    #[error("protocol violation by the sender: {0}")]
    Violated(EndReason),
    /// It says that we broke the protocol.
    #[error("the sender ended the session: {0}")]
    Accused(EndReason),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum RecvState {
    Open,
    /// No more data will be taken. `told`: the application knows. `gone`: nobody is there to acknowledge to.
    Draining {
        departure: Departure,
        told: bool,
        gone: bool,
    },
    /// The application has left: no more data will be taken, and nothing is left but to say so.
    Left {
        gone: bool,
    },
}

/// The receiving side of a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Inbound {
    peer: Peer,
    /// The id for frames to the sender.
    reply_session: SessionId,
    /// What has to be said before all else; nothing to whoever welcomed us.
    welcome: Option<Welcome>,
    window: RecvWindow,
    state: RecvState,
    welcomed: bool,
    /// The last number that may have been delivered before, by another incarnation of us.
    exposed: Number,
    /// A close to be sent, once.
    close: Option<EndReason>,
    /// Whether the link may lose what we say: then we stay until the sender is gone, to say it again.
    lossy: bool,
}

impl Inbound {
    /// The session in which `peer`, who waits for `level`, sends on these `terms` with a byte window of `window`, over a link that
    /// may lose frames or not. Frames to it go under `reply_session`.
    pub fn new(peer: Peer, reply_session: SessionId, level: Level, terms: Terms, window: u64, lossy: bool) -> Self {
        let Terms { frame_credit, byte_credit, rendezvous, .. } = terms;
        let recv = RecvWindow::new(level, window);
        let mut recv = if rendezvous { recv.without_capacity() } else { recv };
        recv.told(Acknowledgement { frame_credit, byte_credit, ..Acknowledgement::default() });
        Self {
            peer,
            reply_session,
            welcome: None,
            window: recv,
            state: RecvState::Open,
            welcomed: false,
            exposed: Number::NONE,
            close: None,
            lossy,
        }
    }

    /// The same, with this to be said before all else.
    #[must_use]
    pub fn with_welcome(self, welcome: Welcome) -> Self {
        Self { welcome: Some(welcome), ..self }
    }

    /// The same, of a stream that begins at the number `first`, and goes on from another receiver that may have got some of what
    /// comes up to `exposed` (RSM-2).
    #[must_use]
    pub fn going_on(mut self, first: Number, exposed: Number) -> Self {
        self.window.start_at(first);
        self.exposed = exposed;
        self
    }

    /// The last number that may have been delivered before (RSM-2).
    pub const fn exposed(&self) -> Number {
        self.exposed
    }

    /// Who sends.
    pub const fn peer(&self) -> Peer {
        self.peer
    }

    /// What was received and what of it is acknowledged.
    pub const fn window(&self) -> &RecvWindow {
        &self.window
    }

    /// As [`window`](Self::window), to take what arrives.
    pub(crate) const fn window_mut(&mut self) -> &mut RecvWindow {
        &mut self.window
    }

    /// Whether data is still expected.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, RecvState::Open)
    }

    /// The greeting came again (GRT-3).
    pub fn handle_greeting_again(&mut self) {
        if self.is_open() && self.has_no_data() {
            self.welcomed = false;
        }
    }

    fn has_no_data(&self) -> bool {
        self.window.expected().before() == FrameNumber::NONE
    }

    /// The sender closed the session, behind all else that it sent.
    ///
    /// # Errors
    /// A violation when numbers are missing (CLO-3).
    pub fn handle_close(&mut self, last: Number) -> Result<(), EndReason> {
        self.window.take_close(last)?;
        self.depart(Departure::Left);
        Ok(())
    }

    /// The session is over for another cause than our own frames: the sender accuses us, or broke a rule in the other direction.
    pub fn end(&mut self, departure: Departure) {
        self.depart(departure);
    }

    /// The sender asks where we stand, and perhaps for credit. It may do so after its close, if that may be lost (RTX-2).
    ///
    /// Returns whether it was news.
    ///
    /// # Errors
    /// The violation that it is (LRG-6).
    pub fn handle_ask(&mut self, ask: Ask, max_message: u64) -> Result<bool, EndReason> {
        self.window.handle_ask(ask, max_message)
    }

    /// Something came for a session that takes no more: on a link that loses frames the sender may not know (RTX-4).
    pub const fn repeat(&mut self) {
        match self.state {
            RecvState::Draining { departure: Departure::Violated(reason), gone: false, .. } => {
                self.close = Some(reason);
            }
            RecvState::Left { gone: false } if self.lossy => self.close = Some(EndReason::Finished),
            _ => {}
        }
    }

    /// The sender is dead, and all it ever sent has been handled (DTH-2).
    pub fn handle_death(&mut self) {
        self.depart(Departure::Died);
        match &mut self.state {
            RecvState::Draining { gone, .. } | RecvState::Left { gone } => *gone = true,
            RecvState::Open => {}
        }
        self.close = None;
    }

    /// The sender broke a rule: it is told which (SES-3).
    pub fn violated(&mut self, reason: EndReason) {
        if self.is_open() {
            self.depart(Departure::Violated(reason));
            self.close = Some(reason);
        }
    }

    /// The application leaves: the sender is told, once, behind a last acknowledgement (CLO-5), and the session is over.
    pub fn close(&mut self) {
        let (gone, listens) = match self.state {
            RecvState::Left { gone } => (gone, false),
            RecvState::Open => (false, true),
            RecvState::Draining { departure, gone, .. } => (gone, departure == Departure::Left && !gone),
        };
        if listens {
            self.close = Some(EndReason::Finished);
        }
        self.state = RecvState::Left { gone };
    }

    /// Message `number` is handed to the application; only now may it be acknowledged as delivered (PRO-2).
    pub fn deliver(&mut self, number: Number, length: u64) {
        self.window.deliver(number, length);
    }

    /// The application is told that there is no message up to `number`.
    pub fn skip(&mut self, number: Number) {
        self.window.skip(number);
    }

    /// Every message of the oldest frame was handed to the application.
    pub fn release_frame(&mut self) {
        self.window.release_frame();
    }

    /// The application is done with all it was handed.
    pub fn process_all(&mut self) {
        self.window.process_all();
    }

    /// The application asks what became of the sender, after its last message (CLO-2).
    pub fn tell_departure(&mut self) -> Option<Departure> {
        match &mut self.state {
            RecvState::Draining { departure, told, .. } if !*told => {
                *told = true;
                Some(*departure)
            }
            _ => None,
        }
    }

    /// Whether nothing is left to do or to say, also if the sender does not know yet that it is over (RTX-4).
    pub fn is_finished(&self) -> bool {
        self.is_spent() && (!self.lossy || self.is_gone())
    }

    /// Whether nothing is left to do, and all was said at least once.
    pub fn is_spent(&self) -> bool {
        match self.state {
            RecvState::Open => false,
            RecvState::Draining { departure, told, gone } => {
                let owes = departure == Departure::Left && !self.window.is_settled();
                told && (gone || (self.close.is_none() && !owes))
            }
            RecvState::Left { gone } => gone || self.close.is_none(),
        }
    }

    /// Whether nobody is there to hear anything.
    const fn is_gone(&self) -> bool {
        matches!(self.state, RecvState::Draining { gone: true, .. } | RecvState::Left { gone: true })
    }

    /// The acknowledgement that is due, see [`RecvWindow::due`]. A session that is about to end puts nothing off; one that has ended
    /// for the sender says nothing.
    pub fn due(&self, share: u64) -> Option<Due> {
        let due = self.window.due(share)?;
        if self.is_open() && self.close.is_none() {
            return Some(due);
        }
        // A sender that knows of all its messages asks for nothing more, unless it cannot know that its close arrived.
        let is_done = !self.lossy && !self.is_open() && self.close.is_none() && self.window.is_settled();
        (self.is_heard() && !is_done).then_some(Due { pace: Pace::Answering, ..due })
    }

    /// Whether something is to be said at this pace, short of [`Pace::Idle`].
    pub(crate) fn is_urgent(&self, share: u64, pace: Pace) -> bool {
        !self.can_be_carried() || self.window.is_urgent(share, pace)
    }

    /// Whether the sender still takes acknowledgements.
    pub fn is_heard(&self) -> bool {
        match self.state {
            RecvState::Open | RecvState::Draining { departure: Departure::Left, gone: false, .. } => true,
            RecvState::Draining { departure: Departure::Violated(_), gone: false, .. }
            | RecvState::Left { gone: false } => self.close.is_some(),
            RecvState::Draining { .. } | RecvState::Left { .. } => false,
        }
    }

    /// Offers to the link what has to be said, and this acknowledgement if there is one, until it takes no more. Returns whether all has left.
    pub fn transmit(&mut self, clock: &Clock, due: Option<Acknowledgement>, link: &mut LinkFn<'_>) -> bool {
        if self.is_gone() {
            return true;
        }
        // Who has sent data was welcomed: it need not be said again, and must not hold up what is to be answered.
        self.welcomed |= !self.has_no_data();
        if let Some(welcome) = self.welcome.as_ref().filter(|_| !self.welcomed) {
            let frame = welcome.encode(self.reply_session, clock.now());
            if !link(Priority::Ordered, &frame) {
                return false;
            }
            self.welcomed = true;
        }
        if let Some(due) = due {
            if !link(Acknowledgement::PRIORITY, &due.encode(self.reply_session, clock.now())) {
                return false;
            }
            self.window.told(due);
        }
        if let Some(reason) = self.close {
            let close = Close { last: self.window.delivered(), reason, frame: FrameNumber::NONE };
            if !link(Priority::Ordered, &close.encode(self.reply_session, clock.now())) {
                return false;
            }
            self.close = None;
        }
        true
    }

    /// Whether nothing is to be said but, perhaps, an acknowledgement, so that this can travel with a data frame (ACK-11).
    pub(crate) const fn can_be_carried(&self) -> bool {
        self.is_open() && self.close.is_none() && (self.welcomed || self.welcome.is_none())
    }

    fn depart(&mut self, departure: Departure) {
        if self.is_open() {
            self.state = RecvState::Draining { departure, told: false, gone: false };
        }
    }
}

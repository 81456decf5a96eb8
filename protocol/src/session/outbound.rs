//! The sending side of a session.

use super::{Inbound, LinkFn, Peer};
use crate::{
    lamport::Clock,
    number::{Epoch, FrameNumber, Number, SessionId, StreamId},
    send::{Manner, NoRoom, Reservation, SendSettings, SendWindow},
    wire::{Acknowledgement, Close, EndReason, Greeting, Priority, Refusal, Terms, Welcome},
};

mod resuming;

/// Why a session is over, as its sender sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Ended {
    /// We closed it, and all was acknowledged.
    #[error("the session was closed")]
    Finished,
    /// The receiver denied it (REF-1).
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The receiver closed it.
    #[error("the receiver closed the session")]
    ClosedByPeer,
    /// The receiver died.
    #[error("the receiver died")]
    PeerDied,
    /// The receiver died or left, and the next one takes no messages that are as long as one that was to be sent to it again.
    #[error("the next receiver takes no messages that are as long as one that was to be sent again")]
    TooLongForNext,
    /// The receiver broke the protocol.
    #[error("protocol violation by the receiver: {0}")]
    PeerViolated(EndReason),
    /// The receiver says that we broke the protocol.
    #[error("the receiver ended the session: {0}")]
    Accused(EndReason),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum SendState {
    Greeting {
        sent: bool,
    },
    Open,
    /// `queued`: the close is in the window. `greeted`: the greeting has been sent, and sent again if it had to be.
    Closing {
        queued: bool,
        greeted: bool,
    },
    /// The receiver is gone, and the next one is waited for (RSM-1). `closing`: no more messages will be accepted.
    Lost {
        closing: bool,
    },
    Ended(Ended),
}

/// The sending side of a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Outbound {
    stream: StreamId,
    /// None in a stream back: that was asked for.
    greeting: Option<Greeting>,
    /// The stream that is answered by a stream back.
    back_to: Option<StreamId>,
    window: SendWindow,
    state: SendState,
    /// The id for frames to the receiver, from its welcome on.
    data_session: Option<SessionId>,
    /// The receiver's incarnation, from its welcome on.
    receiver: Option<Epoch>,
    /// The receiver's user.
    uid: u32,
    /// A close that accuses the receiver of a violation, not yet sent (SES-3).
    accusation: Option<EndReason>,
    /// Why the last receiver was lost, until the next one has welcomed us.
    lost: Option<Ended>,
    /// Whether [`tell_end`](Self::tell_end) has told.
    end_told: bool,
}

impl Outbound {
    /// A session that will greet a receiver of user `uid` with `greeting`.
    pub fn new(greeting: Greeting, settings: SendSettings, uid: u32) -> Self {
        Self {
            stream: greeting.stream,
            greeting: Some(greeting),
            back_to: None,
            window: SendWindow::new(settings),
            state: SendState::Greeting { sent: false },
            data_session: None,
            receiver: None,
            uid,
            accusation: None,
            lost: None,
            end_told: false,
        }
    }

    /// The `stream` back to whoever sent `greeting`, a process of user `uid` (DPX-1). `None` if it wants none.
    pub fn back(greeting: &Greeting, stream: StreamId, settings: SendSettings, uid: u32) -> Option<Self> {
        let terms = greeting.back?;
        let mut back = Self::new(greeting.clone(), settings, uid);
        back.greeting = None;
        back.stream = stream;
        back.back_to = Some(greeting.stream);
        back.state = SendState::Open;
        back.open(greeting.reply_session, greeting.stream.epoch, &terms);
        Some(back)
    }

    fn open(&mut self, data_session: SessionId, receiver: Epoch, terms: &Terms) {
        self.data_session = Some(data_session);
        self.receiver = Some(receiver);
        self.window.open(data_session, terms);
    }

    /// What we send.
    pub const fn stream(&self) -> StreamId {
        self.stream
    }

    /// What we sent and what of it is acknowledged.
    pub const fn window(&self) -> &SendWindow {
        &self.window
    }

    /// Whether messages can be sent: the receiver has welcomed us, and the session is not closed.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, SendState::Open)
    }

    /// Whether and why the session is over.
    pub const fn ended(&self) -> Option<Ended> {
        if let SendState::Ended(why) = self.state { Some(why) } else { None }
    }

    /// Why no message will ever be accepted again: the session is over, or we are closing it.
    pub const fn shut(&self) -> Option<Ended> {
        match self.state {
            SendState::Closing { .. } | SendState::Lost { closing: true } => Some(Ended::Finished),
            _ => self.ended(),
        }
    }

    /// Whether the session is over, or its receiver lost, and nothing is left to say: true once.
    pub fn tell_end(&mut self) -> bool {
        let over = self.ended().is_some() || self.is_lost();
        let silent = over && (self.accusation.is_none() || self.data_session.is_none());
        silent && !core::mem::replace(&mut self.end_told, true)
    }

    /// Whether what a receiver says is still of use.
    pub(crate) const fn listens(&self) -> bool {
        self.ended().is_none() && !self.is_lost()
    }

    /// The receiver's incarnation, once it has welcomed us.
    pub const fn receiver(&self) -> Option<Epoch> {
        self.receiver
    }

    /// The stream that is answered, in a stream back.
    pub(crate) const fn is_back_to(&self) -> Option<StreamId> {
        self.back_to
    }

    /// The other direction, as it is received by whoever asked for it, now that `welcome` has come (DPX-1).
    pub(crate) fn receiving_side(&self, welcome: &Welcome, window: u64, lossy: bool) -> Option<Inbound> {
        let (terms, back) = (self.greeting.as_ref()?.back?, welcome.back?);
        let stream = StreamId { epoch: welcome.epoch, index: back.index };
        let peer = Peer { stream, pid: welcome.pid, uid: self.uid };
        Some(Inbound::new(peer, welcome.data_session, back.level, terms, window, lossy))
    }

    /// Accepts a message, see [`SendWindow::push`]; but of one longer than a frame only a part is packed. Returns also whether there is more.
    ///
    /// # Errors
    /// [`NoRoom`], also while not open.
    pub fn begin(&mut self, body: &[u8], clock: &mut Clock, manner: Manner) -> Result<(Number, bool), NoRoom> {
        if !self.is_open() {
            return Err(NoRoom::Credit);
        }
        let number = self.window.begin(body, clock, manner)?;
        Ok((number, self.window.pack_on(body)))
    }

    /// Sets room aside, see [`SendWindow::reserve`].
    ///
    /// # Errors
    /// [`NoRoom`], also while not open.
    pub fn reserve(&mut self, length: usize) -> Result<Reservation, NoRoom> {
        if self.is_open() { self.window.reserve(length) } else { Err(NoRoom::Credit) }
    }

    /// As [`window`](Self::window), for what needs no open session.
    pub(crate) const fn window_mut(&mut self) -> &mut SendWindow {
        &mut self.window
    }

    /// Whether an answer is due that a link may have lost.
    pub fn awaits_something(&self) -> bool {
        match self.state {
            SendState::Greeting { sent } => sent,
            SendState::Open | SendState::Closing { .. } => self.data_session.is_none() || self.window.awaits_answer(),
            SendState::Lost { .. } | SendState::Ended(_) => false,
        }
    }

    /// No answer has come for a while: says again what needs one (RTX-2).
    pub const fn handle_answer_timeout(&mut self) {
        match &mut self.state {
            SendState::Greeting { sent } => *sent = false,
            SendState::Closing { greeted, .. } if self.data_session.is_none() => *greeted = false,
            SendState::Open | SendState::Closing { .. } => self.window.handle_timeout(),
            SendState::Lost { .. } | SendState::Ended(_) => {}
        }
    }

    /// Closes the staged frame and asks for its acknowledgement.
    pub fn flush(&mut self) {
        self.window.seal(true);
    }

    /// Closes the staged frame because it has waited long enough. One that may not leave yet can as well become fuller.
    pub fn handle_stage_timeout(&mut self) {
        if self.window.staged().is_some() {
            self.window.seal(false);
        }
    }

    /// No more messages: a close follows the last one (CLO-1), or the welcome, should it still come.
    pub fn close(&mut self) {
        match self.state {
            SendState::Greeting { sent: false } if self.lost.is_none() => {
                self.state = SendState::Ended(Ended::Finished);
            }
            SendState::Greeting { sent: false } => self.state = SendState::Closing { queued: false, greeted: false },
            SendState::Greeting { sent: true } | SendState::Open => {
                self.flush();
                self.state = SendState::Closing { queued: false, greeted: true };
            }
            SendState::Lost { .. } if self.is_done() => self.state = SendState::Ended(Ended::Finished),
            SendState::Lost { .. } => self.state = SendState::Lost { closing: true },
            SendState::Closing { .. } | SendState::Ended(_) => {}
        }
    }

    /// The receiver opened the session. Returns whether it was news (WEL-2) and what we asked for (WEL-3).
    pub fn handle_welcome(&mut self, welcome: &Welcome) -> bool {
        let is_answer =
            |greeting: &Greeting| greeting.level.is_some() && greeting.back.is_some() == welcome.back.is_some();
        if !self.awaits_answer() || !self.greeting.as_ref().is_some_and(is_answer) {
            return false;
        }
        let too_long = self.window.longest_in_backlog() > welcome.terms.max_message as usize;
        self.open(welcome.data_session, welcome.epoch, &welcome.terms);
        self.lost = None;
        if too_long {
            self.end(Ended::TooLongForNext);
            self.accusation = Some(EndReason::TooLong);
        }
        if matches!(self.state, SendState::Greeting { .. }) {
            self.state = SendState::Open;
        }
        true
    }

    /// The receiver denied the session. Returns whether it still could.
    pub fn handle_refusal(&mut self, refusal: Refusal) -> bool {
        let awaited = self.awaits_answer();
        if awaited {
            self.state = SendState::Ended(Ended::Refused(refusal));
        }
        awaited
    }

    /// An acknowledgement arrived. Returns whether it was news (ACK-5).
    pub fn handle_acknowledgement(&mut self, acknowledgement: &Acknowledgement) -> bool {
        match self.window.acknowledge(acknowledgement) {
            Ok(news) => {
                self.finish_if_settled();
                news
            }
            Err(reason) => {
                self.violated(reason);
                true
            }
        }
    }

    /// The receiver closed the session (CLO-4), and says what it delivered (CLO-6).
    pub fn handle_close(&mut self, close: Close) {
        if self.ended().is_none() {
            self.window.take_final(close.last);
        }
        match close.reason {
            EndReason::Finished if self.lose(Ended::ClosedByPeer) => {}
            EndReason::Finished => self.end(Ended::ClosedByPeer),
            reason => self.end(Ended::Accused(reason)), // RSM-4
        }
    }

    /// The receiver is dead, and all it ever sent us has been handled (DTH-2).
    pub fn handle_death(&mut self) {
        self.accusation = None;
        if !self.lose(Ended::PeerDied) {
            self.end(Ended::PeerDied);
        }
    }

    /// The receiver broke a rule (SES-3).
    pub fn violated(&mut self, reason: EndReason) {
        if self.ended().is_none() {
            self.end(Ended::PeerViolated(reason));
            self.accusation = Some(reason);
        }
    }

    /// The session is over for a cause of which the receiver need not be told by us.
    pub(crate) fn end(&mut self, why: Ended) {
        if self.ended().is_none() {
            self.state = SendState::Ended(why);
        }
    }

    /// Offers what is due to the link, in order, until it takes no more. Returns whether all has left.
    pub fn transmit(&mut self, clock: &Clock, link: &mut LinkFn<'_>) -> bool {
        let now = clock.now();
        match (&mut self.state, self.data_session) {
            (SendState::Greeting { sent: greeted } | SendState::Closing { greeted, .. }, None) => {
                let greeting = self.greeting.as_ref();
                *greeted = *greeted || greeting.is_none_or(|greeting| link(Priority::Ordered, &greeting.encode(now)));
                *greeted
            }
            (SendState::Lost { .. }, _) | (SendState::Ended(_), None) => true,
            (SendState::Closing { queued, .. }, Some(_)) => {
                *queued = *queued || self.window.finish(now);
                let left = self.window.transmit(now, &mut |frame| link(Priority::Ordered, frame));
                self.finish_if_settled();
                left
            }
            (SendState::Ended(_), Some(session)) => {
                if let Some(reason) = self.accusation {
                    let close = Close { last: self.window.accepted(), reason, frame: FrameNumber::NONE };
                    if !link(Priority::Ordered, &close.encode(session, now)) {
                        return false;
                    }
                    self.accusation = None;
                }
                true
            }
            (SendState::Greeting { .. } | SendState::Open, _) => {
                self.window.transmit(now, &mut |frame| link(Priority::Ordered, frame))
            }
        }
    }

    /// Whether a [`transmit`](Self::transmit) may have something to offer.
    pub(crate) fn has_output(&self) -> bool {
        !self.is_open() || self.window.has_output()
    }

    /// Offers the first frame that waits with this acknowledgement behind it, if the session is open, the frame may leave now, and there is
    /// room for that. Returns whether it has left.
    pub(crate) fn transmit_with(
        &mut self,
        acknowledgement: &Acknowledgement,
        clock: &Clock,
        link: &mut LinkFn<'_>,
    ) -> bool {
        let link = &mut |frame: &[u8]| link(Priority::Ordered, frame);
        self.is_open() && self.window.transmit_with(acknowledgement, clock.now(), link)
    }

    /// Whether the receiver has neither welcomed nor denied us.
    fn awaits_answer(&self) -> bool {
        self.data_session.is_none() && self.ended().is_none() && !self.is_lost()
    }

    fn finish_if_settled(&mut self) {
        if matches!(self.state, SendState::Closing { queued: true, .. }) && self.window.is_settled() {
            self.state = SendState::Ended(Ended::Finished);
            self.window.forget_frames();
        }
    }
}

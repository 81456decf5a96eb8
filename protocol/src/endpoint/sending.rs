//! Sending: what an application does with the sessions in which it sends.

use super::{Connect, Endpoint, SendRefused};
use crate::{
    number::{Number, SessionId, StreamId},
    send::{Manner, NoRoom, Reservation, Stage},
    session::{Ended, Outbound},
    wire::{self, Greeting},
};
use std::collections::BTreeMap;

impl<B: AsRef<[u8]> + Clone + From<Vec<u8>>> Endpoint<B> {
    /// The index of a stream that was not used before; see [`Connect::stream`].
    pub const fn next_stream(&mut self) -> u32 {
        let index = self.streams;
        self.streams = self.streams.wrapping_add(1);
        index
    }

    /// Opens a session to a receiver: a greeting becomes due. `session` is random (SES-1).
    pub fn connect(&mut self, session: SessionId, target: Connect) {
        let (settings, uid) = (target.settings.clone(), target.uid);
        let greeting = self.greeting(session, target);
        self.outbound.insert(session, Outbound::new(greeting, settings, uid));
        self.touch(session);
    }

    fn greeting(&self, reply_session: SessionId, target: Connect) -> Greeting {
        Greeting {
            versions: (wire::VERSION, wire::VERSION),
            codec: target.codec,
            level: (!target.asks_only).then_some(target.settings.level),
            pid: self.settings.pid,
            stream: StreamId { epoch: self.settings.epoch, index: target.stream },
            reply_session,
            pid_namespace: self.settings.pid_namespace,
            back: target.wants_back.then(|| self.terms()),
            first: Number::NONE.next(),
            exposed: Number::NONE,
            to: target.to,
            inbox: target.inbox,
        }
    }

    /// A lost session goes on with the next receiver, who answers under `reply_session`, which is random (SES-1). A greeting
    /// becomes due.
    pub fn resume(&mut self, session: SessionId, reply_session: SessionId, target: Connect) {
        let (frame_size, uid) = (target.settings.frame_size, target.uid);
        let greeting = self.greeting(reply_session, target);
        if let Some(outbound) = self.outbound.get_mut(&session).filter(|outbound| outbound.is_lost()) {
            outbound.resume(greeting, frame_size, uid);
            self.resumed.retain(|_, known| *known != session);
            self.resumed.insert(reply_session, session);
            self.touch(session);
        }
    }

    /// No receiver has come in time: the session is over, for the reason for which it was lost (RSM-3).
    pub fn give_up(&mut self, session: SessionId) {
        if let Some(outbound) = self.outbound.get_mut(&session) {
            outbound.give_up();
            self.touch(session);
        }
    }

    /// Nobody will look for another receiver, now or later: a lost session is over.
    pub fn stop_resuming(&mut self, session: SessionId) {
        if let Some(outbound) = self.outbound.get_mut(&session) {
            outbound.stop_resuming();
            self.touch(session);
        }
    }

    /// Accepts a message for sending.
    ///
    /// # Errors
    /// [`SendRefused`]; no number is used then (NUM-2).
    pub fn send(&mut self, session: SessionId, body: &[u8], manner: Manner) -> Result<Number, SendRefused> {
        let (number, mut has_more) = self.begin(session, body, manner)?;
        while has_more {
            has_more = self.go_on(session, body)?;
        }
        Ok(number)
    }

    /// As [`send`](Self::send), but of a message longer than a frame only a part is packed. Returns whether there is more: then nothing else may
    /// be done with the session but to transmit, and to handle frames, until [`go_on`](Self::go_on) has packed it all.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn begin(&mut self, session: SessionId, body: &[u8], manner: Manner) -> Result<(Number, bool), SendRefused> {
        let outbound = Self::accepting(&mut self.outbound, session)?;
        let result = outbound.begin(body, &mut self.clock, manner);
        let mut speaks = result.is_err() || outbound.window().has_waiting(); // a refused one may have to be asked for
        if let Some(incoming) = self.inbound.get_mut(&session) {
            // ACK-12: what waited for this leaves with it or by itself, or both sides could wait for each other.
            speaks |= incoming.expects_answer();
            incoming.answered = true;
        }
        if speaks {
            self.touch(session);
        }
        Ok(result?)
    }

    /// Lends the staged frame of a session, if the next messages that are short enough are staged there: they need not be sent by
    /// [`send`](Self::send) then.
    pub fn lend_stage(&mut self, session: SessionId) -> Option<Stage> {
        let Self { outbound, clock, .. } = self;
        outbound.get_mut(&session).filter(|outbound| outbound.is_open())?.window_mut().lend_stage(clock)
    }

    /// Packs more of a message that was [begun](Self::begin). Returns whether there is still more.
    ///
    /// # Errors
    /// As [`send`](Self::send): the session has ended or lost its receiver meanwhile. The message was not accepted then.
    pub fn go_on(&mut self, session: SessionId, body: &[u8]) -> Result<bool, SendRefused> {
        let outbound = self.outbound.get_mut(&session).ok_or(SendRefused::Ended(Ended::Finished))?;
        if !outbound.is_open() || !outbound.window().is_unfinished() {
            outbound.window_mut().abandon();
            return Err(outbound.shut().map_or(SendRefused::NoRoom(NoRoom::Credit), SendRefused::Ended));
        }
        let has_more = outbound.window_mut().pack_on(body);
        self.touch(session);
        Ok(has_more)
    }

    /// Takes a staged frame back: what was appended to it is as if it had been sent.
    pub fn return_stage(&mut self, session: SessionId, stage: Stage) {
        if let Some(outbound) = self.outbound.get_mut(&session) {
            outbound.window_mut().return_stage(stage, &mut self.clock);
        }
    }

    /// Gives a message its number and drops it (DRP-1).
    ///
    /// # Errors
    /// [`SendRefused::Ended`]
    pub fn drop_message(&mut self, session: SessionId) -> Result<Number, SendRefused> {
        Ok(Self::accepting(&mut self.outbound, session)?.window_mut().drop_message())
    }

    /// Sets room aside for a message of up to `length` bytes; no number is given.
    ///
    /// # Errors
    /// [`SendRefused`]
    pub fn reserve(&mut self, session: SessionId, length: usize) -> Result<Reservation, SendRefused> {
        let result = Self::accepting(&mut self.outbound, session)?.reserve(length);
        if result.is_err() {
            self.touch(session);
        }
        Ok(result?)
    }

    /// Room that was set aside is not needed.
    pub fn give_back(&mut self, session: SessionId, reservation: Reservation) {
        if let Some(outbound) = self.outbound.get_mut(&session) {
            outbound.window_mut().give_back(reservation);
            self.touch(session);
        }
    }

    /// Somebody waits for room for a message of this length, see [`SendWindow::await_room`](crate::send::SendWindow::await_room).
    pub fn await_room(&mut self, session: SessionId, length: usize, awaited: bool) -> bool {
        self.outbound.get_mut(&session).is_some_and(|outbound| outbound.window_mut().await_room(length, awaited))
    }

    /// Whoever waited has got the room, or gives up.
    pub fn end_wait(&mut self, session: SessionId, length: usize) {
        if let Some(outbound) = self.outbound.get_mut(&session) {
            outbound.window_mut().end_wait(length);
            self.touch(session);
        }
    }

    fn accepting(
        outbound: &mut BTreeMap<SessionId, Outbound>,
        session: SessionId,
    ) -> Result<&mut Outbound, SendRefused> {
        let outbound = outbound.get_mut(&session).ok_or(SendRefused::Ended(Ended::Finished))?;
        outbound.shut().map_or(Ok(outbound), |why| Err(SendRefused::Ended(why)))
    }

    /// Applies `action` to a session in which we send, and marks it as having something to say.
    pub fn with_outbound<R>(&mut self, session: SessionId, action: impl FnOnce(&mut Outbound) -> R) -> Option<R> {
        let outbound = self.outbound.get_mut(&session)?;
        let result = action(outbound);
        outbound.window_mut().announce(&mut self.clock); // DRP-2
        self.touch(session);
        Some(result)
    }

    /// Whether a message of this length would be accepted at present.
    pub fn has_room(&self, session: SessionId, length: usize) -> bool {
        let outbound = self.outbound.get(&session).filter(|outbound| outbound.is_open());
        outbound.is_some_and(|outbound| outbound.window().has_room(length, &self.clock))
    }

    /// The sessions in which credit was asked for that nobody waits for, and how much: where that is still the same a while later it is
    /// to be given back, see [`SendWindow::end_want`](crate::send::SendWindow::end_want).
    pub fn wants_idly(&self) -> impl Iterator<Item = (SessionId, u64)> {
        self.outbound.iter().filter_map(|(id, outbound)| Some((*id, outbound.window().wants_idly()?)))
    }

    /// Nobody has come back for it.
    pub fn end_want(&mut self, session: SessionId) {
        if let Some(outbound) = self.outbound.get_mut(&session) {
            outbound.window_mut().end_want();
            self.touch(session);
        }
    }

    /// Whether there is something that can leave only when more credit has come.
    pub fn awaits_credit(&self) -> bool {
        self.outbound.values().any(|outbound| outbound.ended().is_none() && outbound.window().awaits_credit())
    }

    /// The sessions that stage a frame that may leave, and the first number in it: one that is still the same a while later has waited long
    /// enough, see [`Outbound::handle_stage_timeout`].
    pub fn staged(&self) -> impl Iterator<Item = (SessionId, Number)> {
        self.outbound.iter().filter_map(|(id, outbound)| Some((*id, outbound.window().staged()?)))
    }

    /// Whether a gap is to be told as soon as credit comes (DRP-2).
    pub fn owes_gap(&self) -> bool {
        self.outbound.values().any(|outbound| outbound.ended().is_none() && outbound.window().owes_gap())
    }

    /// Whether there is a session in which we wait for an answer: to a greeting, or of what was sent.
    pub fn awaits_answer(&self) -> bool {
        let awaits = |outbound: &Outbound| outbound.awaits_something() || outbound.window().frames_kept() > 0;
        self.outbound.values().any(|outbound| outbound.ended().is_none() && awaits(outbound))
    }

    /// Whether there is a session in which we send.
    pub fn sends(&self) -> bool {
        !self.outbound.is_empty()
    }

    /// The session in which we send back to whoever sends `stream` (DPX-1).
    pub fn back_to(&self, stream: StreamId) -> Option<SessionId> {
        self.outbound.iter().find(|(_, outbound)| outbound.is_back_to() == Some(stream)).map(|(session, _)| *session)
    }

    /// How many frames are kept because they are not acknowledged, see [`SendWindow::frames_kept`](crate::send::SendWindow).
    pub fn frames_kept(&self) -> usize {
        self.outbound.values().map(|outbound| outbound.window().frames_kept()).sum()
    }

    /// Drops a session in which we sent, with all that is known of it; not the stream back. A living receiver is told nothing: see
    /// [`Outbound::close`].
    pub fn forget(&mut self, session: SessionId) -> Option<Outbound> {
        if !self.inbound.contains_key(&session) {
            self.touched.remove(session);
        }
        self.resumed.retain(|_, known| *known != session);
        self.outbound.remove(&session)
    }
}

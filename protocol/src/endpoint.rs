//! One participant: finds the session of a frame, accepts and refuses, hands out messages in order of arrival.

use crate::{
    aside::Aside,
    lamport::{Clock, Stamp},
    number::{Number, SessionId, StreamId},
    send::NoRoom,
    session::{Ended, Inbound, Outbound},
    wire::{self, DataFrame, Greeting, Priority, RecordCursor, Welcome},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

mod counters;
mod frames;
mod types;

pub use counters::Counters;
pub use types::{Arrival, CODEC_RAW, Connect, Event, SendRefused, Settings};

/// What to do next in order of arrival.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Ready<B> {
    Joined(SessionId),
    Frame(SessionId, DataFrame<B>, RecordCursor),
    Departed(SessionId),
}

/// How many data frames back a session counts as active (CRD-3).
const ACTIVE_FRAMES: u64 = 64;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Incoming {
    session: Inbound,
    /// Value of `frames_seen` at the session's latest data frame.
    active: u64,
}

/// The protocol core of one participant.
///
/// # Contract
/// - Every frame from the inbox goes to [`handle_frame`](Self::handle_frame), in order of arrival.
/// - Every death goes to [`handle_death`](Self::handle_death), after the inbox has been read empty (DTH-2).
/// - After any call that may have made something due, and before waiting, call [`transmit`](Self::transmit), with
///   `idle` when the application finds nothing more to read.
/// - A greeting that [`handle_frame`](Self::handle_frame) returns is answered before the next frame is handled.
/// - [`next_event`](Self::next_event) gives what the application is to see.
/// - [`poll_ended`](Self::poll_ended) names sessions that need no link any more.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint<B> {
    settings: Settings,
    clock: Clock,
    outbound: BTreeMap<SessionId, Outbound>,
    inbound: BTreeMap<SessionId, Incoming>,
    ready: VecDeque<Ready<B>>,
    /// Sessions that have something to say, at the latest when idle.
    touched: BTreeSet<SessionId>,
    /// Whether one of them has been touched since the last transmit.
    fresh: bool,
    ended: VecDeque<SessionId>,
    /// The session whose message was handed out last and is not processed yet.
    handed: Option<SessionId>,
    frames_seen: u64,
    counters: Aside<Counters>,
}

impl<B: AsRef<[u8]> + Clone> Endpoint<B> {
    /// An endpoint without sessions.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            clock: Clock::default(),
            outbound: BTreeMap::new(),
            inbound: BTreeMap::new(),
            ready: VecDeque::new(),
            touched: BTreeSet::new(),
            fresh: false,
            ended: VecDeque::new(),
            handed: None,
            frames_seen: 0,
            counters: Aside::default(),
        }
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Lamport time of the latest event.
    pub const fn now(&self) -> Stamp {
        self.clock.now()
    }

    /// The sessions in which we receive.
    pub fn senders(&self) -> impl ExactSizeIterator<Item = (SessionId, &Inbound)> {
        self.inbound.iter().map(|(id, incoming)| (*id, &incoming.session))
    }

    /// A session in which we send.
    pub fn outbound(&self, session: SessionId) -> Option<&Outbound> {
        self.outbound.get(&session)
    }

    // Sending.

    /// Opens a session to a receiver: a greeting becomes due. `session` is random (SES-1).
    pub fn connect(&mut self, session: SessionId, target: Connect) {
        let greeting = Greeting {
            versions: (wire::VERSION, wire::VERSION),
            codec: target.codec,
            level: target.settings.level,
            pid: self.settings.pid,
            stream: StreamId { epoch: self.settings.epoch, index: target.stream },
            reply_session: session,
            pid_namespace: target.pid_namespace,
            inbox: target.inbox,
        };
        self.outbound.insert(session, Outbound::new(greeting, target.settings));
        self.touch(session);
    }

    /// Accepts a message for sending.
    ///
    /// # Errors
    /// [`SendRefused`]; no number is used then (NUM-2).
    pub fn send(&mut self, session: SessionId, body: &[u8]) -> Result<Number, SendRefused> {
        self.send_by(session, |outbound, clock| outbound.push(body, clock))
    }

    /// Accepts a message for sending whose delivery is waited for: the receiver tells of it at once (ACK-8).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_awaited(&mut self, session: SessionId, body: &[u8]) -> Result<Number, SendRefused> {
        self.send_by(session, |outbound, clock| outbound.push_awaited(body, clock))
    }

    fn send_by(
        &mut self,
        session: SessionId,
        push: impl FnOnce(&mut Outbound, &mut Clock) -> Result<Number, NoRoom>,
    ) -> Result<Number, SendRefused> {
        let outbound = self.outbound.get_mut(&session).ok_or(SendRefused::Ended(Ended::Finished))?;
        if let Some(why) = outbound.shut() {
            return Err(SendRefused::Ended(why));
        }
        let number = push(outbound, &mut self.clock)?;
        if outbound.window().has_waiting() {
            self.touch(session);
        }
        Ok(number)
    }

    /// Applies `action` to a session in which we send, and marks it as having something to say.
    pub fn with_outbound<R>(&mut self, session: SessionId, action: impl FnOnce(&mut Outbound) -> R) -> Option<R> {
        let result = action(self.outbound.get_mut(&session)?);
        self.touch(session);
        Some(result)
    }

    /// Whether a message of this length would be accepted at present.
    pub fn has_room(&self, session: SessionId, length: usize) -> bool {
        let outbound = self.outbound.get(&session).filter(|outbound| outbound.is_open());
        outbound.is_some_and(|outbound| outbound.window().has_room(length, &self.clock))
    }

    /// The sessions that stage a frame, and the first number in it: one that is still the same a while later has waited long
    /// enough, see [`Outbound::handle_stage_timeout`].
    pub fn staged(&self) -> impl Iterator<Item = (SessionId, Number)> {
        self.outbound.iter().filter_map(|(id, outbound)| Some((*id, outbound.window().staged()?)))
    }

    /// How many frames are kept because they are not acknowledged, see [`SendWindow::frames_kept`](crate::send::SendWindow).
    pub fn frames_kept(&self) -> usize {
        self.outbound.values().map(|outbound| outbound.window().frames_kept()).sum()
    }

    /// Drops a session in which we sent, with all that is known of it. A living receiver is told nothing: see
    /// [`Outbound::close`].
    pub fn forget(&mut self, session: SessionId) -> Option<Outbound> {
        self.touched.remove(&session);
        self.outbound.remove(&session)
    }

    // Frames and deaths.

    /// A peer died, and every frame it left has been handled (DTH-2).
    pub fn handle_death(&mut self, session: SessionId) {
        if let Some(outbound) = self.outbound.get_mut(&session) {
            outbound.handle_death();
        }
        if let Some(incoming) = self.inbound.get_mut(&session) {
            let was_open = incoming.session.is_open();
            incoming.session.handle_death();
            if was_open {
                self.ready.push_back(Ready::Departed(session));
            }
        }
        self.touch(session);
    }

    /// Opens a session for a greeting that was found to be true. `session` is random (SES-1).
    pub fn accept(&mut self, greeting: &Greeting, session: SessionId) {
        if let Some(known) = self.session_of(greeting.stream) {
            return self.handle_greeting_again(known); // GRT-3: it came twice before it was answered.
        }
        let active = self.frames_seen + ACTIVE_FRAMES;
        let welcome = Welcome {
            data_session: session,
            epoch: self.settings.epoch,
            frame_credit: share(self.settings.slots, self.active_sessions() + 1),
            byte_credit: self.settings.window,
            pid: self.settings.pid,
        };
        let incoming = Incoming { session: Inbound::new(greeting, welcome, self.settings.window), active };
        self.inbound.insert(session, incoming);
        self.ready.push_back(Ready::Joined(session));
        self.touch(session);
        self.counters.accepted += 1;
    }

    /// The shell found the inbox of a greeting missing or not to be trusted (GRT-4).
    pub fn distrust(&mut self) {
        self.counters.distrust();
    }

    // Receiving.

    /// What the application is to see next. In auto mode the call says that it is done with what it got before.
    pub fn next_event(&mut self) -> Option<Event<B>> {
        if self.settings.auto_process
            && let Some(session) = self.handed.take()
        {
            self.process(session);
        }
        loop {
            match self.ready.front_mut()? {
                Ready::Frame(session, frame, cursor) => {
                    let session = *session;
                    let Some(record) = frame.next_record(cursor) else {
                        self.ready.pop_front();
                        continue;
                    };
                    let done = frame.is_exhausted(cursor);
                    let buffer = frame.buffer().clone();
                    if done {
                        self.ready.pop_front();
                        self.touch(session);
                    }
                    // A session outlives its frames in `ready`: it is removed only after its departure was told.
                    let Some(incoming) = self.inbound.get_mut(&session) else { continue };
                    incoming.session.deliver(record.body.len() as u64);
                    if done {
                        incoming.session.release_frame();
                    }
                    self.clock.deliver(record.stamp);
                    self.handed = Some(session);
                    self.counters.delivered += 1;
                    let (peer, number, stamp) = (incoming.session.peer(), record.number, record.stamp);
                    return Some(Event::Message { session, peer, number, stamp, frame: buffer, body: record.body });
                }
                Ready::Joined(session) => {
                    let session = *session;
                    self.ready.pop_front();
                    if let Some(incoming) = self.inbound.get(&session) {
                        return Some(Event::Joined { peer: incoming.session.peer() });
                    }
                }
                Ready::Departed(session) => {
                    let session = *session;
                    self.ready.pop_front();
                    self.touch(session);
                    let Some(incoming) = self.inbound.get_mut(&session) else { continue };
                    let (peer, last) = (incoming.session.peer(), incoming.session.window().received());
                    if let Some(departure) = incoming.session.tell_departure() {
                        self.counters.departed += 1;
                        return Some(Event::Departed { peer, departure, last });
                    }
                }
            }
        }
    }

    /// Whether [`next_event`](Self::next_event) has something.
    pub fn has_event(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The application says that it is done with all it was handed.
    pub fn process_all(&mut self) {
        self.handed = None;
        self.inbound.values_mut().for_each(|incoming| incoming.session.process());
        self.touched.extend(self.inbound.keys());
        self.fresh = true;
    }

    /// The application leaves: every sender is told (CLO-5), and what was not handed out never will be. Of senders that come
    /// later, the same is to be said again.
    pub fn leave(&mut self) {
        self.ready.clear();
        self.handed = None;
        self.inbound.values_mut().for_each(|incoming| incoming.session.close());
        self.touched.extend(self.inbound.keys());
        self.fresh = true;
    }

    // Output.

    /// Offers all frames that are due to `link`, which returns `false` when there is no room for one now. With `idle` an
    /// acknowledgement is due as soon as it says anything new: the application finds nothing more to read (ACK-3), or
    /// does not call in (CAL-6). Returns the sessions whose link had no room.
    pub fn transmit(&mut self, idle: bool, link: &mut dyn FnMut(SessionId, Priority, &[u8]) -> bool) -> Vec<SessionId> {
        let mut blocked = Vec::new();
        let share = if self.inbound.is_empty() { 0 } else { share(self.settings.slots, self.active_sessions()) };
        let touched = core::mem::take(&mut self.touched);
        self.fresh = false;
        for session in touched {
            let mut offer = |priority, frame: &[u8]| link(session, priority, frame);
            let left = if let Some(outbound) = self.outbound.get_mut(&session) {
                let left = outbound.transmit(&self.clock, &mut offer);
                if outbound.tell_end() {
                    self.ended.push_back(session);
                }
                left
            } else if let Some(Incoming { session: inbound, .. }) = self.inbound.get_mut(&session) {
                let left = inbound.transmit(&self.clock, share, idle, &mut offer);
                if inbound.is_finished() {
                    self.inbound.remove(&session);
                    self.ended.push_back(session);
                } else if inbound.due(share, true).is_some() {
                    self.touched.insert(session);
                }
                left
            } else {
                true
            };
            if !left {
                self.touched.insert(session);
                blocked.push(session);
            }
        }
        blocked
    }

    /// The link of this session has room again.
    pub fn retry(&mut self, session: SessionId) {
        self.touch(session);
    }

    /// Whether something happened since the last [`transmit`](Self::transmit) that may have made a frame due.
    pub const fn wants_transmit(&self) -> bool {
        self.fresh
    }

    /// Whether a transmit while idle may have something to offer.
    pub fn wants_idle_transmit(&self) -> bool {
        !self.touched.is_empty()
    }

    /// A session that needs its link no more. One in which we received is gone; one in which we sent is kept, so that its
    /// end can be asked for, until [`forget`](Self::forget).
    pub fn poll_ended(&mut self) -> Option<SessionId> {
        self.ended.pop_front()
    }

    fn process(&mut self, session: SessionId) {
        if let Some(incoming) = self.inbound.get_mut(&session) {
            incoming.session.process();
            // While more of this session is to be handed out there is nothing to say, unless it was asked (ACK-4).
            let window = incoming.session.window();
            if window.is_drained() || window.owes_answer() {
                self.touch(session);
            }
        }
    }

    fn touch(&mut self, session: SessionId) {
        self.touched.insert(session);
        self.fresh = true;
    }

    fn active_sessions(&self) -> u64 {
        let active = self.inbound.values().filter(|incoming| incoming.active > self.frames_seen).count();
        active as u64
    }
}

/// One session's part of the inbox (CRD-3).
fn share(slots: u64, active: u64) -> u64 {
    (slots.saturating_sub(2) / active.max(1)).max(1)
}

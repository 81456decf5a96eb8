//! The receiving end of a channel.

use crate::{
    clock::Deadline,
    error::{BindError, RecvError, RecvTimeoutError, TryRecvError},
    message::{Event, Message},
    name::{InvalidName, QueueName},
    pool::FrameBuffer,
    pump::{Driver, Look, Part, Reading, State},
    reports,
    sender::Sender,
    sync::{Arc, Mutex},
};
use lamq_protocol::{
    SessionId,
    endpoint::{self, Counters},
    session::Departure,
};
use std::{collections::BTreeMap, time::Duration};

mod back;
mod builder;
mod delivery;
mod many;
mod watch;

pub use builder::ReceiverBuilder;
pub use delivery::Delivery;

/// The receiving end of a channel: messages of each sender in order, none missing and none twice (PRO-1).
///
/// It belongs to the process that made it. In a forked child nothing comes out of its copy: every call says that receiving has ended, and
/// its drop does nothing (FRK-1). What the child needs it binds itself, after the fork.
///
/// Dropping it removes the queue's name and tells the senders; see [`close`](Self::close).
#[derive(Debug)]
pub struct Receiver {
    pub(crate) driver: Arc<Driver>,
    linger: Duration,
    /// The senders to those who wanted a stream back, as far as they were asked for.
    backs: Mutex<BTreeMap<SessionId, Sender>>,
}

/// How a call asks the core for what is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// For the next message, which says that the application is done with what it has.
    Next,
    /// For one more beside what it has (ACK-10).
    OneMore,
    /// For one that the application is to acknowledge.
    Delivery,
}

impl Receiver {
    /// Binds with the defaults; see [`ReceiverBuilder::bind`].
    ///
    /// # Errors
    /// See [`ReceiverBuilder::bind`].
    pub fn bind<N>(name: N) -> Result<Self, BindError>
    where
        N: TryInto<QueueName>,
        InvalidName: From<N::Error>,
    {
        Self::builder().bind(name)
    }

    /// Settings to bind with.
    pub fn builder() -> ReceiverBuilder {
        ReceiverBuilder::default()
    }

    /// The next message; waits as long as it takes.
    ///
    /// It shares the buffer of its frame, which is used again when the last message in it is dropped: a receiver whose application does
    /// not keep its messages allocates nothing after a while, but for those that are longer than a frame.
    ///
    /// # Errors
    /// [`RecvError`] with [`ReceiverBuilder::end_with_last_sender`], and after [`close`](Self::close).
    #[inline]
    pub fn recv(&self) -> Result<Message, RecvError> {
        match self.driver.take(false) {
            Some(message) => Ok(message),
            None => self.ask_within(None, Ask::Next).map_err(|_| RecvError),
        }
    }

    /// The next message if there is one (CAL-4).
    ///
    /// # Errors
    /// [`TryRecvError`].
    #[inline]
    pub fn try_recv(&self) -> Result<Message, TryRecvError> {
        match self.driver.take(false) {
            Some(message) => Ok(message),
            None => Ok(self.ask_within(Some(Duration::ZERO), Ask::Next)?),
        }
    }

    /// The next message; waits no longer than `timeout` (CAL-1).
    ///
    /// # Errors
    /// [`RecvTimeoutError`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Message, RecvTimeoutError> {
        self.recv_within(Some(timeout))
    }

    /// The next message, or what became of a sender; waits no longer than `timeout`, or for ever.
    ///
    /// # Errors
    /// [`RecvTimeoutError`].
    pub fn recv_event(&self, timeout: Option<Duration>) -> Result<Event, RecvTimeoutError> {
        if let Some(message) = self.driver.take(false) {
            return Ok(Event::Message(message));
        }
        let until = || timeout.map_or(Deadline::Never, Deadline::after);
        self.take_now(Ask::Next).map_or_else(|| self.event_until(until(), Ask::Next), Ok)
    }

    /// Messages until receiving ends.
    pub fn iter(&self) -> impl Iterator<Item = Message> + '_ {
        std::iter::from_fn(|| self.recv().ok())
    }

    /// Says that the application is done with every message it got, and tells the senders.
    pub fn acknowledge(&self) {
        _ = self.driver.call(|state| {
            state.core.process_all();
            state.transmit(true);
        });
    }

    /// Stops receiving, from any thread: the queue's name is removed, the senders are told which messages were delivered, and
    /// all calls that wait, and all later ones, end as disconnected. What was received but not yet handed out is discarded; its
    /// senders know that it was not delivered. Waits until the senders can be told, no longer than the
    /// [linger](ReceiverBuilder::linger).
    pub fn close(&self) {
        let open = self.driver.call(|state| {
            if std::mem::replace(&mut state.part, Part::Closed) == Part::Closed {
                return false;
            }
            state.give_up_name();
            state.drain(); // who has greeted is told too
            state.core.leave();
            state.transmit(true);
            state.progressed = true;
            true
        });
        if open == Ok(true) {
            // CLO-5: what found no room is the last that the senders will hear.
            let mut is_unsaid = false;
            _ = self.driver.wait(Deadline::after(self.linger), |state| {
                state.take_all(); // whoever sleeps in the inbox has kept it closed
                state.transmit(true);
                is_unsaid = state.core.wants_idle_transmit();
                (state.can_read() && !is_unsaid).then_some(())
            });
            if is_unsaid {
                reports::tell(|| {
                    tracing::warn!(target: "lamq", "a receiver was closed, but not all of its senders could be told");
                });
            }
        }
    }

    /// What happened so far, every dropped frame by its cause (CAL-5). All zero in a forked child.
    pub fn stats(&self) -> Counters {
        self.driver.call(|state| *state.core.counters()).unwrap_or_default()
    }

    fn recv_within(&self, timeout: Option<Duration>) -> Result<Message, RecvTimeoutError> {
        if let Some(message) = self.driver.take(false) {
            return Ok(message);
        }
        self.ask_within(timeout, Ask::Next)
    }

    /// What the endpoint has, or gets: most messages are taken without it.
    #[inline(never)]
    fn ask_within(&self, timeout: Option<Duration>, ask: Ask) -> Result<Message, RecvTimeoutError> {
        if let Some(message) = self.message_now(ask) {
            return Ok(message);
        }
        // Read only now: the clock costs as much as taking a message that is there.
        let deadline = timeout.map_or(Deadline::Never, Deadline::after);
        loop {
            if let Event::Message(message) = self.event_until(deadline, ask)? {
                return Ok(message);
            }
        }
    }

    /// The next message, if one has been read from the inbox before.
    fn message_now(&self, ask: Ask) -> Option<Message> {
        while let Some(event) = self.take_now(ask) {
            if let Event::Message(message) = event {
                return Some(message);
            }
        }
        None
    }

    /// What has been read from the inbox before.
    fn take_now(&self, ask: Ask) -> Option<Event> {
        if !self.driver.has_event() {
            return None; // who goes on to look into the inbox will see
        }
        self.driver.call(|state| if state.part == Part::Closed { None } else { take(state, ask) }).ok().flatten()
    }

    fn event_until(&self, deadline: Deadline, ask: Ask) -> Result<Event, RecvTimeoutError> {
        // It is put where it is to be, instead of being handed on from call to call.
        let mut outcome = Err(RecvTimeoutError::Timeout);
        self.driver.wait(deadline, |state| {
            if state.part == Part::Closed {
                outcome = Err(RecvTimeoutError::Disconnected);
                return Some(());
            }
            let reading = if ask == Ask::Next { Reading::Through } else { Reading::Ahead };
            let was_skipped = state.need_not_look(deadline);
            let mut look = if was_skipped { Look::default() } else { state.look(reading) };
            let mut event = state.passed.take().or_else(|| next(state, ask));
            if was_skipped && event.is_none() && state.has_more_to_say() {
                // That it has asked is to be told, if there is nothing more (ACK-3).
                look = state.look(reading);
                event = state.passed.take().or_else(|| next(state, ask));
            }
            if let Some(event) = event {
                outcome = Ok(hand_out(state, ask, event));
                return Some(());
            }
            state.transmit(look.drained);
            if state.is_over() {
                outcome = Err(RecvTimeoutError::Disconnected);
                return Some(());
            }
            None
        })?;
        outcome
    }
}

fn take(state: &mut State, ask: Ask) -> Option<Event> {
    next(state, ask).map(|event| hand_out(state, ask, event))
}

fn next(state: &mut State, ask: Ask) -> Option<endpoint::Event<FrameBuffer>> {
    match ask {
        Ask::Next => state.core.next_event(),
        Ask::OneMore => state.core.next_of_many(),
        Ask::Delivery => state.core.next_delivery(),
    }
}

/// The application gets this. What is due now is transmitted.
fn hand_out(state: &mut State, ask: Ask, event: endpoint::Event<FrameBuffer>) -> Event {
    state.transmit(false);
    match event {
        endpoint::Event::Message { .. } if ask != Ask::Delivery => state.lay_out(),
        endpoint::Event::Departed { peer, departure, last } if departure != Departure::Left => {
            state.reports.add(move || {
                tracing::warn!(target: "lamq", pid = peer.pid, %departure, last = last.get(), "a sender is gone");
            });
        }
        _ => {}
    }
    seen(event)
}

/// An event of the core, as the application sees it.
fn seen(event: endpoint::Event<FrameBuffer>) -> Event {
    match event {
        endpoint::Event::Message { session, peer, number, stamp, may_repeat, frame, body } => {
            Event::Message(Message { bytes: frame.into_bytes(), body, number, stamp, peer, session, may_repeat })
        }
        endpoint::Event::Gap { peer, first, last } => Event::Gap { peer, first: first.get(), last: last.get() },
        endpoint::Event::Joined { peer } => Event::Joined(peer),
        endpoint::Event::Departed { peer, departure, last } => Event::Departed { peer, departure, last: last.get() },
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if self.driver.is_ours() {
            self.close();
            self.close_backs();
        }
    }
}

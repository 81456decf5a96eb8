//! The receiving end of a channel.

use crate::{
    clock::Deadline,
    codec::CodecId,
    error::{BindError, RecvError, RecvTimeoutError, TryRecvError},
    link::{Geometry, Link, Owner, Posix, process_id},
    message::{Event, Message},
    name::{InvalidName, QueueName},
    pool::FrameBuffer,
    pump::{Driver, Part, State},
    random,
    sync::Arc,
    typed,
};
use lamq_protocol::{
    Endpoint,
    endpoint::{self, Counters, Settings},
    session::Departure,
};
use std::time::Duration;

mod delivery;
mod watch;

pub use delivery::Delivery;

/// How a [`Receiver`] is made; see [`Receiver::builder`].
#[derive(Clone, Debug)]
pub struct ReceiverBuilder {
    link: Arc<dyn Link>,
    geometry: Geometry,
    window: u64,
    max_senders: u32,
    max_message: usize,
    large_memory: usize,
    auto_process: bool,
    end_with_last_sender: bool,
    linger: Duration,
    codec: CodecId,
    spin: Option<Duration>,
}

impl Default for ReceiverBuilder {
    fn default() -> Self {
        Self {
            link: Arc::new(Posix),
            geometry: Geometry { slots: 10, frame_size: 8192 },
            window: 256 << 10,
            max_senders: 1024,
            max_message: 16 << 20,
            large_memory: 64 << 20,
            auto_process: true,
            end_with_last_sender: false,
            linger: Duration::from_secs(5),
            codec: CodecId::RAW,
            spin: None,
        }
    }
}

impl ReceiverBuilder {
    /// Where the queue lives. Default: [`Posix`].
    #[must_use]
    pub fn link(mut self, link: impl Link + 'static) -> Self {
        self.link = Arc::new(link);
        self
    }

    /// How many frames the inbox holds. Default: 10.
    #[must_use]
    pub fn slots(mut self, slots: usize) -> Self {
        self.geometry.slots = slots;
        self
    }

    /// How many bytes a frame may have. Longer messages take several frames, and a copy. Default: 8192.
    #[must_use]
    pub fn frame_size(mut self, bytes: usize) -> Self {
        self.geometry.frame_size = bytes;
        self
    }

    /// The most bytes held for one sender, at least one frame (CRD-4). Default: 256 KiB.
    #[must_use]
    pub fn window(mut self, bytes: u64) -> Self {
        self.window = bytes;
        self
    }

    /// The most senders at a time, at least one (GRT-5). Each takes two file descriptors of this process, whose limit (`ulimit -n`) may be
    /// hit before. Default: 1024.
    #[must_use]
    pub fn max_senders(mut self, senders: u32) -> Self {
        self.max_senders = senders;
        self
    }

    /// The longest message in bytes that is taken, at most 4 GiB (LRG-1). Default: 16 MiB.
    #[must_use]
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// The most bytes held for messages that are longer than the [window](Self::window), of all senders together; one such message
    /// is always let in. Others wait their turn (LRG-2). Default: 64 MiB.
    #[must_use]
    pub fn large_memory(mut self, bytes: usize) -> Self {
        self.large_memory = bytes;
        self
    }

    /// A message counts as processed only when [`Receiver::acknowledge`] says so, or [`Delivery::ack`]. Default: when the next one is asked for.
    #[must_use]
    pub fn manual_acknowledge(mut self) -> Self {
        self.auto_process = false;
        self
    }

    /// Receiving ends when at least one sender has come and all are gone again. Default: it never ends.
    #[must_use]
    pub fn end_with_last_sender(mut self) -> Self {
        self.end_with_last_sender = true;
        self
    }

    /// How long closing or dropping the receiver waits for room in the inboxes of its senders, to tell them what was delivered.
    /// There is room at once, unless a sender is stopped. Default: 5 s.
    #[must_use]
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// How long a call that waits looks again and again before it sleeps: to be woken takes longer (a round trip between two cores
    /// 40 to 50 µs instead of 12). While looking is in vain it ceases, so that a slow or a crowded process does not pay for it.
    /// Default: 50 µs, and zero, which is never, where the process may use a single core only.
    #[must_use]
    pub fn spin(mut self, spin: Duration) -> Self {
        self.spin = Some(spin);
        self
    }

    /// For values of a type instead of bytes, in bincode. The last step before [`bind`](typed::ReceiverBuilder::bind); see
    /// [`typed`].
    #[must_use]
    pub fn typed<T: ?Sized>(self) -> typed::ReceiverBuilder<T> {
        typed::ReceiverBuilder::new(self)
    }

    /// Declares how the messages are encoded; greetings with another codec are refused (GRT-2).
    pub(crate) fn codec(mut self, codec: CodecId) -> Self {
        self.codec = codec;
        self
    }

    /// Becomes the owner of the queue `name`; a dead owner's is taken over.
    ///
    /// # Errors
    /// [`BindError`]: in use, not ours, a limit was hit.
    pub fn bind<N>(self, name: N) -> Result<Receiver, BindError>
    where
        N: TryInto<QueueName>,
        InvalidName: From<N::Error>,
    {
        let name = name.try_into().map_err(InvalidName::from)?;
        let system = |source| BindError::system(&name, source);
        let epoch = random::epoch().map_err(system)?;
        let inbox = self.link.bind(&name, Owner::new(process_id(), epoch), self.geometry)?;
        let settings = Settings {
            epoch,
            pid: process_id(),
            slots: self.geometry.slots as u64,
            window: self.window.max(self.geometry.frame_size as u64),
            max_sessions: self.max_senders.max(1),
            max_message: u32::try_from(self.max_message).unwrap_or(u32::MAX),
            large_memory: self.large_memory as u64,
            lossy: self.link.is_lossy(),
            auto_process: self.auto_process,
            codec: self.codec.id,
        };
        let driver = Driver::new(self.link, inbox, settings, self.spin).map_err(system)?;
        if self.end_with_last_sender {
            driver.call(|state| state.part = Part::Finite);
        }
        Ok(Receiver { driver: Arc::new(driver), linger: self.linger })
    }
}

/// The receiving end of a channel: messages of each sender in order, none missing and none twice (PRO-1).
///
/// It belongs to the process that made it: a forked child must not use its copy, whose drop does nothing.
///
/// Dropping it removes the queue's name and tells the senders; see [`close`](Self::close).
#[derive(Debug)]
pub struct Receiver {
    driver: Arc<Driver>,
    linger: Duration,
}

/// How a call asks the core for what is next.
type Ask = fn(&mut Endpoint<FrameBuffer>) -> Option<endpoint::Event<FrameBuffer>>;

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
    /// # Errors
    /// [`RecvError`] with [`ReceiverBuilder::end_with_last_sender`], and after [`close`](Self::close).
    pub fn recv(&self) -> Result<Message, RecvError> {
        self.recv_within(None, Endpoint::next_event).map_err(|_| RecvError)
    }

    /// The next message if there is one (CAL-4).
    ///
    /// # Errors
    /// [`TryRecvError`].
    pub fn try_recv(&self) -> Result<Message, TryRecvError> {
        Ok(self.recv_within(Some(Duration::ZERO), Endpoint::next_event)?)
    }

    /// The next message; waits no longer than `timeout` (CAL-1).
    ///
    /// # Errors
    /// [`RecvTimeoutError`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Message, RecvTimeoutError> {
        self.recv_within(Some(timeout), Endpoint::next_event)
    }

    /// The next message, or what became of a sender; waits no longer than `timeout`, or for ever.
    ///
    /// # Errors
    /// [`RecvTimeoutError`].
    pub fn recv_event(&self, timeout: Option<Duration>) -> Result<Event, RecvTimeoutError> {
        let next = Endpoint::next_event;
        self.take_now(next).map_or_else(|| self.event_until(timeout.map_or(Deadline::Never, Deadline::after), next), Ok)
    }

    /// Messages until receiving ends.
    pub fn iter(&self) -> impl Iterator<Item = Message> + '_ {
        std::iter::from_fn(|| self.recv().ok())
    }

    /// Says that the application is done with every message it got, and tells the senders.
    pub fn acknowledge(&self) {
        self.driver.call(|state| {
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
            if let Err(error) = state.inbox.unlink() {
                tracing::warn!(target: "lamq", %error, "cannot remove the queue");
            }
            state.drain(); // who has greeted is told too
            state.core.leave();
            state.transmit(true);
            state.progressed = true;
            true
        });
        if open {
            // CLO-5: what found no room is the last that the senders will hear.
            let told = self.driver.wait(Deadline::after(self.linger), |state| {
                state.step();
                state.transmit(true);
                (!state.core.wants_idle_transmit()).then_some(())
            });
            if told.is_none() {
                tracing::warn!(target: "lamq", "a receiver was closed, but not all of its senders could be told");
            }
        }
    }

    /// What happened so far, every dropped frame by its cause (CAL-5).
    pub fn stats(&self) -> Counters {
        self.driver.call(|state| *state.core.counters())
    }

    fn recv_within(&self, timeout: Option<Duration>, next: Ask) -> Result<Message, RecvTimeoutError> {
        while let Some(event) = self.take_now(next) {
            if let Event::Message(message) = event {
                return Ok(message);
            }
        }
        // Read only now: the clock costs as much as taking a message that is there.
        let deadline = timeout.map_or(Deadline::Never, Deadline::after);
        loop {
            if let Event::Message(message) = self.event_until(deadline, next)? {
                return Ok(message);
            }
        }
    }

    /// What has been read from the inbox before.
    fn take_now(&self, next: Ask) -> Option<Event> {
        self.driver.call(|state| if state.part == Part::Closed { None } else { take(state, next) })
    }

    fn event_until(&self, deadline: Deadline, next: Ask) -> Result<Event, RecvTimeoutError> {
        let event = self.driver.wait(deadline, |state| {
            if state.part == Part::Closed {
                return Some(Err(RecvTimeoutError::Disconnected));
            }
            state.step();
            take(state, next).map(Ok).or_else(|| state.is_over().then_some(Err(RecvTimeoutError::Disconnected)))
        });
        event.unwrap_or(Err(RecvTimeoutError::Timeout))
    }
}

fn take(state: &mut State, next: Ask) -> Option<Event> {
    let event = match next(&mut state.core)? {
        endpoint::Event::Message { session, peer, number, stamp, frame, body } => {
            Event::Message(Message { frame, body, number, stamp, peer, session })
        }
        endpoint::Event::Gap { peer, first, last } => Event::Gap { peer, first: first.get(), last: last.get() },
        endpoint::Event::Joined { peer } => Event::Joined(peer),
        endpoint::Event::Departed { peer, departure, last } => {
            if departure != Departure::Left {
                tracing::warn!(target: "lamq", pid = peer.pid, %departure, last = last.get(), "a sender is gone");
            }
            Event::Departed { peer, departure, last: last.get() }
        }
    };
    state.transmit(false);
    Some(event)
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if self.driver.is_ours() {
            self.close();
        }
    }
}

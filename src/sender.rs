//! The sending end of a channel.

use crate::{
    clock::{self, Deadline},
    error::{BindError, ConnectError, Disconnected, FlushError, FlushFailure, OpenError, SendError, SendFailure},
    link::{Geometry, Inbox, Link, Outbox, Owner, Posix, process_id},
    name::{InvalidName, QueueName},
    pump::{Shared, State},
    random,
    sync::Arc,
};
use lamq_protocol::{
    Epoch, Level, Number, SessionId,
    endpoint::{Connect, Counters, SendRefused, Settings},
    send::{NoRoom, SendSettings},
    session::{Ended, Outbound},
};
use std::{io, os::unix::fs::MetadataExt, time::Duration};

/// How a [`Sender`] is made; see [`Sender::builder`].
#[derive(Clone, Debug)]
pub struct SenderBuilder {
    link: Arc<dyn Link>,
    wait: Duration,
    level: Level,
    retain: usize,
    linger: Duration,
}

impl Default for SenderBuilder {
    fn default() -> Self {
        let link = Arc::new(Posix);
        let (wait, linger) = (Duration::from_secs(10), Duration::from_secs(5));
        Self { link, wait, level: Level::Delivered, retain: 1 << 20, linger }
    }
}

/// How often a sender looks whether a receiver has appeared: the one thing that cannot be waited for.
const APPEAR_TICK: Duration = Duration::from_millis(10);

/// An inbox for answers: acknowledgements are short.
const INBOX: Geometry = Geometry { slots: 10, frame_size: lamq_protocol::wire::MIN_FRAME_SIZE };

impl SenderBuilder {
    /// Where the receiver's queue lives. Default: [`Posix`].
    #[must_use]
    pub fn link(mut self, link: impl Link + 'static) -> Self {
        self.link = Arc::new(link);
        self
    }

    /// How long [`connect`](Self::connect) waits for a receiver. Default: 10 s.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// When a message counts as acknowledged. Default: delivered.
    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// The most unacknowledged bytes to keep (CRD-6). Default: 1 MiB.
    #[must_use]
    pub fn retain(mut self, bytes: usize) -> Self {
        self.retain = bytes;
        self
    }

    /// How long dropping the sender waits for acknowledgements. Default: 5 s.
    #[must_use]
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// Waits for a receiver on `name` and opens a session with it.
    ///
    /// # Errors
    /// [`ConnectError`]: nobody came, the receiver did not answer or refused, the queue is not ours, a limit was hit.
    pub fn connect<N>(self, name: N) -> Result<Sender, ConnectError>
    where
        N: TryInto<QueueName>,
        InvalidName: From<N::Error>,
    {
        let name = name.try_into().map_err(InvalidName::from)?;
        let deadline = Deadline::after(self.wait);
        let system = |source: io::Error| ConnectError::Inbox(BindError::System { name: name.clone(), source });
        let epoch = random::epoch().map_err(system)?;
        let (inbox_name, inbox) = self.make_inbox(epoch)?;
        let settings = Settings {
            epoch,
            pid: process_id(),
            slots: INBOX.slots as u64,
            window: 0,
            max_sessions: 0,
            auto_process: true,
        };
        let shared = Shared::new(Arc::clone(&self.link), inbox, settings).map_err(system)?;
        // One id for every attempt: a greeting that a dead receiver left unread is answered by the next owner of the queue,
        // who takes the one after it for a repetition (GRT-3).
        let session = random::session().map_err(system)?;
        loop {
            let outbox = self.await_receiver(&name, deadline)?;
            let pid = outbox.owner().pid;
            self.greet(&shared, session, outbox, &inbox_name).map_err(system)?;
            let answer = shared.role.wait(&shared.poller, deadline, |state| {
                state.step();
                let outbound = state.core.outbound(session)?;
                outbound.is_open().then_some(Ok(())).or_else(|| outbound.ended().map(Err))
            });
            match answer {
                Some(Ok(())) => {
                    // POS-10: the receiver has it open; a kill from here on leaves nothing behind.
                    shared.role.lock().inbox.unlink().map_err(system)?;
                    return Ok(Sender { shared, session, linger: self.linger, closed: false });
                }
                Some(Err(Ended::Refused(refusal))) => return Err(ConnectError::Refused { name, refusal }),
                Some(Err(_)) => shared.role.lock().remove_peer(session), // it died before it answered
                None => return Err(ConnectError::Stalled { name, pid, waited: self.wait }),
            }
        }
    }

    fn make_inbox(&self, epoch: Epoch) -> Result<(QueueName, Box<dyn Inbox>), ConnectError> {
        let owner = Owner::new(process_id(), epoch);
        for index in 0_u32.. {
            let name = QueueName::new(format!("/lamq.{}.{index}", process_id()))?;
            match self.link.bind(&name, owner, INBOX) {
                Ok(inbox) => return Ok((name, inbox)),
                Err(BindError::InUse { .. } | BindError::HeldByChild { .. }) => {}
                Err(error) => return Err(ConnectError::Inbox(error)),
            }
        }
        unreachable!("the kernel has fewer than 2^32 queues")
    }

    fn await_receiver(&self, name: &QueueName, deadline: Deadline) -> Result<Box<dyn Outbox>, ConnectError> {
        loop {
            match self.link.open(name) {
                Ok(outbox) => return Ok(outbox),
                Err(OpenError::Absent) if deadline.has_passed() => {
                    return Err(ConnectError::NoReceiver { name: name.clone(), waited: self.wait });
                }
                Err(OpenError::Absent) => clock::pause(deadline.remaining().unwrap_or(APPEAR_TICK).min(APPEAR_TICK)),
                Err(source) => return Err(ConnectError::Open { name: name.clone(), source }),
            }
        }
    }

    fn greet(&self, shared: &Shared, session: SessionId, outbox: Box<dyn Outbox>, inbox: &QueueName) -> io::Result<()> {
        let frame_size = outbox.geometry().frame_size;
        let mut state = shared.role.lock();
        state.add_peer(session, outbox)?;
        let pid_namespace = std::fs::metadata("/proc/self/ns/pid").map_or(0, |data| data.ino());
        let settings = SendSettings { frame_size, level: self.level, retain: self.retain };
        let inbox = inbox.as_str().as_bytes().to_vec();
        state.core.connect(session, Connect { stream: 0, settings, pid_namespace, inbox });
        Ok(())
    }
}

/// The sending end of a channel: numbers messages, packs them into frames, keeps them until they are acknowledged, and
/// never sends more than the receiver has granted.
///
/// Threads may share it by reference. Small messages are packed together while earlier ones are on their way; what is packed
/// leaves when the frame is full, with [`flush`](Self::flush), with any call that waits, and at the end.
#[derive(Debug)]
pub struct Sender {
    shared: Arc<Shared>,
    session: SessionId,
    linger: Duration,
    closed: bool,
}

/// What a sender has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SenderStats {
    /// The last number given to a message.
    pub sent: u64,
    /// The last number that the receiver's process has taken.
    pub received: u64,
    /// The last number handed to the receiving application.
    pub delivered: u64,
    /// The last number that the receiving application is done with.
    pub processed: u64,
    /// Messages that had to wait for credit, or were refused for want of it: how often the receiver slowed this sender.
    pub stalls: u64,
    /// Frames that came from the receiver or a stranger, those that were dropped by cause (CAL-5).
    pub frames: Counters,
}

impl Sender {
    /// Connects with the defaults; see [`SenderBuilder::connect`].
    ///
    /// # Errors
    /// See [`SenderBuilder::connect`].
    pub fn connect<N>(name: N) -> Result<Self, ConnectError>
    where
        N: TryInto<QueueName>,
        InvalidName: From<N::Error>,
    {
        Self::builder().connect(name)
    }

    /// Settings to connect with.
    pub fn builder() -> SenderBuilder {
        SenderBuilder::default()
    }

    /// Sends a message; waits for credit as long as it takes. Returns its number.
    ///
    /// # Errors
    /// [`SendError`] with the message: it is too long, or the session is over, also when the receiver dies meanwhile.
    pub fn send<M: AsRef<[u8]>>(&self, message: M) -> Result<u64, SendError<M>> {
        self.send_until(message, Deadline::Never)
    }

    /// Sends a message if there is room at once (CAL-4).
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`SendFailure::Full`].
    pub fn try_send<M: AsRef<[u8]>>(&self, message: M) -> Result<u64, SendError<M>> {
        self.send_until(message, Deadline::Now).map_err(|mut error| {
            if error.failure == SendFailure::Timeout {
                error.failure = SendFailure::Full;
            }
            error
        })
    }

    /// Sends a message; waits for credit no longer than `timeout` (CAL-1).
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`SendFailure::Timeout`].
    pub fn send_timeout<M: AsRef<[u8]>>(&self, message: M, timeout: Duration) -> Result<u64, SendError<M>> {
        self.send_until(message, Deadline::after(timeout))
    }

    /// Waits until everything sent before is acknowledged at the session's level (CAL-3).
    ///
    /// # Errors
    /// [`FlushError`] when the session ends first.
    pub fn flush(&self) -> Result<(), FlushError> {
        self.flush_until(Deadline::Never)
    }

    /// As [`flush`](Self::flush), no longer than `timeout`.
    ///
    /// # Errors
    /// [`FlushError`], also for the time-out.
    pub fn flush_timeout(&self, timeout: Duration) -> Result<(), FlushError> {
        self.flush_until(Deadline::after(timeout))
    }

    /// Ends the session: waits until all is acknowledged, no longer than `timeout`.
    ///
    /// # Errors
    /// [`FlushError`] says what was not acknowledged.
    pub fn close(mut self, timeout: Duration) -> Result<(), FlushError> {
        self.finish(timeout)
    }

    /// What was sent and acknowledged so far.
    pub fn stats(&self) -> SenderStats {
        let mut locked = self.shared.role.lock();
        locked.step();
        let (frames, stalls) = (*locked.core.counters(), locked.stalls);
        let stats = locked.core.outbound(self.session).map_or_else(SenderStats::default, |outbound| {
            let (window, known) = (outbound.window(), outbound.window().acknowledged());
            SenderStats {
                sent: window.accepted().get(),
                received: known.received.get(),
                delivered: known.delivered.get(),
                processed: known.processed.get(),
                stalls,
                frames,
            }
        });
        self.shared.role.unlock(locked, &self.shared.poller);
        stats
    }

    fn send_until<M: AsRef<[u8]>>(&self, message: M, deadline: Deadline) -> Result<u64, SendError<M>> {
        let body = message.as_ref();
        let mut state = self.shared.role.lock();
        let first = self.try_push(&mut state, body);
        state.stalls += u64::from(first.is_none());
        self.shared.role.unlock(state, &self.shared.poller);
        let result = first.or_else(|| {
            self.shared.role.wait(&self.shared.poller, deadline, |state| {
                state.step();
                self.try_push(state, body).or_else(|| {
                    // Whoever waits for credit sends what is staged, and asks to be told.
                    state.core.with_outbound(self.session, Outbound::flush);
                    state.transmit(false);
                    None
                })
            })
        });
        match result.unwrap_or(Err(SendFailure::Timeout)) {
            Ok(number) => Ok(number.get()),
            Err(failure) => Err(SendError { message, failure }),
        }
    }

    /// `None`: no room at present.
    fn try_push(&self, state: &mut State, body: &[u8]) -> Option<Result<Number, SendFailure>> {
        // An acknowledgement that is waiting may say that there is nothing to stage behind (DAT-5).
        if state.core.outbound(self.session)?.window().staged().is_none() {
            state.step();
        }
        let result = match state.core.send(self.session, body) {
            Ok(number) => Ok(number),
            Err(SendRefused::NoRoom(NoRoom::Credit)) => return None,
            Err(SendRefused::NoRoom(NoRoom::TooLong { length, limit })) => Err(SendFailure::TooLong { length, limit }),
            Err(SendRefused::Ended(why)) => Err(SendFailure::Disconnected(Disconnected { why })),
        };
        state.transmit(false);
        Some(result)
    }

    fn flush_until(&self, deadline: Deadline) -> Result<(), FlushError> {
        self.settle(deadline, Outbound::flush, false)
    }

    fn finish(&mut self, timeout: Duration) -> Result<(), FlushError> {
        self.closed = true;
        self.settle(Deadline::after(timeout), Outbound::close, true)
    }

    /// Begins with `action`, then waits until all is acknowledged and, with `ended`, the session is over.
    fn settle(&self, deadline: Deadline, action: fn(&mut Outbound), ended: bool) -> Result<(), FlushError> {
        let mut target = None;
        let outcome = self.shared.role.wait(&self.shared.poller, deadline, |state| {
            if target.is_none() {
                state.core.with_outbound(self.session, action);
                target = state.core.outbound(self.session).map(|outbound| outbound.window().accepted());
            }
            state.step();
            let outbound = state.core.outbound(self.session)?;
            match outbound.ended() {
                // A receiver that left after it acknowledged everything leaves nothing undone.
                over if Some(outbound.window().settled()) >= target && (!ended || over.is_some()) => Some(Ok(())),
                Some(why) => Some(Err(FlushFailure::Disconnected(Disconnected { why }))),
                None => None,
            }
        });
        outcome.unwrap_or(Err(FlushFailure::Timeout)).map_err(|why| {
            let state = self.shared.role.lock();
            let window = state.core.outbound(self.session).map(Outbound::window);
            let numbers = window.map_or((Number::NONE, Number::NONE), |window| (window.accepted(), window.settled()));
            FlushError { accepted: numbers.0, acknowledged: numbers.1, why }
        })
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if !self.closed
            && let Err(error) = self.finish(self.linger)
        {
            tracing::warn!(target: "lamq", %error, "a sender was dropped");
        }
    }
}

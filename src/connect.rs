//! How a sender finds its receiver and opens a session with it.

use crate::{
    clock::{self, Deadline, Stopwatch},
    codec::CodecId,
    error::{BindError, ConnectError, OpenError},
    link::{Geometry, Inbox, Link, Outbox, Owner, Posix, process_id},
    name::{InvalidName, QueueName},
    pump::{Driver, State},
    random,
    sender::Sender,
    sync::Arc,
    typed,
};
use lamq_protocol::{
    Epoch, Level, SessionId,
    endpoint::{Connect, Settings},
    send::{SendSettings, SendWindow},
    session::{Ended, Outbound},
    wire::{Refusal, RefusalReason},
};
use std::{io, os::unix::fs::MetadataExt, time::Duration};

mod ping;

pub use ping::{Pong, ping};

/// How a [`Sender`] is made; see [`Sender::builder`].
#[derive(Clone, Debug)]
pub struct SenderBuilder {
    link: Arc<dyn Link>,
    wait: Duration,
    level: Level,
    retain: usize,
    linger: Duration,
    codec: CodecId,
    spin: Option<Duration>,
}

impl Default for SenderBuilder {
    fn default() -> Self {
        let link = Arc::new(Posix);
        let (wait, linger) = (Duration::from_secs(10), Duration::from_secs(5));
        Self { link, wait, level: Level::Delivered, retain: 1 << 20, linger, codec: CodecId::RAW, spin: None }
    }
}

/// How often a sender looks whether a receiver has appeared: the one thing that cannot be waited for.
const APPEAR_TICK: Duration = Duration::from_millis(10);

/// How often a sender that waits for an answer looks whether the receiver is still there.
const GREETING_TICK: Duration = Duration::from_millis(100);

/// An inbox for answers: acknowledgements are short.
const INBOX: Geometry = Geometry { slots: 10, frame_size: lamq_protocol::wire::MIN_FRAME_SIZE };

impl SenderBuilder {
    /// Where the receiver's queue lives. Default: [`Posix`].
    #[must_use]
    pub fn link(mut self, link: impl Link + 'static) -> Self {
        self.link = Arc::new(link);
        self
    }

    /// How long [`connect`](Self::connect) and [`ping`](Self::ping) wait for a receiver and its answer. Default: 10 s.
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

    /// How long a call that waits looks again and again before it sleeps: to be woken takes longer (a round trip between two cores
    /// 40 to 50 µs instead of 12). While looking is in vain it ceases, so that a slow or a crowded process does not pay for it.
    /// Default: 50 µs, and zero, which is never, where the process may use a single core only.
    #[must_use]
    pub fn spin(mut self, spin: Duration) -> Self {
        self.spin = Some(spin);
        self
    }

    /// For values of a type instead of bytes, in bincode. The last step before [`connect`](typed::SenderBuilder::connect); see
    /// [`typed`].
    #[must_use]
    pub fn typed<T: ?Sized>(self) -> typed::SenderBuilder<T> {
        typed::SenderBuilder::new(self)
    }

    /// Declares how the messages are encoded.
    pub(crate) fn codec(mut self, codec: CodecId) -> Self {
        self.codec = codec;
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
        let outbox = self.await_receiver(&name, deadline)?;
        let greeter = self.greeter(&name)?;
        match self.open_session(&greeter, &name, outbox, deadline) {
            Ok(limit) => Ok(Sender::new(greeter.driver, greeter.session, limit, self.linger)),
            Err(error) => {
                // What could not be said to that receiver need not be said any more.
                greeter.driver.call(|state| state.give_up(greeter.session));
                Err(error)
            }
        }
    }

    /// Greets until a receiver welcomes us. Returns the longest message that it takes.
    fn open_session(
        &self,
        greeter: &Greeter,
        name: &QueueName,
        outbox: Box<dyn Outbox>,
        deadline: Deadline,
    ) -> Result<usize, ConnectError> {
        let Reply { refusal, .. } = self.await_reply(greeter, name, outbox, deadline, false)?;
        if let Some(refusal) = refusal {
            return Err(self.refused(name.clone(), refusal));
        }
        // POS-10: the receiver has it open; a kill from here on leaves nothing behind.
        let unlinked = greeter.driver.call(|state| state.inbox.unlink());
        unlinked.map_err(|source| ConnectError::Inbox(BindError::system(name, source)))?;
        let window =
            |state: &mut State| state.core.outbound(greeter.session).map(Outbound::window).map(SendWindow::max_message);
        Ok(greeter.driver.call(window).unwrap_or(0))
    }

    /// Greets one receiver after the other until one answers.
    fn await_reply(
        &self,
        greeter: &Greeter,
        name: &QueueName,
        mut outbox: Box<dyn Outbox>,
        deadline: Deadline,
        asks_only: bool,
    ) -> Result<Reply, ConnectError> {
        loop {
            let pid = outbox.destination().owner().pid;
            let watch = Stopwatch::start();
            let greeting = self.greet(greeter, outbox, asks_only);
            greeting.map_err(|source| ConnectError::Inbox(BindError::system(name, source)))?;
            let refusal = match greeter.await_answer(deadline) {
                Answer::Open => None,
                Answer::Ended(Ended::Refused(refusal)) => Some(refusal),
                Answer::Ended(_) | Answer::Gone => {
                    greeter.driver.call(|state| state.give_up(greeter.session));
                    outbox = self.await_receiver(name, deadline)?;
                    continue;
                }
                Answer::Late => return Err(ConnectError::Stalled { name: name.clone(), pid, waited: self.wait }),
            };
            return Ok(Reply { refusal, pid, round_trip: watch.read() });
        }
    }

    /// REF-1
    fn refused(&self, name: QueueName, refusal: Refusal) -> ConnectError {
        match refusal.reason {
            RefusalReason::Codec { expected } => {
                ConnectError::Codec { name, expected: CodecId::of_wire(expected), ours: self.codec }
            }
            _ => ConnectError::Refused { name, refusal },
        }
    }

    /// Makes all that it takes to get answers. Not before there is somebody to answer: a kill leaves the inbox behind until then.
    fn greeter(&self, name: &QueueName) -> Result<Greeter, ConnectError> {
        let system = |source: io::Error| ConnectError::Inbox(BindError::system(name, source));
        let epoch = random::epoch().map_err(system)?;
        let (inbox_name, inbox) = self.make_inbox(epoch)?;
        let settings = Settings {
            epoch,
            pid: process_id(),
            slots: INBOX.slots as u64,
            window: 0,
            max_sessions: 0,
            max_message: 0,
            large_memory: 0,
            lossy: self.link.is_lossy(),
            auto_process: true,
            codec: self.codec.id,
        };
        let driver = Driver::new(Arc::clone(&self.link), inbox, settings, self.spin).map_err(system)?;
        // One id for every attempt: a greeting that a dead receiver left unread is answered by the next owner of the queue,
        // who takes the one after it for a repetition (GRT-3).
        let session = random::session().map_err(system)?;
        Ok(Greeter { driver, session, inbox_name })
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

    fn greet(&self, greeter: &Greeter, outbox: Box<dyn Outbox>, asks_only: bool) -> io::Result<()> {
        let Greeter { driver, session, inbox_name } = greeter;
        let frame_size = outbox.destination().geometry().frame_size;
        let pid_namespace = std::fs::metadata("/proc/self/ns/pid").map_or(0, |data| data.ino());
        let lossy = self.link.is_lossy();
        let settings = SendSettings { frame_size, level: self.level, retain: self.retain, lossy };
        let inbox = inbox_name.as_str().as_bytes().to_vec();
        driver.call(|state| {
            state.add_peer(*session, outbox)?;
            let codec = self.codec.id;
            let connect = Connect { stream: 0, codec, settings, asks_only, pid_namespace, inbox };
            state.core.connect(*session, connect);
            state.transmit(false);
            Ok(())
        })
    }
}

/// A sender that is not connected yet.
struct Greeter {
    driver: Driver,
    session: SessionId,
    inbox_name: QueueName,
}

/// The answer of a receiver that lives.
struct Reply {
    /// `None`: welcome.
    refusal: Option<Refusal>,
    /// Who was greeted.
    pid: u32,
    /// From the greeting to the answer.
    round_trip: Duration,
}

/// What came of a greeting.
enum Answer {
    Open,
    Ended(Ended),
    /// The receiver is gone, and has not answered.
    Gone,
    /// Nothing in time.
    Late,
}

impl Greeter {
    fn await_answer(&self, deadline: Deadline) -> Answer {
        loop {
            if let Some(answer) = self.driver.wait(deadline.at_most(GREETING_TICK), |state| self.answer(state)) {
                return answer;
            }
            // Nothing wakes us when a receiver goes whose process lives on. Its last words are read before it is taken for gone.
            let gone = self.driver.call(|state| {
                state.is_gone(self.session).then(|| {
                    state.drain();
                    self.answer(state).unwrap_or(Answer::Gone)
                })
            });
            match gone {
                Some(answer) => return answer,
                None if deadline.has_passed() => return Answer::Late,
                None => {}
            }
        }
    }

    fn answer(&self, state: &mut State) -> Option<Answer> {
        state.step();
        let outbound = state.core.outbound(self.session)?;
        outbound.is_open().then_some(Answer::Open).or_else(|| outbound.ended().map(Answer::Ended))
    }
}

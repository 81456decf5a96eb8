//! How a sender finds its receiver and opens a session with it.

use crate::{
    clock::{self, Deadline, Stopwatch},
    codec::CodecId,
    endpoint::Endpoint,
    error::{BindError, ConnectError, OpenError},
    link::{Geometry, Link, Outbox, Owner, Posix, pid_namespace, process_id},
    name::{InvalidName, QueueName},
    pump::{APPEAR_TICK, Driver, Mailbox, Part, Seeker},
    random,
    receiver::ReceiverBuilder,
    sender::Sender,
    sync::Arc,
    typed,
};
use greeter::{Answer, Greeter, Purpose, Reply};
use lamq_protocol::{
    Level,
    endpoint::{BackSettings, Settings},
    session::Ended,
    wire::{Refusal, RefusalReason},
};
use std::time::Duration;

mod both_ways;
mod greeter;
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
    endpoint: Option<Endpoint>,
    resume: Option<Duration>,
}

impl Default for SenderBuilder {
    fn default() -> Self {
        let link = Arc::new(Posix);
        let (wait, linger) = (Duration::from_secs(10), Duration::from_secs(5));
        let (level, retain, codec) = (Level::Delivered, 4 << 20, CodecId::RAW);
        Self { link, wait, level, retain, linger, codec, spin: None, endpoint: None, resume: None }
    }
}

/// An inbox for answers: acknowledgements are short.
const INBOX: Geometry = Geometry { slots: 10, frame_size: lamq_protocol::wire::MIN_FRAME_SIZE };

/// The frames of an inbox for what is sent back: a user may have many clients.
const ANSWERS: usize = 2048;

impl SenderBuilder {
    /// Where the receiver's queue lives. Default: [`Posix`]. It undoes an [`endpoint`](Self::endpoint) that was set before.
    #[must_use]
    pub fn link(mut self, link: impl Link + 'static) -> Self {
        self.link = Arc::new(link);
        self.endpoint = None;
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

    /// The most unacknowledged bytes to keep (CRD-6). Default: 4 MiB.
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
    /// 40 to 50 µs instead of 4). While looking is in vain it ceases, so that a slow or a crowded process does not pay for it.
    /// Default: 50 µs, and zero, which is never, where the machine has a single core. Where both sides are kept to one core of several, zero
    /// is better.
    #[must_use]
    pub fn spin(mut self, spin: Duration) -> Self {
        self.spin = Some(spin);
        self
    }

    /// To share the inbox of this endpoint, instead of one of its own; its link and its [spin](Self::spin) hold then. A receiver's
    /// is [`Receiver::endpoint`](crate::Receiver::endpoint).
    #[must_use]
    pub fn endpoint(mut self, endpoint: &Endpoint) -> Self {
        self.link = Arc::clone(&endpoint.driver.link);
        self.endpoint = Some(endpoint.clone());
        self
    }

    /// To go on with the next receiver on the name when this one dies or leaves, if it comes within `patience` (RSM-1): meanwhile calls
    /// wait as for credit. What was not acknowledged as delivered, or at the [level](Self::level) if that is higher, is sent to it
    /// under the same numbers, so that it may be delivered twice: then it is [marked](crate::Message::may_repeat). Default: the
    /// sender ends with its receiver.
    ///
    /// A receiver that is killed takes along what it was handed and has not worked on. Where that must come again, too, send at
    /// [`Level::Processed`]. Room that was [reserved](Sender::reserve) with one receiver is worth nothing with the next (RSM-6). A next
    /// one that refuses (it is full, it has another codec), that takes no messages as long as one that is to be sent again, or
    /// that breaks the protocol ends the sender. One that has nothing unacknowledged notices at its next call that the receiver is gone,
    /// and its patience begins then.
    #[must_use]
    pub fn resume(mut self, patience: Duration) -> Self {
        self.resume = Some(patience);
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
        self.check_endpoint()?;
        let outbox = self.await_receiver(&name, deadline)?;
        self.check_endpoint()?;
        let driver = match &self.endpoint {
            Some(endpoint) => Arc::clone(&endpoint.driver),
            None => Arc::new(self.bind(&name, None).map_err(ConnectError::Inbox)?),
        };
        let greeter = self.open_session(driver, &name, outbox, deadline, Purpose::Send)?;
        Ok(self.sender(greeter))
    }

    /// Whether one that is shared can be used: it is ours (FRK-1), and not closed.
    fn check_endpoint(&self) -> Result<(), ConnectError> {
        let Some(endpoint) = &self.endpoint else { return Ok(()) };
        let is_closed = endpoint.driver.call(|state| state.part)? == Part::Closed;
        if is_closed { Err(ConnectError::EndpointClosed) } else { Ok(()) }
    }

    /// The sender of a session that is open.
    fn sender(&self, Greeter { driver, session, .. }: Greeter) -> Sender {
        Sender::new(driver, session, self.linger).expect("the session is held since it was greeted")
    }

    /// Greets until a receiver welcomes us.
    fn open_session(
        &self,
        driver: Arc<Driver>,
        name: &QueueName,
        outbox: Box<dyn Outbox>,
        deadline: Deadline,
        purpose: Purpose,
    ) -> Result<Greeter, ConnectError> {
        let greeter = Greeter::new(driver, purpose);
        let greeter = greeter.map_err(|source| ConnectError::Inbox(BindError::system(name, source)))?;
        let outcome = match self.await_reply(&greeter, name, outbox, deadline) {
            Ok(Reply { refusal: Some(refusal), .. }) => Err(self.refused(name.clone(), refusal)),
            Ok(Reply { greeting, .. }) => greeter.driver.call(|state| {
                if let Some(patience) = self.resume {
                    let own = self.endpoint.is_none().then(|| state.inbox_identity());
                    state.seek_when_lost(greeter.session, Seeker::new(name.clone(), patience, greeting, own));
                }
                // POS-10: the receiver has it open; a kill from here on leaves nothing behind. To fail for the name would leave the
                // receiver with a session that nobody closes.
                if self.endpoint.is_none()
                    && let Err(error) = state.mailbox.unlink()
                {
                    state.reports.add(move || tracing::warn!(target: "lamq", %error, "cannot remove the queue yet"));
                }
                Ok(())
            })?,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => Ok(greeter),
            Err(error) => {
                greeter.give_up();
                Err(error)
            }
        }
    }

    /// Greets one receiver after the other until one answers.
    fn await_reply(
        &self,
        greeter: &Greeter,
        name: &QueueName,
        mut outbox: Box<dyn Outbox>,
        deadline: Deadline,
    ) -> Result<Reply, ConnectError> {
        loop {
            let pid = outbox.destination().owner().pid;
            let watch = Stopwatch::start();
            let greeting = greeter.greet(self, outbox);
            let greeting = greeting.map_err(|source| ConnectError::Inbox(BindError::system(name, source)))?;
            let refusal = match greeter.await_answer(deadline) {
                Answer::Open => None,
                Answer::Ended(Ended::Refused(refusal)) => Some(refusal),
                Answer::Ended(_) | Answer::Gone => {
                    greeter.give_up();
                    outbox = self.await_receiver(name, deadline)?;
                    continue;
                }
                Answer::Late => return Err(ConnectError::Stalled { name: name.clone(), pid, waited: self.wait }),
            };
            return Ok(Reply { refusal, greeting, pid, round_trip: watch.read() });
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

    /// An endpoint of our own to send to `name`, with all that it takes to get answers, and, with a `receiver`, to be sent messages. Not before there is
    /// somebody to answer: a kill leaves the inbox behind until then.
    pub(crate) fn bind(&self, name: &QueueName, receiver: Option<&ReceiverBuilder>) -> Result<Driver, BindError> {
        let system = |source| BindError::system(name, source);
        let epoch = random::epoch().map_err(system)?;
        let geometry = receiver.map_or(INBOX, |receiver| receiver.geometry(ANSWERS));
        let mailbox = Mailbox::bind_own(&*self.link, Owner::new(process_id(), epoch), geometry)?;
        let back = BackSettings { level: self.level, retain: self.retain };
        let lossy = self.link.is_lossy();
        let (codec, part) = (self.codec.id, if receiver.is_some() { Part::Finite } else { Part::Sender });
        let both_ways = receiver.map(|receiver| Settings {
            max_sessions: 0,
            codec,
            back,
            ..receiver.settings(epoch, geometry, lossy)
        });
        let settings = both_ways.unwrap_or(Settings {
            epoch,
            pid: process_id(),
            pid_namespace: pid_namespace(),
            slots: geometry.slots as u64,
            window: 0,
            max_sessions: 0,
            max_message: 0,
            large_memory: 0,
            lossy,
            auto_process: true,
            codec,
            rendezvous: false,
            back,
        });
        Driver::new(Arc::clone(&self.link), mailbox, settings, part, self.spin).map_err(system)
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
}

//! How a receiver is made.

use super::Receiver;
use crate::{
    codec::CodecId,
    error::BindError,
    link::{Geometry, Link, Owner, Posix, pid_namespace, process_id},
    name::{InvalidName, QueueName},
    pump::{Driver, Mailbox, Part, State},
    random,
    sync::{Arc, Mutex},
    typed,
};
use lamq_protocol::{
    Epoch, Level,
    endpoint::{BackSettings, Settings},
};
use std::time::Duration;

/// How a [`Receiver`] is made; see [`Receiver::builder`].
#[derive(Clone, Debug)]
pub struct ReceiverBuilder {
    link: Arc<dyn Link>,
    slots: usize,
    /// None: as long as is usual for what it is bound for.
    frame_size: Option<usize>,
    window: u64,
    max_senders: u32,
    max_message: usize,
    large_memory: usize,
    auto_process: bool,
    rendezvous: bool,
    end_with_last_sender: bool,
    linger: Duration,
    codec: CodecId,
    spin: Option<Duration>,
}

impl Default for ReceiverBuilder {
    fn default() -> Self {
        Self {
            link: Arc::new(Posix),
            slots: 10,
            frame_size: None,
            window: 256 << 10,
            max_senders: 1024,
            max_message: 16 << 20,
            large_memory: 64 << 20,
            auto_process: true,
            rendezvous: false,
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
        self.slots = slots;
        self
    }

    /// How many bytes a frame may have. Longer messages take several frames, and a copy. Default: 8136, and 2048 for the answers of
    /// a channel in [both directions](crate::SenderBuilder::connect_both_ways). Best are 4048 bytes and 4088 for each further page: that is
    /// what the kernel puts into pages of 4 KiB.
    #[must_use]
    pub fn frame_size(mut self, bytes: usize) -> Self {
        self.frame_size = Some(bytes);
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

    /// A message counts as processed only when [`Receiver::acknowledge`] says so, or [`Delivery::ack`](crate::Delivery::ack). Default: when the next one is asked for.
    #[must_use]
    pub fn manual_acknowledge(mut self) -> Self {
        self.auto_process = false;
        self
    }

    /// A channel without capacity: each message is handed over while its sender waits. A sender may transmit only while the
    /// application asks for a message and has not got one since, one at a time (RDV-1), and its [`send`](crate::Sender::send) and
    /// [`send_timeout`](crate::Sender::send_timeout) return when the application has the message (RDV-2); the other ways to send do not
    /// wait for that. A call that found nothing, also in time, has asked: each sender may then transmit one message, which waits for
    /// the next call, as its sender does. Default: the capacity is the [window](Self::window).
    ///
    /// # Examples
    /// ```
    /// use lamq::{Receiver, SendFailure, Sender, link::Memory};
    /// use std::{collections::BTreeMap, time::Duration};
    ///
    /// let space = Memory::new();
    /// let receiver = Receiver::builder().link(space.clone()).rendezvous().bind("/relay")?;
    /// let sender = Sender::builder().link(space).connect("/relay")?;
    /// let late = sender.send_timeout("nobody asks for it", Duration::from_millis(20)).unwrap_err();
    /// assert_eq!(late.failure, SendFailure::Timeout);
    /// let receiving = std::thread::spawn(move || receiver.recv().unwrap().to_vec());
    /// sender.send("the baton")?;
    /// assert_eq!(receiving.join().unwrap(), b"the baton");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn rendezvous(mut self) -> Self {
        self.rendezvous = true;
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
    /// 40 to 50 µs instead of 4). While looking is in vain it ceases, so that a slow or a crowded process does not pay for it.
    /// Default: 50 µs, and zero, which is never, where the machine has a single core. Where both sides are kept to one core of several, zero
    /// is better.
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
        let geometry = self.geometry(FRAME_SIZE);
        let inbox = self.link.bind(&name, Owner::new(process_id(), epoch), geometry)?;
        let settings = self.settings(epoch, geometry, self.link.is_lossy());
        let part = if self.end_with_last_sender { Part::Finite } else { Part::Receiver };
        let mailbox = Mailbox::new(name.clone(), inbox)?;
        let driver = Driver::new(Arc::clone(&self.link), mailbox, settings, part, self.spin).map_err(system)?;
        _ = driver.call(State::keep_name);
        Ok(self.receiver(Arc::new(driver)))
    }

    /// The shape of the inbox, of frames that are by default so long.
    pub(crate) fn geometry(&self, frame_size: usize) -> Geometry {
        Geometry { slots: self.slots, frame_size: self.frame_size.unwrap_or(frame_size) }
    }

    /// For the core.
    pub(crate) fn settings(&self, epoch: Epoch, geometry: Geometry, lossy: bool) -> Settings {
        Settings {
            epoch,
            pid: process_id(),
            pid_namespace: pid_namespace(),
            slots: geometry.slots as u64,
            window: self.window.max(geometry.frame_size as u64),
            max_sessions: self.max_senders.max(1),
            max_message: u32::try_from(self.max_message).unwrap_or(u32::MAX),
            large_memory: self.large_memory as u64,
            lossy,
            auto_process: self.auto_process,
            codec: self.codec.id,
            rendezvous: self.rendezvous,
            back: BACK,
        }
    }

    /// The receiver of an endpoint that was made with our settings.
    pub(crate) fn receiver(&self, driver: Arc<Driver>) -> Receiver {
        Receiver { driver, linger: self.linger, backs: Mutex::default() }
    }
}

/// The frames of a receiver that many may send to: as much as the kernel puts into two pages, behind 48 bytes of its own in the first and 8 in the
/// second. One of 8192 bytes takes a third piece of memory, for the last 56: measured, it takes a tenth longer to send and receive.
const FRAME_SIZE: usize = 4048 + 4088;

/// How streams back are sent.
const BACK: BackSettings = BackSettings { level: Level::Delivered, retain: 1 << 20 };

//! The sending end of a channel.

use crate::{
    clock::Deadline,
    connect::SenderBuilder,
    error::{ConnectError, FlushError, SendError, SendFailure},
    name::{InvalidName, QueueName},
    pump::Driver,
    sync::Arc,
};
use lamq_protocol::{Number, SessionId, StreamId, endpoint::Counters, send::Manner};
use session::Session;
use std::time::Duration;

mod rendezvous;
mod room;
mod session;

pub use rendezvous::{Receipt, SendSyncError, Ticket};
pub use room::{Permit, Sent};

/// The sending end of a channel: numbers messages, packs them into frames, keeps them until they are acknowledged, and
/// never sends more than the receiver has granted.
///
/// Threads may share it by reference. A message to a receiver that has taken all before leaves at once. Small ones behind
/// it are packed together; they leave when the frame is full, when what is before them is acknowledged, with
/// [`flush`](Self::flush), with any call that waits for an answer, and after a millisecond or two (DAT-6).
///
/// It belongs to the process that made it. In a forked child every call on its copy fails with [`SendFailure::Forked`] or the like, what
/// only looks finds nothing, and its drop does nothing (FRK-1). What the child needs it connects itself, after the fork.
///
/// Clones share the session: their messages are numbered as one stream. When the last one is dropped, it waits until all is
/// acknowledged, no longer than the [linger](SenderBuilder::linger).
#[derive(Clone, Debug)]
pub struct Sender {
    session: Arc<Session>,
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
    /// The last number that the receiving application is done with. A receiver says so in time only to a sender of that
    /// [level](SenderBuilder::level); to others with whatever else it says (ACK-3).
    pub processed: u64,
    /// Messages that were dropped for want of room ([`Sender::send_or_drop`]).
    pub dropped: u64,
    /// Messages that had to wait for credit, or were refused for want of it: how often the receiver slowed this sender.
    pub stalls: u64,
    /// How often the session went on with another receiver ([`SenderBuilder::resume`]).
    pub resumed: u64,
    /// Frames that came from the receiver or a stranger, those that were dropped by cause (CAL-5). An
    /// [`Endpoint`](crate::Endpoint) counts for all its channels: each of them reports the same.
    pub frames: Counters,
}

/// A message that is not acknowledged; see [`Sender::unacknowledged`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unacknowledged {
    /// Its number.
    pub number: u64,
    /// Its bytes.
    pub message: Vec<u8>,
    /// What can have become of it.
    pub fate: Fate,
}

/// What can have become of a message that is not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// No receiver has it: nothing of it was transmitted.
    NotDelivered,
    /// It was transmitted, at least in part. A receiver may have it or not.
    Unknown,
}

impl Sender {
    /// For a session that is open, and has no other; `None` if it is gone.
    pub(crate) fn new(driver: Arc<Driver>, session: SessionId, linger: Duration) -> Option<Self> {
        Some(Self { session: Arc::new(Session::of(driver, session, linger)?) })
    }

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

    /// Sends a message; waits for credit as long as it takes, and, if the receiver has no
    /// [capacity](crate::ReceiverBuilder::rendezvous), until its application has been handed the message (RDV-2). Returns its number.
    ///
    /// The message is copied into a frame whose buffer was used before: a sender that has been busy for a while allocates nothing.
    ///
    /// # Errors
    /// [`SendError`] with the message: it is too long, or the session is over, also when the receiver dies meanwhile;
    /// [`SendFailure::Unknown`] if that happened while it was handed over.
    pub fn send<M: AsRef<[u8]>>(&self, message: M) -> Result<u64, SendError<M>> {
        self.give(message, None)
    }

    /// Sends a message if there is room at once (CAL-4). For a receiver without capacity that is while its application asks for
    /// a message; whether it is this one that it gets nobody waits for.
    ///
    /// # Errors
    /// As [`send`](Self::send), [`SendFailure::Full`], and [`SendFailure::Absent`] while a sender that
    /// [resumes](SenderBuilder::resume) has no receiver.
    pub fn try_send<M: AsRef<[u8]>>(&self, message: M) -> Result<u64, SendError<M>> {
        match self.session.send(message.as_ref(), Manner::default(), Some(Duration::ZERO)) {
            Ok(number) => Ok(number.get()),
            Err(SendFailure::Timeout) => Err(SendError { message, failure: SendFailure::Full }),
            Err(failure) => Err(SendError { message, failure }),
        }
    }

    /// As [`send`](Self::send), no longer than `timeout` (CAL-1).
    ///
    /// # Errors
    /// As [`send`](Self::send), [`SendFailure::Timeout`], and [`SendFailure::Absent`] if a sender that
    /// [resumes](SenderBuilder::resume) has no receiver by then. [`SendFailure::Unknown`] if a receiver without capacity has not taken it
    /// by then.
    pub fn send_timeout<M: AsRef<[u8]>>(&self, message: M, timeout: Duration) -> Result<u64, SendError<M>> {
        self.give(message, Some(timeout))
    }

    fn give<M: AsRef<[u8]>>(&self, message: M, timeout: Option<Duration>) -> Result<u64, SendError<M>> {
        let body = message.as_ref();
        if let Some(number) = self.session.stage(body) {
            return Ok(number.get());
        }
        let result = if self.session.is_rendezvous() {
            self.hand_over(body, timeout) // RDV-2
        } else {
            self.session.send_by_itself(body, Manner::default(), timeout)
        };
        result.map(Number::get).map_err(|failure| SendError { message, failure })
    }

    /// Waits until everything sent before is acknowledged at the session's level (CAL-3).
    ///
    /// # Errors
    /// [`FlushError`] when the session ends first.
    pub fn flush(&self) -> Result<(), FlushError> {
        self.session.flush(Deadline::Never)
    }

    /// As [`flush`](Self::flush), no longer than `timeout`.
    ///
    /// # Errors
    /// [`FlushError`], also for the time-out.
    pub fn flush_timeout(&self, timeout: Duration) -> Result<(), FlushError> {
        self.session.flush(Deadline::after(timeout))
    }

    /// Ends the session, also for other clones: waits until all is acknowledged, no longer than `timeout`.
    ///
    /// # Errors
    /// [`FlushError`] says what was not acknowledged.
    pub fn close(self, timeout: Duration) -> Result<(), FlushError> {
        self.session.close(timeout)
    }

    /// Whether there is no other clone.
    pub(crate) fn is_last(&self) -> bool {
        Arc::strong_count(&self.session) == 1
    }

    /// The longest message in bytes that the receiver takes (LIM-1).
    pub fn max_message_size(&self) -> usize {
        self.session.max_message_size()
    }

    /// The stream that it sends: with a message's number, what that is known by at both ends and for ever
    /// ([`Message::id`](crate::Message::id)).
    pub fn stream(&self) -> StreamId {
        self.session.stream
    }

    /// How many messages were sent that are not known to be delivered. Never waits. When the session is over it says of how many it
    /// is unknown.
    pub fn len(&self) -> usize {
        let stats = self.stats();
        usize::try_from(stats.sent - stats.delivered).unwrap_or(usize::MAX)
    }

    /// Whether the receiving application was handed every message that was sent, as far as is known. Never waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages the channel holds, where there is such a number: none if the receiver has no
    /// [capacity](crate::ReceiverBuilder::rendezvous). Otherwise what may be on its way depends on the bytes and the frames that the
    /// receiver has granted, which shrink and grow with the number of its senders, and on what this one may
    /// [retain](SenderBuilder::retain); [`has_room`](Self::has_room) says whether there is room now.
    pub fn capacity(&self) -> Option<usize> {
        self.session.is_rendezvous().then_some(0)
    }

    /// Whether [`try_send`](Self::try_send) of a message of `length` bytes would find room at present. Never waits.
    pub fn has_room(&self, length: usize) -> bool {
        self.session.has_room(length)
    }

    /// The messages that are not acknowledged at the session's [level](SenderBuilder::level), in order (RSM-5). Once the session is over
    /// that is what has to be sent elsewhere, or reported; each says whether it can have been delivered. Never waits.
    ///
    /// # Examples
    /// ```
    /// use lamq::{Fate, Receiver, Sender, link::Memory};
    ///
    /// let space = Memory::new();
    /// let receiver = Receiver::builder().link(space.clone()).bind("/orders")?;
    /// let sender = Sender::builder().link(space).connect("/orders")?;
    /// sender.send("three apples")?;
    /// drop(receiver); // without having read it
    /// assert!(sender.flush().is_err());
    /// let left = sender.unacknowledged();
    /// assert_eq!((left[0].number, &left[0].message[..], left[0].fate), (1, &b"three apples"[..], Fate::Unknown));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unacknowledged(&self) -> Vec<Unacknowledged> {
        self.session.unacknowledged()
    }

    /// What was sent and acknowledged so far.
    pub fn stats(&self) -> SenderStats {
        self.session.stats()
    }
}

//! Errors: one type per operation; those of a send hand the message back (CAL-2).

use crate::{
    codec::{CodecError, CodecId},
    fork::Forked,
    limits::LimitHit,
    link::Geometry,
    name::{InvalidName, QueueName},
    sender::Ticket,
};
use lamq_protocol::{Number, session::Ended, wire::Refusal};
use std::{fmt, io, time::Duration};

/// Why a queue of the wanted name is not one that lamq uses (POS-4, POS-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Distrust {
    /// It was created by somebody else.
    #[error("it belongs to user {uid}, we are user {ours}")]
    OtherUser {
        /// Its creator.
        uid: u32,
        /// Our effective user id.
        ours: u32,
    },
    /// It exists, and we have no permission to open it.
    #[error("we have no permission to open it, so it belongs to another user or was made with another mode")]
    NoPermission,
    /// It has not the mode 1600, whose sticky bit marks a queue of lamq.
    #[error("its mode is {mode:04o} and not 1600, so lamq did not make it")]
    Mode {
        /// Its mode.
        mode: u32,
    },
    /// Its messages are too short to be frames.
    #[error("its messages have at most {size} bytes, lamq needs {min}", min = lamq_protocol::wire::MIN_FRAME_SIZE)]
    FrameSize {
        /// Its message size.
        size: usize,
    },
}

/// Why [`Receiver::bind`](crate::Receiver::bind) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Not a name.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Somebody else receives on it (POS-5).
    #[error("{name} is in use by process {pid}; stop it, or choose another name")]
    InUse {
        /// The name.
        name: QueueName,
        /// The process that owns it.
        pid: u32,
    },
    /// The owner is dead, but a process that it forked still holds the owner lock.
    #[error(
        "{name} is held by a child of process {pid}, which is dead; end the child, or `lamq rm --force {name}`, or choose another name"
    )]
    HeldByChild {
        /// The name.
        name: QueueName,
        /// The dead owner.
        pid: u32,
    },
    /// There is such a queue, but it is not one of ours. It was left as it is.
    #[error("{name} exists, but cannot be used: {why}; choose another name")]
    Untrusted {
        /// The name.
        name: QueueName,
        /// What is wrong with it.
        why: Distrust,
    },
    /// A frame size that cannot carry a greeting, or no slot.
    #[error("an inbox of {asked} cannot work: it needs at least 1 slot of {min} bytes", min = lamq_protocol::wire::MIN_FRAME_SIZE)]
    Geometry {
        /// What was asked for.
        asked: Geometry,
    },
    /// A limit of the system was hit (POS-11).
    #[error(transparent)]
    Limit(#[from] LimitHit),
    /// Anything else that the system said.
    #[error("cannot create or open the queue {name}: {source}")]
    System {
        /// The name.
        name: QueueName,
        /// What the system said.
        source: io::Error,
    },
}

impl BindError {
    /// A call of the system failed that an endpoint needs besides its queue (POS-11).
    pub(crate) fn system(name: &QueueName, source: io::Error) -> Self {
        LimitHit::of_descriptors(&source).map_or_else(|| Self::System { name: name.clone(), source }, Self::Limit)
    }
}

/// Why a [`Link`](crate::link::Link) could not open an inbox for sending.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no such queue, or nobody owns it.
    #[error("nobody receives there")]
    Absent,
    /// There is such a queue, but it is not one of ours.
    #[error("{0}; choose another name, or send as the user who receives there")]
    Untrusted(Distrust),
    /// Somebody holds the owner lock whom we cannot see.
    #[error(
        "its owner, process {pid}, is not visible from here: it is in another pid namespace, or dead with a child that lives"
    )]
    Invisible {
        /// The process id in the lock.
        pid: u32,
    },
    /// A limit of the system was hit (POS-11).
    #[error(transparent)]
    Limit(#[from] LimitHit),
    /// Anything else that the system said.
    #[error("{0}")]
    System(io::Error),
}

/// Why [`Sender::connect`](crate::Sender::connect) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Not a name.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Nobody received on the name within the time given.
    #[error("nobody receives on {name} (waited {waited:?})")]
    NoReceiver {
        /// The name.
        name: QueueName,
        /// How long.
        waited: Duration,
    },
    /// The receiver lives but did not answer within the time given: stopped, held up by a debugger, out of
    /// descriptors, or in a pid namespace in which this process cannot be seen.
    #[error(
        "process {pid}, which owns {name}, is alive but did not answer within {waited:?}; it may be stopped, out of \
         descriptors, or in another pid namespace"
    )]
    Stalled {
        /// The name.
        name: QueueName,
        /// The receiver's process.
        pid: u32,
        /// How long.
        waited: Duration,
    },
    /// The receiver denied the session, and says why (REF-1).
    #[error("{name} refused: {refusal}")]
    Refused {
        /// The name.
        name: QueueName,
        /// Why.
        refusal: Refusal,
    },
    /// The receiver decodes another codec (GRT-2): one side is typed and the other is not, or their codecs differ.
    #[error("{name} refused: the receiver expects codec {expected}, this sender uses {ours}")]
    Codec {
        /// The name.
        name: QueueName,
        /// The receiver's.
        expected: CodecId,
        /// The sender's.
        ours: CodecId,
    },
    /// The queue of that name cannot be used.
    #[error("cannot send to {name}: {source}")]
    Open {
        /// The name.
        name: QueueName,
        /// Why.
        source: OpenError,
    },
    /// The endpoint to share was made by the process that forked this one (FRK-1).
    #[error(
        "the endpoint that was to be shared belongs to the process that forked this one; a child has to make its own"
    )]
    Forked,
    /// The endpoint to share was a receiver's, which is closed: nobody could answer there.
    #[error("the receiver whose inbox was to be shared is closed")]
    EndpointClosed,
    /// A channel in both directions takes an inbox of its own, and ends with its receiver.
    #[error("a channel in both directions cannot have the setting `{setting}`")]
    BothWays {
        /// Which.
        setting: &'static str,
    },
    /// No inbox could be made for the answers.
    #[error("cannot make an inbox for acknowledgements: {0}")]
    Inbox(BindError),
}

impl From<Forked> for ConnectError {
    fn from(_: Forked) -> Self {
        Self::Forked
    }
}

/// The session is over, and why; what of it was acknowledged is in [`Sender::stats`](crate::Sender::stats).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Disconnected {
    /// Why.
    pub why: Ended,
}

/// What kept a message from being sent; see [`SendError`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendFailure {
    /// There is no room at present ([`try_send`](crate::Sender::try_send)).
    #[error("no room: the receiver has granted no credit for it yet")]
    Full,
    /// There was no room before the deadline, and the receiver lives ([`send_timeout`](crate::Sender::send_timeout)).
    #[error("timed out: the receiver is alive but gave no credit in time")]
    Timeout,
    /// The message is longer than the receiver takes (LIM-1), or than what was reserved for it.
    #[error(
        "a message of {length} bytes is too long: the limit is {limit} (the receiver's setting `max_message_size`, or what was reserved)"
    )]
    TooLong {
        /// Its length.
        length: usize,
        /// The longest that fits.
        limit: usize,
    },
    /// The codec cannot encode it; only for [typed](crate::typed) messages.
    #[error("codec {codec} cannot encode it: {cause}")]
    Encode {
        /// The codec.
        codec: CodecId,
        /// What it says.
        cause: CodecError,
    },
    /// The receiver is gone, and no other came before the deadline ([`resume`](crate::SenderBuilder::resume)); one may come still.
    #[error("{why}, and no other has come in time")]
    Absent {
        /// What became of the last one.
        why: Ended,
    },
    /// It was sent to a receiver without [capacity](crate::ReceiverBuilder::rendezvous), and nobody knows whether its application was
    /// handed it. What is handed back with this is a copy.
    #[error("message {} was sent, but whether it was delivered is unknown: {why}", .ticket.number())]
    Unknown {
        /// To ask again.
        ticket: Ticket,
        /// Why it is not known.
        why: FlushFailure,
    },
    /// This is a forked child of the process that has the sender (FRK-1).
    #[error("the sender belongs to the process that forked this one; a child has to connect its own")]
    Forked,
    /// The session is over.
    #[error(transparent)]
    Disconnected(#[from] Disconnected),
}

impl From<Forked> for SendFailure {
    fn from(_: Forked) -> Self {
        Self::Forked
    }
}

/// A message that was not sent, handed back (CAL-2). It has no number and nothing of it was transmitted (NUM-2), unless the failure is
/// [`Unknown`](SendFailure::Unknown).
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub struct SendError<M> {
    /// The message.
    pub message: M,
    /// Why it was not sent.
    #[source]
    pub failure: SendFailure,
}

impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").field("failure", &self.failure).finish_non_exhaustive()
    }
}

/// Not everything was acknowledged (CAL-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} of {accepted} messages not acknowledged: {why}", accepted.get() - acknowledged.get())]
pub struct FlushError {
    /// The last number sent.
    pub accepted: Number,
    /// The last number acknowledged at the session's level. What lies between the two is *unknown*: the receiver may
    /// have it or not.
    pub acknowledged: Number,
    /// What happened.
    pub why: FlushFailure,
}

/// What kept an acknowledgement from coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlushFailure {
    /// The deadline passed, and the receiver lives.
    #[error("timed out: the receiver is alive but did not acknowledge in time")]
    Timeout,
    /// The receiver is gone, and no other came before the deadline ([`resume`](crate::SenderBuilder::resume)); one may come still.
    #[error("{why}, and no other has come in time")]
    Absent {
        /// What became of the last one.
        why: Ended,
    },
    /// This is a forked child of the process that has the sender (FRK-1).
    #[error("the sender belongs to the process that forked this one; a child has to connect its own")]
    Forked,
    /// The session is over.
    #[error(transparent)]
    Disconnected(#[from] Disconnected),
}

impl From<Forked> for FlushFailure {
    fn from(_: Forked) -> Self {
        Self::Forked
    }
}

/// Nothing more will come: the receiver was told to end with its last sender, and that one is gone; or it was closed; or this is a
/// forked child of the process that has it (FRK-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the last sender is gone, or the receiver was closed, or belongs to the process that forked this one")]
pub struct RecvError;

/// Why [`Receiver::try_recv`](crate::Receiver::try_recv) has no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TryRecvError {
    /// None at present.
    #[error("no message")]
    Empty,
    /// See [`RecvError`].
    #[error("the last sender is gone, or the receiver was closed, or belongs to the process that forked this one")]
    Disconnected,
}

/// Why [`Receiver::recv_timeout`](crate::Receiver::recv_timeout) has no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecvTimeoutError {
    /// None came in time.
    #[error("no message in time")]
    Timeout,
    /// See [`RecvError`].
    #[error("the last sender is gone, or the receiver was closed, or belongs to the process that forked this one")]
    Disconnected,
}

impl From<Forked> for RecvTimeoutError {
    fn from(_: Forked) -> Self {
        Self::Disconnected
    }
}

impl From<RecvTimeoutError> for TryRecvError {
    fn from(error: RecvTimeoutError) -> Self {
        match error {
            RecvTimeoutError::Timeout => Self::Empty,
            RecvTimeoutError::Disconnected => Self::Disconnected,
        }
    }
}

/// Why [`Delivery::ack`](crate::Delivery::ack) changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "nobody hears it: the sender is gone, or the receiver was closed, or belongs to the process that forked this one"
)]
pub struct NotHeard;

/// Why [`Select::try_ready`](crate::Select::try_ready) names no receiver: none has anything at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no receiver has anything")]
pub struct TryReadyError;

/// Why [`Select::ready_timeout`](crate::Select::ready_timeout) names no receiver: none had anything in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no receiver had anything in time")]
pub struct ReadyTimeoutError;

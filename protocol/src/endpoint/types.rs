//! What goes into an endpoint and what comes out of it.

use crate::{
    lamport::Stamp,
    number::{Epoch, Level, Number, SessionId},
    send::{NoRoom, SendSettings},
    session::{Departure, Ended, Peer},
    wire::{Greeting, Refusal},
};
use core::ops::Range;

/// The codec of raw bytes (SPEC.md, section 19).
pub const CODEC_RAW: u8 = 0;

/// What an [`Endpoint`](super::Endpoint) is made for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Our incarnation.
    pub epoch: Epoch,
    /// Our process id.
    pub pid: u32,
    /// In which pid namespace that is one: its inode number, 0 if it is not known (GRT-9).
    pub pid_namespace: u64,
    /// Slots of our inbox.
    pub slots: u64,
    /// Most bytes held for one sender (CRD-4).
    pub window: u64,
    /// Most senders at a time (GRT-5).
    pub max_sessions: u32,
    /// The longest message in bytes that is taken (LRG-1).
    pub max_message: u32,
    /// Most bytes held, beyond the windows, for messages that are longer than a window; at least one message (LRG-2).
    pub large_memory: u64,
    /// Whether the link may lose frames.
    pub lossy: bool,
    /// Whether asking for the next message says that the application is done with the one before.
    pub auto_process: bool,
    /// How the bodies that we receive are encoded (GRT-2).
    pub codec: u8,
    /// Whether senders may transmit only while the application asks for a message (RDV-1).
    pub rendezvous: bool,
    /// How to send to those who greet us and want a stream back (DPX-1).
    pub back: BackSettings,
}

/// How streams back are sent; see [`SendSettings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BackSettings {
    /// At which level a frame is released.
    pub level: Level,
    /// The most bytes of unacknowledged frames to keep in a stream.
    pub retain: usize,
}

/// What the link knows of who greets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeter {
    /// Its user.
    pub uid: u32,
    /// Message size of its inbox.
    pub frame_size: usize,
}

/// What an endpoint tells its application, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<B> {
    /// A message. Its body is `frame[body]`.
    Message {
        /// The session it came in.
        session: SessionId,
        /// Who sent it.
        peer: Peer,
        /// Its number in the stream.
        number: Number,
        /// Its Lamport stamp.
        stamp: Stamp,
        /// Whether an earlier incarnation of us may have been handed it too (RSM-2).
        may_repeat: bool,
        /// The frame it came in.
        frame: B,
        /// Where in the frame it lies.
        body: Range<usize>,
    },
    /// The sender dropped these messages for want of room (DRP-1).
    Gap {
        /// Who.
        peer: Peer,
        /// Their first number.
        first: Number,
        /// Their last number.
        last: Number,
    },
    /// A sender was welcomed.
    Joined {
        /// Who.
        peer: Peer,
    },
    /// A sender is gone, and all that was received from it has been handed out (CLO-2).
    Departed {
        /// Who.
        peer: Peer,
        /// How.
        departure: Departure,
        /// The last number received from it (DTH-4).
        last: Number,
    },
}

/// A greeting that the shell is to check against the world (GRT-4) and then to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// What the greeter says of itself.
    pub greeting: Greeting,
    /// If not `None`, the answer is this refusal.
    pub refusal: Option<Refusal>,
}

/// Where [`Endpoint::connect`](super::Endpoint::connect) is to go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Connect {
    /// Index of the stream in our epoch.
    pub stream: u32,
    /// How the bodies that we send are encoded.
    pub codec: u8,
    /// How to send.
    pub settings: SendSettings,
    /// To open no session, and only ask (GRT-6). The answer is a refusal.
    pub asks_only: bool,
    /// Name of our inbox.
    pub inbox: Vec<u8>,
    /// To ask for a stream back, which we shall receive (DPX-1).
    pub wants_back: bool,
    /// The user of the receiver, as the link knows it.
    pub uid: u32,
    /// The low 40 bits of its epoch, as the link knows them.
    pub to: u64,
}

/// Why [`Endpoint::send`](super::Endpoint::send) did not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendRefused {
    /// No room at present, or never for a message of this length.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The session is over.
    #[error(transparent)]
    Ended(Ended),
}

//! Ordered, acknowledged, flow-controlled messages between processes, on POSIX message queues.
//!
//! A [`Receiver`] owns a named queue; any number of [`Sender`]s in other processes connect to it. Messages of one sender arrive
//! in order, once each; a sender never has more on its way than the receiver has granted; both sides learn at once when
//! the other dies. Messages are bytes, or [values of a type](typed). What is promised, rule by rule, stands in `SPEC.md`.
//!
//! ```
//! use lamq::{Receiver, Sender, link::Memory};
//!
//! // In this example both ends live in one process. Without `link`, they meet at a queue of the kernel.
//! let space = Memory::new();
//! let receiver = Receiver::builder().link(space.clone()).bind("/orders")?;
//! let sending = std::thread::spawn(move || {
//!     let sender = Sender::builder().link(space).connect("/orders").unwrap();
//!     sender.send("three apples").unwrap();
//!     sender.flush().unwrap();
//! });
//! assert_eq!(&*receiver.recv()?, b"three apples");
//! assert!(receiver.try_recv().is_err());
//! sending.join().unwrap();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Settings
//!
//! Every setting of the builders, and what it is if nobody sets it:
//!
//! | setting | default | |
//! |---|---|---|
//! | [`SenderBuilder::link`], [`ReceiverBuilder::link`] | [`link::Posix`] | where the queue lives |
//! | [`SenderBuilder::wait`] | 10 s | how long to wait for a receiver |
//! | [`SenderBuilder::level`] | [`Level::Delivered`] | what a flush waits for |
//! | [`SenderBuilder::retain`] | 4 MiB | most unacknowledged bytes kept |
//! | [`SenderBuilder::linger`], [`ReceiverBuilder::linger`] | 5 s | how long a drop waits for last words |
//! | [`SenderBuilder::spin`], [`ReceiverBuilder::spin`] | 50 µs, 0 where there is one core | how long to look before a sleep |
//! | [`SenderBuilder::resume`] | never | how long to wait for the next receiver when this one is gone |
//! | [`SenderBuilder::endpoint`] | its own | whose inbox takes the acknowledgements |
//! | [`SenderBuilder::typed`], [`ReceiverBuilder::typed`] | bytes | values of a type instead |
//! | [`ReceiverBuilder::slots`] | 10 | frames that the inbox holds |
//! | [`ReceiverBuilder::frame_size`] | 8136 bytes, 2048 for answers | of each frame |
//! | [`ReceiverBuilder::window`] | 256 KiB | most bytes held for one sender |
//! | [`ReceiverBuilder::max_senders`] | 1024 | senders at a time |
//! | [`ReceiverBuilder::max_message_size`] | 16 MiB | the longest message taken |
//! | [`ReceiverBuilder::large_memory`] | 64 MiB | most bytes held for messages beyond the windows |
//! | [`ReceiverBuilder::manual_acknowledge`] | when the next is asked for | when a message counts as processed |
//! | [`ReceiverBuilder::rendezvous`] | off | no capacity: a message is handed over while its sender waits |
//! | [`ReceiverBuilder::end_with_last_sender`] | never | when receiving ends |
//!
//! The inbox of a sender, for answers, has 10 slots of 512 bytes.
#![deny(unsafe_code)] // but for one file

#[cfg(not(target_os = "linux"))]
compile_error!("lamq is built on the message queues, pidfds and file locks of Linux; it does not run elsewhere");

mod clock;
pub mod codec;
mod connect;
mod endpoint;
mod error;
mod fork;
pub mod inspect;
mod limits;
pub mod link;
mod message;
mod name;
mod pool;
mod pump;
mod random;
mod raw;
mod receiver;
mod reports;
mod select;
mod sender;
mod sync;
pub mod typed;

pub use connect::{Pong, SenderBuilder, ping};
pub use endpoint::Endpoint;
pub use error::{
    BindError, ConnectError, Disconnected, Distrust, FlushError, FlushFailure, NotHeard, OpenError, ReadyTimeoutError,
    RecvError, RecvTimeoutError, SendError, SendFailure, TryReadyError, TryRecvError,
};
pub use lamq_protocol::{
    Epoch, Level, StreamId,
    endpoint::Counters,
    session::{Departure, Ended, Peer},
};
pub use limits::LimitHit;
pub use message::{Event, Message, MessageId};
pub use name::{InvalidName, QueueName};
pub use receiver::{Delivery, Receiver, ReceiverBuilder};
pub use select::Select;
pub use sender::{Fate, Permit, Receipt, SendSyncError, Sender, SenderStats, Sent, Ticket, Unacknowledged};

#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/logging.md")]
    struct Logging;
    #[doc = include_str!("../docs/worker-pool.md")]
    struct Workers;
}

//! Ordered, acknowledged, flow-controlled messages between processes, on POSIX message queues.
//!
//! A [`Receiver`] owns a named queue; any number of [`Sender`]s in other processes connect to it. Messages of one sender arrive
//! in order, once each; a sender never has more on its way than the receiver has granted; both sides learn at once when
//! the other dies. What is promised, rule by rule, stands in `SPEC.md`.
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
#![forbid(unsafe_code)]

#[cfg(not(target_os = "linux"))]
compile_error!("lamq is built on the message queues, pidfds and file locks of Linux; it does not run elsewhere");

mod clock;
mod connect;
mod error;
pub mod inspect;
mod limits;
pub mod link;
mod message;
mod name;
mod pool;
mod pump;
mod random;
mod receiver;
mod select;
mod sender;
mod sync;

pub use connect::SenderBuilder;
pub use error::{
    BindError, ConnectError, Disconnected, Distrust, FlushError, FlushFailure, OpenError, ReadyTimeoutError, RecvError,
    RecvTimeoutError, SendError, SendFailure, TryReadyError, TryRecvError,
};
pub use lamq_protocol::{
    Level,
    endpoint::Counters,
    session::{Departure, Ended, Peer},
};
pub use limits::LimitHit;
pub use message::{Event, Message};
pub use name::{InvalidName, QueueName};
pub use receiver::{Receiver, ReceiverBuilder};
pub use select::Select;
pub use sender::{Receipt, SendSyncError, Sender, SenderStats, Ticket};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

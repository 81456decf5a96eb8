//! The lamq protocol as a sans-I/O state machine.
//!
//! Everything that decides order, loss, credit or death is here, and nothing that touches the world: no clock, no
//! thread, no lock, no system call, no `unsafe`. The shell (the crate `lamq`, or a simulator, or a model checker)
//! moves frames and tells of deaths; the core decides. `SPEC.md` is the law; comments cite its rules.
//!
//! The map, from the bottom up; a module uses only those above it in this list:
//!
//! - [`number`], [`lamport`]: newtypes for numbers, ids and logical time.
//! - [`aside`]: state that does not take part in equality and hashing.
//! - [`wire`]: frames to bytes and back; a decoded frame cannot be invalid.
//! - [`send`], [`recv`]: the window of a sender and of a receiver.
//! - [`session`]: one peer, seen from the sending side ([`session::Outbound`]) or the receiving ([`session::Inbound`]).
//! - [`endpoint`]: finds the session of a frame, accepts and refuses, owns the Lamport clock. Its type documents the
//!   calling contract.
#![forbid(unsafe_code)]

pub mod aside;
pub mod endpoint;
pub mod lamport;
pub mod number;
pub mod recv;
pub mod send;
pub mod session;
pub mod wire;

pub use endpoint::{Endpoint, Event};
pub use lamport::Stamp;
pub use number::{Epoch, FrameNumber, Level, Number, SessionId, StreamId};

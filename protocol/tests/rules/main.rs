//! The protocol, proven on its core: no queue, no process, no clock. Each module is a theme of `SPEC.md`.
//!
//! [`net`] joins endpoints by queues in memory, [`bench`] holds the window of a sender alone, [`forge`] makes frames that
//! no honest endpoint would send. [`story`] is the test of all at once.
#![forbid(unsafe_code)]

mod accepting;
mod acknowledging;
mod ahead;
mod asking;
mod back;
mod bench;
mod carrying;
mod closing;
mod credit;
mod data;
mod dropping;
mod examples;
mod fairness;
mod forge;
mod frames;
mod giving_back;
mod going_on;
mod greeting;
mod holding;
mod hostile;
mod large;
mod leasing;
mod lending;
mod logical_time;
mod losing;
mod net;
mod packing;
mod processing;
mod receiving;
mod rendezvous;
mod replay;
mod reserving;
mod resuming;
mod retransmitting;
mod shapes;
mod story;
mod talking;
mod through;
mod transmitting;
mod violations;
mod wanting;

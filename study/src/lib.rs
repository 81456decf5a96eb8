//! Tools to study the ordering guarantees of lamq.
//!
//! - [`oracle`]: judges the history of a receiver. The tests, the model and `lamq demo` all ask the same judge.
//! - [`simulator`]: many of the shipping endpoints in virtual time, with faults drawn from a seed; `lamq simulate` runs it.
//! - `tests/model`: every interleaving of a small world of the shipping [`lamq_protocol::Endpoint`], with deaths of either
//!   side at any moment, faults of the link, and broken shells that must be found out.
//!
//! To run the model alone: `cargo test --release -p lamq-study --test model`.
#![forbid(unsafe_code)]

pub mod oracle;
pub mod simulator;

pub use oracle::{Claims, Oracle, Verdict};

//! One peer: the sending side of a session ([`Outbound`]) and the receiving side ([`Inbound`]).
//!
//! Both are `Clone + Eq + Hash` and hold neither timers nor statistics, so that a model checker can search their states
//! exhaustively (SPEC.md, section 13).

use crate::wire::Priority;

mod inbound;
mod outbound;

pub use inbound::{Departure, Inbound, Peer};
pub use outbound::{Ended, Outbound};

/// Takes a frame for the peer; `false` when there is no room for it now.
pub type LinkFn<'a> = dyn FnMut(Priority, &[u8]) -> bool + 'a;

//! Random identities, from the kernel.

use lamq_protocol::{Epoch, SessionId};
use std::io;

fn word() -> io::Result<u64> {
    getrandom::u64().map_err(io::Error::other)
}

/// A new incarnation.
pub(crate) fn epoch() -> io::Result<Epoch> {
    loop {
        if let Some(epoch) = Epoch::new(word()?) {
            return Ok(epoch);
        }
    }
}

/// A new session id (SES-1).
pub(crate) fn session() -> io::Result<SessionId> {
    loop {
        if let Some(session) = SessionId::new(word()?) {
            return Ok(session);
        }
    }
}

//! Asks a receiver whether it is there, without opening a session.

use super::{Greeter, Purpose, Reply, SenderBuilder};
use crate::{
    clock::Deadline,
    error::{BindError, ConnectError},
    name::{InvalidName, QueueName},
    sync::Arc,
};
use lamq_protocol::wire::{Refusal, RefusalReason};
use std::time::Duration;

/// The answer to a [`ping`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pong {
    /// The process that received on the name when it was asked.
    pub pid: u32,
    /// How many senders it has, those included that have left and of whom its application has not been told yet.
    pub senders: u32,
    /// The time from the question to the answer. The application need not call in to answer; if it does not, it takes up to
    /// some 10 ms more (CAL-6).
    pub round_trip: Duration,
    /// The versions of the protocol that it speaks, lowest and highest.
    pub versions: (u8, u8),
}

/// Asks whether somebody receives on `name`, and waits no longer than `timeout` for a receiver to appear and to answer.
///
/// It opens no session, so that the receiver's application sees nothing of it, and a receiver that is full answers too
/// (GRT-6, GRT-7). Nothing of it is left afterwards, neither here nor there.
///
/// # Errors
/// [`ConnectError`]: [`NoReceiver`](ConnectError::NoReceiver) if nobody came, [`Stalled`](ConnectError::Stalled) if the
/// receiver's process lives and did not answer, or the queue is not ours, or a limit was hit. If the receiver dies meanwhile, its
/// successor on the name is asked, in what is left of the time.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// let name = format!("/lamq-doc-{}", std::process::id());
/// let receiver = lamq::Receiver::bind(name.as_str())?;
/// let pong = lamq::ping(name.as_str(), Duration::from_secs(10))?;
/// assert_eq!((pong.pid, pong.senders), (std::process::id(), 0));
/// drop(receiver);
/// assert!(lamq::ping(name, Duration::ZERO).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn ping<N>(name: N, timeout: Duration) -> Result<Pong, ConnectError>
where
    N: TryInto<QueueName>,
    InvalidName: From<N::Error>,
{
    SenderBuilder::default().wait(timeout).ping(name)
}

impl SenderBuilder {
    /// As the function [`ping`], over this [`link`](Self::link) and for this [`wait`](Self::wait); the other settings do not matter.
    ///
    /// # Errors
    /// As [`ping`].
    pub fn ping<N>(&self, name: N) -> Result<Pong, ConnectError>
    where
        N: TryInto<QueueName>,
        InvalidName: From<N::Error>,
    {
        let name = name.try_into().map_err(InvalidName::from)?;
        let deadline = Deadline::after(self.wait);
        let outbox = self.await_receiver(&name, deadline)?;
        let driver = Arc::new(self.bind(&name, None).map_err(ConnectError::Inbox)?);
        let greeter = Greeter::new(driver, Purpose::Ask)
            .map_err(|source| ConnectError::Inbox(BindError::system(&name, source)))?;
        let reply = self.await_reply(&greeter, &name, outbox, deadline);
        greeter.give_up();
        let Reply { refusal, pid, round_trip, .. } = reply?;
        match refusal {
            Some(Refusal { reason: RefusalReason::AskedOnly { sessions: senders }, versions }) => {
                Ok(Pong { pid, senders, round_trip, versions })
            }
            Some(refusal) => Err(ConnectError::Refused { name, refusal }),
            None => unreachable!("who asks only is not welcomed (WEL-3)"),
        }
    }
}

//! Messages that the application acknowledges one by one.

use super::{Ask, Receiver};
use crate::{
    error::{NotHeard, RecvError, RecvTimeoutError, TryRecvError},
    message::Message,
    pump::Driver,
    sync::{Arc, Weak},
};
use lamq_protocol::{Number, SessionId};
use std::{fmt, ops::Deref, time::Duration};

/// A message that counts as processed only when the application says so by [`ack`](Self::ack); see [`Receiver::recv_delivery`].
///
/// It dereferences to the message. It may go to another thread, and be acknowledged in any order: what its sender is told is the
/// last number up to which all are processed (ACK-9). Dropped without `ack` it stays unprocessed, and with it, for its sender, all
/// that come after it, until [`Receiver::acknowledge`] or the end of the receiver. The session of a sender of level
/// [`Processed`](crate::Level::Processed) stays until then, or until its process ends.
#[must_use = "its sender does not learn that it was processed before `ack`"]
pub struct Delivery<M = Message> {
    message: M,
    session: SessionId,
    number: Number,
    /// Not to be kept alive by what a worker may hold on to for long.
    driver: Weak<Driver>,
}

impl Delivery {
    fn new(message: Message, driver: &Arc<Driver>) -> Self {
        let (session, number) = (message.session, message.number);
        Self { message, session, number, driver: Arc::downgrade(driver) }
    }
}

impl<M> Delivery<M> {
    /// Says that the application is done with this message. Never waits. The sender learns of it at once if it waits for that, else
    /// with the next acknowledgement, within some 10 ms (CAL-6).
    ///
    /// # Errors
    /// [`NotHeard`]: the sender is known to be gone, or the receiver was closed or dropped. What became of the message in the eyes of the sender
    /// was settled then: it knows of it as delivered at most.
    pub fn ack(self) -> Result<(), NotHeard> {
        let heard = self.driver.upgrade().is_some_and(|driver| {
            let heard = driver.call(|state| {
                let heard = state.core.process(self.session, self.number);
                state.transmit(false);
                heard
            });
            heard == Ok(true)
        });
        if heard { Ok(()) } else { Err(NotHeard) }
    }

    /// The message alone; it stays unprocessed.
    pub fn into_message(self) -> M {
        self.message
    }

    pub(crate) fn map<N>(self, wrap: impl FnOnce(M) -> N) -> Delivery<N> {
        let Self { message, session, number, driver } = self;
        Delivery { message: wrap(message), session, number, driver }
    }
}

impl<M> Deref for Delivery<M> {
    type Target = M;
    fn deref(&self) -> &M {
        &self.message
    }
}

impl<M: fmt::Debug> fmt::Debug for Delivery<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Delivery").field(&self.message).finish()
    }
}

impl Receiver {
    /// As [`recv`](Self::recv); but asking for the next message says nothing of this one: it counts as processed only by
    /// [`Delivery::ack`]. For work that takes time, or is done elsewhere: a sender of level
    /// [`Processed`](crate::Level::Processed) waits for it.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    /// ```
    /// use lamq::{Level, Receiver, Sender, link::Memory};
    /// use std::time::Duration;
    ///
    /// let space = Memory::new();
    /// let receiver = Receiver::builder().link(space.clone()).bind("/jobs")?;
    /// let sender = Sender::builder().link(space).level(Level::Processed).connect("/jobs")?;
    /// sender.send("dig a hole")?;
    /// sender.send("fill it")?;
    /// let (dig, fill) = (receiver.recv_delivery()?, receiver.recv_delivery()?);
    /// assert_eq!((&**dig, dig.id().number), (&b"dig a hole"[..], 1));
    /// fill.ack()?;
    /// assert!(sender.flush_timeout(Duration::from_millis(20)).is_err(), "there is no hole yet");
    /// dig.ack()?;
    /// sender.flush()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_delivery(&self) -> Result<Delivery, RecvError> {
        self.delivery_within(None).map_err(|_| RecvError)
    }

    /// As [`recv_delivery`](Self::recv_delivery), if there is one (CAL-4).
    ///
    /// # Errors
    /// [`TryRecvError`].
    pub fn try_recv_delivery(&self) -> Result<Delivery, TryRecvError> {
        Ok(self.delivery_within(Some(Duration::ZERO))?)
    }

    /// As [`recv_delivery`](Self::recv_delivery), no longer than `timeout` (CAL-1).
    ///
    /// # Errors
    /// [`RecvTimeoutError`].
    pub fn recv_delivery_timeout(&self, timeout: Duration) -> Result<Delivery, RecvTimeoutError> {
        self.delivery_within(Some(timeout))
    }

    fn delivery_within(&self, timeout: Option<Duration>) -> Result<Delivery, RecvTimeoutError> {
        let message = self.ask_within(timeout, Ask::Delivery)?;
        Ok(Delivery::new(message, &self.driver))
    }
}

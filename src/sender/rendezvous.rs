//! The synchronous send: it returns when the receiving application has the message.

use super::{Sender, session::Session};
use crate::{
    clock::Deadline,
    error::{FlushFailure, SendError, SendFailure},
    sync::Arc,
};
use lamq_protocol::{Number, send::Manner};
use std::{fmt, time::Duration};

/// The receiving application has been handed the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Receipt {
    number: Number,
}

impl Receipt {
    /// The message's number in the stream of its sender (NUM-1).
    pub fn number(&self) -> u64 {
        self.number.get()
    }
}

/// A message of which it is not known whether the receiving application was handed it.
///
/// It shares the session: the last [`Sender`] is not gone before it.
#[derive(Clone)]
pub struct Ticket {
    session: Arc<Session>,
    number: Number,
}

impl Ticket {
    /// The message's number in the stream of its sender (NUM-1).
    pub fn number(&self) -> u64 {
        self.number.get()
    }

    /// Asks again: waits until the receiving application has been handed the message, no longer than `timeout`.
    ///
    /// # Errors
    /// [`FlushFailure`]: not within the time, or not before the session was over. Then it remains unknown: the receiver died or
    /// left, with the message or without.
    pub fn wait(&self, timeout: Duration) -> Result<Receipt, FlushFailure> {
        self.session.await_delivery(self.number, Deadline::after(timeout))?;
        Ok(Receipt { number: self.number })
    }
}

/// Of the same message of the same sender.
impl PartialEq for Ticket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.session, &other.session) && self.number == other.number
    }
}

impl Eq for Ticket {}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ticket").field(&self.number.get()).finish()
    }
}

/// What became of a message that [`Sender::send_sync`] could not see delivered (CAL-8).
#[derive(Debug, thiserror::Error)]
pub enum SendSyncError<M> {
    /// It was not sent, and is handed back.
    #[error(transparent)]
    NotSent(#[from] SendError<M>),
    /// It was sent, and nobody knows more.
    #[error("message {} was sent, but whether it was delivered is unknown: {why}", .ticket.number())]
    Unknown {
        /// To ask again.
        ticket: Ticket,
        /// Why there is no receipt.
        #[source]
        why: FlushFailure,
    },
}

impl Sender {
    /// Sends a message, and waits until the receiving application has been handed it: a rendezvous. With it the channel works
    /// like one without capacity. Waits as long as it takes, whatever the sender's [level](crate::SenderBuilder::level).
    ///
    /// # Errors
    /// [`SendSyncError`], also when the receiver dies meanwhile.
    ///
    /// # Examples
    /// ```
    /// use lamq::{Receiver, Sender, link::Memory};
    ///
    /// let space = Memory::new();
    /// let receiver = Receiver::builder().link(space.clone()).bind("/hand-over")?;
    /// let sender = Sender::builder().link(space).connect("/hand-over")?;
    /// let receiving = std::thread::spawn(move || receiver.recv().unwrap().to_vec());
    /// let receipt = sender.send_sync("the baton")?;
    /// assert_eq!(receipt.number(), 1);
    /// assert_eq!(receiving.join().unwrap(), b"the baton");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_sync<M: AsRef<[u8]>>(&self, message: M) -> Result<Receipt, SendSyncError<M>> {
        self.send_and_wait(message, Deadline::Never, None)
    }

    /// As [`send_sync`](Self::send_sync), no longer than `timeout` (CAL-1).
    ///
    /// # Errors
    /// [`SendSyncError`]: handed back if there was no room in time, else unknown, with a [`Ticket`] to ask later.
    pub fn send_sync_timeout<M: AsRef<[u8]>>(
        &self,
        message: M,
        timeout: Duration,
    ) -> Result<Receipt, SendSyncError<M>> {
        let deadline = Deadline::after(timeout);
        self.send_and_wait(message, deadline, Some(timeout))
    }

    fn send_and_wait<M: AsRef<[u8]>>(
        &self,
        message: M,
        deadline: Deadline,
        timeout: Option<Duration>,
    ) -> Result<Receipt, SendSyncError<M>> {
        let manner = Manner { awaited: true, reserved: None };
        let number = match self.session.send(message.as_ref(), manner, timeout) {
            Ok(number) => number,
            Err(failure) => return Err(SendError { message, failure }.into()),
        };
        self.receipt(number, deadline).map_err(|(ticket, why)| SendSyncError::Unknown { ticket, why })
    }

    fn receipt(&self, number: Number, deadline: Deadline) -> Result<Receipt, (Ticket, FlushFailure)> {
        let outcome = self.session.await_delivery(number, deadline);
        outcome.map_err(|why| (Ticket { session: Arc::clone(&self.session), number }, why))?;
        Ok(Receipt { number })
    }

    /// A send to a receiver without capacity.
    pub(super) fn hand_over(&self, body: &[u8], timeout: Option<Duration>) -> Result<Number, SendFailure> {
        let deadline = timeout.map_or(Deadline::Never, Deadline::after);
        let number = self.session.send(body, Manner { awaited: true, reserved: None }, timeout)?;
        let receipt = self.receipt(number, deadline);
        receipt.map(|receipt| receipt.number).map_err(|(ticket, why)| SendFailure::Unknown { ticket, why })
    }
}

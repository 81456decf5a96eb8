//! What to do when there is no room: drop, or set room aside before.

use super::{Sender, session::Session};
use crate::{
    error::{SendError, SendFailure},
    sync::Arc,
};
use lamq_protocol::{
    Number,
    send::{Manner, Reservation},
};
use std::{fmt, time::Duration};

/// What became of a message given to [`Sender::send_or_drop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sent {
    /// It was sent, with this number.
    Accepted(u64),
    /// It was dropped. The receiver will be told that this number has no message.
    Dropped(u64),
}

/// Room for one message, set aside for it; see [`Sender::reserve`].
///
/// It shares the session: the last [`Sender`] is not gone before it. Dropped without a message, it gives the room back.
pub struct Permit {
    session: Arc<Session>,
    reservation: Option<Reservation>,
}

impl Permit {
    /// Sends a message, without waiting for room.
    ///
    /// # Errors
    /// [`SendError`] with the message: it is longer than what was reserved, or the session is over. If another receiver has taken the place
    /// of the one that granted the room, it is as a [`try_send`](Sender::try_send) (RSM-6).
    pub fn send<M: AsRef<[u8]>>(mut self, message: M) -> Result<u64, SendError<M>> {
        let manner = Manner { awaited: false, reserved: self.reservation.take() };
        let result = self.session.send(message.as_ref(), manner, Some(Duration::ZERO));
        result.map(Number::get).map_err(|failure| SendError { message, failure })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            self.session.give_back(reservation);
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(&self.reservation.as_ref().map(Reservation::length)).finish()
    }
}

impl Sender {
    /// Sends a message if there is room within `patience`, and drops it if not. What is dropped has a number too, is counted in
    /// [`stats`](Sender::stats), and the receiver is told of the gap in its place (DRP-1): nothing is lost in silence. It does not wait for
    /// the delivery, not even with a receiver without [capacity](crate::ReceiverBuilder::rendezvous).
    ///
    /// # Errors
    /// [`SendError`] with the message: it is too long, or the session is over.
    ///
    /// # Examples
    /// ```
    /// use lamq::{Event, Receiver, Sender, Sent, link::Memory};
    /// use std::time::Duration;
    ///
    /// let space = Memory::new();
    /// let receiver = Receiver::builder().link(space.clone()).window(100).frame_size(512).bind("/samples")?;
    /// let sender = Sender::builder().link(space).connect("/samples")?;
    /// let mut dropped = 0;
    /// for sample in 0..1000_u32 {
    ///     match sender.send_or_drop(sample.to_le_bytes(), Duration::ZERO)? {
    ///         Sent::Accepted(_) => {}
    ///         Sent::Dropped(_) => dropped += 1,
    ///     }
    /// }
    /// assert!(dropped > 0, "nobody has read any");
    /// assert_eq!(sender.stats().dropped, dropped);
    /// # drop(receiver);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_or_drop<M: AsRef<[u8]>>(&self, message: M, patience: Duration) -> Result<Sent, SendError<M>> {
        let failure = match self.session.send(message.as_ref(), Manner::default(), Some(patience)) {
            Ok(number) => return Ok(Sent::Accepted(number.get())),
            Err(SendFailure::Timeout | SendFailure::Absent { .. }) => match self.session.drop_message() {
                Ok(number) => return Ok(Sent::Dropped(number.get())),
                Err(failure) => failure,
            },
            Err(failure) => failure,
        };
        Err(SendError { message, failure })
    }

    /// Sets room aside for a message of up to `length` bytes that is not made yet; waits for it as long as it takes. No number is
    /// given: the message gets its place when it is sent. Until then nobody else can use the room.
    ///
    /// # Errors
    /// [`SendFailure`]: too long, or the session is over.
    pub fn reserve(&self, length: usize) -> Result<Permit, SendFailure> {
        self.permit(length, None)
    }

    /// As [`reserve`](Self::reserve), if there is room at once (CAL-4).
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve), [`SendFailure::Full`], and [`SendFailure::Absent`] as [`try_send`](Self::try_send).
    pub fn try_reserve(&self, length: usize) -> Result<Permit, SendFailure> {
        self.permit(length, Some(Duration::ZERO)).map_err(|failure| match failure {
            SendFailure::Timeout => SendFailure::Full,
            failure => failure,
        })
    }

    /// As [`reserve`](Self::reserve), no longer than `timeout` (CAL-1).
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve), [`SendFailure::Timeout`], and [`SendFailure::Absent`] as [`send_timeout`](Self::send_timeout).
    pub fn reserve_timeout(&self, length: usize, timeout: Duration) -> Result<Permit, SendFailure> {
        self.permit(length, Some(timeout))
    }

    fn permit(&self, length: usize, timeout: Option<Duration>) -> Result<Permit, SendFailure> {
        let reservation = Some(self.session.reserve(length, timeout)?);
        Ok(Permit { session: Arc::clone(&self.session), reservation })
    }
}

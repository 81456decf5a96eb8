//! The sending end.

use super::Marker;
use crate::{
    ConnectError, FlushError, InvalidName, QueueName, Receipt, SendError, SendFailure, SendSyncError, SenderStats,
    Sent, Unacknowledged,
    codec::{Bincode, Codec, CodecId, Encode},
};
use std::{borrow::Borrow, cell::Cell, fmt, marker::PhantomData, time::Duration};

/// How a [`Sender`] is made; see [`lamq::SenderBuilder::typed`](crate::SenderBuilder::typed).
pub struct SenderBuilder<T: ?Sized, C = Bincode> {
    untyped: crate::SenderBuilder,
    marker: Marker<T, C>,
}

impl<T: ?Sized, C> SenderBuilder<T, C> {
    pub(crate) fn new(untyped: crate::SenderBuilder) -> Self {
        Self { untyped, marker: PhantomData }
    }

    /// Another codec. Default: [`Bincode`].
    #[must_use]
    pub fn codec<D: Codec>(self) -> SenderBuilder<T, D> {
        SenderBuilder::new(self.untyped)
    }

    /// Waits for a receiver on `name` that decodes this codec, and opens a session with it.
    ///
    /// # Errors
    /// As [`lamq::SenderBuilder::connect`](crate::SenderBuilder::connect), and [`ConnectError::Codec`].
    pub fn connect<N>(self, name: N) -> Result<Sender<T, C>, ConnectError>
    where
        C: Codec,
        N: TryInto<QueueName>,
        InvalidName: From<N::Error>,
    {
        let untyped = self.untyped.codec(CodecId::of::<C>()).connect(name)?;
        Ok(Sender { untyped, marker: PhantomData })
    }
}

/// The sending end of a channel of `T`s. All that is said of the [untyped one](crate::Sender) holds for it.
///
/// A message is given as a value or as a reference, and comes back as it was given when it cannot be sent.
pub struct Sender<T: ?Sized, C = Bincode> {
    untyped: crate::Sender,
    marker: Marker<T, C>,
}

impl<T: ?Sized, C> Sender<T, C> {
    /// Sends a value; waits for credit as long as it takes. Returns its number.
    ///
    /// # Errors
    /// As [`lamq::Sender::send`](crate::Sender::send), and [`SendFailure::Encode`].
    pub fn send<M: Borrow<T>>(&self, message: M) -> Result<u64, SendError<M>>
    where
        C: Encode<T>,
    {
        Self::pass(message, |body| self.untyped.send(body))
    }

    /// Sends a value if there is room at once (CAL-4).
    ///
    /// # Errors
    /// As [`lamq::Sender::try_send`](crate::Sender::try_send), and [`SendFailure::Encode`].
    pub fn try_send<M: Borrow<T>>(&self, message: M) -> Result<u64, SendError<M>>
    where
        C: Encode<T>,
    {
        Self::pass(message, |body| self.untyped.try_send(body))
    }

    /// Sends a value; waits for credit no longer than `timeout` (CAL-1).
    ///
    /// # Errors
    /// As [`lamq::Sender::send_timeout`](crate::Sender::send_timeout), and [`SendFailure::Encode`].
    pub fn send_timeout<M: Borrow<T>>(&self, message: M, timeout: Duration) -> Result<u64, SendError<M>>
    where
        C: Encode<T>,
    {
        Self::pass(message, |body| self.untyped.send_timeout(body, timeout))
    }

    /// Sends a value if there is room within `patience`, and drops it if not; the receiver is told of the gap (DRP-1).
    ///
    /// # Errors
    /// As [`lamq::Sender::send_or_drop`](crate::Sender::send_or_drop), and [`SendFailure::Encode`].
    pub fn send_or_drop<M: Borrow<T>>(&self, message: M, patience: Duration) -> Result<Sent, SendError<M>>
    where
        C: Encode<T>,
    {
        Self::pass(message, |body| self.untyped.send_or_drop(body, patience))
    }

    /// Sets room aside for a value that takes up to `length` bytes when it is encoded; waits for it as long as it takes.
    ///
    /// # Errors
    /// As [`lamq::Sender::reserve`](crate::Sender::reserve).
    pub fn reserve(&self, length: usize) -> Result<Permit<T, C>, SendFailure> {
        self.untyped.reserve(length).map(Permit::new)
    }

    /// As [`reserve`](Self::reserve), if there is room at once (CAL-4).
    ///
    /// # Errors
    /// As [`lamq::Sender::try_reserve`](crate::Sender::try_reserve).
    pub fn try_reserve(&self, length: usize) -> Result<Permit<T, C>, SendFailure> {
        self.untyped.try_reserve(length).map(Permit::new)
    }

    /// As [`reserve`](Self::reserve), no longer than `timeout` (CAL-1).
    ///
    /// # Errors
    /// As [`lamq::Sender::reserve_timeout`](crate::Sender::reserve_timeout).
    pub fn reserve_timeout(&self, length: usize, timeout: Duration) -> Result<Permit<T, C>, SendFailure> {
        self.untyped.reserve_timeout(length, timeout).map(Permit::new)
    }

    /// Sends a value, and waits until the receiving application has been handed it: a rendezvous (CAL-7). It need not have
    /// been able to decode it.
    ///
    /// # Errors
    /// As [`lamq::Sender::send_sync`](crate::Sender::send_sync), and [`SendFailure::Encode`].
    pub fn send_sync<M: Borrow<T>>(&self, message: M) -> Result<Receipt, SendSyncError<M>>
    where
        C: Encode<T>,
    {
        Self::pass_sync(message, |body| self.untyped.send_sync(body))
    }

    /// As [`send_sync`](Self::send_sync), no longer than `timeout` (CAL-1).
    ///
    /// # Errors
    /// As [`lamq::Sender::send_sync_timeout`](crate::Sender::send_sync_timeout), and [`SendFailure::Encode`].
    pub fn send_sync_timeout<M: Borrow<T>>(&self, message: M, timeout: Duration) -> Result<Receipt, SendSyncError<M>>
    where
        C: Encode<T>,
    {
        Self::pass_sync(message, |body| self.untyped.send_sync_timeout(body, timeout))
    }

    /// Waits until everything sent before is acknowledged at the session's level (CAL-3).
    ///
    /// # Errors
    /// [`FlushError`] when the session ends first.
    pub fn flush(&self) -> Result<(), FlushError> {
        self.untyped.flush()
    }

    /// As [`flush`](Self::flush), no longer than `timeout`.
    ///
    /// # Errors
    /// [`FlushError`], also for the time-out.
    pub fn flush_timeout(&self, timeout: Duration) -> Result<(), FlushError> {
        self.untyped.flush_timeout(timeout)
    }

    /// Ends the session, also for other clones: waits until all is acknowledged, no longer than `timeout`.
    ///
    /// # Errors
    /// [`FlushError`] says what was not acknowledged.
    pub fn close(self, timeout: Duration) -> Result<(), FlushError> {
        self.untyped.close(timeout)
    }

    /// The longest encoded message in bytes that the receiver takes (LIM-1).
    pub fn max_message_size(&self) -> usize {
        self.untyped.max_message_size()
    }

    /// The messages that are not acknowledged, encoded; see [`lamq::Sender::unacknowledged`](crate::Sender::unacknowledged).
    pub fn unacknowledged(&self) -> Vec<Unacknowledged> {
        self.untyped.unacknowledged()
    }

    /// What was sent and acknowledged so far.
    pub fn stats(&self) -> SenderStats {
        self.untyped.stats()
    }

    fn pass<M: Borrow<T>, R>(
        message: M,
        send: impl FnOnce(&[u8]) -> Result<R, SendError<&[u8]>>,
    ) -> Result<R, SendError<M>>
    where
        C: Encode<T>,
    {
        let outcome = with_encoded::<T, C, _>(message.borrow(), |body| send(body).map_err(|error| error.failure));
        outcome.map_err(|failure| SendError { message, failure })
    }

    fn pass_sync<M: Borrow<T>>(
        message: M,
        send: impl FnOnce(&[u8]) -> Result<Receipt, SendSyncError<&[u8]>>,
    ) -> Result<Receipt, SendSyncError<M>>
    where
        C: Encode<T>,
    {
        // `Ok` when it is on its way, with what came of it.
        let outcome = with_encoded::<T, C, _>(message.borrow(), |body| match send(body) {
            Ok(receipt) => Ok(Ok(receipt)),
            Err(SendSyncError::Unknown { ticket, why }) => Ok(Err(SendSyncError::Unknown { ticket, why })),
            Err(SendSyncError::NotSent(SendError { failure, .. })) => Err(failure),
        });
        outcome.unwrap_or_else(|failure| Err(SendSyncError::NotSent(SendError { message, failure })))
    }
}

/// Room for one value, set aside for it; see [`Sender::reserve`]. Dropped without a value, it gives the room back.
pub struct Permit<T: ?Sized, C = Bincode> {
    untyped: crate::Permit,
    marker: Marker<T, C>,
}

impl<T: ?Sized, C> Permit<T, C> {
    fn new(untyped: crate::Permit) -> Self {
        Self { untyped, marker: PhantomData }
    }

    /// Sends a value, without waiting for room.
    ///
    /// # Errors
    /// [`SendError`] with the value: encoded it is longer than what was reserved, it cannot be encoded, or the session is over. The
    /// room is given back.
    pub fn send<M: Borrow<T>>(self, message: M) -> Result<u64, SendError<M>>
    where
        C: Encode<T>,
    {
        Sender::<T, C>::pass(message, |body| self.untyped.send(body))
    }
}

impl<T: ?Sized, C> fmt::Debug for Permit<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.untyped.fmt(f)
    }
}

impl<T: ?Sized, C> Clone for Sender<T, C> {
    fn clone(&self) -> Self {
        Self { untyped: self.untyped.clone(), marker: PhantomData }
    }
}

impl<T: ?Sized, C> fmt::Debug for Sender<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.untyped.fmt(f)
    }
}

impl<T: ?Sized, C> Clone for SenderBuilder<T, C> {
    fn clone(&self) -> Self {
        Self::new(self.untyped.clone())
    }
}

impl<T: ?Sized, C> fmt::Debug for SenderBuilder<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.untyped.fmt(f)
    }
}

thread_local! {
    /// What the thread's last message was encoded into. Taken out while in use: encoding runs code of the application, which
    /// may send on its part.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A buffer that has grown beyond this is not kept.
const KEPT: usize = 64 << 10;

fn with_encoded<T: ?Sized, C: Encode<T>, R>(
    value: &T,
    send: impl FnOnce(&[u8]) -> Result<R, SendFailure>,
) -> Result<R, SendFailure> {
    // There is none any more in a destructor that runs when the thread ends.
    let mut body = BUFFER.try_with(Cell::take).unwrap_or_default();
    let result = match C::encode(value, &mut body) {
        Ok(()) => send(&body),
        Err(cause) => Err(SendFailure::Encode { codec: CodecId::of::<C>(), cause }),
    };
    if body.capacity() <= KEPT {
        body.clear();
        _ = BUFFER.try_with(|buffer| buffer.set(body));
    }
    result
}

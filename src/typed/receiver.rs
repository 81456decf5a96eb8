//! The receiving end.

use super::{Marker, Message};
use crate::{
    BindError, Counters, Delivery, Event, InvalidName, QueueName, RecvError, RecvTimeoutError, TryRecvError,
    codec::{Bincode, Codec, CodecId},
};
use std::{fmt, marker::PhantomData, time::Duration};

/// How a [`Receiver`] is made; see [`lamq::ReceiverBuilder::typed`](crate::ReceiverBuilder::typed).
pub struct ReceiverBuilder<T: ?Sized, C = Bincode> {
    untyped: crate::ReceiverBuilder,
    marker: Marker<T, C>,
}

impl<T: ?Sized, C> ReceiverBuilder<T, C> {
    pub(crate) fn new(untyped: crate::ReceiverBuilder) -> Self {
        Self { untyped, marker: PhantomData }
    }

    /// Another codec. Default: [`Bincode`].
    #[must_use]
    pub fn codec<D: Codec>(self) -> ReceiverBuilder<T, D> {
        ReceiverBuilder::new(self.untyped)
    }

    /// Becomes the owner of the queue `name`; a dead owner's is taken over. Senders with another codec are refused (GRT-2).
    ///
    /// # Errors
    /// As [`lamq::ReceiverBuilder::bind`](crate::ReceiverBuilder::bind).
    pub fn bind<N>(self, name: N) -> Result<Receiver<T, C>, BindError>
    where
        C: Codec,
        N: TryInto<QueueName>,
        InvalidName: From<N::Error>,
    {
        let untyped = self.untyped.codec(CodecId::of::<C>()).bind(name)?;
        Ok(Receiver { untyped, marker: PhantomData })
    }
}

/// The receiving end of a channel of `T`s. All that is said of the [untyped one](crate::Receiver) holds for it.
pub struct Receiver<T: ?Sized, C = Bincode> {
    untyped: crate::Receiver,
    marker: Marker<T, C>,
}

impl<T: ?Sized, C> Receiver<T, C> {
    /// The next message; waits as long as it takes.
    ///
    /// # Errors
    /// See [`lamq::Receiver::recv`](crate::Receiver::recv).
    pub fn recv(&self) -> Result<Message<T, C>, RecvError> {
        self.untyped.recv().map(Message::new)
    }

    /// The next message if there is one (CAL-4).
    ///
    /// # Errors
    /// [`TryRecvError`].
    pub fn try_recv(&self) -> Result<Message<T, C>, TryRecvError> {
        self.untyped.try_recv().map(Message::new)
    }

    /// The next message; waits no longer than `timeout` (CAL-1).
    ///
    /// # Errors
    /// [`RecvTimeoutError`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Message<T, C>, RecvTimeoutError> {
        self.untyped.recv_timeout(timeout).map(Message::new)
    }

    /// Waits for a message, and appends to `messages` what lies ready then, up to `limit` messages. Returns how many.
    ///
    /// # Errors
    /// See [`lamq::Receiver::recv_many`](crate::Receiver::recv_many).
    pub fn recv_many(&self, messages: &mut Vec<Message<T, C>>, limit: usize) -> Result<usize, RecvError> {
        self.many_within(messages, limit, None).map_err(|_| RecvError)
    }

    /// As [`recv_many`](Self::recv_many), if there is a message (CAL-4).
    ///
    /// # Errors
    /// [`TryRecvError`]
    pub fn try_recv_many(&self, messages: &mut Vec<Message<T, C>>, limit: usize) -> Result<usize, TryRecvError> {
        Ok(self.many_within(messages, limit, Some(Duration::ZERO))?)
    }

    /// As [`recv_many`](Self::recv_many), waiting no longer than `timeout` (CAL-1).
    ///
    /// # Errors
    /// [`RecvTimeoutError`]
    pub fn recv_many_timeout(
        &self,
        messages: &mut Vec<Message<T, C>>,
        limit: usize,
        timeout: Duration,
    ) -> Result<usize, RecvTimeoutError> {
        self.many_within(messages, limit, Some(timeout))
    }

    fn many_within(
        &self,
        messages: &mut Vec<Message<T, C>>,
        limit: usize,
        timeout: Option<Duration>,
    ) -> Result<usize, RecvTimeoutError> {
        self.untyped.many_within(timeout, limit, |message| messages.push(Message::new(message)))
    }

    /// The next message, which counts as processed only by [`Delivery::ack`]; waits as long as it takes.
    ///
    /// # Errors
    /// See [`lamq::Receiver::recv_delivery`](crate::Receiver::recv_delivery).
    pub fn recv_delivery(&self) -> Result<Delivery<Message<T, C>>, RecvError> {
        self.untyped.recv_delivery().map(|delivery| delivery.map(Message::new))
    }

    /// As [`recv_delivery`](Self::recv_delivery), if there is one (CAL-4).
    ///
    /// # Errors
    /// [`TryRecvError`].
    pub fn try_recv_delivery(&self) -> Result<Delivery<Message<T, C>>, TryRecvError> {
        self.untyped.try_recv_delivery().map(|delivery| delivery.map(Message::new))
    }

    /// As [`recv_delivery`](Self::recv_delivery), no longer than `timeout` (CAL-1).
    ///
    /// # Errors
    /// [`RecvTimeoutError`].
    pub fn recv_delivery_timeout(&self, timeout: Duration) -> Result<Delivery<Message<T, C>>, RecvTimeoutError> {
        self.untyped.recv_delivery_timeout(timeout).map(|delivery| delivery.map(Message::new))
    }

    /// The next message, or what became of a sender; waits no longer than `timeout`, or for ever.
    ///
    /// # Errors
    /// [`RecvTimeoutError`].
    pub fn recv_event(&self, timeout: Option<Duration>) -> Result<Event<Message<T, C>>, RecvTimeoutError> {
        Ok(match self.untyped.recv_event(timeout)? {
            Event::Message(message) => Event::Message(Message::new(message)),
            Event::Gap { peer, first, last } => Event::Gap { peer, first, last },
            Event::Joined(peer) => Event::Joined(peer),
            Event::Departed { peer, departure, last } => Event::Departed { peer, departure, last },
        })
    }

    /// Messages until receiving ends.
    pub fn iter(&self) -> impl Iterator<Item = Message<T, C>> + '_ {
        self.untyped.iter().map(Message::new)
    }

    /// Says that the application is done with every message it got, and tells the senders.
    pub fn acknowledge(&self) {
        self.untyped.acknowledge();
    }

    /// Stops receiving, from any thread; see [`lamq::Receiver::close`](crate::Receiver::close).
    pub fn close(&self) {
        self.untyped.close();
    }

    /// Without its type: to [select](crate::Select) it among others, for its descriptor, its [`len`](crate::Receiver::len).
    pub fn untyped(&self) -> &crate::Receiver {
        &self.untyped
    }

    /// What happened so far, every dropped frame by its cause (CAL-5).
    pub fn stats(&self) -> Counters {
        self.untyped.stats()
    }
}

impl<T: ?Sized, C> fmt::Debug for Receiver<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.untyped.fmt(f)
    }
}

impl<T: ?Sized, C> Clone for ReceiverBuilder<T, C> {
    fn clone(&self) -> Self {
        Self::new(self.untyped.clone())
    }
}

impl<T: ?Sized, C> fmt::Debug for ReceiverBuilder<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.untyped.fmt(f)
    }
}

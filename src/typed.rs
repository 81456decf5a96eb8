//! Channels of values instead of bytes.
//!
//! They do what [`lamq::Sender`](crate::Sender) and [`lamq::Receiver`](crate::Receiver) do, under the same names; only the messages
//! differ. `Sender` and `Receiver` here name a type and a [codec](crate::codec); two sides whose codecs differ, or one of which is
//! untyped, do not connect ([`ConnectError::Codec`](crate::ConnectError::Codec)).
//!
//! ```
//! use lamq::{Receiver, Sender, link::Memory};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Order {
//!     item: String,
//!     count: u32,
//! }
//!
//! let space = Memory::new(); // or, without `link`, a queue of the kernel
//! let receiver = Receiver::builder().link(space.clone()).typed::<Order>().bind("/orders")?;
//! let sender = Sender::builder().link(space).typed::<Order>().connect("/orders")?;
//! sender.send(Order { item: "apples".into(), count: 3 })?;
//! let message = receiver.recv()?;
//! let Order { item, count } = message.decode()?;
//! assert_eq!((message.number(), item.as_str(), count), (1, "apples", 3));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Message`] is decoded when you ask for it. So a value can borrow from its message, and nothing is lost when it cannot be
//! decoded: the error has the message, and the next one comes as ever.
//!
//! ```
//! # use lamq::{Receiver, Sender, link::Memory};
//! # use serde::{Deserialize, Serialize};
//! #[derive(Serialize, Deserialize)]
//! struct Quote<'a> {
//!     symbol: &'a str,
//!     data: &'a [u8],
//! }
//!
//! # let space = Memory::new();
//! # let receiver = Receiver::builder().link(space.clone()).typed::<Quote>().bind("/quotes")?;
//! # let sender = Sender::builder().link(space).typed::<Quote>().connect("/quotes")?;
//! for symbol in ["ONE", "TWO"].map(String::from) {
//!     let quote = Quote { symbol: &symbol, data: &[1, 2, 3] };
//!     sender.send(quote).map_err(|error| error.failure)?; // without the quote, which does not live long enough
//! }
//! let mut batch = Vec::new();
//! while batch.len() < 2 {
//!     receiver.recv_many(&mut batch, 100)?;
//! }
//! let quotes = batch.iter().map(|message| message.decode()).collect::<Result<Vec<Quote>, _>>()?; // copies nothing but references
//! assert_eq!((quotes[0].symbol, quotes[1].data), ("ONE", &[1, 2, 3][..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::codec::{Bincode, CodecError, CodecId, Decode};
use std::{any::type_name, fmt, marker::PhantomData, ops::Deref};

mod receiver;
mod sender;

pub use receiver::{Receiver, ReceiverBuilder};
pub use sender::{Permit, Sender, SenderBuilder};

/// Names a type and a codec, and holds neither: it can be shared whatever they are. A channel for `Quote<'static>` is one for any
/// `Quote<'a>`, as its bytes are the same.
type Marker<T, C> = PhantomData<fn() -> (*const T, *const C)>;

/// A received message that should be a `T`. It dereferences to the [untyped one](crate::Message), and so to its bytes.
pub struct Message<T: ?Sized, C = Bincode> {
    untyped: crate::Message,
    marker: Marker<T, C>,
}

impl<T: ?Sized, C> Message<T, C> {
    fn new(untyped: crate::Message) -> Self {
        Self { untyped, marker: PhantomData }
    }

    /// The value; decoded anew at each call. It may borrow from this message.
    ///
    /// # Errors
    /// [`Undecodable`]: these bytes are no `T`. The message stays as it is; it was delivered, and the session goes on (COD-3).
    pub fn decode<'m>(&'m self) -> Result<T, Undecodable>
    where
        T: Sized,
        C: Decode<'m, T>,
    {
        // COD-2
        C::decode(&self.untyped).map_err(|cause| Undecodable {
            message: Box::new(self.untyped.clone()),
            codec: CodecId::of::<C>(),
            wanted: type_name::<T>(),
            cause,
        })
    }

    /// Without its type.
    pub fn into_untyped(self) -> crate::Message {
        self.untyped
    }
}

impl<T: ?Sized, C> Deref for Message<T, C> {
    type Target = crate::Message;
    fn deref(&self) -> &crate::Message {
        &self.untyped
    }
}

impl<T: ?Sized, C> Clone for Message<T, C> {
    fn clone(&self) -> Self {
        Self::new(self.untyped.clone())
    }
}

impl<T: ?Sized, C> fmt::Debug for Message<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.untyped.fmt(f)
    }
}

/// A message that is not what its receiver expects. Nothing is lost of it, and nothing behind it (COD-3).
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "message {} of process {} is no {wanted} in codec {codec}: {cause}",
    .message.number(), .message.peer().pid
)]
#[non_exhaustive]
pub struct Undecodable {
    /// The bytes, and where they come from; boxed to keep the result of a success small.
    pub message: Box<crate::Message>,
    /// The codec.
    pub codec: CodecId,
    /// The name of the type, for people.
    pub wanted: &'static str,
    /// What the codec says.
    pub cause: CodecError,
}

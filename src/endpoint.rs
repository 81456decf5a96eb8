//! One participant of this process, which several channels may share.

use crate::{
    connect::SenderBuilder,
    error::BindError,
    link::{Link, Posix},
    name::QueueName,
    pump::{Driver, State},
    receiver::Receiver,
    sync::Arc,
};

/// An inbox that several channels of this process share, with one Lamport clock. Every [`Sender`](crate::Sender) needs an inbox
/// for its acknowledgements and has one of its own, unless it is told to share: by [`SenderBuilder::endpoint`].
///
/// A process with many channels then takes a single queue of those that its user may have. The channels are as independent as
/// others are: each has its own credit, order and end (SHR-1), and threads may use them at the same time.
///
/// Clones are the same endpoint; it ends with the last of them and of its channels. A process that is killed leaves the inbox behind,
/// which a sender of its own does not: `lamq rm --stale` removes it.
///
/// # Examples
/// ```
/// use lamq::{Endpoint, Receiver, Sender, link::Memory};
///
/// let space = Memory::new();
/// let [left, right] = ["/left", "/right"].map(|name| Receiver::builder().link(space.clone()).bind(name).unwrap());
/// let endpoint = Endpoint::on(space)?;
/// let [to_left, to_right] = ["/left", "/right"].map(|name| Sender::builder().endpoint(&endpoint).connect(name).unwrap());
/// to_left.send("one")?;
/// to_right.send("two")?;
/// assert_eq!((&*left.recv()?, &*right.recv()?), (&b"one"[..], &b"two"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub(crate) driver: Arc<Driver>,
}

impl Endpoint {
    /// An endpoint for any number of senders, on the queues of the kernel. Its inbox has 10 slots of 512 bytes.
    ///
    /// # Errors
    /// [`BindError`], most likely that a limit was hit.
    pub fn new() -> Result<Self, BindError> {
        Self::on(Posix)
    }

    /// The same on another link.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn on(link: impl Link + 'static) -> Result<Self, BindError> {
        let nobody = QueueName::new("/lamq")?;
        let driver = SenderBuilder::default().link(link).bind(&nobody, None)?;
        _ = driver.call(State::keep_name);
        Ok(Self { driver: Arc::new(driver) })
    }
}

impl Receiver {
    /// The endpoint of this receiver, for senders to share: their acknowledgements come to its inbox. They may outlive the receiver;
    /// but once that is [closed](Self::close) or dropped, no further one can connect, and none can
    /// [resume](SenderBuilder::resume).
    pub fn endpoint(&self) -> Endpoint {
        Endpoint { driver: Arc::clone(&self.driver) }
    }
}

//! A channel in both directions.

use super::{Purpose, SenderBuilder};
use crate::{
    clock::Deadline,
    error::ConnectError,
    name::{InvalidName, QueueName},
    receiver::{Receiver, ReceiverBuilder},
    sender::Sender,
    sync::Arc,
};

impl SenderBuilder {
    /// Waits for a receiver on `name` and opens a session with it in both directions (DPX-1): what the other side sends back, by
    /// [`Receiver::sender_to`], comes out of the receiver that is returned. Both ends share one inbox, of the
    /// geometry and with the limits, acknowledgements and linger of `answers`; link, spin and codec are the sender's.
    ///
    /// The two directions are streams as any other, and end separately: dropping one end leaves the other as it is (DPX-3). The
    /// returned receiver is finite: it ends when the other side has left, or died, and all that came before has been handed out.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), and [`ConnectError::BothWays`] with an [`endpoint`](Self::endpoint) that others share, or with [`resume`](Self::resume).
    ///
    /// # Examples
    /// ```
    /// use lamq::{Receiver, Sender, link::Memory};
    ///
    /// let space = Memory::new();
    /// let server = Receiver::builder().link(space.clone()).bind("/shout")?;
    /// let serving = std::thread::spawn(move || {
    ///     let request = server.recv().unwrap();
    ///     let client = server.sender_to(request.peer()).unwrap();
    ///     client.send(request.to_ascii_uppercase()).unwrap();
    ///     client.flush().unwrap();
    /// });
    /// let (requests, answers) = Sender::builder().link(space).connect_both_ways("/shout", &Receiver::builder())?;
    /// requests.send("hello")?;
    /// assert_eq!(&*answers.recv()?, b"HELLO");
    /// serving.join().unwrap();
    /// assert!(answers.recv().is_err(), "the server is gone");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect_both_ways<N>(self, name: N, answers: &ReceiverBuilder) -> Result<(Sender, Receiver), ConnectError>
    where
        N: TryInto<QueueName>,
        InvalidName: From<N::Error>,
    {
        let name = name.try_into().map_err(InvalidName::from)?;
        let unfit = [("endpoint", self.endpoint.is_some()), ("resume", self.resume.is_some())];
        if let Some((setting, _)) = unfit.into_iter().find(|(_, is_set)| *is_set) {
            return Err(ConnectError::BothWays { setting });
        }
        let deadline = Deadline::after(self.wait);
        let outbox = self.await_receiver(&name, deadline)?;
        let driver = Arc::new(self.bind(&name, Some(answers)).map_err(ConnectError::Inbox)?);
        let receiver = answers.receiver(Arc::clone(&driver));
        let greeter = self.open_session(driver, &name, outbox, deadline, Purpose::BothWays)?;
        Ok((self.sender(greeter), receiver))
    }
}

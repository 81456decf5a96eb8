//! The sending end of a channel.

use crate::{
    clock::Deadline,
    connect::SenderBuilder,
    error::{ConnectError, Disconnected, FlushError, FlushFailure, SendError, SendFailure},
    name::{InvalidName, QueueName},
    pump::{Driver, State},
};
use lamq_protocol::{
    Number, SessionId,
    endpoint::{Counters, SendRefused},
    send::NoRoom,
    session::Outbound,
};
use std::time::Duration;

/// The sending end of a channel: numbers messages, packs them into frames, keeps them until they are acknowledged, and
/// never sends more than the receiver has granted.
///
/// Threads may share it by reference. A message to a receiver that has taken all before leaves at once. Small ones behind
/// it are packed together; they leave when the frame is full, when what is before them is acknowledged, with
/// [`flush`](Self::flush), with any call that waits, and after a millisecond or two (DAT-6).
#[derive(Debug)]
pub struct Sender {
    driver: Driver,
    session: SessionId,
    max_message_size: usize,
    linger: Duration,
    closed: bool,
}

/// What a sender has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SenderStats {
    /// The last number given to a message.
    pub sent: u64,
    /// The last number that the receiver's process has taken.
    pub received: u64,
    /// The last number handed to the receiving application.
    pub delivered: u64,
    /// The last number that the receiving application is done with.
    pub processed: u64,
    /// Messages that had to wait for credit, or were refused for want of it: how often the receiver slowed this sender.
    pub stalls: u64,
    /// Frames that came from the receiver or a stranger, those that were dropped by cause (CAL-5).
    pub frames: Counters,
}

impl Sender {
    /// For a session that is open.
    pub(crate) fn new(driver: Driver, session: SessionId, max_message_size: usize, linger: Duration) -> Self {
        Self { driver, session, max_message_size, linger, closed: false }
    }

    /// Connects with the defaults; see [`SenderBuilder::connect`].
    ///
    /// # Errors
    /// See [`SenderBuilder::connect`].
    pub fn connect<N>(name: N) -> Result<Self, ConnectError>
    where
        N: TryInto<QueueName>,
        InvalidName: From<N::Error>,
    {
        Self::builder().connect(name)
    }

    /// Settings to connect with.
    pub fn builder() -> SenderBuilder {
        SenderBuilder::default()
    }

    /// Sends a message; waits for credit as long as it takes. Returns its number.
    ///
    /// # Errors
    /// [`SendError`] with the message: it is too long, or the session is over, also when the receiver dies meanwhile.
    pub fn send<M: AsRef<[u8]>>(&self, message: M) -> Result<u64, SendError<M>> {
        self.send_within(message, None)
    }

    /// Sends a message if there is room at once (CAL-4).
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`SendFailure::Full`].
    pub fn try_send<M: AsRef<[u8]>>(&self, message: M) -> Result<u64, SendError<M>> {
        self.send_within(message, Some(Duration::ZERO)).map_err(|mut error| {
            if error.failure == SendFailure::Timeout {
                error.failure = SendFailure::Full;
            }
            error
        })
    }

    /// Sends a message; waits for credit no longer than `timeout` (CAL-1).
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`SendFailure::Timeout`].
    pub fn send_timeout<M: AsRef<[u8]>>(&self, message: M, timeout: Duration) -> Result<u64, SendError<M>> {
        self.send_within(message, Some(timeout))
    }

    /// Waits until everything sent before is acknowledged at the session's level (CAL-3).
    ///
    /// # Errors
    /// [`FlushError`] when the session ends first.
    pub fn flush(&self) -> Result<(), FlushError> {
        self.flush_until(Deadline::Never)
    }

    /// As [`flush`](Self::flush), no longer than `timeout`.
    ///
    /// # Errors
    /// [`FlushError`], also for the time-out.
    pub fn flush_timeout(&self, timeout: Duration) -> Result<(), FlushError> {
        self.flush_until(Deadline::after(timeout))
    }

    /// Ends the session: waits until all is acknowledged, no longer than `timeout`.
    ///
    /// # Errors
    /// [`FlushError`] says what was not acknowledged.
    pub fn close(mut self, timeout: Duration) -> Result<(), FlushError> {
        self.finish(timeout)
    }

    /// The longest message in bytes that the receiver takes: what fits into a frame of its inbox (LIM-1).
    pub const fn max_message_size(&self) -> usize {
        self.max_message_size
    }

    /// What was sent and acknowledged so far.
    pub fn stats(&self) -> SenderStats {
        self.driver.call(|state| {
            state.step();
            let (frames, stalls) = (*state.core.counters(), state.stalls);
            state.core.outbound(self.session).map_or_else(SenderStats::default, |outbound| {
                let (window, known) = (outbound.window(), outbound.window().acknowledged());
                SenderStats {
                    sent: window.accepted().get(),
                    received: known.received.get(),
                    delivered: known.delivered.get(),
                    processed: known.processed.get(),
                    stalls,
                    frames,
                }
            })
        })
    }

    fn send_within<M: AsRef<[u8]>>(&self, message: M, timeout: Option<Duration>) -> Result<u64, SendError<M>> {
        let body = message.as_ref();
        let first = self.driver.call(|state| {
            let first = self.try_push(state, body);
            state.stalls += u64::from(first.is_none());
            first
        });
        let result = first.or_else(|| {
            // Read only now: the clock costs as much as all else that is done for a short message.
            let deadline = timeout.map_or(Deadline::Never, Deadline::after);
            self.driver.wait(deadline, |state| {
                state.step();
                self.try_push(state, body).or_else(|| {
                    // Whoever waits for credit sends what is staged, and asks to be told.
                    state.core.with_outbound(self.session, Outbound::flush);
                    state.transmit(false);
                    None
                })
            })
        });
        match result.unwrap_or(Err(SendFailure::Timeout)) {
            Ok(number) => Ok(number.get()),
            Err(failure) => Err(SendError { message, failure }),
        }
    }

    /// `None`: no room at present.
    fn try_push(&self, state: &mut State, body: &[u8]) -> Option<Result<Number, SendFailure>> {
        // An acknowledgement that is waiting may say that there is nothing to stage behind (DAT-5).
        if state.core.outbound(self.session)?.window().staged().is_none() {
            state.step();
        }
        let result = match state.core.send(self.session, body) {
            Ok(number) => Ok(number),
            Err(SendRefused::NoRoom(NoRoom::Credit)) => return None,
            Err(SendRefused::NoRoom(NoRoom::TooLong { length, limit })) => Err(SendFailure::TooLong { length, limit }),
            Err(SendRefused::Ended(why)) => Err(SendFailure::Disconnected(Disconnected { why })),
        };
        state.transmit(false);
        Some(result)
    }

    fn flush_until(&self, deadline: Deadline) -> Result<(), FlushError> {
        self.settle(deadline, Outbound::flush, false)
    }

    fn finish(&mut self, timeout: Duration) -> Result<(), FlushError> {
        self.closed = true;
        self.settle(Deadline::after(timeout), Outbound::close, true)
    }

    /// Begins with `action`, then waits until all is acknowledged and, with `ended`, the session is over.
    fn settle(&self, deadline: Deadline, action: fn(&mut Outbound), ended: bool) -> Result<(), FlushError> {
        let mut target = None;
        let outcome = self.driver.wait(deadline, |state| {
            if target.is_none() {
                state.core.with_outbound(self.session, action);
                target = state.core.outbound(self.session).map(|outbound| outbound.window().accepted());
            }
            state.step();
            let outbound = state.core.outbound(self.session)?;
            match outbound.ended() {
                // A receiver that left after it acknowledged everything leaves nothing undone.
                over if Some(outbound.window().settled()) >= target && (!ended || over.is_some()) => Some(Ok(())),
                Some(why) => Some(Err(FlushFailure::Disconnected(Disconnected { why }))),
                None => None,
            }
        });
        outcome.unwrap_or(Err(FlushFailure::Timeout)).map_err(|why| {
            let numbers = self.driver.call(|state| {
                let window = state.core.outbound(self.session).map(Outbound::window);
                window.map_or((Number::NONE, Number::NONE), |window| (window.accepted(), window.settled()))
            });
            FlushError { accepted: numbers.0, acknowledged: numbers.1, why }
        })
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if !self.closed
            && self.driver.is_ours()
            && let Err(error) = self.finish(self.linger)
        {
            tracing::warn!(target: "lamq", %error, "a sender was dropped");
        }
    }
}

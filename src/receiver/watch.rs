//! What a receiver shows without handing anything out: whether there is something, how much, and a descriptor to sleep on.

use super::Receiver;
use crate::pump::State;
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    time::Duration,
};

impl Receiver {
    /// A descriptor for `poll(2)`, `epoll(7)` and event loops that are built on them. It is readable (`POLLIN`) while there may be
    /// something for [`try_recv`](Self::try_recv) or [`recv_event`](Self::recv_event), and when receiving has ended; once
    /// such a call found nothing, it is not until something comes (CAL-9, CAL-10).
    ///
    /// Call until there is nothing, then sleep. Readable is no promise: another thread may be faster, or what came is only for
    /// the library. Do not read from it, and do not keep it longer than the receiver.
    ///
    /// It is made by the first call, and costs two descriptors of the process; until then it costs nothing.
    ///
    /// # Errors
    /// What the system said, most likely that the process has too many descriptors open. Never again after a success.
    ///
    /// # Examples
    /// ```
    /// use lamq::{Receiver, Sender, link::Memory};
    /// use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    ///
    /// let space = Memory::new();
    /// let receiver = Receiver::builder().link(space.clone()).bind("/watched")?;
    /// let sender = Sender::builder().link(space).connect("/watched")?;
    /// sender.send("three apples")?;
    /// let message = loop {
    ///     match receiver.try_recv() {
    ///         Ok(message) => break message,
    ///         Err(_) => poll(&mut [PollFd::new(receiver.try_as_fd()?, PollFlags::POLLIN)], PollTimeout::NONE)?,
    ///     };
    /// };
    /// assert_eq!(&*message, b"three apples");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_as_fd(&self) -> io::Result<BorrowedFd<'_>> {
        self.driver.descriptor()
    }

    /// How many messages this process has taken from the queue and not handed out. When there are none, it first looks into the
    /// queue. So 0 means that there is none; any other number that there are at least so many, as more may wait in the queue.
    /// Never waits. While another thread waits in a call, what has just come may count as that one's. After [`close`](Self::close) it is 0.
    pub fn len(&self) -> usize {
        let held = self.driver.call(|state| {
            if held(state) == 0 {
                state.take_all();
            }
            held(state)
        });
        held.unwrap_or_default()
    }

    /// Whether [`try_recv`](Self::try_recv) would find no message: none in memory, and none in the queue. Never waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a call would find something. As such a call would, it says that the application is done with what it got before.
    pub(crate) fn has_news(&self) -> bool {
        let has_news = self.driver.call(|state| {
            if !state.has_news() {
                // There is none: what counts is to have asked.
                state.core.next_event();
                state.step();
            }
            state.has_news()
        });
        has_news.unwrap_or(true) // in a forked child: that receiving has ended
    }

    /// How long to look before a sleep.
    pub(crate) fn spin(&self) -> Duration {
        self.driver.spin()
    }
}

/// How many messages are in memory.
pub(super) fn held(state: &State) -> usize {
    if !state.core.has_event() {
        return 0; // also of sessions that we have closed and not told yet
    }
    let unread: u64 = state.core.senders().map(|(_, session)| session.window().unread()).sum();
    usize::try_from(unread).unwrap_or(usize::MAX)
}

/// The first use makes the descriptor.
///
/// # Panics
/// `as_fd` and `as_raw_fd` panic if it cannot be made. Where that may happen, call [`Receiver::try_as_fd`] before.
impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.try_as_fd().expect("a descriptor to wait for messages can be made")
    }
}

/// See [`AsFd`](#impl-AsFd-for-Receiver): the same descriptor, for event loops that want a number.
impl AsRawFd for Receiver {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

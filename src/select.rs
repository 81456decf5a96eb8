//! Waiting for several receivers at once.

use crate::{
    clock::Deadline,
    error::{ReadyTimeoutError, TryReadyError},
    pump::{Spin, sleep_on},
    receiver::Receiver,
    sync::{AtomicUsize, Ordering},
};
use nix::poll::{PollFd, PollFlags};
use std::{fmt, io, time::Duration};

/// Waits until one of several [`Receiver`]s has something. They may be of different endpoints and links.
///
/// It takes nothing: it says which receiver is ready, and [`Receiver::try_recv`] or [`Receiver::recv_event`] does the rest. That may find
/// nothing after all, when another thread was faster, or when the event is none that `try_recv` hands out; then select again.
///
/// The one behind the last that was ready is looked at first, so none of them waits for ever behind a busy one. Threads may select from
/// the same receivers, each by a `Select` of its own; all of them wake up for a message.
///
/// To wait here counts as asking for the next message: what was handed out before is *processed*, unless the receiver is one with
/// [`manual_acknowledge`](crate::ReceiverBuilder::manual_acknowledge).
///
/// # Examples
/// ```
/// use lamq::{Receiver, Select, Sender, link::Memory};
///
/// let space = Memory::new();
/// let bind = |name| Receiver::builder().link(space.clone()).bind(name);
/// let (apples, pears) = (bind("/apples")?, bind("/pears")?);
/// let sender = Sender::builder().link(space.clone()).connect("/pears")?;
/// sender.send("three pears")?;
///
/// let mut select = Select::new();
/// let of_apples = select.recv(&apples)?;
/// let of_pears = select.recv(&pears)?;
/// let message = loop {
///     let ready = select.ready();
///     assert!(ready == of_apples || ready == of_pears);
///     let receiver = if ready == of_apples { &apples } else { &pears };
///     if let Ok(message) = receiver.try_recv() {
///         break message;
///     }
/// };
/// assert_eq!(&*message, b"three pears");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Select<'a> {
    receivers: Vec<Entry<'a>>,
    /// Of the receivers, in their order.
    descriptors: Vec<PollFd<'a>>,
    /// The index of the next one to come.
    next_index: usize,
    /// Where to look first, modulo their number.
    turn: usize,
    spin: Spin,
}

struct Entry<'a> {
    index: usize,
    receiver: &'a Receiver,
    /// Whether it may have something that was not looked at.
    rang: bool,
}

/// Where the next selection begins: one that is made anew for each message must be fair too.
static TURN: AtomicUsize = AtomicUsize::new(0);

impl<'a> Select<'a> {
    /// A selection without receivers.
    pub fn new() -> Self {
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        let spin = Spin::new(Some(Duration::ZERO));
        Self { receivers: Vec::new(), descriptors: Vec::new(), next_index: 0, turn, spin }
    }

    /// Adds a receiver. Returns its index: 0 for the first, 1 for the second, and so on, also after a [`remove`](Self::remove).
    ///
    /// # Errors
    /// The receiver's descriptor cannot be made, see [`Receiver::try_as_fd`].
    pub fn recv(&mut self, receiver: &'a Receiver) -> io::Result<usize> {
        self.descriptors.push(PollFd::new(receiver.try_as_fd()?, PollFlags::POLLIN));
        let index = self.next_index;
        self.next_index += 1;
        self.receivers.push(Entry { index, receiver, rang: true });
        // As long as the most patient of them.
        if receiver.spin() > self.spin.time() {
            self.spin = Spin::new(Some(receiver.spin()));
        }
        Ok(index)
    }

    /// Takes a receiver out, one that has ended, say, and would be ready for ever. The others keep their indices.
    ///
    /// # Panics
    /// If there is none of that index, or no more.
    pub fn remove(&mut self, index: usize) {
        let position = self.receivers.iter().position(|entry| entry.index == index);
        let position = position.expect("the index is of a receiver that was added and not removed");
        self.receivers.remove(position);
        self.descriptors.remove(position);
    }

    /// The index of a receiver that has something, if there is one now (CAL-4).
    ///
    /// # Errors
    /// [`TryReadyError`]: none has.
    pub fn try_ready(&mut self) -> Result<usize, TryReadyError> {
        self.ready_until(Deadline::Now).ok_or(TryReadyError)
    }

    /// The index of a receiver that has something: a message, an event, or the news that receiving has ended. Waits as long as it takes.
    ///
    /// # Panics
    /// If there is no receiver: it would wait for ever.
    pub fn ready(&mut self) -> usize {
        assert!(!self.receivers.is_empty(), "a selection without receivers is never ready");
        self.ready_until(Deadline::Never).expect("there is no deadline")
    }

    /// As [`ready`](Self::ready), no longer than `timeout` (CAL-1). Without a receiver it waits all that time.
    ///
    /// # Errors
    /// [`ReadyTimeoutError`]: none had anything in time.
    pub fn ready_timeout(&mut self, timeout: Duration) -> Result<usize, ReadyTimeoutError> {
        self.ready_until(Deadline::after(timeout)).ok_or(ReadyTimeoutError)
    }

    fn ready_until(&mut self, deadline: Deadline) -> Option<usize> {
        self.receivers.iter_mut().for_each(|entry| entry.rang = true);
        loop {
            if let Some(index) = self.look() {
                return Some(index);
            }
            if deadline.has_passed() {
                return None;
            }
            // CAL-11: each was looked at, and what comes from now on makes its descriptor readable.
            sleep_on(&mut self.descriptors, &self.spin, deadline);
            for (entry, descriptor) in self.receivers.iter_mut().zip(&self.descriptors) {
                entry.rang = descriptor.any().unwrap_or(true);
            }
        }
    }

    fn look(&mut self) -> Option<usize> {
        let count = self.receivers.len();
        let positions = (0..count).map(|step| (self.turn % count + step) % count);
        let position = positions
            .map(|position| (position, &self.receivers[position]))
            .find_map(|(position, entry)| (entry.rang && entry.receiver.has_news()).then_some(position))?;
        self.turn = position + 1;
        Some(self.receivers[position].index)
    }
}

impl Default for Select<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let receivers = self.receivers.iter().map(|entry| (entry.index, entry.receiver));
        f.debug_map().entries(receivers).finish()
    }
}

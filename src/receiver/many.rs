//! Several messages at once.

use super::{Ask, Receiver, take, watch::held};
use crate::{
    error::{RecvError, RecvTimeoutError, TryRecvError},
    message::{Event, Message},
    pump::{Part, Reading, State},
};
use std::time::Duration;

impl Receiver {
    /// Waits for a message as [`recv`](Self::recv) does, and appends to `messages` what lies ready then, up to `limit` messages: the
    /// first ones, in order, as `recv` would hand them out. Returns how many; 0, without waiting, if `limit` is 0.
    ///
    /// Asking for the next ones, or the next one, says that the application is done with *all* of these; none of them counts as processed
    /// before (ACK-10). So a batch is the unit in which a sender of level [`Processed`](crate::Level::Processed) learns of progress, and
    /// in which work is repeated after a crash; for messages that are done with one by one there is
    /// [`recv_delivery`](Self::recv_delivery).
    ///
    /// # Errors
    /// As [`recv`](Self::recv); nothing was appended then.
    ///
    /// # Examples
    /// ```
    /// use lamq::{Receiver, Sender, link::Memory};
    ///
    /// let space = Memory::new();
    /// let receiver = Receiver::builder().link(space.clone()).bind("/rows")?;
    /// let sender = Sender::builder().link(space).connect("/rows")?;
    /// for row in ["a", "b", "c"] {
    ///     sender.send(row)?;
    /// }
    /// let mut batch = Vec::new();
    /// while batch.len() < 3 {
    ///     receiver.recv_many(&mut batch, 100)?;
    /// }
    /// let rows: Vec<&[u8]> = batch.iter().map(|row| &**row).collect();
    /// assert_eq!(rows, [b"a", b"b", b"c"]); // one transaction of a database, say
    /// batch.clear();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_many(&self, messages: &mut Vec<Message>, limit: usize) -> Result<usize, RecvError> {
        self.many_within(None, limit, |message| messages.push(message)).map_err(|_| RecvError)
    }

    /// As [`recv_many`](Self::recv_many), if there is a message (CAL-4).
    ///
    /// # Errors
    /// [`TryRecvError`]
    pub fn try_recv_many(&self, messages: &mut Vec<Message>, limit: usize) -> Result<usize, TryRecvError> {
        Ok(self.many_within(Some(Duration::ZERO), limit, |message| messages.push(message))?)
    }

    /// As [`recv_many`](Self::recv_many), waiting no longer than `timeout` (CAL-1).
    ///
    /// # Errors
    /// [`RecvTimeoutError`]
    pub fn recv_many_timeout(
        &self,
        messages: &mut Vec<Message>,
        limit: usize,
        timeout: Duration,
    ) -> Result<usize, RecvTimeoutError> {
        self.many_within(Some(timeout), limit, |message| messages.push(message))
    }

    pub(crate) fn many_within(
        &self,
        timeout: Option<Duration>,
        limit: usize,
        mut append: impl FnMut(Message),
    ) -> Result<usize, RecvTimeoutError> {
        if limit == 0 {
            return Ok(0);
        }
        append(self.recv_within(timeout)?);
        let mut count = 1;
        let mut batch = None;
        while count < limit {
            let most = batch.as_ref().map_or(limit, |batch: &Batch| batch.ready).min(limit - count);
            let taken = if most == 0 { 0 } else { self.driver.take_more(most, &mut append) };
            if taken == 0 {
                let Some(message) = self.one_more(&mut batch) else { break };
                append(message);
                count += 1;
            } else if let Some(batch) = &mut batch {
                batch.ready -= taken;
            }
            count += taken;
        }
        Ok(count)
    }

    /// One more message beside those that the application has got, if one lies ready.
    #[inline(never)]
    fn one_more(&self, batch: &mut Option<Batch>) -> Option<Message> {
        let one_more = |state: &mut State| {
            let batch =
                batch.get_or_insert_with(|| Batch { ready: held(state), frames: state.mailbox.geometry().slots });
            while state.part != Part::Closed {
                if batch.ready == 0 && !batch.look(state) {
                    return None;
                }
                match take(state, Ask::OneMore) {
                    Some(Event::Message(message)) => {
                        batch.ready -= 1;
                        return Some(message);
                    }
                    Some(_) => {}
                    None => batch.ready = 0,
                }
            }
            None
        };
        self.driver.call(one_more).ok().flatten()
    }
}

/// What a batch may take yet. It ends though there is no end to what comes (CAL-12).
struct Batch {
    /// How many of the messages that are in memory.
    ready: usize,
    /// How many frames from the inbox.
    frames: usize,
}

impl Batch {
    /// Looks into the inbox, if it may. Returns whether there are messages.
    fn look(&mut self, state: &mut State) -> bool {
        if self.frames == 0 {
            return false;
        }
        let look = state.look(Reading::Ahead);
        state.transmit(false); // what was asked for need not wait until the application comes again
        self.frames = self.frames.saturating_sub(look.frames.max(1));
        self.ready = held(state);
        self.ready > 0
    }
}

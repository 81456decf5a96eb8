//! The session of a sender, which its clones share.

use super::{Fate, SenderStats, Unacknowledged};
use crate::{
    clock::Deadline,
    error::{Disconnected, FlushError, FlushFailure, SendFailure},
    fork::Forked,
    pump::{Driver, State},
    reports,
    sync::{Arc, AtomicBool, AtomicUsize, Ordering},
};
use lamq_protocol::{
    Number, SessionId, StreamId,
    endpoint::SendRefused,
    send::{Manner, NoRoom, Parcel, Reservation},
    session::{Ended, Outbound},
};
use std::time::Duration;

/// The last of its owners lingers.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) driver: Arc<Driver>,
    pub(super) id: SessionId,
    pub(super) stream: StreamId,
    /// Of the first receiver; as long as there can be no other these hold.
    max_message_size: usize,
    rendezvous: bool,
    resumes: bool,
    linger: Duration,
    /// Whether somebody has closed it, and knows what came of it.
    closed: AtomicBool,
    /// Messages that found no credit when they were to be sent.
    stalls: AtomicUsize,
    /// Messages that were dropped for want of room.
    dropped: AtomicUsize,
}

impl Session {
    /// An open session, which nobody else has; `None` if it is gone.
    pub(super) fn of(driver: Arc<Driver>, id: SessionId, linger: Duration) -> Option<Self> {
        let terms = driver.call(|state| {
            let outbound = state.core.outbound(id)?;
            let window = outbound.window();
            let terms = (outbound.stream(), window.max_message(), window.is_rendezvous(), window.resumes());
            state.hold(id);
            Some(terms)
        });
        let (stream, max_message_size, rendezvous, resumes) = terms.ok()??;
        let [stalls, dropped] = [(); 2].map(|()| AtomicUsize::new(0));
        Some(Self {
            driver,
            id,
            stream,
            max_message_size,
            rendezvous,
            resumes,
            linger,
            closed: AtomicBool::new(false),
            stalls,
            dropped,
        })
    }

    pub(super) fn stats(&self) -> SenderStats {
        let stats = self.driver.call(|state| {
            state.step();
            let frames = *state.core.counters();
            state.core.outbound(self.id).map_or_else(SenderStats::default, |outbound| {
                let (window, known) = (outbound.window(), outbound.window().acknowledged());
                SenderStats {
                    sent: window.accepted().get(),
                    received: known.received.get(),
                    delivered: window.delivered().get(),
                    processed: known.processed.get(),
                    dropped: self.dropped.load(Ordering::Relaxed) as u64,
                    stalls: self.stalls.load(Ordering::Relaxed) as u64,
                    resumed: state.times_resumed(self.id),
                    frames,
                }
            })
        });
        stats.unwrap_or_default()
    }

    /// The longest message that the receiver takes.
    pub(super) fn max_message_size(&self) -> usize {
        let now = |state: &mut State| Some(state.core.outbound(self.id)?.window().max_message());
        let now = self.resumes.then(|| self.driver.call(now).ok()).flatten().flatten();
        now.unwrap_or(self.max_message_size)
    }

    /// Whether a message is handed over while its sender waits (RDV-2).
    pub(super) fn is_rendezvous(&self) -> bool {
        let now = |state: &mut State| Some(state.core.outbound(self.id)?.window().is_rendezvous());
        let now = self.resumes.then(|| self.driver.call(now).ok()).flatten().flatten();
        now.unwrap_or(self.rendezvous)
    }

    pub(super) fn has_room(&self, length: usize) -> bool {
        let has_room = self.driver.call(|state| {
            state.step();
            let most = state.core.outbound(self.id).map_or(0, |outbound| outbound.window().max_message());
            length <= most && state.core.has_room(self.id, length)
        });
        has_room.unwrap_or_default()
    }

    /// Accepts a message if it can be staged without further ado.
    pub(super) fn stage(&self, body: &[u8]) -> Option<Number> {
        self.driver.stage(self.id, body)
    }

    /// Sends a message within `timeout`, or however long it takes. Returns its number.
    pub(super) fn send(&self, body: &[u8], manner: Manner, timeout: Option<Duration>) -> Result<Number, SendFailure> {
        let staged = if manner == Manner::default() { self.stage(body) } else { None };
        staged.map_or_else(|| self.send_by_itself(body, manner, timeout), Ok)
    }

    /// The same for a message that cannot be staged without further ado.
    pub(super) fn send_by_itself(
        &self,
        body: &[u8],
        manner: Manner,
        timeout: Option<Duration>,
    ) -> Result<Number, SendFailure> {
        let result = self.await_room(body.len(), timeout, manner.awaited, |state| state.send(self.id, body, manner))?;
        result.unwrap_or_else(|| Err(self.late()))
    }

    /// The time is over: is anybody there?
    fn late(&self) -> SendFailure {
        self.lost().map_or(SendFailure::Timeout, |why| SendFailure::Absent { why })
    }

    /// Why there is no receiver at present.
    fn lost(&self) -> Option<Ended> {
        let now = |state: &mut State| state.core.outbound(self.id)?.seeks();
        self.resumes.then(|| self.driver.call(now).ok()).flatten().flatten()
    }

    /// Sets room aside within `timeout`, or however long it takes.
    pub(super) fn reserve(&self, length: usize, timeout: Option<Duration>) -> Result<Reservation, SendFailure> {
        let result = self.await_room(length, timeout, false, |state| state.core.reserve(self.id, length))?;
        result.unwrap_or_else(|| Err(self.late()))
    }

    /// Runs `attempt` until it finds room for `length` bytes, or fails for another reason; `None` when the time is over.
    fn await_room<R>(
        &self,
        length: usize,
        timeout: Option<Duration>,
        awaited: bool,
        mut attempt: impl FnMut(&mut State) -> Result<R, SendRefused>,
    ) -> Result<Option<Result<R, SendFailure>>, Forked> {
        let mut attempt = |state: &mut State| {
            // An acknowledgement that is waiting may say that there is nothing to stage behind (DAT-5). Who answers has just looked.
            let window = state.core.outbound(self.id)?.window();
            let knows = window.is_staging() || (state.looks.take_found() && !window.is_behind());
            if !knows {
                state.step();
            }
            let result = attempt(state);
            state.transmit(false); // the message, or what asks for room (LRG-2)
            match result {
                Ok(result) => {
                    state.lend_stage(self.id);
                    Some(Ok(result))
                }
                Err(SendRefused::NoRoom(NoRoom::Credit)) => None,
                Err(SendRefused::NoRoom(NoRoom::TooLong { length, limit })) => {
                    Some(Err(SendFailure::TooLong { length, limit }))
                }
                Err(SendRefused::Ended(why)) => Some(Err(SendFailure::Disconnected(Disconnected { why }))),
            }
        };
        let first = self.driver.call(|state| {
            attempt(state).or_else(|| {
                state.step(); // what is staged, nobody looked behind: credit may have come
                attempt(state)
            })
        })?;
        if first.is_some() {
            return Ok(first);
        }
        self.stalls.fetch_add(1, Ordering::Relaxed);
        if timeout == Some(Duration::ZERO) {
            return Ok(None);
        }
        // Read only now: the clock costs as much as all else that is done for a short message.
        let deadline = timeout.map_or(Deadline::Never, Deadline::after);
        let mut comes_first = false;
        let result = self.driver.wait(deadline, |state| {
            state.step();
            attempt(state).or_else(|| {
                comes_first |= state.core.await_room(self.id, length, awaited); // LRG-3
                // What is staged becomes fuller when room comes; with the word that nothing is before it, it leaves (DAT-6).
                state.transmit(false);
                None
            })
        });
        if comes_first {
            self.driver.call(|state| {
                state.core.end_wait(self.id, length);
                state.progressed = true; // others may have waited for this one
            })?;
        }
        result
    }

    /// Drops a message: it gets a number, and the receiver is told (DRP-1).
    pub(super) fn drop_message(&self) -> Result<Number, SendFailure> {
        self.driver.call(|state| {
            let dropped = state.core.drop_message(self.id);
            self.dropped.fetch_add(usize::from(dropped.is_ok()), Ordering::Relaxed);
            dropped.map_err(|refused| match refused {
                SendRefused::Ended(why) => SendFailure::Disconnected(Disconnected { why }),
                SendRefused::NoRoom(_) => SendFailure::Full, // nothing is needed for a number
            })
        })?
    }

    /// Room that was set aside is not needed.
    pub(super) fn give_back(&self, reservation: Reservation) {
        _ = self.driver.call(|state| {
            state.core.give_back(self.id, reservation);
            state.progressed = true; // others may wait for it
        });
    }

    /// Waits until all that was sent before is acknowledged.
    pub(super) fn flush(&self, deadline: Deadline) -> Result<(), FlushError> {
        self.settle(deadline, Outbound::flush, false)
    }

    /// Waits until all is acknowledged, and the session is over.
    pub(super) fn close(&self, timeout: Duration) -> Result<(), FlushError> {
        self.closed.store(true, Ordering::Relaxed);
        self.settle(Deadline::after(timeout), Outbound::close, true)
    }

    /// Waits until the receiving application has been handed this message (CAL-7).
    pub(super) fn await_delivery(&self, number: Number, deadline: Deadline) -> Result<(), FlushFailure> {
        let outcome = self.driver.wait(deadline, |state| {
            state.step();
            let outbound = state.core.outbound(self.id)?;
            if outbound.window().delivered() >= number {
                return Some(Ok(()));
            }
            outbound.ended().map(|why| Err(FlushFailure::Disconnected(Disconnected { why })))
        });
        outcome?.unwrap_or_else(|| Err(self.unsettled()))
    }

    fn unsettled(&self) -> FlushFailure {
        self.lost().map_or(FlushFailure::Timeout, |why| FlushFailure::Absent { why })
    }

    /// What is not acknowledged at the session's level (RSM-5).
    pub(super) fn unacknowledged(&self) -> Vec<Unacknowledged> {
        let parcels = self.driver.call(|state| {
            let window = state.core.outbound(self.id)?.window();
            Some((window.unacknowledged(), window.exposed()))
        });
        let (parcels, exposed) = parcels.ok().flatten().unwrap_or_default();
        let hand_back = |parcel: Parcel| Unacknowledged {
            number: parcel.number.get(),
            message: parcel.body,
            fate: if parcel.number > exposed { Fate::NotDelivered } else { Fate::Unknown },
        };
        parcels.into_iter().map(hand_back).collect()
    }

    /// Begins with `action`, then waits until all is acknowledged and, with `ended`, the session is over.
    fn settle(&self, deadline: Deadline, action: fn(&mut Outbound), ended: bool) -> Result<(), FlushError> {
        let mut target = None;
        let outcome = self.driver.wait(deadline, |state| {
            if target.is_none() {
                state.core.with_outbound(self.id, action);
                state.progressed |= ended; // for clones that wait for room: there will be none
                target = state.core.outbound(self.id).map(|outbound| outbound.window().accepted());
            }
            state.step();
            let outbound = state.core.outbound(self.id)?;
            match outbound.ended() {
                // A receiver that left after it acknowledged everything leaves nothing undone.
                over if Some(outbound.window().settled()) >= target && (!ended || over.is_some()) => Some(Ok(())),
                Some(why) => Some(Err(FlushFailure::Disconnected(Disconnected { why }))),
                None => None,
            }
        });
        let outcome =
            outcome.map_err(FlushFailure::from).and_then(|outcome| outcome.unwrap_or_else(|| Err(self.unsettled())));
        outcome.map_err(|why| {
            let numbers = self.driver.call(|state| {
                let window = state.core.outbound(self.id).map(Outbound::window);
                window.map_or((Number::NONE, Number::NONE), |window| (window.accepted(), window.settled()))
            });
            let (accepted, acknowledged) = numbers.unwrap_or_default();
            FlushError { accepted, acknowledged, why }
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.driver.is_ours() {
            return;
        }
        if !self.closed.load(Ordering::Relaxed)
            && let Err(error) = self.close(self.linger)
        {
            reports::tell(|| tracing::warn!(target: "lamq", %error, "a sender was dropped"));
        }
        _ = self.driver.call(|state| state.let_go(self.id));
    }
}

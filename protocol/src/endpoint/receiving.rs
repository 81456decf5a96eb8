//! Receiving: what is handed to the application, in order of arrival.

use super::{Endpoint, Event, incoming::Ready};
use crate::{number::SessionId, wire::Item};

impl<B: AsRef<[u8]> + Clone + From<Vec<u8>>> Endpoint<B> {
    /// What the application is to see next. The call says that it is done with what it got before, unless
    /// it is to say so by [`process_all`](Self::process_all) only.
    pub fn next_event(&mut self) -> Option<Event<B>> {
        self.pass();
        self.next_or_hunger(self.settings.auto_process)
    }

    /// What the application is to see together with what it got before: of that the call says nothing (ACK-10). That there is nothing
    /// does not mean that it waits.
    pub fn next_of_many(&mut self) -> Option<Event<B>> {
        self.next(self.settings.auto_process)
    }

    /// As [`next_event`](Self::next_event); but of a message the application is to say by [`process`](Self::process) when it is
    /// done with it.
    pub fn next_delivery(&mut self) -> Option<Event<B>> {
        self.pass();
        self.next_or_hunger(false)
    }

    fn next_or_hunger(&mut self, auto_process: bool) -> Option<Event<B>> {
        let event = self.next(auto_process);
        if event.is_none() {
            self.hunger();
        }
        event
    }

    fn next(&mut self, auto_process: bool) -> Option<Event<B>> {
        loop {
            match self.ready.front_mut()? {
                Ready::Frame(session, frame, cursor) => {
                    let session = *session;
                    let Some(item) = frame.next_item(cursor) else {
                        self.ready.pop_front();
                        continue;
                    };
                    let done = frame.is_exhausted(cursor);
                    let buffer = if done { self.ready.pop_front()?.into_buffer()? } else { frame.buffer().clone() };
                    let event = self.hand_out(session, item, buffer, done);
                    if let Some(Event::Message { session, number, .. }) = event
                        && auto_process
                    {
                        self.hand(session, number, number);
                    }
                    if done {
                        self.touch_if_urgent(session);
                    }
                    if event.is_some() {
                        return event;
                    }
                }
                Ready::Joined(session) => {
                    let session = *session;
                    self.ready.pop_front();
                    if let Some(incoming) = self.inbound.get(&session) {
                        return Some(Event::Joined { peer: incoming.session.peer() });
                    }
                }
                Ready::Departed(session) => {
                    let session = *session;
                    self.ready.pop_front();
                    self.touch(session);
                    let Some(incoming) = self.inbound.get_mut(&session) else { continue };
                    let (peer, last) = (incoming.session.peer(), incoming.session.window().received());
                    if let Some(departure) = incoming.session.tell_departure() {
                        self.counters.departed += 1;
                        return Some(Event::Departed { peer, departure, last });
                    }
                }
            }
        }
    }

    /// What a record means to the application; `done`: it is the last one in its frame.
    fn hand_out(&mut self, session: SessionId, item: Item, mut frame: B, done: bool) -> Option<Event<B>> {
        // A session outlives its frames in `ready`: it is removed only after its departure was told.
        let incoming = self.inbound.get_mut(&session)?;
        if done {
            incoming.session.release_frame();
        }
        let peer = incoming.session.peer();
        let (record, body) = match item {
            Item::Message(record) => {
                let body = record.body.clone();
                (record, body)
            }
            Item::Piece { record, more: false, .. } => {
                frame = incoming.next_assembled()?;
                let body = 0..frame.as_ref().len();
                (record, body)
            }
            Item::Piece { .. } => return None, // copied when it came, and no item by itself
            Item::Gap(first, last) => {
                incoming.session.skip(last);
                self.counters.dropped_by_senders += last.get() - first.before().get();
                return Some(Event::Gap { peer, first, last });
            }
        };
        let may_repeat = record.number <= incoming.session.exposed();
        incoming.session.deliver(record.number, body.len() as u64);
        self.clock.deliver(record.stamp);
        self.touched.insert(session); // CAL-6: when there is time for it
        self.counters.delivered += 1;
        self.hungry = false;
        let (number, stamp) = (record.number, record.stamp);
        Some(Event::Message { session, peer, number, stamp, may_repeat, frame, body })
    }

    /// The application finds nothing: from now on senders without capacity may transmit (RDV-1).
    fn hunger(&mut self) {
        if self.settings.rendezvous && !self.hungry {
            self.hungry = true;
            self.touched.extend(self.inbound.keys().copied());
            self.fresh = true;
        }
    }

    /// LRG-2: first come, first served, a whole message or nothing.
    pub(super) fn grant_large(&mut self) {
        while let Some(&session) = self.asking.front() {
            let Some(incoming) = self.inbound.get(&session).filter(|incoming| incoming.session.window().wants()) else {
                self.asking.pop_front();
                continue;
            };
            let max_message = u64::from(self.settings.max_message);
            let Some(excess) = incoming.session.window().excess_wanted(max_message) else { return };
            let others = self.inbound.iter().filter(|(id, _)| **id != session);
            let granted: u64 = others.map(|(_, incoming)| incoming.session.window().excess_granted()).sum();
            if granted + excess > self.settings.large_memory.max(max_message) {
                return;
            }
            self.asking.pop_front();
            if let Some(incoming) = self.inbound.get_mut(&session) {
                incoming.session.window_mut().grant(excess);
                self.touch(session);
            }
        }
    }

    /// Whether [`next_event`](Self::next_event) has something.
    pub fn has_event(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether a frame of messages is what comes first, and not that somebody came or went.
    pub fn has_message(&self) -> bool {
        matches!(self.ready.front(), Some(Ready::Frame(..)))
    }
}

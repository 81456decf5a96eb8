//! Greetings are answered.

use super::{Part, State};
use crate::{
    error::OpenError,
    link::{Outbox, Owner},
    name::QueueName,
    random,
};
use lamq_protocol::{
    FrameNumber, Number,
    endpoint::{Arrival, Greeter},
    wire::{Close, EndReason, Priority},
};

impl State {
    /// Answers a greeting if what it says of its sender is true (GRT-4, POS-8).
    /// `orphan`: it came to that one of the inboxes without a name.
    pub(super) fn answer(&mut self, arrival: &Arrival, orphan: Option<usize>) {
        let greeting = &arrival.greeting;
        let name = std::str::from_utf8(&greeting.inbox).ok().and_then(|name| QueueName::new(name).ok());
        let Some(mut outbox) = name.and_then(|name| self.open_to_answer(&name)) else { return self.core.distrust() };
        let destination = outbox.destination();
        let greeter = Greeter { uid: destination.user(), frame_size: destination.geometry().frame_size };
        if destination.owner() != Owner::new(greeting.pid, greeting.stream.epoch) {
            return self.core.distrust();
        }
        if let Some(refusal) = &arrival.refusal {
            let (session, now) = (greeting.reply_session, self.core.now());
            let frame = if greeting.level.is_none() && self.part == Part::Closed {
                Close { last: Number::NONE, reason: EndReason::Finished, frame: FrameNumber::NONE }.encode(session, now) // REF-2
            } else {
                refusal.encode(session, now)
            };
            if !outbox.try_send(Priority::Ordered, &frame).is_ok_and(|sent| sent) {
                self.core.distrust();
            }
            return;
        }
        match random::session() {
            Ok(session) if self.add_peer(session, outbox).is_ok() => {
                self.core.accept(greeting, greeter, session);
                if let Some(place) = orphan {
                    self.orphans[place].sessions.insert(session);
                }
            }
            _ => return self.core.distrust(),
        }
        if self.part == Part::Closed {
            self.core.leave(); // whoever comes late is told so, and looks for the next owner of the name
        }
    }

    fn open_to_answer(&self, name: &QueueName) -> Option<Box<dyn Outbox>> {
        let opened = self.link.open(name);
        if let Err(OpenError::Limit(limit)) = &opened {
            let (name, limit) = (name.clone(), limit.clone());
            self.reports.add(move || {
                tracing::warn!(target: "lamq", %name, %limit, "a sender that wants to join is not answered");
            });
        }
        opened.ok()
    }
}

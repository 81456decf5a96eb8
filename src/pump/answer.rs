//! Greetings are answered.

use super::{Part, State};
use crate::{clock::Deadline, error::OpenError, link::Owner, name::QueueName, random};
use lamq_protocol::{
    FrameNumber, Number,
    endpoint::{Arrival, Greeter},
    wire::{Close, EndReason, Priority},
};
use std::{io, ops::Range, time::Duration};

/// How soon to try again to answer whoever could not be answered for want of something; twice as long each further time, up to the
/// longest.
const ANSWER_AGAIN: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// How many of them are remembered.
const MAX_UNANSWERED: usize = 64;

impl State {
    /// A greeting came; `orphan`: to that one of the inboxes without a name.
    pub(super) fn answer(&mut self, arrival: Arrival, orphan: Option<usize>) {
        self.unanswered.retain(|(before, _)| before.greeting.stream != arrival.greeting.stream);
        let orphans = orphan.map_or(0..0, |place| place..place + 1);
        if let Err(error) = self.try_answer(&arrival, orphans) {
            let stream = arrival.greeting.stream;
            self.reports.add(move || {
                tracing::warn!(target: "lamq", %stream, %error, "a sender that wants to join is not answered yet, it is tried again");
            });
            self.answer_wait = ANSWER_AGAIN;
            self.next_answer = Deadline::after(ANSWER_AGAIN);
            self.postpone(arrival, orphan.is_some());
        }
    }

    /// GRT-10
    fn postpone(&mut self, arrival: Arrival, is_orphans: bool) {
        if self.unanswered.len() == MAX_UNANSWERED {
            self.unanswered.pop_front();
            self.core.distrust();
        }
        self.unanswered.push_back((arrival, is_orphans));
    }

    /// Tries again to answer those that could not be answered. Returns whether one was.
    pub(super) fn answer_again(&mut self) -> bool {
        if self.unanswered.is_empty() || !self.next_answer.has_passed() {
            return false;
        }
        let before = self.unanswered.len();
        self.answer_wait = (self.answer_wait * 2).min(LONGEST);
        self.next_answer = Deadline::after(self.answer_wait);
        for (mut arrival, is_orphans) in std::mem::take(&mut self.unanswered) {
            self.core.reconsider(&mut arrival); // GRT-5
            // Which orphan it was is forgotten. There is one as a rule, and to have them longer than is needed does no harm.
            let orphans = if is_orphans { 0..self.orphans.len() } else { 0..0 };
            if self.try_answer(&arrival, orphans).is_err() {
                self.postpone(arrival, is_orphans);
            }
        }
        self.unanswered.len() < before
    }

    /// When to try next.
    pub(super) fn next_answer(&self) -> Option<Deadline> {
        (!self.unanswered.is_empty()).then_some(self.next_answer)
    }

    /// Answers a greeting if what it says of its sender is true (GRT-4, POS-8).
    ///
    /// # Errors
    /// The system lacks what it takes.
    fn try_answer(&mut self, arrival: &Arrival, orphans: Range<usize>) -> io::Result<()> {
        let greeting = &arrival.greeting;
        let name = std::str::from_utf8(&greeting.inbox).ok().and_then(|name| QueueName::new(name).ok());
        let opened = name.map(|name| self.link.open(&name));
        let mut outbox = match opened {
            Some(Ok(outbox)) => outbox,
            Some(Err(OpenError::Limit(limit))) => return Err(io::Error::other(limit)),
            Some(Err(OpenError::System(error))) => return Err(error),
            None | Some(Err(OpenError::Absent | OpenError::Untrusted(_) | OpenError::Invisible { .. })) => {
                self.core.distrust();
                return Ok(());
            }
        };
        let destination = outbox.destination();
        let greeter = Greeter { uid: destination.user(), frame_size: destination.geometry().frame_size };
        if destination.owner() != Owner::new(greeting.pid, greeting.stream.epoch) {
            self.core.distrust();
            return Ok(());
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
            return Ok(());
        }
        let session = random::session()?;
        self.add_peer(session, outbox)?;
        self.core.accept(greeting, greeter, session);
        for orphan in &mut self.orphans[orphans] {
            orphan.sessions.insert(session);
        }
        if self.part == Part::Closed {
            self.core.leave(); // whoever comes late is told so, and looks for the next owner of the name
        }
        Ok(())
    }
}

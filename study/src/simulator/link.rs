//! What carries frames: inboxes with few slots, and a way to them that takes time and, in some worlds, is not to be
//! relied on.

use super::{
    Sabotage,
    check::Check,
    events::{Bytes, Event, Place, Schedule, Time},
    scenario::{RECEIVER, Scenario},
    situations::{Situation, Situations},
    trace::{Passage, Summary, Trace, What},
};
use fastrand::Rng;
use lamq_protocol::{
    SessionId,
    wire::{Frame, Priority, decode},
};
use std::collections::VecDeque;

/// All but the processes: what they act upon.
pub(super) struct Surroundings<'a> {
    pub(super) scenario: Scenario,
    pub(super) sabotage: Option<Sabotage>,
    pub(super) rng: Rng,
    pub(super) schedule: Schedule,
    pub(super) check: Check,
    pub(super) situations: Situations,
    pub(super) trace: Trace<'a>,
    pub(super) calm: bool,
    inboxes: Vec<Inbox>,
}

/// Frames as the kernel keeps them: the urgent overtake, each priority is in order.
#[derive(Debug, Default)]
struct Inbox {
    urgent: VecDeque<Bytes>,
    ordered: VecDeque<Bytes>,
    /// What is in it and what is on its way to it.
    taken: usize,
    slots: usize,
    /// When the last frame of each priority arrives, and the last one of each process.
    arrivals: [Time; 2],
    arrivals_from: Vec<Time>,
    /// Who found it full.
    waiting: Vec<(Place, SessionId)>,
    /// Whether its owner lives.
    owned: bool,
}

impl<'a> Surroundings<'a> {
    pub(super) fn new(scenario: Scenario, sabotage: Option<Sabotage>, rng: Rng, trace: Trace<'a>) -> Self {
        let processes = scenario.senders + 1;
        let inbox = |place: Place| Inbox {
            slots: scenario.slots(place),
            arrivals_from: vec![0; processes],
            owned: true,
            ..Inbox::default()
        };
        Self {
            inboxes: (0..processes).map(inbox).collect(),
            check: Check::new(&scenario),
            scenario,
            sabotage,
            rng,
            schedule: Schedule::default(),
            situations: Situations::default(),
            trace,
            calm: false,
        }
    }

    pub(super) fn now(&self) -> Time {
        self.schedule.now()
    }

    pub(super) fn note(&mut self, what: What) {
        self.trace.step(self.schedule.now(), what);
    }

    pub(super) fn met(&mut self, situation: Situation) {
        self.situations.add(situation, 1);
    }

    /// Whether something happens that has this chance, as long as anything may go wrong.
    pub(super) fn errs(&mut self, chance: f64) -> bool {
        self.rng.f64() < chance && !self.calm
    }

    /// Gives a frame to the link. `false` if there is no room for it.
    pub(super) fn send(&mut self, from: Place, to: Place, priority: Priority, frame: &[u8]) -> bool {
        let Scenario { lossy, loss, double, .. } = self.scenario;
        let summary = Summary::of(frame);
        let sends = |this: &mut Self, passage| {
            this.note(What::Sends { from, to, frame: summary.clone(), passage });
        };
        self.check.offered(frame);
        if !self.inboxes[to].has_room() {
            self.met(Situation::FullInbox);
            sends(self, Passage::NoRoom);
            return self.sabotage == Some(Sabotage::DropWhenFull);
        }
        self.check.sent(frame, &mut self.situations);
        if lossy && self.errs(loss) {
            self.met(Situation::Lost);
            sends(self, Passage::Lost);
            return true;
        }
        let frame = self.forged(frame);
        self.carry(from, to, priority, &frame);
        if lossy && self.errs(double) && self.inboxes[to].has_room() {
            self.met(Situation::Doubled);
            sends(self, Passage::Doubled);
            self.carry(from, to, priority, &frame);
        } else {
            sends(self, Passage::Passed);
        }
        true
    }

    fn carry(&mut self, from: Place, to: Place, priority: Priority, frame: &Bytes) {
        let latency = self.rng.u64(1..=self.scenario.latency);
        let inbox = &mut self.inboxes[to];
        let last = &mut inbox.arrivals[priority.number() as usize];
        let mut arrival = self.schedule.now() + latency;
        if !self.scenario.lossy {
            arrival = arrival.max(*last); // as the kernel's
            *last = arrival;
        }
        inbox.arrivals_from[from] = inbox.arrivals_from[from].max(arrival);
        inbox.taken += 1;
        self.schedule.at(arrival, Event::Arrival { to, priority, frame: frame.clone() });
    }

    /// What the link makes of a frame: another one, if it is sabotaged.
    fn forged(&self, frame: &[u8]) -> Bytes {
        let Some(sabotage @ (Sabotage::Forge | Sabotage::RaiseCredit)) = self.sabotage else { return frame.into() };
        let Ok((header, Frame::Acknowledgement(mut forged))) = decode(frame) else { return frame.into() };
        let Some(session) = header.session else { return frame.into() };
        if sabotage == Sabotage::Forge {
            forged.delivered = forged.received;
        } else {
            forged.frame_credit += 2;
        }
        forged.encode(session, header.stamp).into()
    }

    /// A frame comes out of the link. Whether anybody is there to take it.
    pub(super) fn arrive(&mut self, to: Place, priority: Priority, frame: Bytes) -> bool {
        let inbox = &mut self.inboxes[to];
        match priority {
            Priority::Urgent => inbox.urgent.push_back(frame),
            Priority::Ordered => inbox.ordered.push_back(frame),
        }
        inbox.owned
    }

    /// Takes a frame from the inbox of a process. Whoever found it full hears of the room.
    pub(super) fn take(&mut self, place: Place) -> Option<Bytes> {
        let inbox = &mut self.inboxes[place];
        let frame = inbox.urgent.pop_front().or_else(|| inbox.ordered.pop_front())?;
        inbox.taken -= 1;
        for (of, session) in std::mem::take(&mut inbox.waiting) {
            self.schedule.after(1, Event::Room { of, session });
        }
        self.check.taken(&frame);
        self.note(What::Takes { place, frame: Summary::of(&frame) });
        Some(frame)
    }

    pub(super) fn has_frames(&self, place: Place) -> bool {
        !self.inboxes[place].urgent.is_empty() || !self.inboxes[place].ordered.is_empty()
    }

    /// A session of `place` is to hear when there is room in the inbox of `peer`.
    pub(super) fn watch_room(&mut self, place: Place, session: SessionId, peer: Place) {
        if self.inboxes[peer].has_room() {
            self.schedule.after(1, Event::Room { of: place, session });
        } else {
            self.inboxes[peer].waiting.push((place, session));
        }
    }

    pub(super) fn is_alive(&self, place: Place) -> bool {
        self.inboxes[place].owned
    }

    /// A process is gone. Its peers hear of it when what it sent has come out of the link, as it has at once with the kernel's.
    pub(super) fn end(&mut self, place: Place) {
        self.inboxes[place].owned = false;
        let delay = self.rng.u64(1..=self.scenario.latency);
        for of in (0..self.inboxes.len()).filter(|of| *of != place && (place == RECEIVER || *of == RECEIVER)) {
            let arrived = self.inboxes[of].arrivals_from[place];
            let at = arrived.max(self.schedule.now() + delay);
            self.schedule.at(at, Event::Bell { of, dead: place });
        }
    }
}

impl Inbox {
    const fn has_room(&self) -> bool {
        self.taken < self.slots
    }
}

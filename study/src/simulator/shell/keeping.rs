//! Between calls: what the keeper does, and patience on a lossy link.

use super::Shell;
use crate::simulator::{
    Sabotage,
    events::{Event, MILLISECOND, SECOND, Time},
    link::Surroundings,
    scenario::Scenario,
    situations::Situation,
    trace::What,
};
use lamq_protocol::{SessionId, session::Outbound, wire::Acknowledgement};
use std::collections::BTreeMap;

/// How long a message may be staged, give or take as much again (DAT-6).
const STAGE_TICK: Time = MILLISECOND;

/// How long a receiving application may be silent until the keeper answers for it (CAL-6).
const ANSWER_TICK: Time = 10 * MILLISECOND;

/// How long to wait for an answer on a link that may have lost it: at first, and at most (RTX-2).
const FIRST_WAIT: Time = 200 * MILLISECOND;
const LONGEST_WAIT: Time = 30 * SECOND;

/// How long whoever tried in vain for a long message may take to try again.
const WANT_PATIENCE: Time = SECOND;

/// How many frames a sender may have unacknowledged without watching its inbox.
const FRAMES_UNWATCHED: usize = 4;

/// The patience with one session.
pub(super) struct Patience {
    wait: Time,
    ends: Time,
    /// What was known when it began: whether the session is open, and what was acknowledged.
    known: (bool, Acknowledgement),
}

impl Shell {
    /// Whether something is left to say that no call need say.
    pub(in super::super) fn is_unsaid(&self) -> bool {
        self.core.wants_idle_transmit() || self.core.staged().next().is_some()
    }

    /// Whether something may come that is to be served.
    fn is_awaiting(&self, scenario: &Scenario) -> bool {
        let may_ask = || scenario.lossy && self.awaiting().next().is_some();
        let wants = || self.core.wants_idly().next().is_some();
        scenario.receives(self.place)
            || self.core.frames_kept() > FRAMES_UNWATCHED
            || self.core.owes_gap()
            || self.core.awaits_credit()
            || may_ask()
            || wants()
    }

    /// Has the keeper look after it, unless it has been told so or there is nothing for it.
    pub(in super::super) fn call_keeper(&mut self, around: &mut Surroundings<'_>) {
        if !self.ticking && (self.is_unsaid() || self.is_awaiting(&around.scenario)) {
            self.ticking = true;
            let tick = if around.scenario.receives(self.place) { ANSWER_TICK } else { STAGE_TICK };
            around.schedule.after(tick, Event::Tick(self.place));
        }
    }

    /// What the keeper does at a tick (CAL-6); `waits`: a call does. Returns whether nobody had called in for a while.
    pub(in super::super) fn tick(&mut self, around: &mut Surroundings<'_>, waits: bool) -> bool {
        self.ticking = false;
        let quiet = !std::mem::take(&mut self.called);
        let away = quiet && !waits;
        for (session, first) in std::mem::take(&mut self.staged) {
            if self.core.outbound(session).and_then(|outbound| outbound.window().staged()) == Some(first) {
                around.met(Situation::StageTimeout);
                self.core.with_outbound(session, Outbound::handle_stage_timeout);
            }
        }
        if away {
            self.read(around, true);
            self.look_around(around);
        }
        self.ask_again(around);
        self.transmit(around, quiet); // also for one that waits, for something else than it has in hand (ACK-12)
        self.staged.extend(self.core.staged());
        if !self.staged.is_empty() || !quiet || self.is_called(around) {
            self.call_keeper(around);
        }
        self.set_alarm(around);
        quiet
    }

    // Patience, on a lossy link.

    /// Gives back what nobody has come back for.
    fn end_idle_wants(&mut self, now: Time) {
        let Self { core, wants, .. } = self;
        wants.retain(|session, (credit, _)| core.wants_idly().any(|want| want == (*session, *credit)));
        for (session, credit) in core.wants_idly() {
            wants.entry(session).or_insert((credit, now + WANT_PATIENCE));
        }
        let passed = |(session, (_, until)): (&SessionId, &(u64, Time))| (*until <= now).then_some(*session);
        for session in wants.iter().filter_map(passed).collect::<Vec<_>>() {
            core.end_want(session);
        }
    }

    pub(super) fn ask_again(&mut self, around: &mut Surroundings<'_>) {
        self.end_idle_wants(around.now());
        self.renew_patience(around);
        let now = around.now();
        for (session, patience) in &mut self.patience {
            if patience.ends <= now {
                patience.wait = (patience.wait * 2).min(LONGEST_WAIT);
                patience.ends = now + patience.wait;
                around.met(Situation::AskedAgain);
                around.note(What::Asks { place: self.place });
                self.core.with_outbound(*session, Outbound::handle_answer_timeout);
            }
        }
    }

    /// Plans the next time to ask: to be called before a sleep.
    pub(in super::super) fn set_alarm(&mut self, around: &mut Surroundings<'_>) {
        self.renew_patience(around);
        let wants = self.wants.values().map(|(_, until)| *until);
        let next = self.patience.values().map(|patience| patience.ends).chain(wants).min();
        if let Some(next) = next.filter(|next| self.alarm.is_none_or(|alarm| alarm > *next)) {
            self.alarm = Some(next);
            around.schedule.at(next, Event::Alarm(self.place));
        }
    }

    pub(in super::super) fn alarm_rang(&mut self, now: Time) {
        self.alarm = self.alarm.filter(|alarm| *alarm > now);
    }

    fn renew_patience(&mut self, around: &Surroundings<'_>) {
        if !around.scenario.lossy || around.sabotage == Some(Sabotage::ForgetAsking) {
            return;
        }
        let mut awaiting: BTreeMap<_, _> = self.awaiting().collect();
        self.patience.retain(|session, patience| awaiting.get(session) == Some(&patience.known));
        awaiting.retain(|session, _| !self.patience.contains_key(session));
        let ends = around.now() + FIRST_WAIT;
        let begun = awaiting.into_iter().map(|(session, known)| (session, Patience { wait: FIRST_WAIT, ends, known }));
        self.patience.extend(begun);
    }

    fn awaiting(&self) -> impl Iterator<Item = (SessionId, (bool, Acknowledgement))> {
        self.peers.keys().filter_map(|session| {
            let outbound = self.core.outbound(*session).filter(|outbound| outbound.awaits_something())?;
            Some((*session, (outbound.is_open(), *outbound.window().acknowledged())))
        })
    }
}

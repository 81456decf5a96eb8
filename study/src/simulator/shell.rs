//! What `src/pump.rs` is to the real world, for virtual time: link to core to link, and what is to be looked at again.

use super::{
    Sabotage,
    events::{Event, MILLISECOND, Place, SECOND, Time},
    link::Surroundings,
    scenario::{self, Core, RECEIVER, place_named},
    situations::Situation,
    trace::What,
};
use lamq_protocol::{
    Number, SessionId,
    endpoint::Arrival,
    session::Outbound,
    wire::{Acknowledgement, Priority},
};
use std::collections::{BTreeMap, BTreeSet};

/// How long a message may be staged, give or take as much again (DAT-6).
const STAGE_TICK: Time = MILLISECOND;

/// How long a receiving application may be silent until the keeper answers for it (CAL-6).
const ANSWER_TICK: Time = 10 * MILLISECOND;

/// How long to wait for an answer on a link that may have lost it: at first, and at most (RTX-2).
const FIRST_WAIT: Time = 200 * MILLISECOND;

/// How long whoever tried in vain for a long message may take to try again.
const WANT_PATIENCE: Time = SECOND;
const LONGEST_WAIT: Time = 30 * SECOND;

/// How many frames a sender may have unacknowledged without watching its inbox.
const FRAMES_UNWATCHED: usize = 4;

/// How many frames one step takes from the inbox at most.
const FRAMES_PER_STEP: usize = 64;

/// The shell of one core.
pub(super) struct Shell {
    place: Place,
    pub(super) core: Core,
    peers: BTreeMap<SessionId, Place>,
    blocked: BTreeSet<SessionId>,
    /// Credit that was asked for and that no call waits for, and until when.
    wants: BTreeMap<SessionId, (u64, Time)>,
    patience: BTreeMap<SessionId, Patience>,
    staged: Vec<(SessionId, Number)>,
    /// What rang since the last look around: room, and deaths.
    rooms: BTreeSet<SessionId>,
    bells: BTreeSet<Place>,
    /// Whether a call has served since the last tick.
    pub(super) called: bool,
    /// Whether a tick is planned, and when an alarm.
    ticking: bool,
    alarm: Option<Time>,
    /// The application receives no more (CLO-5).
    pub(super) has_left: bool,
}

/// The patience with one session.
struct Patience {
    wait: Time,
    ends: Time,
    /// What was known when it began: whether the session is open, and what was acknowledged.
    known: (bool, Acknowledgement),
}

impl Shell {
    pub(super) fn new(place: Place, core: Core) -> Self {
        Self {
            place,
            core,
            peers: BTreeMap::new(),
            blocked: BTreeSet::new(),
            wants: BTreeMap::new(),
            patience: BTreeMap::new(),
            staged: Vec::new(),
            rooms: BTreeSet::new(),
            bells: BTreeSet::new(),
            called: false,
            ticking: false,
            alarm: None,
            has_left: false,
        }
    }

    pub(super) fn add_peer(&mut self, session: SessionId, peer: Place) {
        self.peers.insert(session, peer);
    }

    fn remove_peer(&mut self, session: SessionId) {
        self.peers.remove(&session);
        self.patience.remove(&session);
        self.blocked.remove(&session);
    }

    /// What of it is left: sessions and links. Of a receiver nothing must be, once all senders are gone.
    pub(super) fn left(&self) -> usize {
        self.peers.len() + self.blocked.len() + self.core.senders().len()
    }

    /// As a call does that waits.
    pub(super) fn step(&mut self, around: &mut Surroundings<'_>) {
        self.called = true;
        let drained = self.read(around, false);
        self.look_around(around);
        self.ask_again(around);
        self.transmit(around, drained);
    }

    pub(super) fn transmit(&mut self, around: &mut Surroundings<'_>, idle: bool) {
        let idle = idle && around.sabotage != Some(Sabotage::SilentWait);
        if self.core.wants_transmit() || (idle && self.core.wants_idle_transmit()) {
            let Self { core, peers, place, .. } = self;
            let blocked = core.transmit(idle, &mut |session, priority, frame| {
                let Some(peer) = peers.get(&session) else { return true };
                around.send(*place, *peer, priority, frame)
            });
            for session in blocked {
                let Some(peer) = self.peers.get(&session) else { continue };
                if self.blocked.insert(session) {
                    around.watch_room(self.place, session, *peer);
                }
            }
        }
        while let Some(session) = self.core.poll_ended() {
            self.remove_peer(session);
        }
        self.tell_check(around);
    }

    /// What a sender may be judged by.
    fn tell_check(&self, around: &mut Surroundings<'_>) {
        for session in self.peers.keys() {
            if let Some(outbound) = self.core.outbound(*session) {
                around.check.knows(self.place, outbound.window(), self.core.now());
            }
        }
    }

    /// Takes frames, until the application has something to see or, with `all`, until there are no more. Returns whether the inbox
    /// was found empty.
    fn read(&mut self, around: &mut Surroundings<'_>, all: bool) -> bool {
        for _ in 0..FRAMES_PER_STEP {
            if !all && self.core.has_event() {
                return false;
            }
            let Some(frame) = around.take(self.place) else { return true };
            if let Some(arrival) = self.core.handle_frame(frame) {
                self.answer(around, &arrival);
            }
            self.tell_check(around);
        }
        false
    }

    /// Reads the inbox empty. Whether there was anything.
    fn drain(&mut self, around: &mut Surroundings<'_>) -> bool {
        let any = around.has_frames(self.place);
        while !self.read(around, true) {}
        any
    }

    /// Answers a greeting if its sender lives (GRT-4).
    fn answer(&mut self, around: &mut Surroundings<'_>, arrival: &Arrival) {
        let greeting = &arrival.greeting;
        let Some(peer) = place_named(&greeting.inbox).filter(|peer| around.is_alive(*peer)) else {
            around.met(Situation::Untrusted);
            return self.core.distrust();
        };
        if let Some(refusal) = &arrival.refusal {
            let frame = refusal.encode(greeting.reply_session, self.core.now());
            if !around.send(self.place, peer, Priority::Ordered, &frame) {
                self.core.distrust();
            }
            return;
        }
        let session = scenario::session(&mut around.rng);
        self.add_peer(session, peer);
        self.core.accept(greeting, around.scenario.greeter(), session);
        if self.has_left {
            around.met(Situation::TurnedAway);
            self.core.leave();
        }
    }

    /// What has rung.
    fn look_around(&mut self, around: &mut Surroundings<'_>) {
        for session in std::mem::take(&mut self.rooms) {
            if self.blocked.remove(&session) {
                self.core.retry(session);
            }
        }
        for dead in std::mem::take(&mut self.bells) {
            let sessions: Vec<_> = self.peers.iter().filter(|(_, peer)| **peer == dead).map(|(id, _)| *id).collect();
            for session in sessions {
                self.bury(around, session, dead);
            }
        }
    }

    fn bury(&mut self, around: &mut Surroundings<'_>, session: SessionId, dead: Place) {
        // DTH-2: what the dead one sent is in the inbox by now
        if around.sabotage != Some(Sabotage::DeathFirst) && self.drain(around) && self.place == RECEIVER {
            around.met(Situation::DeathBehindFrames);
        }
        around.note(What::Buries { place: self.place, dead });
        self.core.handle_death(session);
        self.remove_peer(session);
    }

    /// The receiving application leaves.
    pub(super) fn leave(&mut self, around: &mut Surroundings<'_>) {
        self.has_left = true;
        self.drain(around); // who has greeted is told too
        self.core.leave();
        self.transmit(around, true);
    }

    // What happens to a process, whether or not it looks.

    pub(super) fn ring_room(&mut self, sabotage: Option<Sabotage>, session: SessionId) {
        if sabotage != Some(Sabotage::ForgetRetry) {
            self.rooms.insert(session);
        }
    }

    pub(super) fn ring_death(&mut self, dead: Place) {
        self.bells.insert(dead);
    }

    /// Whether a thread that is about to sleep would be woken at once.
    pub(super) fn is_called(&self, around: &Surroundings<'_>) -> bool {
        around.has_frames(self.place) || !self.rooms.is_empty() || !self.bells.is_empty()
    }

    // Between calls.

    /// Whether something is left to say that no call need say.
    pub(super) fn is_unsaid(&self) -> bool {
        self.core.wants_idle_transmit() || self.core.staged().next().is_some()
    }

    /// Whether something may come that is to be served.
    fn is_awaiting(&self, lossy: bool) -> bool {
        let may_ask = || lossy && self.awaiting().next().is_some();
        let wants = || self.core.wants_idly().next().is_some();
        self.place == RECEIVER
            || self.core.frames_kept() > FRAMES_UNWATCHED
            || self.core.owes_gap()
            || self.core.awaits_credit()
            || may_ask()
            || wants()
    }

    /// Has the keeper look after it, unless it has been told so or there is nothing for it.
    pub(super) fn call_keeper(&mut self, around: &mut Surroundings<'_>) {
        if !self.ticking && (self.is_unsaid() || self.is_awaiting(around.scenario.lossy)) {
            self.ticking = true;
            let tick = if self.place == RECEIVER { ANSWER_TICK } else { STAGE_TICK };
            around.schedule.after(tick, Event::Tick(self.place));
        }
    }

    /// What the keeper does at a tick (CAL-6); `waits`: a call does.
    pub(super) fn tick(&mut self, around: &mut Surroundings<'_>, waits: bool) {
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
        self.transmit(around, away);
        self.staged.extend(self.core.staged());
        if !self.staged.is_empty() || !quiet || self.is_called(around) {
            self.call_keeper(around);
        }
        self.set_alarm(around);
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

    fn ask_again(&mut self, around: &mut Surroundings<'_>) {
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
    pub(super) fn set_alarm(&mut self, around: &mut Surroundings<'_>) {
        self.renew_patience(around);
        let wants = self.wants.values().map(|(_, until)| *until);
        let next = self.patience.values().map(|patience| patience.ends).chain(wants).min();
        if let Some(next) = next.filter(|next| self.alarm.is_none_or(|alarm| alarm > *next)) {
            self.alarm = Some(next);
            around.schedule.at(next, Event::Alarm(self.place));
        }
    }

    pub(super) fn alarm_rang(&mut self, now: Time) {
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

//! What `src/pump.rs` is to the real world, for virtual time: link to core to link, and what is to be looked at again.

use super::{
    Sabotage,
    events::{Place, Time},
    lane::Lane,
    link::Surroundings,
    scenario::{self, Core, RECEIVER, place_named},
    situations::Situation,
    trace::What,
};
use lamq_protocol::{
    Number, SessionId,
    endpoint::Arrival,
    session::{Ended, Outbound},
    wire::Priority,
};
use std::collections::{BTreeMap, BTreeSet};

mod keeping;
mod through;

use keeping::Patience;

/// How many frames one step takes from the inbox at most.
const FRAMES_PER_STEP: usize = 64;

/// The shell of one core.
pub(super) struct Shell {
    pub(super) place: Place,
    pub(super) core: Core,
    peers: BTreeMap<SessionId, Place>,
    /// The streams back.
    backs: BTreeMap<SessionId, Lane>,
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

impl Shell {
    pub(super) fn new(place: Place, core: Core) -> Self {
        Self {
            place,
            core,
            peers: BTreeMap::new(),
            backs: BTreeMap::new(),
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

    /// What of it is left: sessions and links, also of streams back. Of a receiver nothing must be, once all senders are gone.
    pub(super) fn left(&self) -> usize {
        self.peers.len() + self.blocked.len() + self.core.senders().len() + usize::from(self.core.sends())
    }

    /// As a call does that waits.
    pub(super) fn step(&mut self, around: &mut Surroundings<'_>) {
        self.called = true;
        let drained = self.read(around, false);
        self.look_around(around);
        self.ask_again(around);
        self.transmit(around, drained && !self.core.has_event());
    }

    /// A step of a call that waits has found nothing to return with.
    pub(super) fn find_nothing(&mut self, around: &mut Surroundings<'_>) {
        around.check.waits(self.place);
        if around.sabotage != Some(Sabotage::ForgetUnanswered) {
            self.core.expect_no_answer(); // ACK-12
        }
        self.transmit(around, false);
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
            self.forget_back(around, session);
        }
        self.tell_check(around);
    }

    /// Nobody asks for a stream back that is over.
    fn forget_back(&mut self, around: &mut Surroundings<'_>, session: SessionId) {
        let Some(lane) = self.backs.remove(&session) else { return };
        let Some(outbound) = self.core.forget(session) else { return };
        if let Some(why) = outbound.ended() {
            around.note(What::Ends { lane, why });
            around.check.ended(lane, why, outbound.window().frames_kept());
            around.situations.add(Situation::BackFinished, u64::from(why == Ended::Finished));
            around.situations.add(Situation::BackLeft, u64::from(why == Ended::ClosedByPeer));
        }
    }

    /// What a sender may be judged by.
    fn tell_check(&self, around: &mut Surroundings<'_>) {
        for (session, peer) in &self.peers {
            if let Some(outbound) = self.core.outbound(*session) {
                let lane = Lane::between(self.place, *peer);
                around.check.knows(lane, outbound.window(), self.core.now());
            }
        }
    }

    /// A call is over, or the keeper's tick; `quiet`: a tick, before which nobody has called in for a while.
    pub(super) fn rests(&self, around: &mut Surroundings<'_>, quiet: bool) {
        // What was swallowed has not been seen on the link.
        let can_tell = |session| !self.blocked.contains(session) && around.sabotage != Some(Sabotage::DropWhenFull);
        for (session, peer) in self.peers.iter().filter(|(session, _)| can_tell(session)).collect::<Vec<_>>() {
            if let Some(outbound) = self.core.outbound(*session).filter(|outbound| outbound.is_open()) {
                around.check.keeps(Lane::between(self.place, *peer), outbound.window());
            }
        }
        around.check.rests(self.place, quiet, &mut around.situations);
    }

    /// Takes frames, until the application has something to see or, with `all`, until there are no more. Returns whether the inbox
    /// was found empty.
    fn read(&mut self, around: &mut Surroundings<'_>, all: bool) -> bool {
        let mut came = false;
        for _ in 0..FRAMES_PER_STEP {
            // Acknowledgements of what we send must not wait behind messages that nobody reads.
            let goes_on = || if came { self.core.awaits_answer() } else { self.core.sends() };
            if !all && self.core.has_event() && !goes_on() {
                return false;
            }
            let Some(frame) = around.take(self.place) else { return true };
            came = true;
            self.compare_ways(around, frame.as_ref());
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
        if greeting.back.is_some() {
            self.backs.insert(session, Lane::back_to(peer));
        }
        if self.has_left {
            around.met(Situation::TurnedAway);
            self.core.leave();
            self.close_back(around, session);
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

    /// The receiving application leaves, and sends nothing back any more.
    pub(super) fn leave(&mut self, around: &mut Surroundings<'_>) {
        self.has_left = true;
        self.drain(around); // who has greeted is told too
        self.core.leave();
        self.transmit(around, true);
        for session in self.backs.keys().copied().collect::<Vec<_>>() {
            self.close_back(around, session);
        }
        self.transmit(around, true);
    }

    /// Ends a stream back, if it is one.
    pub(super) fn close_back(&mut self, around: &mut Surroundings<'_>, session: SessionId) {
        let Some(lane) = self.backs.get(&session).copied() else { return };
        around.note(What::Closes { lane });
        around.check.closes(lane);
        self.core.with_outbound(session, Outbound::close);
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
}

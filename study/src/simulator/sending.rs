//! An application that sends: messages of all lengths, in bursts and with pauses, in every manner there is.

use super::{
    ear::Ear,
    events::{Event, MICROSECOND, MILLISECOND, Place, SECOND, Time},
    lane::Lane,
    link::Surroundings,
    scenario::{RECEIVER, session},
    shell::Shell,
    situations::Situation,
    trace::What,
    voice::{Attempt, Voice},
};
use lamq_protocol::{
    Number,
    session::{Ended, Outbound},
};

/// The application of a sender.
pub(super) struct Sending {
    place: Place,
    voice: Voice,
    left: u64,
    /// How many messages it sends without a pause.
    burst: u32,
    /// When there are so many messages left, it is to die.
    dies_at: Option<u64>,
    ear: Ear,
    doing: Doing,
}

/// What it is in the middle of. All but the first and the last are calls that wait.
#[derive(Debug)]
enum Doing {
    Nothing,
    Connecting,
    Finding(Wanted),
    Meeting(Number),
    Flushing(Number),
    Closing,
    /// It has come to its end as a sender, and reads on to that of the stream back.
    Listening,
    Over,
}

/// A message that waits for room.
#[derive(Debug)]
struct Wanted {
    length: usize,
    awaited: bool,
    /// When it is dropped instead.
    until: Option<Time>,
    /// Whether no other may take the room (LRG-3).
    comes_first: bool,
}

impl Sending {
    pub(super) fn new(place: Place, around: &mut Surroundings<'_>) -> Self {
        let messages = around.scenario.messages;
        let dies = around.rng.f64() < around.scenario.deaths;
        let dies_at = dies.then(|| around.rng.u64(0..=messages));
        let voice = Voice { lane: Lane::of(place), session: session(&mut around.rng) };
        let ear = Ear::new(around);
        Self { place, voice, left: messages, burst: 0, dies_at, ear, doing: Doing::Nothing }
    }

    pub(super) const fn waits(&self) -> bool {
        !matches!(self.doing, Doing::Nothing | Doing::Over)
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.doing, Doing::Over)
    }

    /// What it is stuck in.
    pub(super) fn describe(&self, shell: &Shell) -> String {
        let Some(outbound) = shell.core.outbound(self.voice.session) else { return "has no session".to_owned() };
        let window = outbound.window();
        let (accepted, settled, doing) = (window.accepted(), window.settled(), &self.doing);
        format!("has {settled} of {accepted} acknowledged and {} to send, and is {doing:?}", self.left)
    }

    /// It does the next thing.
    pub(super) fn act(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>) {
        if self.waits() || self.is_over() {
            return;
        }
        if shell.core.outbound(self.voice.session).is_none() {
            return self.connect(shell, around);
        }
        self.die_if_due(around);
        self.ear.hear_between(shell, around);
        if self.left == 0 {
            around.note(What::Closes { lane: self.voice.lane });
            around.check.closes(self.voice.lane);
            shell.core.with_outbound(self.voice.session, Outbound::close);
            self.doing = Doing::Closing;
            return self.go_on(shell, around);
        }
        match around.rng.u8(..32) {
            0 | 1 => self.flush(shell, around),
            2 => self.reserve(shell, around),
            3 => self.send(shell, around, true, None),
            4..=6 => self.send(shell, around, false, Some(0)),
            7 => self.send(shell, around, false, Some(5 * MILLISECOND)),
            _ => self.send(shell, around, false, None),
        }
    }

    fn die_if_due(&mut self, around: &mut Surroundings<'_>) {
        if self.dies_at == Some(self.left) {
            self.dies_at = None;
            let longest = if around.rng.bool() { 10 * MICROSECOND } else { 2 * MILLISECOND };
            let delay = around.rng.u64(..longest);
            around.schedule.after(delay, Event::Die(self.place));
        }
    }

    /// A call that waits looks again.
    pub(super) fn go_on(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>) {
        shell.step(around);
        match std::mem::replace(&mut self.doing, Doing::Nothing) {
            Doing::Finding(wanted) => self.find_room(shell, around, wanted),
            doing => self.doing = doing,
        }
        self.settle(shell, around);
        if self.waits() {
            self.ear.hear_meanwhile(shell, around);
        }
        if matches!(self.doing, Doing::Listening) && !self.ear.listens(shell) {
            self.depart(shell, around);
        } else if self.waits() {
            shell.find_nothing(around);
        }
    }

    /// Whether what it waits for has come.
    fn settle(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>) {
        let Some(outbound) = shell.core.outbound(self.voice.session) else { return };
        let (ended, window) = (outbound.ended(), outbound.window());
        let done = match self.doing {
            Doing::Connecting => outbound.is_open(),
            Doing::Meeting(number) => window.acknowledged().delivered >= number,
            Doing::Flushing(number) => window.settled() >= number,
            Doing::Nothing | Doing::Finding(_) | Doing::Closing | Doing::Listening | Doing::Over => false,
        };
        if done && let Doing::Meeting(number) = self.doing {
            around.check.delivered(self.voice.lane, number.get());
        }
        if done {
            self.doing = Doing::Nothing;
            self.pause(around);
        } else if let Some(why) = ended.filter(|_| self.waits() && !matches!(self.doing, Doing::Listening)) {
            self.end(shell, around, why);
        }
    }

    fn end(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>, why: Ended) {
        around.note(What::Ends { lane: self.voice.lane, why });
        around.check.ended(self.voice.lane, why, shell.core.frames_kept());
        if why == Ended::Finished {
            around.met(Situation::Finished);
        }
        if self.ear.listens(shell) {
            self.doing = Doing::Listening;
            return self.go_on(shell, around);
        }
        self.depart(shell, around);
    }

    fn depart(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>) {
        self.ear.depart(shell, around);
        self.doing = Doing::Over;
        let delay = around.rng.u64(0..MILLISECOND);
        around.schedule.after(delay, Event::Die(self.place));
    }

    fn pause(&mut self, around: &mut Surroundings<'_>) {
        let delay = if self.burst > 0 || around.calm {
            self.burst = self.burst.saturating_sub(1);
            around.rng.u64(MICROSECOND..10 * MICROSECOND)
        } else {
            self.burst = around.rng.u32(..20);
            let longest = [MILLISECOND, 10 * MILLISECOND, 100 * MILLISECOND, SECOND][around.rng.usize(..4)];
            around.rng.u64(..longest)
        };
        around.schedule.after(delay, Event::Act(self.place));
    }

    fn connect(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>) {
        if !around.is_alive(RECEIVER) {
            return self.end(shell, around, Ended::PeerDied);
        }
        shell.add_peer(self.voice.session, RECEIVER);
        shell.core.connect(self.voice.session, around.scenario.connect(self.place));
        self.doing = Doing::Connecting;
        self.die_if_due(around);
        self.go_on(shell, around);
    }

    fn flush(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>) {
        shell.core.with_outbound(self.voice.session, Outbound::flush);
        let accepted =
            shell.core.outbound(self.voice.session).map_or(Number::NONE, |outbound| outbound.window().accepted());
        around.met(Situation::Flush);
        around.note(What::Flushes { place: self.place, number: accepted.get() });
        self.doing = Doing::Flushing(accepted);
        self.go_on(shell, around);
    }

    fn reserve(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>) {
        let length = around.scenario.length(&mut around.rng);
        shell.step(around);
        let reserved = shell.core.reserve(self.voice.session, length);
        shell.transmit(around, false);
        if let Ok(reservation) = reserved {
            around.note(What::Reserves { place: self.place, length });
            if around.rng.bool() {
                shell.core.give_back(self.voice.session, reservation);
            } else {
                around.met(Situation::Reservation);
                let shorter = around.rng.usize(..=length);
                self.left -= 1;
                self.voice.attempt(shell, around, shorter, false, Some(reservation));
            }
        }
        self.pause(around);
    }

    /// Sends a message; `patience`: it is dropped when there is no room for so long.
    fn send(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>, awaited: bool, patience: Option<Time>) {
        self.left -= 1;
        let length = around.scenario.length(&mut around.rng);
        let until = patience.map(|patience| around.now() + patience);
        let wanted = Wanted { length, awaited, until, comes_first: false };
        if let Some(until) = until.filter(|until| *until > around.now()) {
            around.schedule.at(until, Event::Wake(self.place));
        }
        match self.voice.attempt(shell, around, length, awaited, None) {
            Attempt::NoRoom => {
                around.met(Situation::Stall);
                around.note(What::Waits { place: self.place, length });
                if patience == Some(0) {
                    self.drop_message(shell, around, &wanted);
                } else {
                    self.doing = Doing::Finding(wanted);
                    return self.go_on(shell, around);
                }
            }
            attempt => self.sent(shell, around, &wanted, &attempt),
        }
        self.settle(shell, around);
    }

    /// As in `src/sender/session.rs`: an attempt, and what a call does that finds no room.
    fn find_room(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>, mut wanted: Wanted) {
        let is_late = wanted.until.is_some_and(|until| until <= around.now());
        match self.voice.attempt(shell, around, wanted.length, wanted.awaited, None) {
            Attempt::NoRoom if is_late => self.drop_message(shell, around, &wanted),
            Attempt::NoRoom => {
                wanted.comes_first |= shell.core.await_room(self.voice.session, wanted.length, wanted.awaited); // LRG-3
                shell.transmit(around, false);
                self.doing = Doing::Finding(wanted);
            }
            attempt => self.sent(shell, around, &wanted, &attempt),
        }
    }

    fn drop_message(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>, wanted: &Wanted) {
        let attempt = self.voice.drop_message(shell, around);
        self.sent(shell, around, wanted, &attempt);
    }

    /// A call that sends comes to its end.
    fn sent(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>, wanted: &Wanted, attempt: &Attempt) {
        if wanted.comes_first {
            shell.core.end_wait(self.voice.session, wanted.length);
        }
        match attempt {
            Attempt::Sent(number) if wanted.awaited => {
                around.met(Situation::Rendezvous);
                self.doing = Doing::Meeting(*number);
            }
            Attempt::Sent(_) => {
                self.doing = Doing::Nothing;
                self.pause(around);
            }
            Attempt::NoRoom | Attempt::Ended => {
                let ended = shell.core.outbound(self.voice.session).and_then(Outbound::ended);
                self.end(shell, around, ended.unwrap_or(Ended::Finished));
            }
        }
    }
}

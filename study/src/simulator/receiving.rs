//! An application that receives: it reads on, answers, takes its time, or is busy with something else for long.

use super::{
    events::{Bytes, Event, MICROSECOND, MILLISECOND, SECOND},
    hearing::{find_nothing, take},
    lane::Lane,
    link::Surroundings,
    scenario::{Answers, RECEIVER, place_of},
    shell::Shell,
    situations::Situation,
    trace::What,
    voice::{Attempt, Voice},
};
use lamq_protocol::{Event as Told, session::Departure};

/// How long a receiver that leaves waits for room, to say its last words.
const LINGER: u64 = 5 * SECOND;

/// The application of the receiver.
#[derive(Default)]
pub(super) struct Receiving {
    waits: bool,
    /// It was told to leave, and its process is to end.
    ends: bool,
    /// What it is about to send back.
    owed: Option<Owed>,
}

/// Answers to a message.
struct Owed {
    voice: Voice,
    times: u8,
    /// Of the one that waits for room, and whether no other may take that (LRG-3).
    length: Option<usize>,
    comes_first: bool,
}

impl Receiving {
    pub(super) const fn waits(&self) -> bool {
        self.waits
    }

    /// It does what is next, or, if it waits, looks again.
    pub(super) fn act(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>) {
        self.waits = false;
        if shell.has_left {
            return self.see_off(shell, around);
        }
        match self.owed.take() {
            Some(owed) => self.answer(shell, around, owed),
            None => self.ask(shell, around),
        }
    }

    /// It asks for the next message.
    fn ask(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>) {
        let told = take(shell, around).or_else(|| {
            shell.step(around);
            take(shell, around)
        });
        let Some(told) = told else {
            find_nothing(shell, around);
            self.waits = true;
            return;
        };
        if let Some(answers) = around.scenario.answers {
            self.consider(shell, around, &told, answers);
        }
        pause(around);
    }

    /// Whether and how often it is to answer; and whether it has no more to say to a sender that has left.
    fn consider(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>, told: &Told<Bytes>, answers: Answers) {
        match told {
            // Also before anything has come: the welcome may have found no room yet (DPX-4).
            Told::Message { peer, .. } | Told::Joined { peer } if around.rng.u8(..16) < answers.often => {
                let lane = Lane::back_to(place_of(peer.pid));
                let session = shell.core.back_to(peer.stream);
                let times = if around.rng.u8(..16) == 0 { around.rng.u8(2..8) } else { 1 };
                let owes = |session| Owed { voice: Voice { lane, session }, times, length: None, comes_first: false };
                self.owed = session.map(owes);
            }
            Told::Departed { peer, departure: Departure::Left, .. } if answers.closes => {
                if let Some(session) = shell.core.back_to(peer.stream) {
                    shell.close_back(around, session);
                    shell.transmit(around, false);
                }
            }
            _ => {}
        }
    }

    /// It answers once, or looks again for the room to.
    fn answer(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>, mut owed: Owed) {
        let patient = around.scenario.answers.is_some_and(|answers| answers.patient);
        if owed.length.is_some() {
            shell.step(around);
        }
        let length = owed.length.unwrap_or_else(|| around.scenario.length(&mut around.rng));
        let Voice { lane, session } = owed.voice;
        let mut attempt = owed.voice.attempt(shell, around, length, false, None);
        if matches!(attempt, Attempt::NoRoom) && patient {
            if owed.length.replace(length).is_none() {
                around.note(What::Waits { place: lane.writer(), length });
            }
            owed.comes_first |= shell.core.await_room(session, length, false); // LRG-3
            shell.transmit(around, false);
            find_nothing(shell, around);
            self.waits = true;
            self.owed = Some(owed);
            return;
        }
        if owed.comes_first {
            shell.core.end_wait(session, length);
        }
        if matches!(attempt, Attempt::NoRoom) && around.rng.u8(..4) == 0 {
            attempt = owed.voice.drop_message(shell, around);
        }
        let times = owed.times - 1;
        if times > 0 && !matches!(attempt, Attempt::Ended) {
            self.owed = Some(Owed { times, length: None, comes_first: false, ..owed });
        }
        pause(around);
    }

    /// It receives no more.
    pub(super) fn leave(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>) {
        around.note(What::Leaves { place: RECEIVER });
        around.met(Situation::ReceiverLeft);
        around.check.left(RECEIVER);
        self.owed = None;
        shell.leave(around);
        around.schedule.after(LINGER, Event::Die(RECEIVER));
        self.see_off(shell, around);
    }

    /// Its process ends when all are told, or some time later: others may come late.
    fn see_off(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>) {
        shell.step(around);
        shell.transmit(around, true);
        self.waits = true;
        if !shell.core.wants_idle_transmit() && !self.ends {
            self.ends = true;
            let delay = around.rng.u64(..SECOND);
            around.schedule.after(delay, Event::Die(RECEIVER));
        }
    }
}

fn pause(around: &mut Surroundings<'_>) {
    let delay = match around.rng.u16(..500) {
        _ if around.calm => MICROSECOND,
        0 => around.rng.u64(..2 * SECOND),
        1..=4 => around.rng.u64(..50 * MILLISECOND),
        5..=50 => around.rng.u64(..MILLISECOND),
        _ => around.rng.u64(..2 * MICROSECOND),
    };
    around.schedule.after(delay, Event::Act(RECEIVER));
}

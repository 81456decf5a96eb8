//! An application that receives: it reads on, takes its time, or is busy with something else for long.

use super::{
    Sabotage,
    events::{Event, MICROSECOND, MILLISECOND, Place, SECOND},
    link::Surroundings,
    scenario::{RECEIVER, place_of},
    shell::Shell,
    situations::Situation,
    trace::What,
};
use lamq_protocol::Event as Told;

/// How long a receiver that leaves waits for room, to say its last words.
const LINGER: u64 = 5 * SECOND;

/// The application of the receiver.
#[derive(Default)]
pub(super) struct Receiving {
    waits: bool,
    /// It was told to leave, and its process is to end.
    ends: bool,
}

impl Receiving {
    pub(super) const fn waits(&self) -> bool {
        self.waits
    }

    /// It asks for the next message, or, if it waits for one, looks again.
    pub(super) fn act(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>) {
        self.waits = false;
        if shell.has_left {
            return self.see_off(shell, around);
        }
        if !take(shell, around) {
            shell.step(around);
            if !take(shell, around) {
                if !around.scenario.auto_process {
                    shell.core.process_all();
                    shell.transmit(around, true);
                }
                self.waits = true;
                return;
            }
        }
        pause(around);
    }

    /// It receives no more.
    pub(super) fn leave(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>) {
        around.note(What::Leaves { place: RECEIVER });
        around.met(Situation::ReceiverLeft);
        around.check.receiver_left();
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

/// Takes what has been read from the inbox before. Whether there was anything.
fn take(shell: &mut Shell, around: &mut Surroundings<'_>) -> bool {
    let Some(told) = shell.core.next_event() else { return false };
    tell(shell, around, &told);
    if around.sabotage == Some(Sabotage::HandOutTwice)
        && matches!(told, Told::Message { .. })
        && around.rng.u8(..32) == 0
    {
        tell(shell, around, &told);
    }
    shell.transmit(around, false);
    true
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

fn tell(shell: &Shell, around: &mut Surroundings<'_>, told: &Told<super::events::Bytes>) {
    match told {
        Told::Joined { peer } => {
            let sender: Place = place_of(peer.pid);
            around.note(What::Joins { sender });
            around.check.joined(sender);
        }
        Told::Message { peer, number, stamp, frame, body, .. } => {
            let (sender, content) = (place_of(peer.pid), &frame[body.clone()]);
            around.note(What::Message { sender, number: number.get(), length: content.len() });
            around.check.message(sender, number.get(), *stamp, content, shell.core.now());
        }
        Told::Gap { peer, first, last } => {
            let (sender, first, last) = (place_of(peer.pid), first.get(), last.get());
            around.note(What::Gap { sender, first, last });
            around.check.gap(sender, first, last);
            around.met(Situation::Gap);
        }
        Told::Departed { peer, departure, last } => {
            let (sender, how, last) = (place_of(peer.pid), *departure, last.get());
            around.note(What::Departs { sender, how, last });
            around.check.departed(sender, how, last);
        }
    }
}

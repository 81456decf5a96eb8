//! The end of a stream back at which a sender hears answers: at once, now and then, or not at all.

use super::{
    hearing::{find_nothing, take},
    link::Surroundings,
    shell::Shell,
};
use lamq_protocol::Event as Told;

/// How a sender reads what comes back.
pub(super) struct Ear {
    /// Whether there is a stream back, and it has not left it.
    is_open: bool,
    /// Whether it reads all there is, also while it waits for something else.
    keen: bool,
    /// How many of 16 times it reads something between two messages of its own; and while it waits.
    often: u8,
    /// Whether it stays until the stream back is over.
    stays: bool,
}

impl Ear {
    pub(super) fn new(around: &mut Surroundings<'_>) -> Self {
        let Some(answers) = around.scenario.answers else {
            return Self { is_open: false, keen: false, often: 0, stays: false };
        };
        let keen = answers.patient || around.rng.bool();
        let often = [0, 4, 16][around.rng.usize(..3)];
        let stays = answers.closes && around.rng.bool();
        Self { is_open: true, keen, often, stays }
    }

    /// Between two messages of its own.
    pub(super) fn hear_between(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>) {
        if !self.is_open {
            return;
        }
        if !self.keen && around.rng.u8(..64) == 0 {
            return self.close(shell, around);
        }
        if around.rng.u8(..16) >= self.often {
            return;
        }
        // One, as who sends a question for each answer, or all.
        let most = if around.rng.u8(..4) == 0 { usize::MAX } else { 1 };
        self.hear(shell, around, most);
    }

    /// While it waits for something else, or has nothing more to say.
    pub(super) fn hear_meanwhile(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>) {
        if self.is_open && (self.keen || self.stays) {
            self.hear(shell, around, usize::MAX);
        } else if self.is_open && around.rng.u8(..32) < self.often {
            self.hear(shell, around, 1);
        }
    }

    fn hear(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>, most: usize) {
        for _ in 0..most {
            let told = take(shell, around).or_else(|| {
                shell.step(around);
                take(shell, around)
            });
            match told {
                Some(Told::Departed { .. }) => self.is_open = false,
                Some(_) => {}
                None => return find_nothing(shell, around),
            }
        }
    }

    /// Whether it waits for the end of the stream back.
    pub(super) fn listens(&self, shell: &Shell) -> bool {
        self.stays && self.is_open && shell.core.senders().len() > 0
    }

    /// Its process is about to end.
    pub(super) fn depart(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>) {
        if self.is_open && around.rng.bool() {
            self.close(shell, around);
        }
    }

    /// It receives no more.
    fn close(&mut self, shell: &mut Shell, around: &mut Surroundings<'_>) {
        if std::mem::take(&mut self.is_open) {
            around.check.left(shell.place);
            shell.core.leave();
            shell.transmit(around, true);
        }
    }
}

//! What a step need not look at, because the one before has, or because whoever sleeps sees it.

use crate::sync::{Arc, AtomicBool, Ordering};

/// How many steps in a row need not look at what is rare.
const MOST: u32 = 16;

/// What steps have found of late.
#[derive(Debug)]
pub(crate) struct Looks {
    /// Steps since one has looked at what is rare.
    since: u32,
    /// Whether a step has found a message since somebody sent.
    found: bool,
    /// Whether whoever slept found something that is rare.
    rare: Arc<AtomicBool>,
    /// Whether whoever steps sleeps when it finds nothing.
    pub(super) is_before_sleep: bool,
}

impl Looks {
    pub(super) const fn new(rare: Arc<AtomicBool>) -> Self {
        Self { since: 0, found: false, rare, is_before_sleep: false }
    }

    /// A step has read the inbox: whether anything came, and whether it found a message. Returns whether it is to look at what is rare too:
    /// whoever finds a message goes on at once, and the rest can wait for a few of them; whoever finds nothing and sleeps wakes up for it. When
    /// somebody comes or goes it cannot wait: a death is told before the life of a sender that came after it.
    pub(super) fn is_due(&mut self, came: bool, found: bool) -> bool {
        self.found |= found;
        let sleeps = self.is_before_sleep && !came && !self.rare.load(Ordering::Relaxed);
        self.since = if (found || sleeps) && self.since < MOST { self.since + 1 } else { 0 };
        if self.since == 0 {
            self.rare.store(false, Ordering::Relaxed);
        }
        self.since == 0
    }

    /// Whether whoever sends now has just looked, since what it sends is an answer.
    pub(crate) fn take_found(&mut self) -> bool {
        std::mem::take(&mut self.found)
    }
}

#[cfg(all(test, not(lamq_loom)))]
mod tests {
    use super::*;

    fn looks() -> Looks {
        Looks::new(Arc::default())
    }

    #[test]
    fn what_is_rare_is_looked_at_when_nothing_is_found_and_after_a_few_finds() {
        let mut looks = looks();
        assert!(looks.is_due(false, false) && looks.is_due(true, false));
        let finds = (0..MOST).filter(|_| looks.is_due(true, true)).count();
        assert_eq!(finds, 0);
        assert!(looks.is_due(true, true) && !looks.is_due(true, true) && looks.is_due(false, false));
    }

    #[test]
    fn whoever_sleeps_need_not_look_unless_it_woke_up_for_that() {
        let mut looks = looks();
        looks.is_before_sleep = true;
        assert!(looks.is_due(true, false), "somebody came");
        assert!(!looks.is_due(false, false));
        looks.rare.store(true, Ordering::Relaxed);
        assert!(looks.is_due(false, false) && !looks.is_due(false, false));
        let sleeps = (0..=MOST).filter(|_| looks.is_due(false, false)).count();
        assert_eq!(sleeps, 1, "no patience is so short that nobody ever looks");
    }

    #[test]
    fn only_the_first_answer_to_what_was_found_need_not_look() {
        let mut looks = looks();
        assert!(!looks.take_found());
        looks.is_due(true, true);
        looks.is_due(false, false);
        assert!(looks.take_found() && !looks.take_found());
    }
}

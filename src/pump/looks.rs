//! What a step need not look at, because the one before has.

/// How many steps in a row need not look at what is rare, because they find messages.
const MOST: u32 = 16;

/// What steps have found of late.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    /// Steps since one has looked at what is rare.
    since: u32,
    /// Whether a step has found a message since somebody sent.
    found: bool,
}

impl Looks {
    /// A step has read the inbox, and found a message or not. Returns whether it is to look at what is rare too: whoever finds a message goes
    /// on at once, and the rest can wait for a few of them. When somebody comes or goes it cannot: a death is told before the life of a sender
    /// that came after it.
    pub(super) fn is_due(&mut self, found: bool) -> bool {
        self.found |= found;
        self.since = if found && self.since < MOST { self.since + 1 } else { 0 };
        self.since == 0
    }

    /// Whether whoever sends now has just looked, since what it sends is an answer.
    pub(crate) fn take_found(&mut self) -> bool {
        std::mem::take(&mut self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rare_is_looked_at_when_nothing_is_found_and_after_a_few_finds() {
        let mut looks = Looks::default();
        assert!(looks.is_due(false) && looks.is_due(false));
        let finds = (0..MOST).filter(|_| looks.is_due(true)).count();
        assert_eq!(finds, 0);
        assert!(looks.is_due(true) && !looks.is_due(true) && looks.is_due(false));
    }

    #[test]
    fn only_the_first_answer_to_what_was_found_need_not_look() {
        let mut looks = Looks::default();
        assert!(!looks.take_found());
        looks.is_due(true);
        looks.is_due(false);
        assert!(looks.take_found() && !looks.take_found());
    }
}

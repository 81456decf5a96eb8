//! Whoever waits may sleep in the inbox itself: the part of the endpoint.

use super::{Mailbox, State, mailbox::Entrance};
use crate::{clock::Deadline, sync::Arc};
use std::time::Duration;

/// Whoever has this time to wait need not look before it sleeps.
const LONG: Duration = Duration::from_millis(50);

/// What there is to know of sleeps in the inbox.
#[derive(Debug, Default)]
pub(super) struct Rest {
    last: Sleep,
    /// Empty frames of our own that may lie in the inbox.
    rings: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sleep {
    /// There was none, or it was elsewhere, or all is as if it had been.
    #[default]
    Elsewhere,
    /// It lasts.
    InInbox,
    /// It was ended by a frame, and since then nobody has looked for another one before a sleep.
    Ended,
}

impl Rest {
    /// Somebody is going to sleep in the inbox.
    pub(super) const fn begin(&mut self) {
        self.last = Sleep::InInbox;
    }

    /// Whoever slept is awake again, by a frame that it has taken or not.
    pub(super) fn end(&mut self, by_frame: bool) {
        self.last = if self.is_in_inbox() && by_frame { Sleep::Ended } else { Sleep::Elsewhere };
    }

    /// Somebody sleeps in the inbox, gets what comes first, and must be the next who reads.
    pub(super) fn is_in_inbox(&self) -> bool {
        self.last == Sleep::InInbox
    }

    /// An empty frame has come. Whether it was our own.
    pub(super) fn was_rung_for(&mut self) -> bool {
        let left = self.rings.checked_sub(1);
        self.rings = left.unwrap_or_default();
        left.is_some()
    }
}

impl State {
    /// Whether one can sleep in the inbox. Not if there are several, nor where it is to be asked again for what was lost.
    pub(super) fn can_sleep_in_inbox(&self) -> bool {
        let inlet = &self.mailbox.entrance().inlet;
        self.orphans.is_empty() && !self.link.is_lossy() && !inlet.has_ahead() && inlet.is_blocking()
    }

    /// Whether frames can be read by whoever has the lock.
    pub(crate) fn can_read(&self) -> bool {
        !self.rest.is_in_inbox()
    }

    /// Wakes whoever sleeps in an inbox, by an empty frame (POS-14). If there is no room for it, there are others. Returns whether that has
    /// been done.
    pub(super) fn ring(&mut self) -> bool {
        // It may not be the one with the name any more (POS-13).
        let orphans = self.orphans.iter().map(|orphan| &orphan.mailbox);
        let mut entrances = orphans.chain([&self.mailbox]).map(Mailbox::entrance);
        let slept_on =
            |entrance: &&Arc<Entrance>| self.planned.is_some_and(|(_, place)| place == Arc::as_ptr(entrance).addr());
        let Some(Ok(has_rung)) = entrances.find(slept_on).map(|entrance| entrance.inlet.ring()) else { return false };
        self.rest.rings += u32::from(has_rung);
        true
    }

    /// Whether it is in vain to look before a sleep: whoever was woken by a frame will sleep in the inbox again, which finds what is there,
    /// and the keeper looks at all else. But it may have something to say.
    pub(crate) fn need_not_look(&mut self, deadline: Deadline) -> bool {
        if self.rest.last != Sleep::Ended || self.mailbox.has_ahead() {
            return false;
        }
        self.rest.last = Sleep::Elsewhere;
        let has_nothing = self.passed.is_none() && !self.core.has_event() && self.orphans.is_empty();
        has_nothing && deadline.remaining().is_none_or(|left| left > LONG)
    }
}

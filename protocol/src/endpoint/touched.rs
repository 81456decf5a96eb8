//! A set of sessions.

use crate::number::SessionId;

/// Sessions, each once, in order. There are few of them, as a rule one: a list costs less than a tree, and keeps its memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Touched(Vec<SessionId>);

impl Touched {
    pub(super) fn insert(&mut self, session: SessionId) {
        if let Err(place) = self.0.binary_search(&session) {
            self.0.insert(place, session);
        }
    }

    pub(super) fn extend(&mut self, sessions: impl Iterator<Item = SessionId>) {
        self.0.extend(sessions);
        self.0.sort_unstable();
        self.0.dedup();
    }

    pub(super) fn remove(&mut self, session: SessionId) {
        if let Ok(place) = self.0.binary_search(&session) {
            self.0.remove(place);
        }
    }

    /// The one at this place in their order, if there are as many.
    pub(super) fn at(&self, place: usize) -> Option<SessionId> {
        self.0.get(place).copied()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

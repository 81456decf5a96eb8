//! What is known of one stream.

use super::prompt::Debt;
use lamq_protocol::{SessionId, Stamp, session::Ended};

/// What the receiving application knows of a sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Guest {
    #[default]
    Unknown,
    Joined,
    Departed,
}

/// What became of whoever receives.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reader {
    pub(super) has_left: bool,
    pub(super) has_died: bool,
}

/// What is known of one stream and its session.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Of each number that was given: the length of its message, `None` if that was dropped.
    pub(super) given: Vec<Option<usize>>,
    pub(super) transmitted: u64,
    pub(super) acknowledged: u64,
    pub(super) has_closed: bool,
    pub(super) has_died: bool,
    pub(super) ended: Option<Ended>,
    pub(super) reader: Reader,
    /// What the receiving application was told.
    pub(super) guest: Guest,
    pub(super) told: u64,
    pub(super) told_bytes: u64,
    /// Of its credit; that counts as told.
    pub(super) given_back: u64,
    pub(super) stamp: u64,
    /// The receiver's clock after each number was told.
    pub(super) clocks: Vec<Stamp>,
    pub(super) debt: Debt,
    /// What was seen on the link: under which session its frames go, how many, and what was granted.
    pub(super) session: Option<SessionId>,
    pub(super) frames: u64,
    pub(super) bytes: u64,
    pub(super) credit: (u64, u64),
}

impl Stream {
    /// How many bytes more than the window the receiver may have to hold.
    pub(super) const fn excess(&self, window: u64) -> u64 {
        self.credit.1.saturating_sub(self.told_bytes + self.given_back + window)
    }

    /// Whether both ends are there, as far as can be seen, and nothing keeps them from talking.
    pub(super) fn goes_on(&self) -> bool {
        let is_over = self.has_closed || self.has_died || self.reader.has_left || self.reader.has_died;
        self.guest == Guest::Joined && !is_over
    }
}

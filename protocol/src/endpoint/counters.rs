//! What an endpoint counts: every frame that was dropped, by its cause (CAL-5).

use super::replies::Reply;
use crate::wire::Fault;

/// Counts since the endpoint was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Frames taken from the inbox, whatever they were.
    pub frames: u64,
    /// Data frames that brought new messages.
    pub data_frames: u64,
    /// Messages handed to the application.
    pub delivered: u64,
    /// Messages that senders dropped for want of room, as far as the application was told (DRP-1).
    pub dropped_by_senders: u64,
    /// Sessions that were opened in which we receive.
    pub accepted: u64,
    /// Senders whose departure was told to the application.
    pub departed: u64,
    /// Greetings that deserved a refusal; they got it unless they are also counted as untrusted.
    pub refused: u64,
    /// Greetings that only asked (GRT-6); they got their answer unless they are also counted as untrusted.
    pub pings: u64,
    /// Greetings not answered because their inbox could not be opened or trusted (GRT-4).
    pub untrusted_greeting: u64,
    /// Greetings that were meant for an incarnation before us, which left them unread (GRT-8).
    pub misaddressed: u64,
    /// Greetings of a stream that we know already (GRT-3).
    pub repeated_greeting: u64,
    /// Welcomes for a session that was open already (WEL-2), or that nobody wanted (WEL-3).
    pub repeated_welcome: u64,
    /// Refusals of a session that was open already.
    pub late_refusals: u64,
    /// Data frames and closes dropped because they came before (DAT-3).
    pub duplicates: u64,
    /// Data frames and closes that came before those in front of them, and were kept (RTX-3).
    pub early: u64,
    /// Data frames and closes dropped because they came too far before those in front of them; they come again (RTX-3).
    pub too_early: u64,
    /// Acknowledgements that said nothing new (ACK-5).
    pub stale_acknowledgements: u64,
    /// Asks that said nothing new.
    pub stale_asks: u64,
    /// Frames dropped because they name a session that we do not have (FRM-2).
    pub unknown_session: u64,
    /// Sessions ended because the peer broke the protocol (SES-3).
    pub violations: u64,
    malformed: [u64; Fault::ALL.len()],
}

impl Counters {
    /// Frames dropped because of this fault (FRM-1).
    pub fn of_fault(&self, fault: Fault) -> u64 {
        self.malformed[fault as usize]
    }

    /// Frames dropped because they were malformed.
    pub fn all_faults(&self) -> u64 {
        self.malformed.iter().sum()
    }

    pub(super) fn malformed(&mut self, fault: Fault) {
        self.malformed[fault as usize] += 1;
    }

    /// A session had no use for a frame of its receiver.
    pub(super) fn unneeded(&mut self, reply: &Reply) {
        match reply {
            Reply::Welcome(_) => self.repeated_welcome += 1, // WEL-2
            Reply::Refusal(_) => self.late_refusals += 1,
            Reply::Close(_) => self.unknown_session += 1,
        }
    }

    /// The shell found a greeting to be untrue (GRT-4).
    pub(super) fn distrust(&mut self) {
        self.untrusted_greeting += 1;
    }
}

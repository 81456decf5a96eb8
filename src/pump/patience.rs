//! How long to wait for an answer on a link that may have lost it (RTX-2).

use super::State;
use crate::clock::Deadline;
use lamq_protocol::{SessionId, session::Outbound, wire::Acknowledgement};
use std::{collections::BTreeMap, time::Duration};

/// The first wait, and the longest: each is twice the one before, until an answer comes.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Whether the session is open, and what the receiver last acknowledged.
type Known = (bool, Acknowledgement);

/// The patience with one session.
#[derive(Debug)]
pub(super) struct Patience {
    wait: Duration,
    ends: Deadline,
    /// What was known when it began.
    known: Known,
}

impl Patience {
    fn new(known: Known) -> Self {
        Self { wait: FIRST_WAIT, ends: Deadline::after(FIRST_WAIT), known }
    }
}

impl State {
    /// Asks again where no answer has come for a while.
    pub(super) fn ask_again(&mut self) {
        if !self.link.is_lossy() {
            return;
        }
        self.renew_patience();
        let mut asked = Vec::new();
        for (session, patience) in &mut self.patience {
            if patience.ends.has_passed() {
                patience.wait = (patience.wait * 2).min(LONGEST_WAIT);
                patience.ends = Deadline::after(patience.wait);
                self.core.with_outbound(*session, Outbound::handle_answer_timeout);
                asked.push(*session);
            }
        }
        // DTH-1: no bell rings when one leaves whose process lives on, and its last words may be lost.
        for session in asked.into_iter().filter(|session| self.is_gone(*session)).collect::<Vec<_>>() {
            self.bury(session);
            self.progressed = true;
        }
    }

    /// When to ask next, as things are now: to be called right before a sleep.
    pub(super) fn next_ask(&mut self) -> Option<Deadline> {
        self.renew_patience();
        self.patience.values().map(|patience| patience.ends).min()
    }

    /// Whether an answer is awaited that may have to be asked for.
    pub(super) fn may_ask(&self) -> bool {
        self.link.is_lossy() && self.awaiting().next().is_some()
    }

    /// Patience begins where an answer is awaited, begins anew when one has come, and ends where none is awaited any more.
    fn renew_patience(&mut self) {
        if !self.link.is_lossy() {
            return;
        }
        let mut awaiting: BTreeMap<_, _> = self.awaiting().collect();
        self.patience.retain(|session, patience| awaiting.get(session) == Some(&patience.known));
        awaiting.retain(|session, _| !self.patience.contains_key(session));
        self.patience.extend(awaiting.into_iter().map(|(session, known)| (session, Patience::new(known))));
    }

    /// Where an answer is awaited, and what is known there.
    fn awaiting(&self) -> impl Iterator<Item = (SessionId, Known)> {
        self.peers.keys().filter_map(|session| {
            let outbound = self.core.outbound(*session).filter(|outbound| outbound.awaits_something())?;
            Some((*session, (outbound.is_open(), *outbound.window().acknowledged())))
        })
    }
}

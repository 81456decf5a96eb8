//! Safety, while the world runs: what applications were told, and what could be seen on the link, held against what was done.

use super::{
    events::Place,
    lane::{Lane, Lanes},
    scenario::{Fate, Scenario, body},
};
use crate::{Claims, Oracle, Verdict};
use lamq_protocol::{
    Stamp,
    send::SendWindow,
    session::{Departure, Ended},
};

mod prompt;
mod seen;
mod stream;

use stream::{Guest, Stream};

/// All that is known of all streams.
pub(super) struct Check {
    scenario: Scenario,
    oracle: Oracle<Lane>,
    streams: Lanes<Stream>,
    progress: u64,
    violation: Option<String>,
}

impl Check {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self {
            scenario: *scenario,
            oracle: Oracle::new(),
            streams: Lanes::new(scenario.senders),
            progress: 0,
            violation: None,
        }
    }

    /// The first promise that was found broken.
    pub(super) fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    /// How often an application came further: it sent something, got something, or learned of an end.
    pub(super) const fn progress(&self) -> u64 {
        self.progress
    }

    fn demand(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds && self.violation.is_none() {
            self.violation = Some(what());
        }
    }

    fn judge(&mut self, lane: Lane, complete: bool) {
        let Stream { given, acknowledged, .. } = &self.streams[lane];
        let claims = Claims { sent: given.len() as u64, acknowledged: *acknowledged, complete };
        let verdict: Verdict = self.oracle.judge(&lane, claims);
        self.demand(verdict.holds(), || format!("of {lane}: {verdict}"));
    }

    // What those who send do and see.

    /// A number was given, to a message of this length or to one that was dropped.
    pub(super) fn gave(&mut self, lane: Lane, number: u64, length: Option<usize>) {
        self.progress += 1;
        let given = &mut self.streams[lane].given;
        given.push(length);
        let expected = given.len() as u64;
        self.demand(number == expected, || format!("{lane} gave number {number} for {expected} (NUM-1)"));
    }

    pub(super) fn closes(&mut self, lane: Lane) {
        self.streams[lane].has_closed = true;
    }

    /// What a sender's core knows of its session, and what its clock shows.
    pub(super) fn knows(&mut self, lane: Lane, window: &SendWindow, clock: Stamp) {
        let stream = &mut self.streams[lane];
        stream.transmitted = window.transmitted().get();
        let acknowledged = window.acknowledged().delivered.get();
        if stream.acknowledged != acknowledged {
            stream.acknowledged = acknowledged;
            self.judge(lane, false); // PRO-2
            // LAM-2, LAM-3: the delivery happened before.
            let clocks = &self.streams[lane].clocks;
            let index = usize::try_from(acknowledged).unwrap_or(usize::MAX).wrapping_sub(1);
            let is_later = clocks.get(index).is_none_or(|delivery| *delivery <= clock);
            self.demand(is_later, || format!("the clock of {lane} is behind the delivery of {acknowledged}"));
        }
    }

    /// A frame was handled by cut-through, and as the same did without.
    pub(super) fn comes_through(&mut self, place: Place, same: bool) {
        self.demand(same, || format!("at place {place} cut-through came to something else than the long way"));
    }

    /// A rendezvous has taken place (CAL-7).
    pub(super) fn delivered(&mut self, lane: Lane, number: u64) {
        let told = self.streams[lane].told;
        self.demand(number <= told, || format!("{lane} was told that {number} is delivered, but {told} is"));
    }

    /// A session is over for its sender, whose core keeps so many frames.
    pub(super) fn ended(&mut self, lane: Lane, why: Ended, kept: usize) {
        self.progress += 1;
        let stream = &mut self.streams[lane];
        stream.ended = Some(why);
        let may_be = match why {
            Ended::Finished => stream.has_closed && kept == 0,
            Ended::Refused(_) => (self.scenario.max_sessions as usize) < self.scenario.senders,
            Ended::ClosedByPeer => stream.reader.has_left,
            Ended::PeerDied => stream.reader.has_died,
            Ended::PeerViolated(_) | Ended::Accused(_) | Ended::TooLongForNext => false,
        };
        self.demand(may_be, || format!("{lane} was told: {why}; it keeps {kept} frames"));
    }

    pub(super) fn died(&mut self, place: Place) {
        for lane in self.streams.all() {
            self.streams[lane].has_died |= lane.writer() == place;
            self.streams[lane].reader.has_died |= lane.reader() == place;
        }
    }

    /// The application at `place` receives no more.
    pub(super) fn left(&mut self, place: Place) {
        for lane in self.streams.all().filter(|lane| lane.reader() == place) {
            self.streams[lane].reader.has_left = true;
        }
    }

    // What those who receive are told.

    pub(super) fn joined(&mut self, lane: Lane) {
        self.progress += 1;
        let first = std::mem::replace(&mut self.streams[lane].guest, Guest::Joined) == Guest::Unknown;
        self.demand(first, || format!("{lane} joined again"));
    }

    fn follows(&mut self, lane: Lane, first: u64) {
        let Stream { guest, told, .. } = self.streams[lane];
        let may = guest == Guest::Joined && first == told + 1;
        self.demand(may, || format!("the application got number {first} of {lane} behind {told}"));
    }

    /// `clock` is that of whoever got it, behind it.
    pub(super) fn message(&mut self, lane: Lane, number: u64, stamp: Stamp, content: &[u8], clock: Stamp) {
        self.progress += 1;
        self.oracle.delivered(lane, number);
        let index = usize::try_from(number).unwrap_or(usize::MAX).wrapping_sub(1);
        let length = self.streams[lane].given.get(index).copied().flatten();
        if length.is_none_or(|length| content != body(lane, number, length)) {
            self.oracle.corrupt(lane);
        }
        self.judge(lane, false);
        self.follows(lane, number);
        let stream = &mut self.streams[lane];
        let rises = stream.stamp < stamp.get() && stamp < clock;
        (stream.told, stream.stamp) = (number, stamp.get());
        stream.clocks.push(clock);
        stream.told_bytes += content.len() as u64;
        self.demand(rises, || format!("the stamp of message {number} of {lane} is out of order"));
    }

    pub(super) fn gap(&mut self, lane: Lane, first: u64, last: u64) {
        self.progress += 1;
        self.follows(lane, first);
        (first..=last).for_each(|number| self.oracle.delivered(lane, number));
        let stream = &mut self.streams[lane];
        stream.told = last;
        stream.clocks.resize(usize::try_from(last).unwrap_or(usize::MAX), Stamp::default());
        let given = |number: u64| stream.given.get(usize::try_from(number - 1).ok()?).copied();
        let is_true = first <= last && (first..=last).all(|number| given(number) == Some(None));
        self.demand(is_true, || format!("{lane} did not drop all of {first} to {last} (DRP-1)"));
        self.judge(lane, false);
    }

    pub(super) fn departed(&mut self, lane: Lane, how: Departure, last: u64) {
        self.progress += 1;
        let lossy = self.scenario.lossy;
        let stream = &mut self.streams[lane];
        let first = std::mem::replace(&mut stream.guest, Guest::Departed) == Guest::Joined;
        let may_be = match how {
            Departure::Left => stream.has_closed && last == stream.given.len() as u64,
            // CLO-1, DTH-2: of what it sent, nothing is missing, least of all the close of one that has finished.
            Departure::Died => {
                let has_finished = stream.ended == Some(Ended::Finished);
                stream.has_died && !has_finished && (lossy || last == stream.transmitted)
            }
            Departure::Violated(_) | Departure::Accused(_) => false,
        };
        // CLO-2, DTH-4
        let (told, transmitted) = (stream.told, stream.transmitted);
        self.demand(first && may_be && last == told, || {
            format!("{lane} {how} with last number {last}, of {transmitted} sent and {told} told")
        });
    }

    // At the end.

    /// All has come to rest: nothing of a sender that finished may be missing, if the receiver has stayed.
    pub(super) fn finish(&mut self) {
        for lane in self.streams.all().filter(|lane| !lane.is_back) {
            let Stream { ended, has_died, guest, .. } = self.streams[lane];
            let stays = self.scenario.fate == Fate::Stays;
            self.judge(lane, stays && ended == Some(Ended::Finished));
            let is_told = !stays || guest != Guest::Joined;
            self.demand(is_told, || format!("the application was not told that {lane} is gone"));
            self.demand(ended.is_some() || has_died, || format!("{lane} never came to its end"));
        }
    }
}

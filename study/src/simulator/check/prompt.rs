//! What must be done at once, mostly by whoever receives: within the call, or the tick of the keeper, in which the cause of it came up.

use super::Check;
use crate::simulator::{
    events::Place,
    lane::Lane,
    situations::{Situation, Situations},
};
use lamq_protocol::{
    Level,
    send::SendWindow,
    wire::{Acknowledgement, Frame, decode},
};
use std::collections::BTreeSet;

/// What is owed to the sending end of one stream.
#[derive(Debug, Default)]
pub(super) struct Debt {
    /// Of a stream back: whether its reader knows of it.
    is_welcome: bool,
    /// The number of the last message whose delivery is waited for.
    awaited: u64,
    /// The last ask that was taken from the inbox, and the numbers that frames ask about.
    asked: u64,
    solicited: BTreeSet<u64>,
    /// The highest that was offered to the link, which may have had no room; and that at the stream's level.
    delivered: u64,
    answered: u64,
    settled: u64,
    /// The application is done with all messages up to this one.
    done: u64,
    answer: Answer,
}

/// Whether an acknowledgement may wait for something that is sent back (ACK-12).
#[derive(Clone, Copy, Debug, Default)]
struct Answer {
    /// The application has a message, and did not ask for another one since.
    holds: bool,
    /// It has sent something back since, or was to and found no room; and whether it did so the time before.
    answered: bool,
    answers: bool,
}

impl Answer {
    const fn is_expected(self) -> bool {
        self.holds && self.answers && !self.answered
    }
}

impl Check {
    /// The delivery of a message is waited for.
    pub(in super::super) fn awaits(&mut self, lane: Lane, number: u64) {
        self.streams[lane].debt.awaited = number;
    }

    /// Somebody has taken this frame from its inbox.
    pub(in super::super) fn taken(&mut self, frame: &[u8]) {
        let Ok((header, frame)) = decode(frame) else { return };
        let Some(lane) = self.lane_of(header.session) else { return };
        let debt = &mut self.streams[lane].debt;
        match frame {
            Frame::Welcome(_) => debt.is_welcome = true,
            // On a lossy link these can come before the welcome: of no session yet, they come to nothing.
            _ if lane.is_back && !debt.is_welcome => {}
            Frame::Ask(ask) => debt.asked = ask.question.max(debt.asked),
            Frame::Data(data) if data.solicits() => _ = debt.solicited.insert(data.last().get()),
            _ => {}
        }
    }

    /// Somebody offers this frame to the link.
    pub(in super::super) fn offered(&mut self, frame: &[u8]) {
        let Ok((header, frame)) = decode(frame) else { return };
        let acknowledgement = match &frame {
            Frame::Acknowledgement(acknowledgement) => Some(*acknowledgement),
            Frame::Data(data) => data.carried().map(|(_, acknowledgement)| acknowledgement),
            _ => None,
        };
        let lane = self.lane_of(header.session).map(Lane::opposite);
        if let (Some(Acknowledgement { received, delivered, processed, answered, .. }), Some(lane)) =
            (acknowledgement, lane)
        {
            let settled = match self.scenario.level(lane) {
                Level::Received => received,
                Level::Delivered => delivered,
                Level::Processed => processed,
            };
            let debt = &mut self.streams[lane].debt;
            debt.delivered = delivered.get().max(debt.delivered);
            debt.answered = answered.max(debt.answered);
            debt.settled = settled.get().max(debt.settled);
        }
    }

    // What becomes of answers.

    fn read_by(&self, place: Place) -> impl Iterator<Item = Lane> + use<> {
        self.streams.all().filter(move |lane| lane.reader() == place)
    }

    /// The application asks for what comes next; whether that says that it is done with what it has.
    pub(in super::super) fn asks(&mut self, place: Place, is_done: bool) {
        for lane in self.read_by(place) {
            let stream = &mut self.streams[lane];
            let answer = &mut stream.debt.answer;
            if answer.holds {
                *answer = Answer { answers: answer.answered, ..Answer::default() };
            }
            if is_done {
                stream.debt.done = stream.told;
            }
        }
    }

    /// The application says that it is done with what it has.
    pub(in super::super) fn processes(&mut self, place: Place) {
        for lane in self.read_by(place) {
            self.streams[lane].debt.done = self.streams[lane].told;
        }
    }

    /// The application has got a message; `expects`: to ask for another one says that it is done with it.
    pub(in super::super) fn holds(&mut self, lane: Lane, expects: bool) {
        self.streams[lane].debt.answer.holds |= expects;
    }

    /// Something was sent in the other direction, or was to.
    pub(in super::super) fn answers(&mut self, lane: Lane) {
        self.streams[lane].debt.answer.answered = true;
    }

    /// The application waits, and sends nothing before that is over.
    pub(in super::super) fn waits(&mut self, place: Place) {
        for lane in self.read_by(place) {
            let answer = &mut self.streams[lane].debt.answer;
            answer.answers &= !answer.is_expected();
        }
    }

    /// What whoever sends has not sent, though the link has room.
    pub(in super::super) fn keeps(&mut self, lane: Lane, window: &SendWindow) {
        let (frames, credit) = (self.streams[lane].frames, window.acknowledged().frame_credit);
        self.demand(!window.has_waiting() || frames >= credit, || {
            format!("{lane} did not send what waits, though it sent {frames} frames of {credit} (DAT-7)")
        });
    }

    /// A call is over, or the keeper's tick; `quiet`: a tick, before which nobody has called in for a while.
    pub(in super::super) fn rests(&mut self, place: Place, quiet: bool, met: &mut Situations) {
        for lane in self.read_by(place) {
            let stream = &self.streams[lane];
            if !stream.goes_on() {
                continue;
            }
            let (told, debt) = (stream.told, &stream.debt);
            let Debt { awaited, asked, delivered, answered, settled, done, .. } = *debt;
            let may_wait = debt.answer.is_expected() && !quiet;
            let come = if self.scenario.level(lane) == Level::Processed { done } else { told };
            let owed = debt.solicited.range(..=come).next_back().copied().filter(|owed| *owed > settled);
            self.demand(awaited > told || awaited <= delivered, || {
                format!("{lane} waits for the delivery of {awaited}, and was not told at once (ACK-8)")
            });
            self.demand(asked <= answered, || format!("ask {asked} of {lane} was not answered at once (LRG-4)"));
            self.demand(owed.is_none() || may_wait, || {
                format!("{lane} asks about {owed:?}, which is at its level, and was not told at once (ACK-4, ACK-12)")
            });
            met.add(Situation::PutOff, u64::from(owed.is_some()));
        }
    }
}

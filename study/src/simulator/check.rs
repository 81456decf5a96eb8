//! Safety, while the world runs: what applications were told, and what could be seen on the link, held against what was done.

use super::{
    events::Place,
    scenario::{Fate, Scenario, body, place_of},
    situations::{Situation, Situations},
    trace::name,
};
use crate::{Claims, Oracle, Verdict};
use lamq_protocol::{
    SessionId, Stamp,
    send::SendWindow,
    session::{Departure, Ended},
    wire::{Acknowledgement, DataFrame, Frame, decode},
};

mod prompt;

use prompt::Debt;

/// All that is known of all senders.
pub(super) struct Check {
    scenario: Scenario,
    oracle: Oracle<Place>,
    /// By place; that of the receiver is empty.
    streams: Vec<Stream>,
    receiver_has_left: bool,
    receiver_has_died: bool,
    progress: u64,
    violation: Option<String>,
}

/// What the receiving application knows of a sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Guest {
    #[default]
    Unknown,
    Joined,
    Departed,
}

/// What is known of one sender and its session.
#[derive(Debug, Default)]
struct Stream {
    /// Of each number that was given: the length of its message, `None` if that was dropped.
    given: Vec<Option<usize>>,
    transmitted: u64,
    acknowledged: u64,
    has_closed: bool,
    has_died: bool,
    ended: Option<Ended>,
    /// What the receiving application was told.
    guest: Guest,
    told: u64,
    told_bytes: u64,
    /// Of its credit; that counts as told.
    given_back: u64,
    stamp: u64,
    /// The receiver's clock after each number was told.
    clocks: Vec<Stamp>,
    debt: Debt,
    /// What was seen on the link.
    reply: Option<SessionId>,
    data: Option<SessionId>,
    frames: u64,
    bytes: u64,
    credit: (u64, u64),
}

impl Check {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self {
            scenario: *scenario,
            oracle: Oracle::new(),
            streams: (0..=scenario.senders).map(|_| Stream::default()).collect(),
            receiver_has_left: false,
            receiver_has_died: false,
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

    fn judge(&mut self, sender: Place, complete: bool) {
        let Stream { given, acknowledged, .. } = &self.streams[sender];
        let claims = Claims { sent: given.len() as u64, acknowledged: *acknowledged, complete };
        let verdict: Verdict = self.oracle.judge(&sender, claims);
        self.demand(verdict.holds(), || format!("of {}: {verdict}", name(sender)));
    }

    // What senders do and see.

    /// A number was given, to a message of this length or to one that was dropped.
    pub(super) fn gave(&mut self, sender: Place, number: u64, length: Option<usize>) {
        self.progress += 1;
        let given = &mut self.streams[sender].given;
        given.push(length);
        let expected = given.len() as u64;
        self.demand(number == expected, || format!("{} gave number {number} for {expected} (NUM-1)", name(sender)));
    }

    pub(super) fn closes(&mut self, sender: Place) {
        self.streams[sender].has_closed = true;
    }

    /// What a sender's core knows of its session, and what its clock shows.
    pub(super) fn knows(&mut self, sender: Place, window: &SendWindow, clock: Stamp) {
        let stream = &mut self.streams[sender];
        stream.transmitted = window.transmitted().get();
        let acknowledged = window.acknowledged().delivered.get();
        if stream.acknowledged != acknowledged {
            stream.acknowledged = acknowledged;
            self.judge(sender, false); // PRO-2
            // LAM-2, LAM-3: the delivery happened before.
            let clocks = &self.streams[sender].clocks;
            let index = usize::try_from(acknowledged).unwrap_or(usize::MAX).wrapping_sub(1);
            let is_later = clocks.get(index).is_none_or(|delivery| *delivery <= clock);
            self.demand(is_later, || format!("the clock of {} is behind the delivery of {acknowledged}", name(sender)));
        }
    }

    /// A rendezvous has taken place (CAL-7).
    pub(super) fn delivered(&mut self, sender: Place, number: u64) {
        let told = self.streams[sender].told;
        self.demand(number <= told, || format!("{} was told that {number} is delivered, but {told} is", name(sender)));
    }

    /// A session is over for its sender, whose core keeps so many frames.
    pub(super) fn ended(&mut self, sender: Place, why: Ended, kept: usize) {
        self.progress += 1;
        let stream = &mut self.streams[sender];
        stream.ended = Some(why);
        let may_be = match why {
            Ended::Finished => stream.has_closed && kept == 0,
            Ended::Refused(_) => (self.scenario.max_sessions as usize) < self.scenario.senders,
            Ended::ClosedByPeer => self.receiver_has_left,
            Ended::PeerDied => self.receiver_has_died,
            Ended::PeerViolated(_) | Ended::Accused(_) | Ended::TooLongForNext => false,
        };
        self.demand(may_be, || format!("{} was told: {why}; it keeps {kept} frames", name(sender)));
    }

    pub(super) fn died(&mut self, sender: Place) {
        self.streams[sender].has_died = true;
    }

    pub(super) const fn receiver_left(&mut self) {
        self.receiver_has_left = true;
    }

    pub(super) const fn receiver_died(&mut self) {
        self.receiver_has_died = true;
    }

    // What the receiving application is told.

    pub(super) fn joined(&mut self, sender: Place) {
        self.progress += 1;
        let first = std::mem::replace(&mut self.streams[sender].guest, Guest::Joined) == Guest::Unknown;
        self.demand(first, || format!("{} joined again", name(sender)));
    }

    fn follows(&mut self, sender: Place, first: u64) {
        let Stream { guest, told, .. } = self.streams[sender];
        let may = guest == Guest::Joined && first == told + 1;
        self.demand(may, || format!("the application got number {first} of {} behind {told}", name(sender)));
    }

    /// `clock` is that of the receiver, behind it.
    pub(super) fn message(&mut self, sender: Place, number: u64, stamp: Stamp, content: &[u8], clock: Stamp) {
        self.progress += 1;
        self.oracle.delivered(sender, number);
        let index = usize::try_from(number).unwrap_or(usize::MAX).wrapping_sub(1);
        let length = self.streams[sender].given.get(index).copied().flatten();
        if length.is_none_or(|length| content != body(sender, number, length)) {
            self.oracle.corrupt(sender);
        }
        self.judge(sender, false);
        self.follows(sender, number);
        let stream = &mut self.streams[sender];
        let rises = stream.stamp < stamp.get() && stamp < clock;
        (stream.told, stream.stamp) = (number, stamp.get());
        stream.clocks.push(clock);
        stream.told_bytes += content.len() as u64;
        self.demand(rises, || format!("the stamp of message {number} of {} is out of order", name(sender)));
    }

    pub(super) fn gap(&mut self, sender: Place, first: u64, last: u64) {
        self.progress += 1;
        self.follows(sender, first);
        (first..=last).for_each(|number| self.oracle.delivered(sender, number));
        let stream = &mut self.streams[sender];
        stream.told = last;
        stream.clocks.resize(usize::try_from(last).unwrap_or(usize::MAX), Stamp::default());
        let given = |number: u64| stream.given.get(usize::try_from(number - 1).ok()?).copied();
        let is_true = first <= last && (first..=last).all(|number| given(number) == Some(None));
        self.demand(is_true, || format!("{} did not drop all of {first} to {last} (DRP-1)", name(sender)));
        self.judge(sender, false);
    }

    pub(super) fn departed(&mut self, sender: Place, how: Departure, last: u64) {
        self.progress += 1;
        let lossy = self.scenario.lossy;
        let stream = &mut self.streams[sender];
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
            format!("{} {how} with last number {last}, of {transmitted} sent and {told} told", name(sender))
        });
    }

    // What is seen on the link.

    fn stream_of(&self, find: impl Fn(&Stream) -> bool) -> Option<Place> {
        self.streams.iter().position(find)
    }

    /// The link has taken this frame.
    pub(super) fn sent(&mut self, frame: &[u8], met: &mut Situations) {
        let Ok((header, frame)) = decode(frame) else {
            return self.demand(false, || "a malformed frame was sent".to_owned());
        };
        let session = header.session;
        match frame {
            Frame::Greeting(greeting) => self.streams[place_of(greeting.pid)].reply = Some(greeting.reply_session),
            Frame::Welcome(welcome) => {
                let Some(sender) = self.stream_of(|stream| stream.reply == session) else { return };
                let stream = &mut self.streams[sender];
                stream.data = Some(welcome.data_session);
                stream.credit = stream.credit.max((welcome.terms.frame_credit, welcome.terms.byte_credit));
            }
            Frame::Acknowledgement(acknowledgement) => {
                let Some(sender) = self.stream_of(|stream| stream.reply == session) else { return };
                self.acknowledged(sender, &acknowledgement, met);
            }
            Frame::Data(data) => {
                let Some(sender) = self.stream_of(|stream| stream.data == session) else { return };
                self.data(sender, &data, met);
            }
            Frame::Refusal(_) => met.add(Situation::Refused, 1),
            Frame::Ask(ask) => {
                met.add(Situation::Ask, 1);
                let Some(sender) = self.stream_of(|stream| stream.data == session) else { return };
                let stream = &mut self.streams[sender];
                met.add(Situation::GivenBack, u64::from(ask.given_back > stream.given_back));
                stream.given_back = stream.given_back.max(ask.given_back);
            }
            Frame::Close(_) => {}
        }
    }

    /// CRD-1, CRD-2, LRG-5
    fn data(&mut self, sender: Place, data: &DataFrame<&[u8]>, met: &mut Situations) {
        met.add(Situation::SharedFrame, u64::from(data.messages() > 1));
        met.add(Situation::Piece, u64::from(data.ends_inside()));
        let stream = &mut self.streams[sender];
        let frame = data.frame().get();
        if frame <= stream.frames {
            return met.add(Situation::SentAgain, 1);
        }
        stream.frames = frame;
        stream.bytes += u64::from(data.body_bytes());
        let Stream { frames, bytes, given_back, credit, .. } = *stream;
        self.demand(frames <= credit.0 && bytes + given_back <= credit.1, || {
            let name = name(sender);
            format!(
                "{name} sent {frames} frames with {bytes} bytes and gave {given_back} back for a credit of {credit:?}"
            )
        });
    }

    fn acknowledged(&mut self, sender: Place, new: &Acknowledgement, met: &mut Situations) {
        let Scenario { slots, window, large_memory, max_message, .. } = self.scenario;
        let stream = &mut self.streams[sender];
        let more = new.byte_credit > stream.credit.1;
        stream.credit = (stream.credit.0.max(new.frame_credit), stream.credit.1.max(new.byte_credit));
        let Stream { told, frames, .. } = *stream;
        met.add(Situation::LargeGrant, u64::from(more && stream.excess(window) > 0));
        // ACK-1, CRD-3; the close is a frame too.
        let is_true = new.processed <= new.delivered && new.delivered <= new.received && new.delivered.get() <= told;
        let may_grant =
            new.frame_credit <= new.frames.get() + (slots as u64 - 2).max(1) && new.frames.get() <= frames + 1;
        self.demand(is_true && may_grant, || {
            format!("{} was told {new:?}, when {told} were delivered and {frames} frames sent", name(sender))
        });
        // CRD-4, LRG-2. Who has closed or died may have given back what it was granted.
        let listening = self.streams.iter().filter(|stream| !stream.has_closed && !stream.has_died);
        let granted: u64 = listening.map(|stream| stream.excess(window)).sum();
        let limit = large_memory.max(max_message.into());
        self.demand(granted <= limit, || format!("{granted} bytes are granted beyond the windows, of {limit}"));
    }

    // At the end.

    /// All has come to rest: nothing of a sender that finished may be missing, if the receiver has stayed.
    pub(super) fn finish(&mut self) {
        for sender in 1..self.streams.len() {
            let Stream { ended, has_died, guest, .. } = self.streams[sender];
            let stays = self.scenario.fate == Fate::Stays;
            self.judge(sender, stays && ended == Some(Ended::Finished));
            let is_told = !stays || guest != Guest::Joined;
            self.demand(is_told, || format!("the application was not told that {} is gone", name(sender)));
            self.demand(ended.is_some() || has_died, || format!("{} never came to its end", name(sender)));
        }
    }
}

impl Stream {
    /// How many bytes more than the window the receiver may have to hold.
    const fn excess(&self, window: u64) -> u64 {
        self.credit.1.saturating_sub(self.told_bytes + self.given_back + window)
    }
}

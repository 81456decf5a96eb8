//! What is seen on the link.

use super::Check;
use crate::simulator::{
    lane::Lane,
    scenario::{Scenario, place_of},
    situations::{Situation, Situations},
};
use lamq_protocol::{
    SessionId,
    wire::{Acknowledgement, DataFrame, Frame, Terms, decode},
};

impl Check {
    /// The stream whose frames go under this session. Acknowledgements that do are of the one in the other direction.
    pub(super) fn lane_of(&self, session: Option<SessionId>) -> Option<Lane> {
        let session = session?;
        self.streams.all().find(|lane| self.streams[*lane].session == Some(session))
    }

    fn opens(&mut self, lane: Lane, session: SessionId, terms: Option<Terms>) {
        let stream = &mut self.streams[lane];
        stream.session = Some(session);
        let granted = terms.map_or((0, 0), |terms| (terms.frame_credit, terms.byte_credit));
        stream.credit = stream.credit.max(granted);
    }

    /// The link has taken this frame.
    pub(in super::super) fn sent(&mut self, frame: &[u8], met: &mut Situations) {
        let Ok((header, frame)) = decode(frame) else {
            return self.demand(false, || "a malformed frame was sent".to_owned());
        };
        if let Frame::Greeting(greeting) = &frame {
            // Without a stream back it is there all the same, and nothing may be sent in it.
            let lane = Lane::back_to(place_of(greeting.pid));
            return self.opens(lane, greeting.reply_session, greeting.back);
        }
        let Some(lane) = self.lane_of(header.session) else { return };
        match frame {
            Frame::Welcome(welcome) => self.opens(lane.opposite(), welcome.data_session, Some(welcome.terms)),
            Frame::Acknowledgement(acknowledgement) => self.acknowledged(lane.opposite(), &acknowledgement, met),
            Frame::Data(data) => {
                if let Some((_, acknowledgement)) = data.carried() {
                    met.add(Situation::Carried, 1);
                    self.acknowledged(lane.opposite(), &acknowledgement, met); // ACK-11
                }
                let is_welcome = !lane.is_back || self.streams[lane.opposite()].session.is_some();
                self.demand(is_welcome, || format!("{lane} began before the welcome (DPX-4)"));
                self.data(lane, &data, met);
            }
            Frame::Refusal(_) => met.add(Situation::Refused, 1),
            Frame::Ask(ask) => {
                met.add(Situation::Ask, 1);
                let stream = &mut self.streams[lane];
                met.add(Situation::GivenBack, u64::from(ask.given_back > stream.given_back));
                stream.given_back = stream.given_back.max(ask.given_back);
            }
            Frame::Close(_) | Frame::Greeting(_) => {}
        }
    }

    /// CRD-1, CRD-2, LRG-5
    fn data(&mut self, lane: Lane, data: &DataFrame<&[u8]>, met: &mut Situations) {
        met.add(Situation::SharedFrame, u64::from(data.messages() > 1));
        met.add(Situation::Piece, u64::from(data.ends_inside()));
        let stream = &mut self.streams[lane];
        let frame = data.frame().get();
        if frame <= stream.frames {
            return met.add(Situation::SentAgain, 1);
        }
        stream.frames = frame;
        stream.bytes += u64::from(data.body_bytes());
        let (frames, bytes, given_back, credit) = (frame, stream.bytes, stream.given_back, stream.credit);
        self.demand(frames <= credit.0 && bytes + given_back <= credit.1, || {
            format!(
                "{lane} sent {frames} frames with {bytes} bytes and gave {given_back} back for a credit of {credit:?}"
            )
        });
    }

    fn acknowledged(&mut self, lane: Lane, new: &Acknowledgement, met: &mut Situations) {
        let Scenario { window, large_memory, max_message, .. } = self.scenario;
        let slots = self.scenario.slots(lane.reader()) as u64;
        let stream = &mut self.streams[lane];
        let more = new.byte_credit > stream.credit.1;
        stream.credit = (stream.credit.0.max(new.frame_credit), stream.credit.1.max(new.byte_credit));
        let (told, frames) = (stream.told, stream.frames);
        met.add(Situation::LargeGrant, u64::from(more && stream.excess(window) > 0));
        // ACK-1, CRD-3; the close is a frame too.
        let is_true = new.processed <= new.delivered && new.delivered <= new.received && new.delivered.get() <= told;
        let share = slots.saturating_sub(2).max(1);
        let may_grant = new.frame_credit <= new.frames.get() + share && new.frames.get() <= frames + 1;
        self.demand(is_true && may_grant, || {
            format!("{lane} was told {new:?}, when {told} were delivered and {frames} frames sent")
        });
        // CRD-4, LRG-2. Who has closed or died may have given back what it was granted.
        let read = self.streams.all().filter(|other| other.reader() == lane.reader()).map(|other| &self.streams[other]);
        let listening = read.filter(|stream| !stream.has_closed && !stream.has_died);
        let granted: u64 = listening.map(|stream| stream.excess(window)).sum();
        let limit = large_memory.max(max_message.into());
        self.demand(granted <= limit, || format!("{granted} bytes are granted beyond the windows, of {limit}"));
    }
}

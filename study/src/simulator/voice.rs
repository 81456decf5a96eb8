//! Whoever sends: one attempt after the other.

use super::{lane::Lane, link::Surroundings, scenario::body, shell::Shell, situations::Situation, trace::What};
use lamq_protocol::{
    Number, SessionId,
    endpoint::SendRefused,
    send::{Manner, NoRoom, Reservation},
};

/// The sending end of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voice {
    pub(super) lane: Lane,
    pub(super) session: SessionId,
}

/// What came of an attempt to send.
pub(super) enum Attempt {
    Sent(Number),
    NoRoom,
    Ended,
}

impl Voice {
    /// As in `src/sender/session.rs`.
    pub(super) fn attempt(
        self,
        shell: &mut Shell,
        around: &mut Surroundings<'_>,
        length: usize,
        awaited: bool,
        reserved: Option<Reservation>,
    ) -> Attempt {
        let Self { lane, session } = self;
        let outbound = shell.core.outbound(session);
        let Some(accepted) = outbound.map(|outbound| outbound.window().accepted()) else { return Attempt::Ended };
        // An acknowledgement that is waiting may say that there is nothing to stage behind (DAT-5).
        if !shell.core.outbound(session).is_some_and(|outbound| outbound.window().is_staging()) {
            shell.step(around);
        }
        let content = body(lane, accepted.next().get(), length);
        let result = shell.core.send(session, &content, Manner { awaited, reserved });
        if !matches!(result, Err(SendRefused::Ended(_))) {
            around.check.answers(lane.opposite());
        }
        if let Ok(number) = result {
            around.note(What::Accepts { lane, number: number.get(), length, awaited });
            around.check.gave(lane, number.get(), Some(length));
            if awaited {
                around.check.awaits(lane, number.get());
            }
            if lane.is_back {
                around.met(Situation::Answered);
                let is_long = length > around.scenario.frame_size;
                around.situations.add(Situation::LongAnswer, u64::from(is_long));
            }
        }
        shell.transmit(around, false);
        match result {
            Ok(number) => Attempt::Sent(number),
            Err(SendRefused::NoRoom(NoRoom::Credit)) => Attempt::NoRoom,
            // None is longer than the receiver takes.
            Err(SendRefused::NoRoom(NoRoom::TooLong { .. }) | SendRefused::Ended(_)) => Attempt::Ended,
        }
    }

    /// Drops the next message for want of room.
    pub(super) fn drop_message(self, shell: &mut Shell, around: &mut Surroundings<'_>) -> Attempt {
        let Self { lane, session } = self;
        let Ok(number) = shell.core.drop_message(session) else { return Attempt::Ended };
        around.note(What::Drops { lane, number: number.get() });
        around.check.gave(lane, number.get(), None);
        Attempt::Sent(number)
    }
}

//! Whoever receives: what an application is told, one thing after the other.

use super::{
    Sabotage,
    events::{Bytes, Place},
    lane::Lane,
    link::Surroundings,
    scenario::place_of,
    shell::Shell,
    situations::Situation,
    trace::What,
};
use lamq_protocol::Event as Told;

/// Takes what has been read from the inbox before, if there is anything.
pub(super) fn take(shell: &mut Shell, around: &mut Surroundings<'_>) -> Option<Told<Bytes>> {
    let auto_process = around.scenario.processes_by_itself(shell.place);
    around.check.asks(shell.place, auto_process);
    let told = shell.core.next_event()?;
    tell(shell, around, &told);
    if around.sabotage == Some(Sabotage::HandOutTwice)
        && matches!(told, Told::Message { .. })
        && around.rng.u8(..32) == 0
    {
        tell(shell, around, &told);
    }
    shell.transmit(around, false);
    Some(told)
}

/// A waiting call found nothing. Who says by itself what it is done with, says so now.
pub(super) fn find_nothing(shell: &mut Shell, around: &mut Surroundings<'_>) {
    if !around.scenario.processes_by_itself(shell.place) {
        around.check.processes(shell.place);
        shell.core.process_all();
        shell.transmit(around, true);
    }
    shell.find_nothing(around);
}

/// Whose stream something is that `place` was told of.
fn lane(place: Place, pid: u32) -> Lane {
    Lane::between(place, place_of(pid)).opposite()
}

fn tell(shell: &Shell, around: &mut Surroundings<'_>, told: &Told<Bytes>) {
    let place = shell.place;
    match told {
        Told::Joined { peer } => {
            let lane = lane(place, peer.pid);
            around.note(What::Joins { lane });
            around.check.joined(lane);
        }
        Told::Message { peer, number, stamp, frame, body, .. } => {
            let (lane, content) = (lane(place, peer.pid), &frame[body.clone()]);
            around.note(What::Message { lane, number: number.get(), length: content.len() });
            around.check.message(lane, number.get(), *stamp, content, shell.core.now());
            around.check.holds(lane, around.scenario.processes_by_itself(place));
        }
        Told::Gap { peer, first, last } => {
            let (lane, first, last) = (lane(place, peer.pid), first.get(), last.get());
            around.note(What::Gap { lane, first, last });
            around.check.gap(lane, first, last);
            around.met(Situation::Gap);
        }
        Told::Departed { peer, departure, last } => {
            let (lane, how, last) = (lane(place, peer.pid), *departure, last.get());
            around.note(What::Departs { lane, how, last });
            around.check.departed(lane, how, last);
        }
    }
}

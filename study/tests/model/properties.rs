//! Laws, which hold in every world, and situations, which a search must have come across to mean anything.

use crate::{
    setup::{Channel, Disturbance, Setup},
    steps::Step,
    world::{Guest, Sender, World, data_of, reply_session},
};
use lamq_protocol::{
    Number,
    send::Manner,
    session::{Departure, Ended, Inbound, Outbound},
    wire::EndReason,
};
use stateright::{Model, Property};

impl Model for Setup {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        self.steps(world, steps);
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        self.step(&mut next, step)?;
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        laws().into_iter().chain(situations()).collect()
    }
}

/// What holds of every sender, always.
fn laws() -> Vec<Property<Setup>> {
    vec![
        Property::always("what is received is a prefix of what was sent", |_, world| every(world, is_prefix)),
        Property::always("acknowledgements are true", |_, world| every(world, is_truly_acknowledged)),
        Property::always("nothing exceeds the credit", Setup::keeps_credit),
        Property::always("nobody breaks the protocol", Setup::keeps_the_protocol),
        Property::always("a departure is told behind the last message", |_, world| every(world, departs_last)),
        Property::always("who leaves acknowledges what was delivered", |_, world| every(world, is_left_honestly)),
        Property::always("left alone, all is settled", Setup::settles),
    ]
}

/// What happens to some sender, sometimes.
fn situations() -> Vec<Property<Setup>> {
    vec![
        Property::sometimes("two messages in a frame", |_, world: &World| {
            world.receiver.inbox.ordered.iter().filter_map(|frame| data_of(frame)).any(|(_, messages)| messages == 2)
        }),
        Property::sometimes("no credit", |_, world| some(world, lacks_credit)),
        Property::sometimes("all is delivered, and both sides know", |setup: &Setup, world: &World| {
            let last = Number::new(setup.messages);
            world.senders.iter().all(|sender| sender.guest == Guest::Departed(Departure::Left, last))
                && every(world, |world, index| ended(world, index) == Some(Ended::Finished))
        }),
        Property::sometimes("a death leaves a strict prefix", |_, world| {
            some(world, |world, index| died(world, index).is_some_and(|last| last < world.senders[index].accepted))
        }),
        Property::sometimes("a death is told behind what was read after it", |_, world| {
            some(world, |world, index| died(world, index) > world.senders[index].delivered_at_death)
        }),
        Property::sometimes("the receiver's death leaves messages in doubt", |_, world| {
            some(world, |world, index| {
                let sender = &world.senders[index];
                ended(world, index) == Some(Ended::PeerDied) && sender.acknowledged < sender.accepted
            })
        }),
        Property::sometimes("the receiver leaves in the middle", |_, world| {
            some(world, |world, index| {
                let is_begun = world.delivered(index) > Number::NONE;
                ended(world, index) == Some(Ended::ClosedByPeer) && is_begun
            })
        }),
        Property::sometimes("a frame waits for one before it", |_, world| {
            some(world, |world, index| {
                world.inbound(index).is_some_and(|inbound| inbound.window().current(0).early > 0)
            })
        }),
        Property::sometimes("all is delivered although the link erred", |setup: &Setup, world: &World| {
            let last = Number::new(setup.messages);
            world.disturbed.is_some()
                && world.senders.iter().all(|sender| sender.guest == Guest::Departed(Departure::Left, last))
        }),
        Property::sometimes("a message is handed out by two receivers", |_, world| {
            some(world, |world, index| {
                let Sender { base, handed_before, .. } = world.senders[index];
                world.incarnation > 0 && base < handed_before && world.delivered(index) > base
            })
        }),
        Property::sometimes("all is delivered by two receivers", |setup: &Setup, world: &World| {
            let left = Guest::Departed(Departure::Left, Number::new(setup.messages));
            world.senders.iter().all(|sender| sender.guest == left && sender.base > Number::NONE)
        }),
        Property::sometimes("an impossible acknowledgement is found", |_, world| {
            some(world, |world, index| {
                let found = Some(Ended::PeerViolated(EndReason::Acknowledgement));
                let told = Departure::Accused(EndReason::Acknowledgement);
                ended(world, index) == found
                    && world.senders[index].guest == Guest::Departed(told, world.delivered(index))
            })
        }),
    ]
}

impl Setup {
    /// CRD-3: the data in the inbox fits into the slots that are granted; CRD-4: what is held, into the window.
    fn keeps_credit(&self, world: &World) -> bool {
        every(world, |world, index| {
            let data = world.receiver.inbox.ordered.iter().filter_map(|frame| data_of(frame));
            let frames = data.filter(|&(sender, _)| sender == index).count() as u64;
            let window = |inbound: &Inbound| inbound.window().received().get() - inbound.window().delivered().get();
            let held = world.inbound(index).map_or(0, window);
            let ahead = world.senders[index].accepted.get() - world.delivered(index).get();
            let keeps_turns = self.channel != Channel::WithoutCapacity || ahead <= 1; // RDV-1
            keeps_turns && (world.disturbed.is_some() || (frames <= self.slots - 2 && held <= self.window))
        })
    }

    fn keeps_the_protocol(&self, world: &World) -> bool {
        let may_differ = |index| world.disturbed == Some(index) && self.disturbance == Some(Disturbance::Forge);
        !world.is_confused && every(world, |world, index| may_differ(index) || !is_violated(world, index))
    }

    /// Left alone by applications and faults, the world comes to rest, and all is settled then.
    fn settles(&self, world: &World) -> bool {
        /// More than any of these worlds needs: who is still busy then is so for ever.
        const PATIENCE: usize = 100;
        let is_drained = world.receiver.is_drained() && world.senders.iter().all(|sender| sender.process.is_drained());
        if !is_drained || (world.has_left && world.receiver.core.is_some()) {
            return true; // something else happens first
        }
        let mut at_last = world.clone();
        for _ in 0..PATIENCE {
            let mut steps = Vec::new();
            self.steps(&at_last, &mut steps);
            let mut events = steps.into_iter().filter(|step| !step.is_choice());
            let next = events.find_map(|step| self.next_state(&at_last, step)).or_else(|| {
                // Nothing moves: whoever awaits an answer asks.
                let asks = (0..at_last.senders.len()).filter(|&index| self.may_ask(&at_last, index));
                asks.map(Step::AnswerTimeout).find_map(|step| self.next_state(&at_last, step))
            });
            let Some(next) = next else { return self.rests_well(&at_last) };
            at_last = next;
        }
        false
    }

    /// No pair is ever stuck: whatever was begun has come to its proper end.
    fn rests_well(&self, world: &World) -> bool {
        every(world, |world, index| match (&world.senders[index].process.core, &world.receiver.core) {
            (Some(_), Some(_)) => self.rests_together(world, index),
            (Some(_), None) => {
                let is_lost = self.channel == Channel::Resuming && world.outbound(index).is_some_and(Outbound::is_lost);
                is_lost || matches!(ended(world, index), Some(Ended::PeerDied | Ended::Finished | Ended::ClosedByPeer))
            }
            (None, Some(_)) => world.inbound(index).is_none() && world.senders[index].guest != Guest::Joined,
            (None, None) => true,
        })
    }

    fn rests_together(&self, world: &World, index: usize) -> bool {
        let is_delivered = || world.judge(index, true).holds();
        let is_disturbed = world.disturbed == Some(index);
        // RTX-4
        let has_no_session = || self.lossy || world.inbound(index).is_none();
        match (ended(world, index), world.senders[index].guest) {
            // A frame is missing, and there is nothing yet to tell it by.
            (None, Guest::Joined) if self.disturbance == Some(Disturbance::Drop) && is_disturbed && !self.lossy => true,
            // CAL-3 can return, and the next message has credit.
            (None, Guest::Joined) => {
                is_delivered() && (is_ready(world, index) || (self.lossy && would_ask(world, index)))
            }
            (Some(Ended::Finished), Guest::Departed(Departure::Left, _)) => is_delivered() && has_no_session(),
            // Over before the second receiver came, or the first one never answered.
            (Some(Ended::Finished | Ended::PeerDied), Guest::Unknown) if world.incarnation > 0 => {
                let sender = &world.senders[index];
                sender.accepted <= sender.handed_before
            }
            // SES-3: a violation ends the session on both sides, by name.
            (Some(Ended::Accused(told)), Guest::Departed(Departure::Violated(found), _)) => {
                told == found && has_no_session()
            }
            (Some(Ended::PeerViolated(EndReason::Acknowledgement)), Guest::Departed(departure, _)) => {
                // The accusation may come behind the regular close.
                let is_told = [Departure::Left, Departure::Accused(EndReason::Acknowledgement)].contains(&departure);
                is_told && has_no_session()
            }
            _ => false,
        }
    }
}

fn every(world: &World, holds: impl Fn(&World, usize) -> bool) -> bool {
    (0..world.senders.len()).all(|index| holds(world, index))
}

fn some(world: &World, holds: impl Fn(&World, usize) -> bool) -> bool {
    (0..world.senders.len()).any(|index| holds(world, index))
}

fn ended(world: &World, index: usize) -> Option<Ended> {
    world.outbound(index)?.ended()
}

/// The last number in the report of a sender's death.
fn died(world: &World, index: usize) -> Option<Number> {
    if let Guest::Departed(Departure::Died, last) = world.senders[index].guest { Some(last) } else { None }
}

fn lacks_credit(world: &World, index: usize) -> bool {
    let core = world.senders[index].process.core.as_ref();
    let is_open = world.outbound(index).is_some_and(Outbound::is_open);
    is_open && core.is_some_and(|core| !core.has_room(reply_session(index), 1))
}

/// All is acknowledged, and the next message will be taken.
fn is_ready(world: &World, index: usize) -> bool {
    world.outbound(index).is_some_and(|outbound| {
        let window = outbound.window();
        outbound.is_open() && window.settled() == window.accepted() && !lacks_credit(world, index)
    })
}

/// All is acknowledged, and who wants to send the next message without capacity, and has lost the grant, will ask (RTX-2).
fn would_ask(world: &World, index: usize) -> bool {
    let Some(mut core) = world.senders[index].process.core.clone() else { return false };
    let session = reply_session(index);
    let is_refused = core.send(session, b"x", Manner::default()).is_err();
    core.outbound(session).is_some_and(|outbound| {
        let window = outbound.window();
        let is_settled = window.is_rendezvous() && window.settled() == window.accepted();
        is_refused && is_settled && outbound.awaits_something()
    })
}

/// PRO-1 and PRO-2, whoever has died (PRO-3).
fn is_prefix(world: &World, index: usize) -> bool {
    world.judge(index, false).holds()
}

/// ACK-1, as the sender sees it.
fn is_truly_acknowledged(world: &World, index: usize) -> bool {
    world.outbound(index).is_none_or(|outbound| {
        let known = outbound.window().acknowledged();
        let is_ordered = known.processed <= known.delivered && known.delivered <= known.received;
        is_ordered && known.received <= world.senders[index].transmitted && known.delivered <= world.delivered(index)
    })
}

fn is_violated(world: &World, index: usize) -> bool {
    matches!(world.senders[index].guest, Guest::Departed(Departure::Violated(_) | Departure::Accused(_), _))
        || matches!(ended(world, index), Some(Ended::PeerViolated(_) | Ended::Accused(_)))
}

/// CLO-2, DTH-4: the report comes behind all messages and carries the last number; CLO-1, DTH-2: of those that had been
/// sent none is missing.
fn departs_last(world: &World, index: usize) -> bool {
    let sender = &world.senders[index];
    match sender.guest {
        Guest::Unknown | Guest::Joined => true,
        Guest::Departed(Departure::Left, last) => last == world.delivered(index) && last == sender.accepted,
        Guest::Departed(Departure::Died, last) => last == world.delivered(index) && last == sender.transmitted,
        Guest::Departed(Departure::Violated(_) | Departure::Accused(_), last) => last == world.delivered(index),
    }
}

/// CLO-5
fn is_left_honestly(world: &World, index: usize) -> bool {
    ended(world, index) != Some(Ended::ClosedByPeer) || world.senders[index].acknowledged == world.delivered(index)
}

//! What can happen next: a shell that keeps its contract (or has one [`Bug`]), applications that do as they please,
//! deaths, and faults of the link.

use crate::{
    setup::{Bug, Channel, Disturbance, Exit, Setup},
    world::{Core, Process, World, data_of, index_of},
};
use lamq_protocol::session::Outbound;

/// A process of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    Receiver,
    Sender(usize),
}

/// One step of one process. Steps are as small as they can be told apart from outside, because a death can fall
/// between any two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// The receiver takes a frame from its inbox.
    Take,
    /// The receiver's core handles the frame that was taken.
    Handle,
    /// A sender takes and handles a frame. Nobody can tell a frame that died in its hands from one that it never took.
    Read(usize),
    /// The receiver opens a session for the greeting that its core has found.
    Accept,
    /// The receiver finds that the greeter is gone (GRT-4).
    Distrust,
    /// One frame that is due is put into the inbox of the other side.
    Transmit(Who),
    /// The same, by a receiver that is about to wait, or whose application does not call in.
    IdleTransmit,
    /// A staged frame has waited long enough.
    StageTimeout(usize),
    /// A sender has waited long enough for an answer.
    AnswerTimeout(usize),
    /// The receiver's core hears of the death of a sender.
    MournSender(usize),
    /// A sender's core hears of the death of the receiver.
    MournReceiver(usize),
    /// The receiving application asks for what is next.
    Next,
    /// The receiving application says that it is done with all it has.
    Process,
    /// See [`Bug::Prefetch`].
    Prefetch,
    /// The sending application sends a message.
    Send(usize),
    /// The sending application wants what is staged to be acknowledged.
    Flush(usize),
    /// The sending application has nothing more to send.
    Close(usize),
    /// The receiving application leaves; its process ends soon.
    Leave,
    /// A process is killed.
    Die(Who),
    /// Another receiver takes the place of the one that was killed.
    Succeed,
    /// A sender that has lost its receiver finds the other one.
    Resume(usize),
    /// The [`Disturbance`] of this world, at this place of the inbox.
    Disturb(Who, usize),
}

impl Step {
    /// Whether this happens, or not, as somebody pleases. All other steps happen sooner or later if they can.
    pub(crate) const fn is_choice(self) -> bool {
        matches!(self, Self::Send(_) | Self::Flush(_) | Self::Close(_) | Self::Leave | Self::Die(_) | Self::Disturb(..))
            || matches!(self, Self::Succeed)
            || matches!(self, Self::AnswerTimeout(_))
    }
}

impl Setup {
    /// All that can happen, and some steps that change nothing.
    pub(crate) fn steps(&self, world: &World, steps: &mut Vec<Step>) {
        if let Some(core) = &world.receiver.core {
            self.steps_of_receiver(world, core, steps);
        }
        if self.channel == Channel::Resuming && world.receiver.core.is_none() && world.incarnation == 0 {
            steps.push(Step::Succeed);
        }
        for (index, sender) in world.senders.iter().enumerate() {
            match &sender.process.core {
                Some(core) => self.steps_of_sender(world, index, core, steps),
                None if self.may_mourn(world, index) => steps.push(Step::MournSender(index)),
                None => {}
            }
        }
        if let Some(disturbance) = self.disturbance.filter(|_| world.disturbed.is_none()) {
            self.disturbances(disturbance, world, steps);
        }
    }

    fn steps_of_receiver(&self, world: &World, core: &Core, steps: &mut Vec<Step>) {
        let Process { inbox, hand, .. } = &world.receiver;
        let greeter = world.greeting.as_ref().map(|greeting| &world.senders[index_of(greeting.pid)]);
        let wants_transmit = core.wants_idle_transmit();
        let asks = !world.has_left;
        let has_unprocessed = core.senders().any(|(_, inbound)| {
            let reached = inbound.window().current(0);
            reached.processed < reached.delivered
        });
        let may_die = self.exits.contains(&Exit::ReceiverDies) && world.incarnation == 0;
        let prefetches = self.bug == Some(Bug::Prefetch) && world.prefetched.is_none();
        let possible = [
            (hand.is_none() && inbox.len() > 0, Step::Take),
            (hand.is_some() && greeter.is_none(), Step::Handle),
            // The greeter may die right after it was found alive.
            (greeter.is_some(), Step::Accept),
            (greeter.is_some_and(|greeter| greeter.process.core.is_none()), Step::Distrust),
            (wants_transmit, Step::Transmit(Who::Receiver)),
            (wants_transmit && self.bug != Some(Bug::SilentWait), Step::IdleTransmit),
            (asks, Step::Next),
            (asks && !self.auto_process && has_unprocessed, Step::Process),
            (asks && self.exits.contains(&Exit::ReceiverLeaves), Step::Leave),
            (prefetches && core.has_event(), Step::Prefetch),
            (may_die || world.has_left, Step::Die(Who::Receiver)),
        ];
        steps.extend(possible.into_iter().filter_map(|(can, step)| can.then_some(step)));
    }

    fn steps_of_sender(&self, world: &World, index: usize, core: &Core, steps: &mut Vec<Step>) {
        let sender = &world.senders[index];
        let is = |what: fn(&Outbound) -> bool| world.outbound(index).is_some_and(what);
        let is_open = is(Outbound::is_open);
        let is_staged = is(|outbound| outbound.window().staged().is_some());
        let has_died = world.receiver.core.is_none() || sender.faces < world.incarnation;
        let may_mourn = has_died && sender.process.is_drained() && !sender.mourns;
        let possible = [
            (sender.process.inbox.len() > 0, Step::Read(index)),
            (core.wants_idle_transmit(), Step::Transmit(Who::Sender(index))),
            (is_staged, Step::StageTimeout(index)),
            (self.may_ask(world, index) && world.timeouts == 0, Step::AnswerTimeout(index)),
            (is(|outbound| outbound.window().is_staging()), Step::Flush(index)),
            (is_open && sender.accepted.get() < self.messages, Step::Send(index)),
            // Who gives up before it is welcomed has nothing to close: to the receiver that is a death.
            (is_open, Step::Close(index)),
            (self.exits.contains(&Exit::SenderDies) && index >= self.residents, Step::Die(Who::Sender(index))),
            (may_mourn, Step::MournReceiver(index)),
            (is(Outbound::is_lost) && world.receiver.core.is_some(), Step::Resume(index)),
        ];
        steps.extend(possible.into_iter().filter_map(|(can, step)| can.then_some(step)));
    }

    /// Whether an answer is awaited that the link may have lost.
    pub(crate) fn may_ask(&self, world: &World, index: usize) -> bool {
        self.lossy && world.outbound(index).is_some_and(Outbound::awaits_something)
    }

    /// DTH-2: not before all that the dead sender left has been handled.
    fn may_mourn(&self, world: &World, index: usize) -> bool {
        let is_read = world.receiver.is_drained() && world.greeting.is_none();
        let may_tell = is_read || self.bug == Some(Bug::DeathFirst);
        may_tell && !world.senders[index].is_mourned && world.inbound(index).is_some()
    }

    fn disturbances(&self, disturbance: Disturbance, world: &World, steps: &mut Vec<Step>) {
        if disturbance == Disturbance::Forge {
            // Before the welcome nobody who could forge knows of the session.
            let welcomed =
                (0..world.senders.len()).filter(|&index| world.outbound(index).is_some_and(Outbound::is_open));
            return steps.extend(welcomed.map(|index| Step::Disturb(Who::Sender(index), 0)));
        }
        let any = self.lossy || disturbance == Disturbance::Double;
        let inbox = &world.receiver.inbox;
        let hit = |at: &usize| any || inbox.at(*at).is_some_and(|frame| data_of(frame).is_some());
        steps.extend((0..inbox.len()).filter(hit).map(|at| Step::Disturb(Who::Receiver, at)));
        for (index, sender) in world.senders.iter().enumerate().filter(|_| any) {
            steps.extend((0..sender.process.inbox.len()).map(|at| Step::Disturb(Who::Sender(index), at)));
        }
    }
}

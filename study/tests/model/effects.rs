//! What a step does to the world.

use crate::{
    setup::{Bug, Disturbance, Setup},
    steps::{Step, Who},
    world::{
        Core, GREETER, Process, Seen, World, body, data_of, index_of, next_reply_session, reply_session, sender_of,
        target,
    },
};
use lamq_protocol::{
    Number, SessionId, Stamp,
    send::Manner,
    session::Outbound,
    wire::{Acknowledgement, Priority},
};

impl Setup {
    /// Takes a step that [`Setup::steps`] offers. `None` if it was not one of them.
    pub(crate) fn step(&self, world: &mut World, step: Step) -> Option<()> {
        match step {
            Step::Take => world.receiver.hand = world.receiver.inbox.pop(),
            Step::Handle => {
                let arrival = world.receiver.core.as_mut()?.handle_frame(world.receiver.hand.take()?);
                world.greeting = arrival.map(|arrival| arrival.greeting);
            }
            Step::Accept => {
                let greeting = world.greeting.take()?;
                let index = index_of(greeting.pid);
                let session = world.data_session(index);
                world.begin(index, greeting.first.before());
                world.receiver.core.as_mut()?.accept(&greeting, GREETER, session);
            }
            Step::Distrust => {
                world.greeting = None;
                world.receiver.core.as_mut()?.distrust();
            }
            Step::Transmit(Who::Receiver) => self.transmit_from_receiver(world, false)?,
            Step::IdleTransmit => self.transmit_from_receiver(world, true)?,
            Step::Next if self.bug == Some(Bug::Prefetch) => {
                let event = world.prefetched.take()?;
                world.tell(event);
            }
            Step::Next => {
                if let Some(event) = world.receiver.core.as_mut()?.next_event() {
                    world.tell(Seen::from(event));
                }
            }
            Step::Prefetch => world.prefetched = world.receiver.core.as_mut()?.next_event().map(Seen::from),
            Step::Process => world.receiver.core.as_mut()?.process_all(),
            Step::Leave => {
                world.has_left = true;
                world.receiver.core.as_mut()?.leave();
            }
            Step::Die(Who::Receiver) => {
                world.receiver = Process::default();
                world.greeting = None;
            }
            Step::Succeed => world.succeed(self),
            Step::Disturb(Who::Receiver, at) => self.disturb_receiver(world, at)?,
            _ => self.step_of_sender(world, step)?,
        }
        Some(())
    }

    fn step_of_sender(&self, world: &mut World, step: Step) -> Option<()> {
        match step {
            Step::Read(index) => {
                let sender = &mut world.senders[index];
                let core = sender.process.core.as_mut()?;
                core.handle_frame(sender.process.inbox.pop()?);
                sender.acknowledged = core.outbound(reply_session(index))?.window().acknowledged().delivered;
            }
            Step::Transmit(Who::Sender(index)) => self.transmit_from_sender(world, index)?,
            Step::StageTimeout(index) => {
                core_of(world, index)?.with_outbound(reply_session(index), Outbound::handle_stage_timeout)?;
            }
            Step::AnswerTimeout(index) => {
                world.timeouts += 1;
                core_of(world, index)?.with_outbound(reply_session(index), Outbound::handle_answer_timeout)?;
            }
            Step::Flush(index) => {
                core_of(world, index)?.with_outbound(reply_session(index), Outbound::flush)?;
            }
            Step::Close(index) => {
                core_of(world, index)?.with_outbound(reply_session(index), Outbound::close)?;
            }
            Step::Send(index) => {
                let next = world.senders[index].accepted.next();
                let number =
                    core_of(world, index)?.send(reply_session(index), &body(index, next), Manner::default()).ok()?;
                world.is_confused |= number != next; // NUM-1
                world.senders[index].accepted = number;
            }
            Step::MournSender(index) => {
                world.senders[index].is_mourned = true;
                let session = world.data_session(index);
                world.receiver.core.as_mut()?.handle_death(session);
            }
            Step::MournReceiver(index) => {
                world.senders[index].mourns = true;
                core_of(world, index)?.handle_death(reply_session(index));
            }
            Step::Resume(index) => {
                world.senders[index].faces = world.incarnation;
                let target = target(self, world.incarnation);
                core_of(world, index)?.resume(reply_session(index), next_reply_session(index), target);
            }
            Step::Die(Who::Sender(index)) => {
                world.senders[index].delivered_at_death = Some(world.delivered(index));
                world.senders[index].process = Process::default();
            }
            Step::Disturb(Who::Sender(index), at) => self.disturb_sender(world, index, at)?,
            _ => return None,
        }
        Some(())
    }

    fn transmit_from_sender(&self, world: &mut World, index: usize) -> Option<()> {
        let World { senders, receiver, .. } = world;
        let sender = &mut senders[index];
        let core = sender.process.core.as_mut()?;
        transmit(core, false, |_, priority, frame| self.put(receiver, priority, frame));
        // What left for the receiver before this one has left too.
        let transmitted = core.outbound(reply_session(index))?.window().transmitted();
        sender.transmitted = sender.transmitted.max(transmitted);
        Some(())
    }

    fn transmit_from_receiver(&self, world: &mut World, idle: bool) -> Option<()> {
        let World { senders, receiver, .. } = world;
        transmit(receiver.core.as_mut()?, idle, |session, priority, frame| {
            self.put(&mut senders[sender_of(session)].process, priority, frame)
        });
        Some(())
    }

    /// Puts a frame into the inbox of `to`; `false` if it is full. The inbox of a dead process takes everything: nobody
    /// sees what is in it, and who writes there is about to hear of the death.
    fn put(&self, to: &mut Process, priority: Priority, frame: &[u8]) -> bool {
        if to.core.is_none() {
            return true;
        }
        if to.inbox.len() >= self.room {
            return self.bug == Some(Bug::DropWhenFull);
        }
        to.inbox.push(priority, frame);
        true
    }

    fn disturb_receiver(&self, world: &mut World, at: usize) -> Option<()> {
        let inbox = &mut world.receiver.inbox;
        world.disturbed = Some(data_of(inbox.at(at)?).map_or(0, |(index, _)| index));
        inbox.disturb(at, self.disturbance?)
    }

    fn disturb_sender(&self, world: &mut World, index: usize, at: usize) -> Option<()> {
        world.disturbed = Some(index);
        let disturbance = self.disturbance?;
        if disturbance != Disturbance::Forge {
            return world.senders[index].process.inbox.disturb(at, disturbance);
        }
        let known = *world.outbound(index)?.window().acknowledged();
        let beyond = Acknowledgement { received: Number::new(self.messages + 1), ..known };
        let frame = beyond.encode(reply_session(index), Stamp::default());
        world.senders[index].process.inbox.push(Priority::Urgent, &frame);
        Some(())
    }
}

fn core_of(world: &mut World, index: usize) -> Option<&mut Core> {
    world.senders[index].process.core.as_mut()
}

/// Lets the core offer what is due, and takes one frame: a process can die between any two of them.
fn transmit(core: &mut Core, idle: bool, mut put: impl FnMut(SessionId, Priority, &[u8]) -> bool) {
    let mut is_spent = false;
    core.transmit(idle, &mut |session, priority, frame| {
        !std::mem::replace(&mut is_spent, true) && put(session, priority, frame)
    });
}

//! Two who send to each other: whatever carries what, all arrives, and both know.

use crate::net::{Channel, Fate, Net, Seen, Setup};
use lamq_protocol::{Endpoint, Level, SessionId, send::Manner, session::Outbound};
use lamq_proves::proves;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// The side at the receiver (`true`), or the one that greeted it, does this.
    Send(bool, usize),
    /// One of which it waits for the delivery.
    SendAwaited(bool, usize),
    Look(bool),
    Wait(bool),
    Take(bool, usize),
    StageTimeout(bool),
    Flush(bool),
    /// What becomes of the next frame on its way to this side.
    Err(bool, Fate),
}

fn step() -> impl Strategy<Value = Step> {
    let side = any::<bool>;
    let length = prop_oneof![6 => 0..60_usize, 2 => 300..460_usize, 1 => 460..1500_usize];
    let fate = prop_oneof![Just(Fate::Lose), Just(Fate::Double), (0..3_usize).prop_map(Fate::Overtake)];
    prop_oneof![
        6 => (side(), length.clone()).prop_map(|(side, length)| Step::Send(side, length)),
        1 => (side(), length).prop_map(|(side, length)| Step::SendAwaited(side, length)),
        6 => side().prop_map(Step::Look),
        1 => side().prop_map(Step::Wait),
        6 => (side(), 1..4_usize).prop_map(|(side, most)| Step::Take(side, most)),
        1 => side().prop_map(Step::StageTimeout),
        1 => side().prop_map(Step::Flush),
        1 => (side(), fate).prop_map(|(side, fate)| Step::Err(side, fate)),
    ]
}

struct Talk {
    net: Net,
    /// What either side accepted and has seen, by the side: the one that greeted, the one at the receiver.
    accepted: [Vec<Vec<u8>>; 2],
    seen: [Vec<Vec<u8>>; 2],
}

impl Talk {
    fn side(&mut self, at_receiver: bool) -> (&mut Endpoint<Vec<u8>>, SessionId) {
        let sender = &mut self.net.senders[0];
        if at_receiver {
            (&mut self.net.receiver.core, sender.at_receiver.expect("accepted"))
        } else {
            (&mut sender.node.core, sender.session)
        }
    }

    /// As a shell does: only if it is told that there is something.
    fn transmit(&mut self, side: bool, idle: bool) {
        let (core, _) = self.side(side);
        if !(core.wants_transmit() || (idle && core.wants_idle_transmit())) {
            return;
        }
        if side {
            self.net.transmit_from_receiver(idle);
        } else {
            let (sender, receiver) = (&mut self.net.senders[0].node.core, &mut self.net.receiver.inbox);
            sender.transmit(idle, &mut |_, priority, frame| receiver.put(priority, frame));
        }
    }

    fn send(&mut self, side: bool, length: usize, awaited: bool) {
        let body = vec![7; length];
        let (core, session) = self.side(side);
        if core.send(session, &body, Manner { awaited, reserved: None }).is_ok() {
            self.accepted[usize::from(side)].push(body);
        }
        self.transmit(side, false);
    }

    fn look(&mut self, side: bool) -> bool {
        let (core, _) = self.side(side);
        let event = core.next_event().map(crate::net::seen);
        let found = event.is_some();
        if let Some(Seen::Message(.., body)) = event {
            self.seen[usize::from(!side)].push(body);
        }
        self.transmit(side, false);
        found
    }

    fn take(&mut self, side: bool, most: usize) -> usize {
        let taken = if side { self.net.take_at_receiver(most) } else { self.net.take_at_sender(0, most) };
        self.transmit(side, false);
        taken
    }

    fn act(&mut self, side: bool, action: fn(&mut Outbound)) {
        let (core, session) = self.side(side);
        core.with_outbound(session, action);
        self.transmit(side, false);
    }

    fn do_one(&mut self, step: &Step) {
        match *step {
            Step::Send(side, length) => self.send(side, length, false),
            Step::SendAwaited(side, length) => self.send(side, length, true),
            Step::Look(side) => _ = self.look(side),
            Step::Wait(side) => {
                self.side(side).0.expect_no_answer();
                self.transmit(side, false);
            }
            Step::Take(side, most) => _ = self.take(side, most),
            Step::StageTimeout(side) => self.act(side, Outbound::handle_stage_timeout),
            Step::Flush(side) => self.act(side, Outbound::flush),
            Step::Err(side, fate) => {
                if self.net.setup.lossy {
                    let sender = &mut self.net.senders[0].node.inbox;
                    let inbox = if side { &mut self.net.receiver.inbox } else { sender };
                    inbox.fates.push_back(fate);
                }
            }
        }
    }

    /// Both read on, until nothing moves any more.
    fn come_to_rest(&mut self) {
        self.net.receiver.inbox.fates.clear();
        self.net.senders[0].node.inbox.fates.clear();
        let mut quiet = 0;
        while quiet < 3 {
            let mut moved = false;
            for side in [false, true] {
                moved |= self.take(side, usize::MAX) > 0;
                while self.look(side) {
                    moved = true;
                }
                self.transmit(side, true);
                self.act(side, Outbound::handle_stage_timeout);
            }
            quiet = if moved { 0 } else { quiet + 1 };
            if !moved && self.net.setup.lossy {
                for side in [false, true] {
                    let (core, session) = self.side(side);
                    if core.outbound(session).is_some_and(Outbound::awaits_something) {
                        self.act(side, Outbound::handle_answer_timeout);
                    }
                }
            }
        }
    }
}

proptest! {
    #[proves("ACK-11", "ACK-12", "CRD-7", "RTX-2", "PRO-1", "DPX-1")]
    #[test]
    fn whatever_carries_what_all_arrives_and_both_know(
        level in prop_oneof![Just(Level::Received), Just(Level::Delivered), Just(Level::Processed)],
        window in prop_oneof![Just(2048_u64), Just(1 << 18)],
        slots in prop_oneof![Just(3_u64), Just(10)],
        lossy in any::<bool>(),
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let setup = Setup { level, window, slots, lossy, channel: Channel::BothWays, max_message: 2000, ..Setup::default() };
        let mut net = Net::greeted(setup);
        net.recv_back(0);
        let mut talk = Talk { net, accepted: Default::default(), seen: Default::default() };
        for step in &steps {
            talk.do_one(step);
        }
        talk.come_to_rest();
        prop_assert_eq!(&talk.seen, &talk.accepted);
        for side in [false, true] {
            let (core, session) = talk.side(side);
            let outbound = core.outbound(session).unwrap();
            prop_assert_eq!(outbound.ended(), None);
            let window = outbound.window();
            prop_assert_eq!((window.settled(), window.bytes_kept()), (window.accepted(), 0));
            prop_assert!(core.has_room(session, 100), "there is room for more");
            prop_assert_eq!(core.counters().violations, 0);
        }
    }
}

//! Random stories: many senders, applications that do as they please, deaths and replays, and at the end everything is
//! as it should be.

mod steps;

use crate::net::{Net, Seen, Setup, index_of};
use lamq_protocol::{
    Level,
    session::{Departure, Ended},
    wire::{Frame, decode},
};
use lamq_proves::proves;
use proptest::{prelude::*, sample::Index};
use std::collections::VecDeque;
use steps::{MAX_LENGTH, Step, story};

/// What is known of a sender from outside.
#[derive(Clone, Debug, Default)]
struct Account {
    /// Every body it was allowed to send; none where it dropped a message.
    sent: Vec<Option<Vec<u8>>>,
    /// How many of them came to the receiver's core, and to its application.
    arrived: usize,
    handed: usize,
    joined: bool,
    departed: Option<(Departure, usize)>,
}

/// A net, and an account of all that it did.
struct Story {
    net: Net,
    accounts: Vec<Account>,
    /// Sender and number of what arrived and was not handed out yet.
    unread: VecDeque<(usize, usize)>,
    /// How many frames of the receiver are in the accounts.
    booked: usize,
}

impl Story {
    fn new(setup: Setup) -> Self {
        let accounts = vec![Account::default(); setup.senders];
        Self { net: Net::new(setup), accounts, unread: VecDeque::new(), booked: 0 }
    }

    fn take(&mut self, step: &Step) {
        let is_alive = |net: &Net, who: usize| net.senders[who].is_alive;
        let has_greeted =
            |net: &Net, who: usize| net.senders[who].node.core.outbound(net.senders[who].session).is_some();
        let can_act = |net: &Net, who: usize| is_alive(net, who) && has_greeted(net, who);
        let net = &mut self.net;
        match *step {
            Step::Connect(who) if is_alive(net, who) && !has_greeted(net, who) => net.connect(who),
            Step::Send(who, length) if can_act(net, who) => {
                let account = &mut self.accounts[who];
                let body = vec![u8::try_from(account.sent.len() % 251).expect("small"); length];
                if let Ok(number) = net.send(who, &body) {
                    account.sent.push(Some(body));
                    assert_eq!(number, account.sent.len() as u64, "NUM-1");
                }
            }
            Step::Drop(who) if can_act(net, who) => {
                let account = &mut self.accounts[who];
                if let Ok(number) = net.drop_message(who) {
                    account.sent.push(None);
                    assert_eq!(number, account.sent.len() as u64, "DRP-1");
                }
            }
            Step::Flush(who) if can_act(net, who) => net.flush(who),
            Step::StageTimeout(who) if can_act(net, who) => net.stage_timeout(who),
            Step::Close(who) if can_act(net, who) => net.close(who),
            Step::Kill(who) => net.kill(who),
            Step::Mourn(who) if !is_alive(net, who) => net.mourn(who),
            Step::TransmitFromSender(who) => net.transmit_from_sender(who),
            Step::TransmitFromReceiver { idle } => net.transmit_from_receiver(idle),
            Step::TakeAtReceiver(most) => _ = net.take_at_receiver(most),
            Step::TakeAtSender(who, most) if is_alive(net, who) => _ = net.take_at_sender(who, most),
            Step::Read(most) => self.read(most),
            Step::ProcessAll if !net.setup.auto_process => net.receiver.core.process_all(),
            Step::Replay { from, frame, to } => self.replay(from, frame, to),
            _ => {}
        }
        self.book_arrivals();
        self.check();
    }

    fn replay(&mut self, from: usize, frame: Index, to: usize) {
        let handled = |net: &Net, node: usize| match net.senders.get(node) {
            Some(sender) => sender.node.handled.clone(),
            None => net.receiver.handled.clone(),
        };
        let mut frames = handled(&self.net, from);
        // Who was refused may greet again and be accepted: that is not a replay.
        frames.retain(|frame| match decode(frame.as_slice()).expect("nobody forges").1 {
            Frame::Greeting(greeting) => self.net.senders[index_of(greeting.pid)].at_receiver.is_some(),
            _ => true,
        });
        if frames.is_empty() || self.net.senders.get(to).is_some_and(|sender| !sender.is_alive) {
            return;
        }
        let dropped = |net: &Net| {
            let counters = net.senders.get(to).map_or(&net.receiver, |sender| &sender.node).counters();
            let unneeded =
                counters.repeated_greeting + counters.repeated_welcome + counters.late_refusals + counters.misaddressed;
            let old =
                counters.duplicates + counters.stale_acknowledgements + counters.stale_asks + counters.unknown_session;
            old + unneeded + counters.untrusted_greeting
        };
        let before = dropped(&self.net);
        let frame = frame.get(&frames).clone();
        if to < self.net.senders.len() {
            self.net.give_sender(to, frame);
        } else {
            self.net.give_receiver(frame);
        }
        assert_eq!(dropped(&self.net), before + 1, "a replayed frame is counted, once");
    }

    fn read(&mut self, most: usize) {
        for _ in 0..most {
            self.book_arrivals();
            let Some(seen) = self.net.recv() else { return };
            self.book(seen);
        }
    }

    /// The receiver's core has taken frames: what is new in them is to be handed out in this order.
    fn book_arrivals(&mut self) {
        for frame in &self.net.receiver.handled[self.booked..] {
            let (header, Frame::Data(data)) = decode(frame.as_slice()).expect("nobody forges") else { continue };
            let index = self.net.senders.iter().position(|sender| sender.at_receiver == header.session);
            let Some(index) = index else { continue };
            let account = &mut self.accounts[index];
            while (account.arrived as u64) < data.last_whole().get() {
                account.arrived += 1;
                self.unread.push_back((index, account.arrived));
            }
        }
        self.booked = self.net.receiver.handled.len();
    }

    /// The receiving application has seen something.
    fn book(&mut self, seen: Seen) {
        match seen {
            Seen::Joined(index) => {
                assert!(!self.accounts[index].joined, "joined twice");
                self.accounts[index].joined = true;
            }
            Seen::Message(index, number, body) => self.book_next(index, number, Some(&body)),
            Seen::Gap(index, first, last) => (first..=last).for_each(|number| self.book_next(index, number, None)),
            Seen::Departed(index, departure, last) => {
                let account = &mut self.accounts[index];
                assert_eq!(account.departed, None, "departed twice");
                assert_eq!(
                    (account.handed, account.arrived as u64),
                    (account.arrived, last),
                    "behind all its messages"
                );
                account.departed = Some((departure, account.handed));
            }
        }
    }

    /// The application has been handed a message, or told that it was dropped.
    fn book_next(&mut self, index: usize, number: u64, body: Option<&Vec<u8>>) {
        let account = &mut self.accounts[index];
        assert!(account.joined && account.departed.is_none());
        assert_eq!(self.unread.pop_front(), Some((index, account.handed + 1)), "in order of arrival");
        account.handed += 1;
        assert_eq!((number, body), (account.handed as u64, account.sent[account.handed - 1].as_ref()));
    }

    /// What is true after every step.
    fn check(&self) {
        let Self { net, accounts, .. } = self;
        assert_eq!(net.receiver.counters().violations, 0);
        for (sender, account) in net.senders.iter().zip(accounts) {
            let Some(outbound) = sender.node.core.outbound(sender.session) else { continue };
            let (window, Setup { retain, window: bytes, level, .. }) = (outbound.window(), &net.setup);
            assert_eq!(sender.node.counters().violations, 0);
            assert!(
                window.acknowledged().delivered.get() <= account.handed as u64,
                "acknowledged before it was delivered"
            );
            assert!(*level == Level::Received || window.settled().get() <= account.handed as u64);
            let most = retain + MAX_LENGTH + 52 * (MAX_LENGTH / 460 + 2);
            assert!(window.bytes_kept() <= most, "the sender keeps {}", window.bytes_kept());
            let held: usize = account.sent[account.handed..account.arrived].iter().flatten().map(Vec::len).sum();
            let granted = net.setup.large_memory.max(MAX_LENGTH as u64);
            assert!(held as u64 <= *bytes + granted, "the receiver holds {held} bytes");
            assert!(granted_bytes(net) <= granted, "LRG-2");
        }
    }

    /// From here on nothing goes wrong any more: all close, applications read, links carry.
    fn come_to_an_end(&mut self) {
        for who in 0..self.net.senders.len() {
            let step = if self.net.senders[who].is_alive { Step::Close(who) } else { Step::Mourn(who) };
            // A sender that waits for an answer gets it first.
            self.net.pump();
            self.take(&step);
        }
        for _ in 0..20 {
            self.net.pump();
            self.take(&Step::Read(usize::MAX));
            self.take(&Step::ProcessAll);
            self.take(&Step::TransmitFromReceiver { idle: true });
        }
        self.net.pump();
    }

    /// What is true in the end.
    fn check_end(&self) {
        let Self { net, accounts, unread, .. } = self;
        assert!(unread.is_empty() && !net.receiver.core.has_event());
        assert_eq!(net.receiver.core.senders().len(), 0, "{:?}", net.receiver.core);
        assert!(!net.receiver.core.wants_idle_transmit());
        assert_eq!(net.receiver.inbox.len(), 0);
        let accepted: Vec<_> = net.senders.iter().filter_map(|sender| sender.at_receiver).collect();
        assert_eq!(net.ended.len(), accepted.len(), "every session was reported as ended, once");
        assert!(accepted.iter().all(|session| net.ended.contains(session)));
        for (sender, account) in net.senders.iter().zip(accounts) {
            let was_accepted = sender.at_receiver.is_some();
            assert_eq!((account.joined, account.departed.is_some()), (was_accepted, was_accepted));
            let Some(outbound) = sender.node.core.outbound(sender.session).filter(|_| sender.is_alive) else {
                continue;
            };
            assert_eq!(sender.node.inbox.len(), 0);
            assert_eq!(sender.ended, [sender.session], "reported as ended, once");
            if was_accepted {
                assert_eq!(outbound.ended(), Some(Ended::Finished));
                assert_eq!(account.departed, Some((Departure::Left, account.sent.len())), "complete");
            } else {
                // Refused, or closed before its greeting had left.
                assert!(matches!(outbound.ended(), Some(Ended::Refused(_) | Ended::Finished)));
            }
        }
    }
}

/// What the receiver may have to hold beyond the windows of its sessions, because it has granted it.
fn granted_bytes(net: &Net) -> u64 {
    net.receiver.core.senders().map(|(_, inbound)| inbound.window().excess_granted()).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[proves(
        "PRO-1", "PRO-2", "PRO-3", "PRO-4", "NUM-1", "DRP-1", "DRP-2", "CRD-4", "CRD-6", "LRG-2", "CLO-2", "DTH-4"
    )]
    #[test]
    fn every_story_comes_to_its_end((setup, steps) in story()) {
        let mut story = Story::new(setup);
        for step in &steps {
            story.take(step);
        }
        story.come_to_an_end();
        story.check_end();
    }
}

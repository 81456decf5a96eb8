//! Messages that are appended to a staged frame on loan: to everybody else it is as if each had been sent by itself.

use crate::net::{Channel, Net, Setup};
use lamq_protocol::{
    Endpoint, Level, Number, SessionId,
    endpoint::SendRefused,
    send::{Manner, Reservation},
};
use lamq_proves::proves;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// By this sender, or back to it, messages of these lengths.
    Send(usize, bool, Vec<usize>),
    /// One that is waited for.
    SendAwaited(usize, usize),
    /// So many bytes are set aside, used for a message, or given back.
    Reserve(usize, usize),
    Redeem(usize),
    GiveBack(usize),
    /// Somebody begins or ends to wait for room for a message of this length.
    AwaitRoom(usize, usize),
    EndWait(usize, usize),
    Drop(usize),
    Flush(usize),
    StageTimeout(usize),
    Close(usize),
    Pump,
    Receive(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..2_usize;
    let length = prop_oneof![12 => 0..40_usize, 1 => 400..1200_usize];
    prop_oneof![
        12 => (who.clone(), prop::bool::weighted(0.3), prop::collection::vec(length, 1..40))
            .prop_map(|(who, back, lengths)| Step::Send(who, back, lengths)),
        1 => (who.clone(), 0..40_usize).prop_map(|(who, length)| Step::SendAwaited(who, length)),
        1 => (who.clone(), 0..1000_usize).prop_map(|(who, length)| Step::Reserve(who, length)),
        1 => who.clone().prop_map(Step::Redeem),
        1 => who.clone().prop_map(Step::GiveBack),
        1 => (who.clone(), 0..1000_usize).prop_map(|(who, length)| Step::AwaitRoom(who, length)),
        1 => (who.clone(), 0..1000_usize).prop_map(|(who, length)| Step::EndWait(who, length)),
        1 => who.clone().prop_map(Step::Drop),
        1 => who.clone().prop_map(Step::Flush),
        1 => who.clone().prop_map(Step::StageTimeout),
        1 => (who, prop::bool::weighted(0.1)).prop_map(|(who, closes)| if closes { Step::Close(who) } else { Step::Pump }),
        5 => Just(Step::Pump),
        4 => (0..30_usize).prop_map(Step::Receive),
    ]
}

/// One of two nets to which the same happens.
#[derive(Clone)]
struct World {
    net: Net,
    reservations: [Option<Reservation>; 2],
    /// Whether messages go into staged frames on loan wherever there is one, and how many have.
    lends: bool,
    by_loan: usize,
}

impl World {
    fn endpoint(&mut self, who: usize, back: bool) -> (&mut Endpoint<Vec<u8>>, SessionId) {
        let sender = &mut self.net.senders[who];
        if back {
            (&mut self.net.receiver.core, sender.at_receiver.expect("accepted"))
        } else {
            (&mut sender.node.core, sender.session)
        }
    }

    fn send(&mut self, who: usize, back: bool, lengths: &[usize]) -> Vec<Result<u64, SendRefused>> {
        let (mut results, mut lengths) = (Vec::new(), lengths.iter().peekable());
        while let Some(length) = lengths.next() {
            let body = vec![7; *length];
            results.push(if back { self.net.send_back(who, body) } else { self.net.send(who, body) });
            if !self.lends {
                continue;
            }
            let (core, session) = self.endpoint(who, back);
            if let Some(mut stage) = core.lend_stage(session) {
                let before = results.len();
                while let Some(number) = lengths.peek().and_then(|length| stage.push(&vec![7; **length])) {
                    results.push(Ok(number.get()));
                    lengths.next();
                }
                self.by_loan += results.len() - before;
                let (core, session) = self.endpoint(who, back);
                core.return_stage(session, stage);
            }
        }
        results
    }

    fn take(&mut self, step: &Step) -> Vec<Result<u64, SendRefused>> {
        match *step {
            Step::Send(who, back, ref lengths) => return self.send(who, back, lengths),
            Step::SendAwaited(who, length) => {
                return vec![self.net.send_as(who, vec![7; length], Manner { awaited: true, reserved: None })];
            }
            Step::Reserve(who, length) if self.reservations[who].is_none() => {
                let (core, session) = self.endpoint(who, false);
                self.reservations[who] = core.reserve(session, length).ok();
            }
            Step::Reserve(..) => {}
            Step::Redeem(who) => {
                if let Some(reserved) = self.reservations[who].take() {
                    let manner = Manner { awaited: false, reserved: Some(reserved) };
                    return vec![self.net.send_as(who, vec![7; reserved.length()], manner)];
                }
            }
            Step::GiveBack(who) => {
                if let Some(reserved) = self.reservations[who].take() {
                    let (core, session) = self.endpoint(who, false);
                    core.give_back(session, reserved);
                }
            }
            Step::AwaitRoom(who, length) => {
                let (core, session) = self.endpoint(who, false);
                core.await_room(session, length, false);
            }
            Step::EndWait(who, length) => {
                let (core, session) = self.endpoint(who, false);
                core.end_wait(session, length);
            }
            Step::Drop(who) => return vec![self.net.drop_message(who)],
            Step::Flush(who) => self.net.flush(who),
            Step::StageTimeout(who) => self.net.stage_timeout(who),
            Step::Close(who) => self.net.close(who),
            Step::Pump => self.net.pump(),
            Step::Receive(count) => {
                (0..count).for_each(|_| _ = self.net.recv());
                self.net.transmit_from_receiver(false);
            }
        }
        Vec::new()
    }
}

/// Returns how many messages went into frames on loan.
fn run(setup: &Setup, steps: &[Step]) -> Result<usize, TestCaseError> {
    let setup = Setup { senders: 2, channel: Channel::BothWays, ..setup.clone() };
    let mut net = Net::new(setup);
    (0..2).for_each(|who| net.greet(who));
    let mut asked = World { net, reservations: [None; 2], lends: false, by_loan: 0 };
    let mut lent = World { lends: true, ..asked.clone() };
    for step in steps {
        prop_assert_eq!(lent.take(step), asked.take(step));
        prop_assert_eq!(&lent.net.receiver.core, &asked.net.receiver.core);
        for (lent, asked) in lent.net.senders.iter().zip(&asked.net.senders) {
            prop_assert_eq!(&lent.node.core, &asked.node.core);
        }
    }
    prop_assert_eq!(lent.net.recv_all(), asked.net.recv_all());
    Ok(lent.by_loan)
}

proptest! {
    #[proves("NUM-1", "NUM-2", "LAM-1", "DAT-5", "DAT-6", "CRD-2", "CRD-6", "LRG-3")]
    #[test]
    fn a_loan_leaves_the_endpoint_as_if_each_message_had_been_sent_by_itself(
        level in prop_oneof![Just(Level::Received), Just(Level::Delivered), Just(Level::Processed)],
        retain in prop_oneof![Just(1 << 20), 600..3000_usize],
        max_message in prop_oneof![Just(4096), 20..1000_u32],
        steps in prop::collection::vec(step(), 1..80),
    ) {
        run(&Setup { level, retain, max_message, window: 4096, ..Setup::default() }, &steps)?;
    }
}

#[test]
fn most_of_what_shares_frames_goes_there_by_loan() {
    let steps = [Step::Send(0, false, vec![8; 300]), Step::Send(1, true, vec![8; 300])];
    let by_loan = run(&Setup { window: 1 << 16, slots: 100, sender_slots: 100, ..Setup::default() }, &steps).unwrap();
    assert!(by_loan > 500, "{by_loan}");
}

/// A sender that has one message on its way, and staged another one.
fn staging(setup: Setup) -> Net {
    let mut net = Net::greeted(setup);
    (0..2).for_each(|_| _ = net.send(0, "x"));
    net
}

fn is_lent(net: &mut Net) -> bool {
    let session = net.senders[0].session;
    net.senders[0].node.core.clone().lend_stage(session).is_some()
}

#[proves("DAT-5", "RDV-2", "CLO-1", "DRP-1")]
#[test]
fn nothing_is_lent_where_a_message_would_not_be_staged_or_not_be_alone() {
    assert!(is_lent(&mut staging(Setup::default())));
    let demand_none = |what: &str, action: fn(&mut Net)| {
        let mut net = staging(Setup::default());
        action(&mut net);
        assert!(!is_lent(&mut net), "{what}");
    };
    demand_none("what was before is acknowledged", |net| _ = net.recv_all());
    demand_none("a flush has ended the stage", |net| net.flush(0));
    demand_none("the session is closed", |net| net.close(0));
    demand_none("a gap is to be told", |net| _ = net.drop_message(0));
    let mut net = staging(Setup { channel: Channel::WithoutCapacity, ..Setup::default() });
    assert!(!is_lent(&mut net), "there is no stage without capacity");
}

#[proves("CRD-2", "CRD-6", "LIM-1")]
#[test]
fn a_loan_takes_no_more_than_the_endpoint_would() {
    let settings = [
        Setup { window: 30, ..Setup::default() },
        Setup { retain: 150, ..Setup::default() },
        Setup { max_message: 10, ..Setup::default() },
    ];
    for setup in settings {
        let mut net = staging(setup.clone());
        let session = net.senders[0].session;
        let core = &mut net.senders[0].node.core;
        let mut stage = core.lend_stage(session).unwrap();
        assert_eq!(stage.push(&[7; 100]), None, "{setup:?}");
        assert_eq!(stage.push(&[7; 10]).map(Number::get), Some(3), "a shorter one: {setup:?}");
        core.return_stage(session, stage);
        assert!(core.send(session, &[7; 100], Manner::default()).is_err(), "{setup:?}");
        assert_eq!(core.outbound(session).unwrap().window().accepted().get(), 3);
    }
}

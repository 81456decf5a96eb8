//! What a sender accepts: numbers, credit, and how much it keeps.

use crate::{
    bench::{Bench, MAX_MESSAGE, PLENTY},
    forge::{acknowledgement, session, terms},
    net::{Net, Setup},
};
use lamq_protocol::{
    Level,
    endpoint::SendRefused,
    send::{Manner, NoRoom, SendSettings},
    wire::Terms,
};
use lamq_proves::proves;

#[proves("NUM-1", "NUM-2", "LIM-1")]
#[test]
fn accepted_messages_are_numbered_in_order_and_refused_ones_use_no_number() {
    let mut bench = Bench::open(Level::Delivered, 1, 1);
    assert_eq!(bench.push(1), Ok(1));
    let before = (bench.window.clone(), bench.clock.clone());
    assert_eq!(bench.push(5001), Err(NoRoom::TooLong { length: 5001, limit: 5000 }));
    assert_eq!((bench.window.clone(), bench.clock.clone()), before, "as if nothing had been asked for");
    let what_counts = |bench: &Bench| (bench.window.accepted(), bench.window.bytes_kept(), bench.clock.now());
    let before = what_counts(&bench);
    assert_eq!(bench.push(1), Err(NoRoom::Credit), "one byte was granted");
    assert_eq!(what_counts(&bench), before);
    bench.window.acknowledge(&acknowledgement(0, [0, 0, 0, 3, 900])).unwrap();
    assert_eq!([bench.push(1), bench.push(452)], [Ok(2), Ok(3)]);
    assert_eq!(bench.push(6000), Err(NoRoom::TooLong { length: 6000, limit: 5000 }), "too long is told first");
}

#[proves("WEL-1")]
#[test]
fn no_data_leaves_before_the_welcome_not_even_on_an_early_acknowledgement() {
    let mut net = Net::new(Setup::default());
    net.connect(0);
    assert_eq!(net.send(0, "x"), Err(SendRefused::NoRoom(NoRoom::Credit)));
    // Acknowledgements travel at a higher priority and may overtake the welcome.
    let early = acknowledgement(0, [0, 0, 0, 100, 100]).encode(net.senders[0].session, net.receiver.core.now());
    net.give_sender(0, early);
    assert_eq!(net.send(0, "x"), Err(SendRefused::NoRoom(NoRoom::Credit)));
    assert!(!net.senders[0].node.core.has_room(net.senders[0].session, 1));
    net.flush(0);
    net.stage_timeout(0);
    net.transmit_from_sender(0);
    assert_eq!(net.receiver.inbox.len(), 1, "the greeting");
    net.pump();
    assert_eq!(net.send(0, "x"), Ok(1));
    let mut alone = Bench::new(SendSettings {
        frame_size: 512,
        level: Level::Delivered,
        retain: 1000,
        lossy: false,
        resumes: false,
    });
    alone.window.acknowledge(&acknowledgement(0, [0, 0, 0, 100, 100])).unwrap();
    assert_eq!(alone.push(1), Err(NoRoom::Credit), "credit is no welcome");
    let credit = net.senders[0].outbound().window().acknowledged().frame_credit;
    assert_eq!(credit, 100, "what was granted early is not taken back by the welcome");
}

#[proves("CRD-1", "CRD-7")]
#[test]
fn one_frame_is_begun_ahead_of_its_credit_and_leaves_with_it() {
    let mut bench = Bench::open(Level::Delivered, 1, PLENTY);
    assert_eq!(bench.push(300), Ok(1));
    assert_eq!(bench.push(300), Ok(2));
    assert_eq!(bench.push(300), Err(NoRoom::Credit), "it would begin a third frame");
    assert!(!bench.window.has_room(300, &bench.clock) && bench.window.has_room(100, &bench.clock));
    assert_eq!(bench.push(50), Ok(3), "there is room in the second");
    assert_eq!(bench.transmit(), [(1, 1)]);
    assert_eq!(bench.window.staged(), None, "no time-out makes it leave");
    assert!(bench.window.is_staging() && bench.window.awaits_credit());
    bench.hear([1, 0, 0, 1, PLENTY]);
    assert_eq!((bench.transmit(), bench.push(50)), (vec![], Ok(4)), "nothing is before it, but there is no credit");
    bench.hear([1, 1, 0, 2, PLENTY]);
    assert_eq!(bench.transmit(), [(2, 4)]);
    assert!(!bench.window.awaits_credit());
    assert_eq!(bench.push(0), Ok(5), "the next one ahead");
    bench.window.seal(false);
    assert_eq!(bench.push(0), Err(NoRoom::Credit));
    assert_eq!(bench.transmit(), []);
}

#[proves("CRD-7")]
#[test]
fn no_frame_is_begun_ahead_for_a_receiver_without_capacity() {
    let mut bench = Bench::open(Level::Delivered, 1, PLENTY);
    bench.window.open(session(), &Terms { rendezvous: true, ..terms(1, PLENTY) });
    assert_eq!(bench.push(300), Ok(1));
    assert_eq!(bench.push(0), Err(NoRoom::Credit));
    assert!(bench.window.reserve(0).is_err() && !bench.window.has_room(0, &bench.clock));
}

#[proves("CRD-7", "CRD-8")]
#[test]
fn what_is_waited_for_is_not_staged_ahead_and_nobody_overtakes_it() {
    let awaited = Manner { awaited: true, ..Manner::default() };
    let mut bench = Bench::open(Level::Delivered, 1, PLENTY);
    assert_eq!(bench.push(1), Ok(1));
    assert_eq!(bench.push_as(1, awaited), Err(NoRoom::Credit), "it would begin a frame");
    assert_eq!(bench.push(1), Ok(2));
    assert_eq!(bench.push_as(1, awaited), Err(NoRoom::Credit), "it would join one that may not leave");
    assert!(bench.window.await_room(1, true));
    assert_eq!(bench.push(2), Err(NoRoom::Credit), "somebody else waits");
    assert_eq!(bench.transmit(), [(1, 1)]);
    bench.hear([1, 0, 0, 2, PLENTY]);
    assert_eq!(bench.push_as(1, awaited), Err(NoRoom::Credit), "the credit is for what was staged before");
    assert_eq!(bench.transmit(), [(2, 2)]);
    bench.hear([2, 0, 0, 3, PLENTY]);
    assert_eq!(bench.push_as(1, awaited), Ok(3));
    bench.window.end_wait(1);
    assert_eq!(bench.transmit(), [(3, 3)]);
    assert_eq!(bench.push(2), Ok(4));
}

#[proves("CRD-2")]
#[test]
fn a_message_is_accepted_only_with_credit_for_its_bytes() {
    let mut bench = Bench::open(Level::Delivered, PLENTY, 100);
    assert_eq!(bench.push(101), Err(NoRoom::Credit));
    assert_eq!(bench.push(60), Ok(1));
    assert_eq!(bench.push(41), Err(NoRoom::Credit));
    assert!(!bench.window.has_room(41, &bench.clock) && bench.window.has_room(40, &bench.clock));
    assert_eq!(bench.push(40), Ok(2));
    assert_eq!(bench.push(1), Err(NoRoom::Credit));
    assert_eq!(bench.push(0), Ok(3), "a message without bytes costs none");
}

#[proves("CRD-6", "LIM-2")]
#[test]
fn what_is_kept_unacknowledged_is_bounded_whatever_is_sent() {
    const RETAIN: usize = 4000;
    for length in [0, 1, 100, 452] {
        let mut bench = Bench::new(SendSettings {
            frame_size: 512,
            level: Level::Processed,
            retain: RETAIN,
            lossy: false,
            resumes: false,
        });
        bench.window.open(session(), &terms(PLENTY, PLENTY));
        // The receiver takes every frame at once, and its application is never done with any.
        let accepted = (1..10_000).take_while(|number| {
            let accepted = bench.push(length).is_ok();
            bench.transmit();
            if accepted {
                bench.received(*number);
            }
            accepted
        });
        let accepted = accepted.count();
        assert!(accepted < 9_999, "{accepted} messages of {length} bytes were accepted");
        let kept = bench.window.bytes_kept();
        assert!((RETAIN - length..=RETAIN + 52).contains(&kept), "{kept} bytes for messages of {length}");
        let all = accepted as u64;
        bench.hear([all, all, all, PLENTY, PLENTY + 1]);
        assert_eq!(bench.window.bytes_kept(), 0);
        assert_eq!(bench.push(length), Ok(all + 1));
    }
}

#[proves("CRD-6")]
#[test]
fn one_message_may_always_be_kept() {
    for length in [0, 452, MAX_MESSAGE as usize] {
        let mut bench = Bench::new(SendSettings {
            frame_size: 512,
            level: Level::Delivered,
            retain: 0,
            lossy: false,
            resumes: false,
        });
        bench.window.open(session(), &terms(PLENTY, PLENTY));
        assert_eq!(bench.push(length), Ok(1));
        assert_eq!(bench.push(0), Err(NoRoom::Credit));
        bench.transmit();
        bench.hear([1, 1, 0, PLENTY, PLENTY + 1]);
        assert_eq!(bench.push(length), Ok(2));
    }
}

#[test]
fn credit_without_end_is_taken_without_overflow() {
    let mut bench = Bench::open(Level::Delivered, u64::MAX, u64::MAX);
    assert_eq!(bench.push(400), Ok(1));
    assert_eq!(bench.push(400), Ok(2));
    assert!(!bench.window.has_room(usize::MAX, &bench.clock), "there is no such message");
    bench.transmit();
    bench.hear([1, 1, 1, u64::MAX, u64::MAX]);
}

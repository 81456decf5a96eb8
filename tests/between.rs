//! What happens to a sender between two receivers, and to those who share its endpoint.

use lamq::{Endpoint, FlushFailure, Receiver, Sender, link::Memory};
use lamq_proves::proves;
use std::{thread, time::Duration};

const WATCHDOG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(50);

fn bind(space: &Memory, name: &str, slots: usize) -> Receiver {
    Receiver::builder().link(space.clone()).slots(slots).frame_size(512).linger(SHORT).bind(name).unwrap()
}

fn resuming(space: &Memory, name: &str) -> Sender {
    Sender::builder().link(space.clone()).linger(Duration::ZERO).resume(WATCHDOG).connect(name).unwrap()
}

/// Room that was set aside is given back though its message could not be sent.
#[proves("RSM-6")]
#[test]
fn a_permit_that_is_used_while_the_receiver_is_gone_gives_its_room_back() {
    let space = Memory::new();
    let first = bind(&space, "/a", 10);
    let sender = resuming(&space, "/a");
    let permits: Vec<_> = (0..8).map(|_| sender.reserve(10).unwrap()).collect();
    drop(first);
    for permit in permits {
        permit.send("x").unwrap_err();
    }
    let second = bind(&space, "/a", 10);
    let sending = thread::spawn(move || sender.send_timeout("after", SHORT * 40).map_err(|error| error.failure));
    assert!(second.recv_timeout(SHORT * 40).is_ok(), "{:?}", sending.join().unwrap());
}

/// What is to be sent again comes before what a permit may send, also when the next receiver grants less.
#[proves("RSM-1", "RSM-6")]
#[test]
fn a_permit_does_not_keep_back_what_is_to_be_sent_again() {
    let space = Memory::new();
    let first = bind(&space, "/a", 6);
    let sender = resuming(&space, "/a");
    sender.send("unread").unwrap();
    let permit = sender.reserve(10).unwrap();
    drop(first);
    let second = bind(&space, "/a", 3);
    assert!(second.recv_timeout(SHORT * 20).is_ok(), "a permit is held");
    assert!(permit.send("x").is_ok());
}

#[test]
fn the_limits_are_those_of_the_receiver_there_is_now() {
    let space = Memory::new();
    let bind = |most| {
        Receiver::builder()
            .link(space.clone())
            .slots(4)
            .frame_size(512)
            .max_message_size(most)
            .linger(SHORT)
            .bind("/a")
            .unwrap()
    };
    let first = bind(2000);
    let sender = resuming(&space, "/a");
    sender.send("x").unwrap();
    drop(first);
    let second = bind(100);
    second.recv_timeout(WATCHDOG).unwrap();
    sender.flush_timeout(WATCHDOG).unwrap();
    assert!(sender.try_send([0; 1000]).is_err());
    assert!(!sender.has_room(1000));
    assert_eq!(sender.max_message_size(), 100);
}

/// With the next receiver.
#[proves("RDV-2")]
#[test]
fn a_send_to_a_next_receiver_without_capacity_waits_for_its_application() {
    let space = Memory::new();
    let first = bind(&space, "/a", 4);
    let sender = resuming(&space, "/a");
    sender.send("x").unwrap();
    drop(first);
    let second =
        Receiver::builder().link(space).slots(4).frame_size(512).rendezvous().linger(SHORT).bind("/a").unwrap();
    second.recv_timeout(WATCHDOG).unwrap();
    second.try_recv().unwrap_err();
    sender.flush_timeout(WATCHDOG).unwrap();
    assert!(sender.send_timeout("nobody takes it", SHORT).is_err());
}

/// A call that notices the loss must not leave the keeper asleep on the old inbox.
#[proves("CAL-6", "RSM-1")]
#[test]
fn it_goes_on_by_itself_whoever_noticed_that_the_receiver_is_gone() {
    let space = Memory::new();
    for round in 0..40 {
        let first = bind(&space, "/a", 3);
        let sender = resuming(&space, "/a");
        sender.send("x").unwrap();
        thread::sleep(SHORT / 3); // so that the keeper watches
        let leaving = thread::spawn(move || drop(first));
        while !leaving.is_finished() {
            sender.stats();
        }
        let second = bind(&space, "/a", 3);
        assert!(second.recv_timeout(SHORT * 20).is_ok(), "round {round}");
    }
}

/// A session that has ended is of no interest any more to those that share its endpoint.
#[proves("SHR-1")]
#[test]
fn an_ended_sender_does_not_keep_the_others_awake() {
    let space = Memory::new();
    let [a, b, c] = ["/a", "/b", "/c"].map(|name| bind(&space, name, 4));
    let endpoint = Endpoint::on(space).unwrap();
    let connect = |name: &str| Sender::builder().endpoint(&endpoint).linger(Duration::ZERO).connect(name).unwrap();
    let (to_b, to_c) = (connect("/b"), connect("/c"));
    let to_a = Sender::builder().endpoint(&endpoint).linger(Duration::ZERO).resume(SHORT).connect("/a").unwrap();
    for sender in [&to_a, &to_b, &to_c] {
        sender.send("x").unwrap();
    }
    drop(a);
    to_a.flush_timeout(WATCHDOG).unwrap_err();
    let switches = || {
        let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).unwrap();
        usage.voluntary_context_switches()
    };
    let waiting = [to_b, to_c].map(|sender| thread::spawn(move || sender.flush_timeout(SHORT * 10).unwrap_err()));
    let before = switches();
    for thread in waiting {
        thread.join().unwrap();
    }
    let count = switches() - before;
    assert!(count < 500, "{count} switches in half a second");
    drop((b, c, to_a));
}

/// Nobody could answer it in an inbox that has no name any more.
#[proves("RSM-3")]
#[test]
fn a_sender_of_the_endpoint_of_a_closed_receiver_says_at_once_that_it_cannot_go_on() {
    let space = Memory::new();
    let (own, far) = (bind(&space, "/own", 4), bind(&space, "/far", 4));
    let builder = Sender::builder().endpoint(&own.endpoint()).linger(Duration::ZERO);
    let sender = builder.resume(Duration::from_secs(3600)).connect("/far").unwrap();
    own.close();
    sender.send("x").unwrap();
    drop(far);
    let _next = bind(&space, "/far", 4);
    assert!(matches!(sender.flush().unwrap_err().why, FlushFailure::Disconnected(_)));
}

//! A server and its clients who send to each other and read nothing, until nobody can; then the server is stopped.

use crate::{
    flood::body,
    process::{Process, hear, say},
    world::{Name, Raw, WATCHDOG, wait_until},
};
use lamq::{Departure, Event, Receiver, ReceiverBuilder, SendFailure, Sender};
use lamq_proves::proves;
use nix::sys::signal::Signal;
use std::{collections::BTreeMap, thread, time::Duration};

const CLIENTS: usize = 3;

/// How many messages each sends to each when everything moves again.
const MORE: u64 = 500;

/// How long whoever has no room waits for it before it takes that for a jam.
const PATIENCE: Duration = Duration::from_millis(100);

fn small() -> ReceiverBuilder {
    Receiver::builder().slots(2).frame_size(512).window(2_000)
}

/// Sends until there is no room. Returns how much was sent.
fn jam(sender: &Sender) -> u64 {
    loop {
        let sent = sender.stats().sent;
        if let Err(error) = sender.send_timeout(body(sent + 1), PATIENCE) {
            assert_eq!(error.failure, SendFailure::Timeout);
            return sent;
        }
    }
}

fn send_more(sender: Sender, sent: u64) {
    for number in sent + 1..=sent + MORE {
        assert_eq!(sender.send_timeout(body(number), WATCHDOG).unwrap(), number);
    }
    sender.close(WATCHDOG).unwrap();
}

/// Takes all that comes until so many have left. Returns how much.
fn take_all(receiver: &Receiver, mut peers: usize) -> u64 {
    let mut taken = BTreeMap::new();
    while peers > 0 {
        match receiver.recv_event(Some(WATCHDOG)).unwrap() {
            Event::Message(message) => {
                let taken = taken.entry(message.peer().stream).or_insert(0);
                *taken += 1;
                assert_eq!((message.number(), &*message), (*taken, &body(*taken)[..]));
            }
            Event::Departed { peer, departure, last } => {
                assert_eq!((departure, Some(&last)), (Departure::Left, taken.get(&peer.stream)));
                peers -= 1;
            }
            _ => {}
        }
    }
    taken.values().sum()
}

/// Role: serves.
pub(crate) fn serve_in_a_jam(name: &str) {
    let receiver = small().bind(name).unwrap();
    say("bound");
    let mut backs = Vec::new();
    while backs.len() < CLIENTS {
        // All of them come before the first sends.
        let Event::Joined(peer) = receiver.recv_event(Some(WATCHDOG)).unwrap() else { panic!("not a client") };
        let back = receiver.sender_to(peer).unwrap();
        let sent = jam(&back);
        backs.push((back, sent));
    }
    say("jammed");
    hear();
    thread::scope(|scope| {
        for (back, sent) in backs {
            scope.spawn(move || send_more(back, sent));
        }
        say(format_args!("taken {}", take_all(&receiver, CLIENTS)));
    });
}

#[proves("DPX-3", "CRD-2", "DTH-1", "PRO-1")]
#[test]
fn everything_moves_again_when_a_stopped_server_with_a_full_inbox_goes_on() {
    let name = Name::new("jam");
    let mut server = Process::start("serve-in-a-jam", name.as_str());
    server.expect("bound");
    let connect = || Sender::builder().wait(WATCHDOG).connect_both_ways(name.as_str(), &small()).unwrap();
    let clients = [(); CLIENTS].map(|()| connect());
    let jammed = clients.map(|(requests, answers)| (jam(&requests), requests, answers));
    server.expect("jammed");
    server.signal(Signal::SIGSTOP);
    wait_until("it is stopped", || server.status("State").starts_with('T'));
    // They owe it credit, as soon as they read, and have no room to tell.
    let mut read = Vec::new();
    for (_, requests, answers) in &jammed {
        let mut count = 0;
        while let Ok(message) = answers.recv_timeout(PATIENCE) {
            count += 1;
            assert_eq!((message.number(), &*message), (count, &body(count)[..]));
        }
        assert_eq!(jam(requests), requests.stats().sent);
        read.push(count);
    }
    let inbox = Raw::open(name.as_str()).unwrap();
    wait_until("its inbox is full", || inbox.waiting() == 2);
    server.signal(Signal::SIGCONT);
    server.say("go on");
    let sent = thread::scope(|scope| {
        let running = jammed.into_iter().zip(&read).map(|((sent, requests, answers), read)| {
            scope.spawn(move || send_more(requests, sent));
            scope.spawn(move || {
                let mut last = *read;
                while let Ok(message) = answers.recv_timeout(WATCHDOG) {
                    last += 1;
                    assert_eq!((message.number(), &*message), (last, &body(last)[..]));
                }
                assert!(last >= MORE);
            });
            sent + MORE
        });
        running.sum::<u64>()
    });
    assert_eq!(server.expect("taken"), sent.to_string());
    server.finish();
}

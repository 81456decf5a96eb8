//! Nothing is written to a queue that is not certainly the inbox of whom it is meant for.

use crate::{
    owner::bind,
    process::{Process, become_nobody, hear, is_root, say},
    world::{MODE, Name, Raw, WATCHDOG, dead_pid, wait_until},
};
use lamq::{
    BindError, ConnectError, Distrust, FlushFailure, OpenError, QueueName, Receiver, Sender,
    link::{Link, Posix},
};
use lamq_protocol::{
    Epoch, Level, Number, SessionId, Stamp, StreamId,
    wire::{self, Frame, Greeting, Welcome},
};
use lamq_proves::proves;
use std::{process, time::Duration};

/// A queue that somebody could take for an inbox.
struct Lookalike {
    what: &'static str,
    mode: u32,
    frame_size: i32,
    /// Process and epoch in its lock.
    owner: Option<(u32, u64)>,
}

/// Of this process, and of greetings in its name.
const EPOCH: u64 = 0x0102_0304_0506_0708;

fn genuine() -> Lookalike {
    Lookalike { what: "nothing", mode: MODE, frame_size: 512, owner: Some((process::id(), EPOCH)) }
}

/// Each differs from a genuine inbox in one thing.
fn impostors() -> Vec<Lookalike> {
    vec![
        Lookalike { what: "others may read and write it", mode: 0o1660, ..genuine() },
        Lookalike { what: "it has no mark", mode: 0o600, ..genuine() },
        Lookalike { what: "it has another mark too", mode: 0o5600, ..genuine() },
        Lookalike { what: "it is too small for frames", frame_size: 511, ..genuine() },
        Lookalike { what: "nobody owns it", owner: None, ..genuine() },
        Lookalike { what: "a dead process owns it", owner: Some((dead_pid(), EPOCH)), ..genuine() },
    ]
}

impl Lookalike {
    fn make(&self, name: &Name) -> Raw {
        let queue = Raw::create_as(name.as_str(), self.mode, 4, self.frame_size).unwrap();
        assert!(self.owner.is_none_or(|(pid, epoch)| queue.lock(pid, Epoch::new(epoch).unwrap())));
        queue
    }
}

fn connect(name: &Name) -> ConnectError {
    Sender::builder().wait(Duration::ZERO).connect(name.as_str()).unwrap_err()
}

#[proves("POS-8", "RSM-3")]
#[test]
fn a_sender_that_looks_for_the_next_receiver_passes_impostors_by() {
    // Several looks; something that must not happen can only be given time.
    const LOOKS: Duration = Duration::from_millis(40);
    let name = Name::new("impostor-next");
    let receiver = || Receiver::builder().slots(3).frame_size(512).bind(name.as_str()).unwrap();
    let first = receiver();
    let sender = Sender::builder().linger(Duration::ZERO).resume(WATCHDOG).connect(name.as_str()).unwrap();
    sender.send("unread").unwrap();
    drop(first);
    for impostor in impostors() {
        let queue = impostor.make(&name);
        let error = sender.flush_timeout(LOOKS).unwrap_err();
        assert!(matches!(error.why, FlushFailure::Absent { .. }), "{}: {error}", impostor.what);
        assert_eq!(queue.waiting(), 0, "{}", impostor.what);
        name.remove();
    }
    let message = receiver().recv_timeout(WATCHDOG).unwrap();
    assert!(*message == *b"unread" && message.may_repeat());
}

#[proves("POS-8")]
#[test]
fn a_sender_writes_to_no_impostor() {
    let name = Name::new("impostor");
    for impostor in impostors() {
        let queue = impostor.make(&name);
        let error = connect(&name);
        let refused = matches!(error, ConnectError::Open { .. } | ConnectError::NoReceiver { .. });
        assert!(refused && queue.waiting() == 0, "{}: {error}", impostor.what);
        name.remove();
    }
    let queue = genuine().make(&name);
    let error = connect(&name);
    assert!(matches!(error, ConnectError::Stalled { .. }) && queue.waiting() == 1, "{error}");
    name.remove();
}

/// Says that it comes from this process. No two have the same stream.
fn greeting(to: u64, inbox: &[u8], stream: u32, versions: (u8, u8)) -> Vec<u8> {
    let greeting = Greeting {
        versions,
        codec: 0,
        level: Some(Level::Delivered),
        pid: process::id(),
        stream: StreamId { epoch: Epoch::new(EPOCH).unwrap(), index: stream },
        reply_session: SessionId::new(1).unwrap(),
        pid_namespace: 0,
        back: None,
        first: Number::new(1),
        exposed: Number::NONE,
        to,
        inbox: inbox.to_vec(),
    };
    greeting.encode(Stamp::new(1))
}

/// A receiver, and what was written to it.
struct Greeted {
    receiver: Receiver,
    inbox: Raw,
    /// Whom to address.
    epoch: u64,
    greetings: u32,
}

impl Greeted {
    fn new(name: &Name) -> Self {
        let receiver = bind(name.as_str()).unwrap();
        let outbox = Posix.open(&QueueName::new(name.as_str()).unwrap()).unwrap();
        let epoch = outbox.destination().owner().epoch_low;
        Self { receiver, inbox: Raw::open(name.as_str()).unwrap(), epoch, greetings: 0 }
    }

    /// A greeting that it should welcome, and one that it should refuse, if they were true.
    fn greet(&mut self, inbox: &[u8]) {
        for versions in [(1, 1), (2, 3)] {
            self.greetings += 1;
            assert!(self.inbox.send(&greeting(self.epoch, inbox, self.greetings, versions), 0));
        }
        wait_until("both are counted", || {
            assert!(self.receiver.try_recv().is_err());
            self.receiver.stats().frames == self.greetings.into()
        });
    }

    #[track_caller]
    fn demand_all_distrusted(&self) {
        let stats = self.receiver.stats();
        assert_eq!((stats.untrusted_greeting, stats.accepted), (self.greetings.into(), 0));
    }
}

#[proves("GRT-4", "POS-8", "CAL-5")]
#[test]
fn a_forged_greeting_is_counted_and_nothing_is_written_where_it_points() {
    let (receiving, name) = (Name::new("greeted"), Name::new("pointed-at"));
    let mut greeted = Greeted::new(&receiving);
    let other = Process::start("idle", "");
    let more = [
        Lookalike { what: "another process owns it", owner: Some((other.id(), EPOCH)), ..genuine() },
        Lookalike { what: "it is of another epoch", owner: Some((process::id(), EPOCH ^ 1)), ..genuine() },
        Lookalike { what: "it is of another epoch", owner: Some((process::id(), EPOCH ^ 1 << 39)), ..genuine() },
    ];
    for impostor in impostors().into_iter().chain(more) {
        let queue = impostor.make(&name);
        greeted.greet(name.as_str().as_bytes());
        assert_eq!(queue.waiting(), 0, "{}", impostor.what);
        greeted.demand_all_distrusted();
        name.remove();
    }
    let (long, own) = ([b'/'; 1].repeat(255), receiving.as_str().as_bytes());
    let nowhere = [name.as_str().as_bytes(), b"pointed-at", b"/", b"/a/b", b"/\0", b"/..", b"/\xFF", &long, own];
    for inbox in nowhere {
        greeted.greet(inbox);
        greeted.demand_all_distrusted();
    }
    // The same words about an inbox of which they are true are answered.
    let queue = genuine().make(&name);
    let untrusted = greeted.receiver.stats().untrusted_greeting;
    greeted.greet(name.as_str().as_bytes());
    wait_until("both are answered", || queue.waiting() == 2);
    let answers: Vec<_> = std::iter::from_fn(|| queue.recv()).map(|frame| wire::decode(frame).unwrap().1).collect();
    let as_expected = matches!(
        &answers[..],
        [Frame::Welcome(Welcome { .. }), Frame::Refusal(_)] | [Frame::Refusal(_), Frame::Welcome(Welcome { .. })]
    );
    assert!(as_expected, "{answers:?}");
    let stats = greeted.receiver.stats();
    assert_eq!((stats.untrusted_greeting, stats.accepted), (untrusted, 1));
    name.remove();
    other.finish();
}

/// Role: as another user, owns a queue that is like an inbox in everything else, until the test says something.
pub(crate) fn own_as_nobody(name: &str) {
    become_nobody();
    let queue = Raw::create(name).unwrap();
    assert!(queue.lock(process::id(), Epoch::new(EPOCH).unwrap()));
    say("ready");
    hear();
    assert_eq!(queue.waiting(), 0);
}

/// What users are told stands in their page, word for word.
#[track_caller]
fn demand_documented(error: &dyn std::error::Error, name: &str) {
    let words = format!("``{}``", error.to_string().replace(name, "/orders"));
    assert!(include_str!("../../docs/another-user.md").contains(&words), "docs/another-user.md lacks: {words}");
}

/// Role: as another user, wants to use the inbox of this one.
pub(crate) fn use_as_nobody(name: &str) {
    become_nobody();
    let refusal = bind(name).unwrap_err();
    assert!(matches!(refusal, BindError::Untrusted { why: Distrust::NoPermission, .. }), "{refusal}");
    demand_documented(&refusal, name);
    let refusal = Sender::builder().wait(Duration::ZERO).connect(name).unwrap_err();
    let why = matches!(&refusal, ConnectError::Open { source: OpenError::Untrusted(Distrust::NoPermission), .. });
    assert!(why, "{refusal}");
    demand_documented(&refusal, name);
}

#[proves("POS-4", "POS-8", "GRT-4")]
#[test]
fn users_keep_off_each_others_queues() {
    if !is_root() {
        println!("not run: only root can be two users");
        return;
    }
    let (name, receiving) = (Name::new("of-nobody"), Name::new("of-root"));
    let mut owner = Process::start("own-as-nobody", name.as_str());
    owner.expect("ready");
    demand_documented(&connect(&name), name.as_str());
    demand_documented(&bind(name.as_str()).unwrap_err(), name.as_str());
    let mut greeted = Greeted::new(&receiving);
    // Even in the words of the owner.
    let mut words = greeting(greeted.epoch, name.as_str().as_bytes(), 1, (1, 1));
    words[28..32].copy_from_slice(&owner.id().to_le_bytes());
    crate::world::seal(&mut words);
    assert!(greeted.inbox.send(&words, 0));
    greeted.greetings += 1;
    wait_until("the greeting is counted", || {
        assert!(greeted.receiver.try_recv().is_err());
        greeted.receiver.stats().frames == 1
    });
    greeted.demand_all_distrusted();
    owner.say("that was all");
    owner.finish();
    name.remove();

    Process::start("use-as-nobody", receiving.as_str()).finish();
    assert_eq!((greeted.inbox.waiting(), greeted.inbox.stat().st_nlink), (0, 1));
}

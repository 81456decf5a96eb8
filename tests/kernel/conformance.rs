//! What every link must do for channels: each row on memory, on the kernel's queues, and on both of them with faults; and on the
//! kernel's queues also with its two sides in two processes.
//!
//! A row has a receiving side, which runs in the test, and a sending side, which runs in a thread of the test or in another
//! process. They share nothing but the link; a [`Cue`] tells each what the other has done, and what numbers they must agree on.

use crate::{
    process::Process,
    world::{Name, WATCHDOG},
};
use cue::Cue;
use ground::{Ground, Kind};
use std::thread;

/// Runs the two sides of a row, the functions `receive` and `send` beside it, wherever they must work.
macro_rules! on_every_link {
    ($row:ident proves $($rule:literal),+) => {
        pub(super) const ROW: crate::conformance::Row =
            crate::conformance::Row { name: stringify!($row), receive, send };

        #[lamq_proves::proves($($rule),+)]
        #[test]
        fn on_memory() {
            ROW.in_one_process(crate::conformance::Kind::Memory);
        }

        #[lamq_proves::proves($($rule),+)]
        #[test]
        fn on_faulty_memory() {
            ROW.in_one_process(crate::conformance::Kind::FaultyMemory);
        }

        #[lamq_proves::proves($($rule),+)]
        #[test]
        fn on_the_kernel() {
            ROW.in_one_process(crate::conformance::Kind::Kernel);
        }

        #[lamq_proves::proves($($rule),+)]
        #[test]
        fn on_the_faulty_kernel() {
            ROW.in_one_process(crate::conformance::Kind::FaultyKernel);
        }

        #[lamq_proves::proves($($rule),+)]
        #[test]
        fn across_processes() {
            ROW.across_processes(crate::conformance::Kind::Kernel);
        }

        #[lamq_proves::proves($($rule),+)]
        #[test]
        fn across_processes_with_faults() {
            ROW.across_processes(crate::conformance::Kind::FaultyKernel);
        }
    };
}

mod a_flush;
mod a_receiver_that_leaves;
mod a_rendezvous;
mod a_stream;
mod both_ways;
mod cue;
mod deliveries;
mod ground;
mod long_messages;
mod no_room;
mod shared_endpoint;
mod two_streams;
mod without_capacity;

/// What another process can be asked to run the sending side of.
const ROWS: &[Row] = &[
    a_flush::ROW,
    a_receiver_that_leaves::ROW,
    a_rendezvous::ROW,
    a_stream::ROW,
    both_ways::ROW,
    deliveries::ROW,
    long_messages::ROW,
    no_room::ROW,
    shared_endpoint::ROW,
    two_streams::ROW,
    without_capacity::ROW,
];

/// One side of a row. A receiver must stay until its cue says that the senders know what they wait for: on a link with faults its
/// last words may be lost.
type Side = fn(&Ground, &mut Cue);

struct Row {
    name: &'static str,
    receive: Side,
    send: Side,
}

impl Row {
    fn in_one_process(&self, kind: Kind) {
        let names = self.names(kind, "within");
        let ground = Ground::new(kind, names[0].as_str());
        let (mut cue, mut other_cue) = Cue::pair();
        let (send, other_ground) = (self.send, ground.clone());
        let sending = thread::spawn(move || send(&other_ground, &mut other_cue));
        (self.receive)(&ground, &mut cue);
        sending.join().unwrap();
    }

    fn across_processes(&self, kind: Kind) {
        let names = self.names(kind, "across");
        let name = names[0].as_str();
        let process = Process::start("row", &format!("{} {} {name}", self.name, kind.word()));
        let _inbox = Name::of_sender(process.id());
        let mut cue = Cue::Process(process);
        (self.receive)(&Ground::new(kind, name), &mut cue);
        cue.finish();
    }

    /// All that a row may bind; checked to be gone at the end.
    fn names(&self, kind: Kind, place: &str) -> [Name; 2] {
        let first = Name::new(&format!("{}-{}-{place}", self.name, kind.word()));
        let second = Name::new(&format!("{}-{}-{place}{}", self.name, kind.word(), ground::SECOND));
        [first, second]
    }
}

/// Role: the sending side of a row.
pub(crate) fn row(argument: &str) {
    let words: Vec<_> = argument.split(' ').collect();
    let [row, kind, name] = words[..] else { panic!("not a row: {argument}") };
    let row = ROWS.iter().find(|known| known.name == row).expect("a row of this suite");
    (row.send)(&Ground::elsewhere(Kind::of_word(kind), name), &mut Cue::Role);
}

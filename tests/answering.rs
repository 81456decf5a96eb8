//! Greetings that are answered later, because the receiver lacked something when they came.

use lamq::{
    BindError, ConnectError, OpenError, QueueName, Receiver, Sender,
    link::{Geometry, Inbox, Link, Memory, Outbox, Owner},
};
use lamq_proves::proves;
use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(30);

/// A link that opens nothing as long as there are names here: those that it was to open.
#[derive(Clone, Debug)]
struct Lacking(Memory, Arc<Mutex<Option<BTreeSet<QueueName>>>>);

impl Link for Lacking {
    fn bind(&self, name: &QueueName, owner: Owner, geometry: Geometry) -> Result<Box<dyn Inbox>, BindError> {
        self.0.bind(name, owner, geometry)
    }

    fn open(&self, name: &QueueName) -> Result<Box<dyn Outbox>, OpenError> {
        match &mut *self.1.lock().unwrap() {
            None => self.0.open(name),
            Some(asked) => {
                asked.insert(name.clone());
                Err(OpenError::System(io::ErrorKind::OutOfMemory.into()))
            }
        }
    }
}

#[proves("GRT-5", "GRT-10")]
#[test]
fn no_more_are_let_in_late_than_would_have_been_in_time() {
    let space = Memory::new();
    let lacking = Lacking(space.clone(), Arc::new(Mutex::new(Some(BTreeSet::new()))));
    let receiver = Receiver::builder().link(lacking.clone()).max_senders(1).bind("/late").unwrap();
    let connecting = [(); 3].map(|()| {
        let builder = Sender::builder().link(space.clone()).wait(WATCHDOG);
        thread::spawn(move || builder.connect("/late"))
    });
    while lacking.1.lock().unwrap().as_ref().unwrap().len() < connecting.len() {
        thread::sleep(Duration::from_millis(1));
    }
    lacking.1.lock().unwrap().take();
    let (let_in, refused): (Vec<_>, Vec<_>) =
        connecting.into_iter().map(|connecting| connecting.join().unwrap()).partition(Result::is_ok);
    assert_eq!((let_in.len(), refused.len()), (1, 2));
    for refused in refused {
        assert!(matches!(refused, Err(ConnectError::Refused { .. })), "{refused:?}");
    }
    assert_eq!((receiver.stats().accepted, receiver.stats().refused), (1, 2));
}

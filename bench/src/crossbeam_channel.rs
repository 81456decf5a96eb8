//! crossbeam-channel, between two threads: what no way between processes can reach.
//!
//! Bounded, so that nothing is allocated for its places. A short message is moved as it is; a longer one is in a buffer of
//! its own, which only its pointer leaves.

use crate::version;
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use lamq_cli::guest::{Ends, Inlet, Letter, Outcome, Outlet, Sheet, Site, Way};
use std::{
    collections::HashMap,
    hint::spin_loop,
    sync::{Mutex, PoisonError},
};

/// Of a thousand and fewer, more time goes into waking than into messages.
const PLACES: usize = 4096;

/// Of all places together, so that long messages take no more memory than with other guests.
const BYTES: usize = 16 << 20;

/// Moved as it is.
const SHORT: usize = 64;

pub(crate) fn settings() -> String {
    format!(
        "crossbeam-channel {}, two threads of one process; bounded, {PLACES} messages or {} MiB; {SHORT} bytes are moved, more \
         are a Box<[u8]>; recv, or try_recv again and again where it spins",
        version::of("crossbeam-channel"),
        BYTES >> 20
    )
}

pub(crate) struct Bounded;

/// Messages that nobody has to look for elsewhere, and others.
enum Message {
    Short([u8; SHORT]),
    Long(Box<[u8]>),
}

/// The ends that wait for somebody to connect, by their ways.
static OPEN: Mutex<Option<HashMap<String, Sender<Message>>>> = Mutex::new(None);

fn open<T>(act: impl FnOnce(&mut HashMap<String, Sender<Message>>) -> T) -> T {
    act(OPEN.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

impl Ends for Bounded {
    type Out = Sending;
    type In = Receiving;

    fn inlet(site: &Site, way: Way) -> Outcome<Self::In> {
        let (sender, receiver) = bounded(PLACES.min(BYTES / site.length).max(2));
        open(|ends| ends.insert(site.way(way).to_owned(), sender));
        let spins = site.spin.is_some_and(|spin| !spin.is_zero());
        Ok(Receiving { receiver, spins, length: site.length })
    }

    fn outlet(site: &Site, way: Way) -> Outcome<Self::Out> {
        let sender = open(|ends| ends.remove(site.way(way))).ok_or("there is no such end")?;
        Ok(Sending { sender, sheet: Sheet::new(site.length) })
    }
}

pub(crate) struct Sending {
    sender: Sender<Message>,
    sheet: Sheet,
}

impl Outlet for Sending {
    fn send(&mut self, letter: Letter) -> Outcome {
        let bytes = self.sheet.write(letter);
        let message = bytes.try_into().map_or_else(|_| Message::Long(bytes.into()), Message::Short);
        self.sender.send(message).map_err(|_| "the receiver is gone".into())
    }
}

pub(crate) struct Receiving {
    receiver: Receiver<Message>,
    spins: bool,
    length: usize,
}

impl Receiving {
    fn next(&self) -> Outcome<Message> {
        if !self.spins {
            return Ok(self.receiver.recv()?);
        }
        loop {
            match self.receiver.try_recv() {
                Err(TryRecvError::Empty) => spin_loop(),
                outcome => return Ok(outcome?),
            }
        }
    }
}

impl Inlet for Receiving {
    fn receive(&mut self) -> Outcome<Letter> {
        match self.next()? {
            Message::Short(bytes) => Sheet::read(&bytes, self.length),
            Message::Long(bytes) => Sheet::read(&bytes, self.length),
        }
    }
}

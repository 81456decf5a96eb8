//! When a sender or a receiver begins and when it may go, be it a process of its own or a thread.

use super::{
    media::Outcome,
    talk::{Asked, Measured, Told},
};
use crate::{
    clock::sleep_until,
    crew::talk::{hear, tell},
};
use std::{
    io,
    sync::mpsc::{Receiver, Sender, channel},
};

pub(super) trait Cue {
    /// Its end is there. Waits until all are, and for the time to begin, which it returns.
    fn begin(&mut self) -> Outcome<u64>;

    /// Says what was measured. Keeps its end open until the others are done too.
    fn done(&mut self, measured: Measured) -> Outcome;
}

/// A process with one role.
pub(super) struct Process;

impl Cue for Process {
    fn begin(&mut self) -> Outcome<u64> {
        let at = begun()?;
        sleep_until(at);
        Ok(at)
    }

    fn done(&mut self, measured: Measured) -> Outcome {
        ended(vec![measured])
    }
}

fn begun() -> io::Result<u64> {
    tell(&Told::Ready)?;
    match hear()? {
        Asked::Begin { at } => Ok(at),
        Asked::GoOn => Err(io::Error::other("nothing has begun yet")),
    }
}

fn ended(measured: Vec<Measured>) -> Outcome {
    tell(&Told::Done(measured))?;
    hear::<Asked>()?;
    Ok(())
}

/// The receiver's thread, which speaks for the sender's too, and that one.
pub(super) fn threads() -> (Receiving, Sending) {
    let (to_sender, from_receiver) = channel();
    let (to_receiver, from_sender) = channel();
    (Receiving { to_sender, from_sender }, Sending { to_receiver, from_receiver })
}

/// What the sender's thread is to do.
enum Do {
    Connect,
    Begin(u64),
    Go,
}

/// How far the sender's thread is.
enum Is {
    Connected,
    Done(Measured),
}

pub(super) struct Receiving {
    to_sender: Sender<Do>,
    from_sender: Receiver<Is>,
}

/// What the other thread failed of, it says itself.
const GONE: &str = "the other thread is gone";

impl Cue for Receiving {
    fn begin(&mut self) -> Outcome<u64> {
        self.to_sender.send(Do::Connect).map_err(|_| GONE)?;
        let Ok(Is::Connected) = self.from_sender.recv() else { return Err(GONE.into()) };
        let at = begun()?;
        self.to_sender.send(Do::Begin(at)).map_err(|_| GONE)?;
        sleep_until(at);
        Ok(at)
    }

    fn done(&mut self, measured: Measured) -> Outcome {
        let Ok(Is::Done(sent)) = self.from_sender.recv() else { return Err(GONE.into()) };
        ended(vec![measured, sent])?;
        self.to_sender.send(Do::Go).map_err(|_| GONE.into())
    }
}

pub(super) struct Sending {
    to_receiver: Sender<Is>,
    from_receiver: Receiver<Do>,
}

impl Sending {
    /// Waits until there is something to connect to.
    pub(super) fn await_inlet(&self) -> Outcome {
        let Ok(Do::Connect) = self.from_receiver.recv() else { return Err(GONE.into()) };
        Ok(())
    }
}

impl Cue for Sending {
    fn begin(&mut self) -> Outcome<u64> {
        self.to_receiver.send(Is::Connected).map_err(|_| GONE)?;
        let Ok(Do::Begin(at)) = self.from_receiver.recv() else { return Err(GONE.into()) };
        sleep_until(at);
        Ok(at)
    }

    fn done(&mut self, measured: Measured) -> Outcome {
        self.to_receiver.send(Is::Done(measured)).map_err(|_| GONE)?;
        let Ok(Do::Go) = self.from_receiver.recv() else { return Err(GONE.into()) };
        Ok(())
    }
}

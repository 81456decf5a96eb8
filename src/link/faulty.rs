//! A link that loses, doubles and swaps frames, by a seed.

use super::{Destination, Geometry, Inbox, Link, Outbox, Owner};
use crate::{
    error::{BindError, OpenError},
    name::QueueName,
    sync::{Arc, Mutex},
};
use fastrand::Rng;
use lamq_protocol::wire::Priority;
use std::io;

/// How often a [`Faulty`] link does what, each from 0 (never) to 1 (with every frame), and the seed of its dice.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// A frame disappears.
    pub lose: f64,
    /// A frame arrives twice.
    pub double: f64,
    /// A frame arrives behind the next one to the same inbox; if there is no next one, not at all.
    pub swap: f64,
    /// With the same seed, the same frames in the same order meet the same fate.
    pub seed: u64,
}

/// Any link, with [`Faults`]: to study what the protocol makes of them, and to test that it makes good for all.
///
/// # Examples
/// ```
/// use lamq::{Receiver, Sender, link::{Faults, Faulty, Memory}};
///
/// let faults = Faults { lose: 0.2, double: 0.1, swap: 0.1, seed: 1 };
/// let link = Faulty::new(Memory::new(), faults);
/// let receiver = Receiver::builder().link(link.clone()).end_with_last_sender().bind("/numbers")?;
/// let sending = std::thread::spawn(move || {
///     let sender = Sender::builder().link(link).connect("/numbers").unwrap();
///     (0..100_u8).for_each(|number| _ = sender.send([number]).unwrap());
/// });
/// let received: Vec<u8> = receiver.iter().map(|message| message[0]).collect();
/// sending.join().unwrap();
/// assert_eq!(received, (0..100).collect::<Vec<_>>());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Faulty {
    link: Arc<dyn Link>,
    faults: Faults,
    /// Makes the dice of each outbox.
    dice: Arc<Mutex<Rng>>,
}

impl Faulty {
    /// `link`, with `faults` whenever a frame is sent. Clones share the dice.
    pub fn new(link: impl Link + 'static, faults: Faults) -> Self {
        Self { link: Arc::new(link), faults, dice: Arc::new(Mutex::new(Rng::with_seed(faults.seed))) }
    }
}

impl Link for Faulty {
    fn bind(&self, name: &QueueName, owner: Owner, geometry: Geometry) -> Result<Box<dyn Inbox>, BindError> {
        self.link.bind(name, owner, geometry)
    }

    fn open(&self, name: &QueueName) -> Result<Box<dyn Outbox>, OpenError> {
        let outbox = self.link.open(name)?;
        let dice = self.dice.lock().fork();
        Ok(Box::new(FaultyOutbox { outbox, faults: self.faults, dice, late: None }))
    }

    fn is_lossy(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct FaultyOutbox {
    outbox: Box<dyn Outbox>,
    faults: Faults,
    dice: Rng,
    /// To arrive behind the next one.
    late: Option<(Priority, Vec<u8>)>,
}

impl FaultyOutbox {
    fn happens(&mut self, chance: f64) -> bool {
        self.dice.f64() < chance
    }
}

impl Outbox for FaultyOutbox {
    fn try_send(&mut self, priority: Priority, frame: &[u8]) -> io::Result<bool> {
        if self.happens(self.faults.lose) {
            return Ok(true);
        }
        if self.late.is_none() && self.happens(self.faults.swap) {
            self.late = Some((priority, frame.to_vec()));
            return Ok(true);
        }
        if !self.outbox.try_send(priority, frame)? {
            return Ok(false);
        }
        if self.happens(self.faults.double) {
            self.outbox.try_send(priority, frame)?;
        }
        if let Some((priority, frame)) = self.late.take() {
            self.outbox.try_send(priority, &frame)?;
        }
        Ok(true)
    }

    fn destination(&self) -> &dyn Destination {
        self.outbox.destination()
    }
}

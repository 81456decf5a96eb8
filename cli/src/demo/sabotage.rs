//! A link that breaks on purpose, to show that the judge would notice.

use clap::ValueEnum;
use lamq::{
    BindError, OpenError, QueueName,
    link::{Geometry, Inbox, Link, Outbox, Owner},
};
use lamq_protocol::wire::{DataFrame, Frame, Item, Priority, decode};
use serde::{Deserialize, Serialize};
use std::{
    io,
    ops::Range,
    os::fd::BorrowedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// How the link of one sender breaks, once, in the second half of its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sabotage {
    /// One frame vanishes. lamq notices the gap and ends that sender's session, so all that it had still to send is lost.
    Drop,
    /// One message comes twice, and its successor never. lamq would discard a frame that comes twice, so this is a forgery
    /// inside a frame that lamq cannot notice.
    Double,
    /// Two neighbouring messages change places, forged likewise.
    Swap,
}

impl Sabotage {
    /// What was done, for the report.
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Drop => "The link of sender 1 lost one frame, once: lamq had to notice the gap.",
            Self::Double => {
                "The link of sender 1 put one message in the place of the next, once: lamq could not notice it."
            }
            Self::Swap => "The link of sender 1 exchanged two neighbouring messages, once: lamq could not notice it.",
        }
    }
}

/// A link over another one, broken as ordered.
#[derive(Clone, Debug)]
pub(super) struct Broken<L> {
    link: L,
    how: Option<Sabotage>,
    /// From the frame with this number on.
    from: u64,
    done: Arc<AtomicBool>,
}

impl<L> Broken<L> {
    pub(super) fn new(link: L, how: Option<Sabotage>, from: u64) -> Self {
        Self { link, how, from, done: Arc::default() }
    }

    /// Whether it has happened.
    pub(super) fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }
}

impl<L: Link> Link for Broken<L> {
    fn bind(&self, name: &QueueName, owner: Owner, geometry: Geometry) -> Result<Box<dyn Inbox>, BindError> {
        self.link.bind(name, owner, geometry)
    }

    fn open(&self, name: &QueueName) -> Result<Box<dyn Outbox>, OpenError> {
        let outbox = self.link.open(name)?;
        let Some(how) = self.how else { return Ok(outbox) };
        Ok(Box::new(BrokenOutbox { outbox, how, from: self.from, done: Arc::clone(&self.done) }))
    }
}

#[derive(Debug)]
struct BrokenOutbox {
    outbox: Box<dyn Outbox>,
    how: Sabotage,
    from: u64,
    done: Arc<AtomicBool>,
}

impl Outbox for BrokenOutbox {
    fn try_send(&mut self, priority: Priority, frame: &[u8]) -> io::Result<bool> {
        if self.done.load(Ordering::Relaxed) {
            return self.outbox.try_send(priority, frame);
        }
        let Some((first, second)) = neighbours(frame, self.from) else {
            return self.outbox.try_send(priority, frame);
        };
        // The bodies are the application's, and no check covers them (section 9 of SPEC.md): equally long ones can be exchanged.
        let mut forged = frame.to_vec();
        match self.how {
            Sabotage::Drop => {}
            Sabotage::Double => forged.copy_within(first, second.start),
            Sabotage::Swap => {
                forged[first.clone()].copy_from_slice(&frame[second.clone()]);
                forged[second].copy_from_slice(&frame[first]);
            }
        }
        let sent = self.how == Sabotage::Drop || self.outbox.try_send(priority, &forged)?;
        // A full queue took nothing: the frame will come again.
        self.done.store(sent, Ordering::Relaxed);
        Ok(sent)
    }

    fn geometry(&self) -> Geometry {
        self.outbox.geometry()
    }

    fn writable(&self) -> BorrowedFd<'_> {
        self.outbox.writable()
    }

    fn bell(&self) -> BorrowedFd<'_> {
        self.outbox.bell()
    }

    fn owner(&self) -> Owner {
        self.outbox.owner()
    }

    fn is_alive(&self) -> io::Result<bool> {
        self.outbox.is_alive()
    }
}

/// Where the bodies of the first two messages of a frame lie, if it has two, from the number `from` on.
fn neighbours(frame: &[u8], from: u64) -> Option<(Range<usize>, Range<usize>)> {
    let Ok((_, Frame::Data(data))) = decode(frame) else { return None };
    let data: DataFrame<&[u8]> = data;
    let mut cursor = data.cursor();
    let (Item::Message(first), Item::Message(second)) = (data.next_item(&mut cursor)?, data.next_item(&mut cursor)?)
    else {
        return None;
    };
    (first.number.get() >= from && first.body.len() == second.body.len()).then_some((first.body, second.body))
}

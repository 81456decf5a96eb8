//! A link that breaks on purpose, to show that the judge would notice.

use clap::ValueEnum;
use lamq::{
    BindError, OpenError, QueueName,
    link::{Destination, Geometry, Inbox, Link, Outbox, Owner},
};
use lamq_protocol::wire::{DataFrame, Frame, Item, OpenFrame, Priority, Shape, decode};
use serde::{Deserialize, Serialize};
use std::{
    io,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// How the link of one sender breaks, once, in the second half of its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sabotage {
    /// One message never comes: its sender is said to have dropped it. lamq would send a frame again that vanishes, so this is
    /// a forgery inside a frame that it cannot notice.
    Drop,
    /// One message comes twice, and its successor never, forged likewise: lamq would discard a frame that comes twice.
    Double,
    /// Two neighbouring messages change places, forged likewise.
    Swap,
}

impl Sabotage {
    /// What was done, for the report.
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Drop => {
                "The link of sender 1 said of one message that it was dropped, once: lamq could not notice it."
            }
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
            Sabotage::Drop => {
                let Some(without) = without_first(frame) else { return self.outbox.try_send(priority, frame) };
                forged = without;
            }
            Sabotage::Double => forged.copy_within(first, second.start),
            Sabotage::Swap => {
                forged[first.clone()].copy_from_slice(&frame[second.clone()]);
                forged[second].copy_from_slice(&frame[first]);
            }
        }
        let sent = self.outbox.try_send(priority, &forged)?;
        // A full queue took nothing: the frame will come again.
        self.done.store(sent, Ordering::Relaxed);
        Ok(sent)
    }

    fn destination(&self) -> &dyn Destination {
        self.outbox.destination()
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

/// The frame, with a gap in the place of its first message.
fn without_first(frame: &[u8]) -> Option<Vec<u8>> {
    let Ok((header, Frame::Data(data))) = decode(frame) else { return None };
    let data: DataFrame<&[u8]> = data;
    let mut open = OpenFrame::new(Vec::new(), frame.len(), data.first());
    let mut cursor = data.cursor();
    while let Some(item) = data.next_item(&mut cursor) {
        let Item::Message(record) = item else { return None };
        let first = record.number == data.first();
        let shape = Shape { void: first, ..Shape::default() };
        open.push(shape, if first { &[] } else { &frame[record.body] }, record.stamp);
    }
    Some(open.seal(header.session?, data.frame(), data.solicits()))
}

//! lamq with its defaults, and every promise kept.

use super::{Ends, Inlet, Letter, Outcome, Outlet, Sheet, Site, Way};
use crate::queue;
use lamq::{Event, Receiver, ReceiverBuilder, Sender, SenderBuilder, typed};
use serde::{Deserialize, Serialize};
use std::{process, sync::Arc, time::Duration};

/// How long to wait for the other side, which is there.
const PATIENCE: Duration = Duration::from_secs(30);
const LINGER: Duration = Duration::from_secs(1);

fn sending(site: &Site) -> SenderBuilder {
    // Its name is removed once it is welcomed; a signal may come before.
    site.parting.add(|| queue::remove(&format!("/lamq.{}.0", process::id())));
    let builder = Sender::builder().wait(PATIENCE).linger(LINGER);
    site.spin.into_iter().fold(builder, SenderBuilder::spin)
}

fn receiving(site: &Site) -> ReceiverBuilder {
    let builder = Receiver::builder().linger(LINGER);
    site.spin.into_iter().fold(builder, ReceiverBuilder::spin)
}

/// Bytes, by `send` and `recv`.
pub(in crate::bench) struct Bytes;

impl Ends for Bytes {
    type Out = BytesOut;
    type In = BytesIn;

    fn inlet(site: &Site, way: Way) -> Outcome<Self::In> {
        let inlet = BytesIn::new(receiving(site).bind(site.way(way))?, site);
        let receiver = Arc::clone(&inlet.receiver);
        site.parting.add(move || receiver.close());
        Ok(inlet)
    }

    fn outlet(site: &Site, way: Way) -> Outcome<Self::Out> {
        Ok(BytesOut::new(sending(site).connect(site.way(way))?, site))
    }

    fn both(site: &Site) -> Outcome<(Self::Out, Self::In)> {
        let (sender, receiver) =
            sending(site).connect_both_ways(site.way(Way::There), &Receiver::builder().linger(LINGER))?;
        Ok((BytesOut::new(sender, site), BytesIn::new(receiver, site)))
    }

    fn back(site: &Site, inlet: &mut Self::In) -> Outcome<Self::Out> {
        loop {
            if let Event::Joined(peer) = inlet.receiver.recv_event(Some(PATIENCE))? {
                let sender = inlet.receiver.sender_to(peer).ok_or("a sender joined that wants no answer")?;
                return Ok(BytesOut::new(sender, site));
            }
        }
    }
}

pub(in crate::bench) struct BytesOut {
    sender: Sender,
    sheet: Sheet,
}

impl BytesOut {
    fn new(sender: Sender, site: &Site) -> Self {
        Self { sender, sheet: Sheet::new(site.length) }
    }
}

impl Outlet for BytesOut {
    fn send(&mut self, letter: Letter) -> Outcome {
        self.sender.send(self.sheet.write(letter)).map_err(|error| error.failure)?;
        Ok(())
    }

    fn finish(&mut self) -> Outcome {
        Ok(self.sender.flush_timeout(PATIENCE)?)
    }
}

pub(in crate::bench) struct BytesIn {
    receiver: Arc<Receiver>,
    length: usize,
}

impl BytesIn {
    fn new(receiver: Receiver, site: &Site) -> Self {
        Self { receiver: Arc::new(receiver), length: site.length }
    }
}

impl Inlet for BytesIn {
    fn receive(&mut self) -> Outcome<Letter> {
        Sheet::read(&self.receiver.recv()?, self.length)
    }
}

impl Drop for BytesIn {
    fn drop(&mut self) {
        // The thread that waits for signals holds it too.
        self.receiver.close();
    }
}

/// Bytes, each message handed over before the next: `send_sync` and `recv`.
pub(in crate::bench) struct Rendezvous;

impl Ends for Rendezvous {
    type Out = HandingOver;
    type In = BytesIn;

    fn inlet(site: &Site, way: Way) -> Outcome<Self::In> {
        Bytes::inlet(site, way)
    }

    fn outlet(site: &Site, way: Way) -> Outcome<Self::Out> {
        Bytes::outlet(site, way).map(HandingOver)
    }
}

pub(in crate::bench) struct HandingOver(BytesOut);

impl Outlet for HandingOver {
    fn send(&mut self, letter: Letter) -> Outcome {
        let BytesOut { sender, sheet } = &mut self.0;
        sender.send_sync(sheet.write(letter)).map_err(|error| error.to_string())?;
        Ok(())
    }
}

/// A small value of an everyday kind.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::bench) struct Order {
    number: u64,
    mark: u64,
    price: f64,
    quantity: u32,
    buys: bool,
}

impl Order {
    fn of(Letter { number, mark }: Letter) -> Self {
        Self { number, mark, price: 12.5, quantity: 3, buys: number.is_multiple_of(2) }
    }
}

/// Values, by `send` and `recv` and `decode`.
pub(in crate::bench) struct Typed;

impl Ends for Typed {
    type Out = typed::Sender<Order>;
    type In = TypedIn;

    fn inlet(site: &Site, way: Way) -> Outcome<Self::In> {
        let receiver = Arc::new(receiving(site).typed().bind(site.way(way))?);
        let closing = Arc::clone(&receiver);
        site.parting.add(move || closing.close());
        Ok(TypedIn(receiver))
    }

    fn outlet(site: &Site, way: Way) -> Outcome<Self::Out> {
        Ok(sending(site).typed().connect(site.way(way))?)
    }
}

impl Outlet for typed::Sender<Order> {
    fn send(&mut self, letter: Letter) -> Outcome {
        typed::Sender::send(self, Order::of(letter)).map_err(|error| error.failure)?;
        Ok(())
    }

    fn finish(&mut self) -> Outcome {
        Ok(self.flush_timeout(PATIENCE)?)
    }
}

pub(in crate::bench) struct TypedIn(Arc<typed::Receiver<Order>>);

impl Inlet for TypedIn {
    fn receive(&mut self) -> Outcome<Letter> {
        let message = self.0.recv()?;
        let order = message.decode().map_err(|error| error.to_string())?;
        let letter = Letter { number: order.number, mark: order.mark };
        if order == Order::of(letter) { Ok(letter) } else { Err("a value arrived that nobody sent".into()) }
    }
}

impl Drop for TypedIn {
    fn drop(&mut self) {
        self.0.close();
    }
}

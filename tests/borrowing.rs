//! Batches of values that borrow from their messages: nothing of them is copied on the way from the frame to the application.

use lamq::{Receiver, Sender, link::Memory, typed};
use lamq_proves::proves;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Quote<'a> {
    symbol: &'a str,
    data: &'a [u8],
    price: i64,
}

/// Whether a value lies in the bytes of its message.
fn lies_in(part: &[u8], whole: &[u8]) -> bool {
    let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
    whole.start <= part.start && part.end <= whole.end
}

#[proves("CAL-12")]
#[test]
fn values_of_a_batch_borrow_from_their_messages() {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).typed::<Quote>().bind("/quotes").unwrap();
    let sender = Sender::builder().link(space).linger(Duration::ZERO).typed::<Quote>().connect("/quotes").unwrap();
    // The last one is longer than a frame: it was put together when it came, and is not copied again.
    let long = vec![7; 20_000];
    let datas: [&[u8]; 4] = [b"", b"abc", &[0xFF; 100], &long];
    let quotes: Vec<Quote> = (0..).zip(datas).map(|(price, data)| Quote { symbol: "LMQ", data, price }).collect();
    for quote in &quotes {
        sender.send(quote).map_err(|error| error.failure).unwrap();
    }
    sender.flush_timeout(Duration::ZERO).unwrap_err();
    let mut batch: Vec<typed::Message<Quote>> = Vec::new();
    while batch.len() < quotes.len() {
        receiver.recv_many_timeout(&mut batch, 100, Duration::from_secs(20)).unwrap();
    }
    assert_eq!(receiver.try_recv_many(&mut batch, 100).unwrap_err(), lamq::TryRecvError::Empty);
    let decoded: Vec<Quote> = batch.iter().map(|message| message.decode().unwrap()).collect();
    assert_eq!(decoded, quotes);
    for (quote, message) in decoded.iter().zip(&batch) {
        assert!(lies_in(quote.symbol.as_bytes(), message) && lies_in(quote.data, message));
    }
}

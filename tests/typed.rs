//! Channels of values: what goes in comes out, what does not fit together does not connect, and what cannot be encoded or decoded
//! is handed back.

use lamq::{
    ConnectError, Departure, Event, FlushFailure, Receiver, SendFailure, SendSyncError, Sender, TryRecvError,
    codec::{Codec, CodecError, Decode, Encode},
    link::Memory,
    typed,
};
use lamq_proves::proves;
use serde::{Deserialize, Serialize, Serializer, ser::Error};
use std::{borrow::Cow, collections::BTreeMap, thread, time::Duration};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(20);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    item: String,
    count: i64,
    tags: BTreeMap<String, Option<f64>>,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum State {
    New,
    Paid(u128, char),
    Sent { to: Box<[String]>, hurry: bool },
}

/// Borrows from the message, and can be sent like this too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line<'a> {
    text: &'a str,
    #[serde(borrow)]
    path: Cow<'a, str>,
}

fn order(count: u8) -> Order {
    let state = match count % 3 {
        0 => State::New,
        1 => State::Paid(u128::MAX - 7, 'ß'),
        _ => State::Sent { to: ["here".into(), String::new()].into(), hurry: true },
    };
    let tags = [("a".into(), Some(0.5)), ("b".into(), None)].into();
    Order { item: "x".repeat(count.into()), count: -i64::from(count), tags, state }
}

/// Sends what it is told to as codec 1, whatever it is.
struct Forged;

impl Codec for Forged {
    const ID: u8 = 1;
    const NAME: &'static str = "bincode";
}

impl Encode<[u8]> for Forged {
    fn encode(value: &[u8], body: &mut Vec<u8>) -> Result<(), CodecError> {
        body.extend_from_slice(value);
        Ok(())
    }
}

/// One of an application's own.
struct Shouting;

impl Codec for Shouting {
    const ID: u8 = 200;
    const NAME: &'static str = "shouting";
}

impl Encode<str> for Shouting {
    fn encode(value: &str, body: &mut Vec<u8>) -> Result<(), CodecError> {
        if value.is_empty() {
            return Err(CodecError::new("there is nothing to shout"));
        }
        body.extend_from_slice(value.to_uppercase().as_bytes());
        Ok(())
    }
}

impl<'m> Decode<'m, &'m str> for Shouting {
    fn decode(body: &'m [u8]) -> Result<&'m str, CodecError> {
        str::from_utf8(body).map_err(CodecError::new)
    }
}

/// Both ends of a channel of `T`s.
fn pair<T>() -> (typed::Sender<T>, typed::Receiver<T>) {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).max_message_size(8076).typed().bind("/typed").unwrap();
    let sender = Sender::builder().link(space).linger(Duration::ZERO).typed().connect("/typed").unwrap();
    (sender, receiver)
}

/// A channel whose sender can send any bytes to a receiver of `T`s.
fn forger<T>() -> (typed::Sender<[u8], Forged>, typed::Receiver<T>) {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).typed().bind("/forged").unwrap();
    let sender = Sender::builder().link(space).linger(Duration::ZERO).typed().codec().connect("/forged").unwrap();
    (sender, receiver)
}

#[test]
fn every_way_to_send_and_to_receive_carries_values() {
    let (sender, receiver) = pair::<Order>();
    let all: Vec<_> = (1..=7).map(order).collect();
    assert!(matches!(receiver.recv_event(Some(WATCHDOG)).unwrap(), Event::Joined(_)));
    assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Empty);
    assert_eq!(sender.send(&all[0]).unwrap(), 1);
    assert_eq!(sender.try_send(all[1].clone()).unwrap(), 2);
    assert_eq!(sender.send_timeout(&all[2], WATCHDOG).unwrap(), 3);
    assert_eq!(sender.clone().send(Box::new(all[3].clone())).unwrap(), 4);
    sender.flush_timeout(Duration::ZERO).unwrap_err();
    let tried = || std::iter::repeat_with(|| receiver.try_recv().ok()).flatten().next();
    let mut got = vec![receiver.recv().unwrap(), tried().unwrap()];
    got.push(receiver.recv_timeout(WATCHDOG).unwrap());
    let Event::Message(fourth) = receiver.recv_event(Some(WATCHDOG)).unwrap() else { panic!("a message") };
    got.push(fourth);
    thread::scope(|scope| {
        scope.spawn(|| got.extend(receiver.iter().take(3)));
        assert_eq!(sender.send_sync(all[4].clone()).unwrap().number(), 5);
        assert_eq!(sender.send_sync_timeout(&all[5], WATCHDOG).unwrap().number(), 6);
        sender.send(&all[6]).unwrap();
        sender.flush().unwrap();
    });
    receiver.acknowledge();
    let decoded: Vec<_> = got.iter().map(|message| message.decode().unwrap()).collect();
    assert_eq!(decoded, all);
    let of_message = |message: &typed::Message<Order>| (message.number(), message.peer().pid);
    assert_eq!(got.iter().map(of_message).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7].map(|n| (n, std::process::id())));
    assert_eq!((sender.stats().sent, receiver.stats().accepted), (7, 1));
    sender.close(WATCHDOG).unwrap();
    let departed = |event| matches!(event, Event::Departed { departure: Departure::Left, last: 7, .. });
    assert!(departed(receiver.recv_event(Some(WATCHDOG)).unwrap()));
    receiver.close();
    assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Disconnected);
}

/// The error of a sender and a receiver that do not fit together.
fn misfit<S, R>(connect: impl FnOnce(lamq::SenderBuilder) -> Result<S, ConnectError>, bind: R) -> String
where
    R: FnOnce(lamq::ReceiverBuilder) -> Box<dyn FnOnce() -> u64>,
{
    let space = Memory::new();
    let refused = bind(Receiver::builder().link(space.clone()));
    let Err(error) = connect(Sender::builder().link(space)) else { panic!("they connect") };
    assert!(matches!(error, ConnectError::Codec { .. }), "{error}");
    assert_eq!(refused(), 1);
    error.to_string()
}

#[proves("GRT-2", "REF-1")]
#[test]
fn sides_whose_codecs_differ_do_not_connect_and_both_codecs_are_named() {
    let untyped = |builder: lamq::ReceiverBuilder| -> Box<dyn FnOnce() -> u64> {
        let receiver = builder.bind("/x").unwrap();
        Box::new(move || receiver.stats().refused)
    };
    let bincode = |builder: lamq::ReceiverBuilder| -> Box<dyn FnOnce() -> u64> {
        let receiver = builder.typed::<String>().bind("/x").unwrap();
        Box::new(move || receiver.stats().refused)
    };
    let shouting = |builder: lamq::ReceiverBuilder| -> Box<dyn FnOnce() -> u64> {
        let receiver = builder.typed::<&str>().codec::<Shouting>().bind("/x").unwrap();
        Box::new(move || receiver.stats().refused)
    };
    let errors = [
        misfit(|builder| builder.connect("/x"), bincode),
        misfit(|builder| builder.typed::<String>().connect("/x"), untyped),
        misfit(|builder| builder.typed::<str>().codec::<Shouting>().connect("/x"), bincode),
        misfit(|builder| builder.typed::<String>().connect("/x"), shouting),
        misfit(|builder| builder.connect("/x"), shouting),
    ];
    let expected = [
        ("1 (bincode)", "0 (raw bytes)"),
        ("0 (raw bytes)", "1 (bincode)"),
        ("1 (bincode)", "200 (shouting)"),
        ("200 (an application's own)", "1 (bincode)"),
        ("200 (an application's own)", "0 (raw bytes)"),
    ];
    let sentence = |(theirs, ours)| format!("/x refused: the receiver expects codec {theirs}, this sender uses {ours}");
    assert_eq!(errors, expected.map(sentence));
}

#[proves("COD-2", "COD-3")]
#[test]
fn what_cannot_be_decoded_is_handed_over_as_bytes_and_the_next_message_is_as_ever() {
    let (forger, receiver) = forger::<Order>();
    let mut good = Vec::new();
    <lamq::codec::Bincode as Encode<Order>>::encode(&order(4), &mut good).unwrap();
    let too_short = &good[..good.len() - 1];
    for bytes in [too_short, b"", &[255; 100]] {
        forger.send(bytes).unwrap();
        forger.send(good.as_slice()).unwrap();
    }
    for (number, bytes) in [(1, too_short), (3, b""), (5, &[255; 100])] {
        let error = receiver.recv_timeout(WATCHDOG).unwrap().decode().unwrap_err();
        assert_eq!((error.message.number(), &**error.message), (number, bytes));
        let pid = std::process::id();
        let start = format!("message {number} of process {pid} is no typed::Order in codec 1 (bincode): ");
        assert_eq!(error.to_string(), format!("{start}{}", error.cause));
        assert!(!error.cause.to_string().is_empty());
        assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap().decode().unwrap(), order(4));
    }
    forger.flush_timeout(WATCHDOG).unwrap();
    let stats = forger.stats();
    assert_eq!((stats.sent, stats.delivered), (6, 6), "delivered is delivered");
    assert_eq!((receiver.stats().accepted, receiver.stats().departed), (1, 0));
}

#[proves("COD-5")]
#[test]
fn bytes_behind_the_value_are_an_error_and_not_ignored() {
    let (forger, receiver) = forger::<u8>();
    for (bytes, outcome) in [(&[7][..], Ok(7)), (&[7, 0], Err("the value ends after 1 of 2 bytes")), (&[9], Ok(9))] {
        forger.send(bytes).unwrap();
        let value = receiver.recv_timeout(WATCHDOG).unwrap().decode().map_err(|error| error.cause.to_string());
        assert_eq!(value, outcome.map_err(str::to_owned));
    }
}

/// A program keeps both ends, for lines of any lifetime.
struct Log {
    sender: typed::Sender<Line<'static>>,
    receiver: typed::Receiver<Line<'static>>,
}

#[test]
fn values_may_borrow_when_they_are_sent_and_when_they_are_received() {
    let (sender, receiver) = pair();
    let log = Log { sender, receiver };
    let mut messages = Vec::new();
    for number in 0..10 {
        let text = format!("line {number}");
        log.sender.send(Line { text: &text, path: text.as_str().into() }).unwrap();
        messages.push(log.receiver.recv_timeout(WATCHDOG).unwrap());
    }
    for (number, message) in messages.iter().enumerate() {
        let line = message.decode().unwrap();
        assert_eq!(line.text, format!("line {number}"));
        let bytes = message.as_ptr_range();
        assert!(bytes.contains(&line.text.as_ptr()), "it lies in the message");
        assert!(matches!(line.path, Cow::Borrowed(path) if bytes.contains(&path.as_ptr())));
    }
    let texts: Vec<_> = messages.iter().map(|message| message.decode().unwrap().text).collect();
    assert_eq!(texts.len(), 10);
}

#[derive(Serialize)]
struct OnlySent {
    number: u32,
}

#[derive(Deserialize)]
struct OnlyReceived {
    number: u32,
}

/// Neither end asks for more than it needs.
#[test]
fn a_type_that_is_only_sent_need_not_be_decodable_nor_one_that_is_only_received_encodable() {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).typed::<OnlyReceived>().bind("/x").unwrap();
    let sender = Sender::builder().link(space).typed::<OnlySent>().connect("/x").unwrap();
    sender.send(OnlySent { number: 77 }).unwrap();
    assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap().decode().unwrap().number, 77);
}

#[test]
fn slices_are_sent_as_what_they_are_and_literals_need_no_suffix() {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).typed::<Vec<u16>>().bind("/x").unwrap();
    let sender = Sender::builder().link(space).typed::<[u16]>().connect("/x").unwrap();
    sender.send([1, 2]).unwrap();
    sender.send(vec![1, 2]).unwrap();
    sender.send(&[1, 2][..]).unwrap();
    assert!(receiver.iter().take(3).all(|message| message.decode().unwrap() == [1, 2]));
    let (sender, receiver) = pair::<Option<u64>>();
    sender.send(Some(7)).unwrap();
    sender.send(None).unwrap();
    let values: Vec<_> = receiver.iter().take(2).map(|message| message.decode().unwrap()).collect();
    assert_eq!(values, [Some(7), None]);
}

#[test]
fn a_codec_of_ones_own_has_its_say() {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).typed::<&str>().codec::<Shouting>().bind("/x").unwrap();
    let sender = Sender::builder().link(space).typed::<str>().codec::<Shouting>().connect("/x").unwrap();
    sender.send("hello").unwrap();
    let message = receiver.recv_timeout(WATCHDOG).unwrap();
    assert_eq!(message.decode().unwrap(), "HELLO");
    assert_eq!(&*message.into_untyped(), b"HELLO");
}

/// Encodes what comes before it fails.
#[derive(Debug)]
struct Secret(u8);

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 > 9 { Err(S::Error::custom("it is a secret")) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u8::deserialize(deserializer).map(Self)
    }
}

#[proves("CAL-2", "NUM-2")]
#[test]
fn what_cannot_be_encoded_is_handed_back_and_takes_no_number() {
    let (sender, receiver) = pair::<(u8, Secret)>();
    let is_encode = |failure: &SendFailure| {
        assert_eq!(failure.to_string(), "codec 1 (bincode) cannot encode it: it is a secret");
        matches!(failure, SendFailure::Encode { .. })
    };
    for result in
        [sender.send((1, Secret(10))), sender.try_send((1, Secret(10))), sender.send_timeout((1, Secret(10)), WATCHDOG)]
    {
        let back = result.unwrap_err();
        assert!(is_encode(&back.failure) && back.message.1.0 == 10);
    }
    for result in [sender.send_sync((1, Secret(10))), sender.send_sync_timeout((1, Secret(10)), WATCHDOG)] {
        let Err(SendSyncError::NotSent(back)) = result else { panic!("it is not sent") };
        assert!(is_encode(&back.failure) && back.message.1.0 == 10);
    }
    // Nothing is left of what was encoded before it failed.
    assert_eq!(sender.send((2, Secret(9))).unwrap(), 1);
    let (two, secret) = receiver.recv_timeout(WATCHDOG).unwrap().decode().unwrap();
    assert_eq!((two, secret.0), (2, 9));
}

#[proves("CAL-2", "CAL-8", "LIM-1")]
#[test]
fn what_cannot_be_sent_is_handed_back_as_it_was_given() {
    let (sender, receiver) = pair::<String>();
    let most = sender.max_message_size();
    let long = "x".repeat(most - 2); // behind a length of three bytes
    let back = sender.send(long).unwrap_err();
    assert_eq!(back.failure, SendFailure::TooLong { length: most + 1, limit: most });
    let fits = back.message[1..].to_owned();
    assert_eq!(sender.send(&fits).unwrap(), 1);
    assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap().decode().unwrap(), fits);
    // Until the window is used up: for a moment there is no room before that, until the receiver has taken what came.
    while sender.send_timeout(&fits, Duration::from_millis(100)).is_ok() {}
    let full = sender.try_send(fits.clone()).unwrap_err();
    assert!(full.failure == SendFailure::Full && full.message == fits);
    let late = sender.send_timeout(fits.clone(), Duration::from_millis(1)).unwrap_err();
    assert!(late.failure == SendFailure::Timeout && late.message == fits);
    let Err(SendSyncError::NotSent(late)) = sender.send_sync_timeout(&fits, Duration::from_millis(1)) else {
        panic!("there is no room")
    };
    assert!(late.failure == SendFailure::Timeout && std::ptr::eq(late.message, &raw const fits));
    while receiver.try_recv().is_ok() {}
    sender.flush_timeout(WATCHDOG).unwrap();
    let Err(SendSyncError::Unknown { why, .. }) = sender.send_sync_timeout("x".to_owned(), Duration::from_millis(1))
    else {
        panic!("nobody takes it")
    };
    assert_eq!(why, FlushFailure::Timeout);
    receiver.close();
    let gone = sender.send(fits.clone()).unwrap_err();
    assert!(matches!(gone.failure, SendFailure::Disconnected(_)) && gone.message == fits);
}

/// Sends while it is encoded.
struct Telltale<'a>(&'a typed::Sender<String>);

impl Serialize for Telltale<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.send("I am encoded".to_owned()).unwrap();
        serializer.serialize_str("outer")
    }
}

#[test]
fn a_value_may_send_while_it_is_encoded() {
    let (inner, heard) = pair::<String>();
    let (outer, receiver) = pair::<(&str, Telltale)>();
    outer.send(("before", Telltale(&inner))).unwrap();
    assert_eq!(heard.recv_timeout(WATCHDOG).unwrap().decode().unwrap(), "I am encoded");
    let message = receiver.recv_timeout(WATCHDOG).unwrap().into_untyped();
    assert_eq!(&*message, b"\x06before\x05outer");
}

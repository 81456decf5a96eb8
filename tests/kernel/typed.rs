//! Values between processes, and messages that are made to harm whoever decodes them.

use crate::{
    process::{Process, say},
    world::{Name, WATCHDOG},
};
use lamq::{
    Receiver, Sender,
    codec::{Bincode, Codec, CodecError, Decode, Encode},
};
use lamq_proves::proves;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, ffi::CString, fs, thread};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Order {
    Of { item: String, count: u32 },
    Cancelled(u64),
}

fn orders() -> impl Iterator<Item = Order> {
    (0..1000).map(|number| match number % 2 {
        0 => Order::Of { item: format!("item {number}"), count: number },
        _ => Order::Cancelled(u64::MAX - u64::from(number)),
    })
}

/// Role: sends orders.
pub(crate) fn send_orders(name: &str) {
    let sender = Sender::builder().wait(WATCHDOG).typed::<Order>().connect(name).unwrap();
    orders().for_each(|order| assert!(sender.send(order).is_ok()));
    sender.close(WATCHDOG).unwrap();
}

#[test]
fn values_come_out_of_a_real_queue_as_they_went_in_in_another_process() {
    let name = Name::new("typed");
    let builder = Receiver::builder().slots(4).frame_size(512).end_with_last_sender();
    let receiver = builder.typed::<Order>().bind(name.as_str()).unwrap();
    let process = Process::start("send-orders", name.as_str());
    for (number, order) in (1..).zip(orders()) {
        let message = receiver.recv_timeout(WATCHDOG).unwrap();
        assert_eq!((message.number(), message.peer().pid), (number, process.id()));
        assert_eq!(message.decode().unwrap(), order);
    }
    assert!(receiver.recv_timeout(WATCHDOG).is_err());
    process.finish();
}

/// Sends any bytes as codec 1.
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

#[derive(Debug, Deserialize)]
struct List {
    _next: Option<Box<List>>,
}

#[derive(Debug, Deserialize)]
struct Tree {
    _branches: Vec<Tree>,
}

#[derive(Debug, Deserialize)]
enum Term {
    _Leaf,
    Not { _term: Box<Term> },
    And { _left: Box<Term>, _right: HashMap<String, Term> },
}

/// More than an honest message of a few KiB needs.
const SPARE_MEMORY: u64 = 32 << 20;

/// Much less than a thread has.
const STACK: usize = 512 << 10;

/// Role: decodes whatever comes as whatever there is, with little memory and little stack. It is killed by what it cannot bear.
pub(crate) fn decode_hostile(name: &str) {
    let receiver = Receiver::builder().slots(2).end_with_last_sender().typed::<()>().bind(name).unwrap();
    let messages: Vec<_> = receiver.iter().collect();
    drop(receiver); // and with it the keeper, which would have to live with so little too
    let decoding = thread::Builder::new().stack_size(STACK).spawn(move || {
        limit_memory();
        for message in messages {
            let errors = [
                error_of::<String>(&message),
                error_of::<CString>(&message),
                error_of::<Vec<u8>>(&message),
                error_of::<Vec<u128>>(&message),
                error_of::<(u8, HashMap<u64, String>)>(&message),
                error_of::<List>(&message),
                error_of::<Tree>(&message),
                error_of::<Term>(&message),
            ];
            say(format_args!("decoded {}: {errors:?}", message.number()));
        }
    });
    decoding.unwrap().join().unwrap();
}

/// To what this process has, and a little more.
fn limit_memory() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix("kB")).unwrap();
    let limit = size.trim().parse::<u64>().unwrap() * 1024 + SPARE_MEMORY;
    setrlimit(Resource::RLIMIT_AS, limit, getrlimit(Resource::RLIMIT_AS).unwrap().1).unwrap();
}

fn error_of<'m, T: Deserialize<'m>>(body: &'m [u8]) -> Option<String> {
    <Bincode as Decode<T>>::decode(body).err().map(|error| error.to_string())
}

#[proves("COD-4")]
#[test]
fn a_message_made_to_exhaust_memory_or_stack_is_only_an_error() {
    let name = Name::new("hostile-values");
    let process = Process::start("decode-hostile", name.as_str());
    let sender = Sender::builder().wait(WATCHDOG).typed::<[u8]>().codec::<Forged>().connect(name.as_str()).unwrap();
    let length = |length: u64| [&[253][..], &length.to_le_bytes()].concat();
    let deep = |byte: u8| vec![byte; 8000];
    let messages = [
        // Lengths: more than there is to spare, than there is memory, than there can be.
        length(1 << 30),
        length(1 << 40),
        length(u64::MAX),
        length(u64::MAX / 2).repeat(2),
        // Each level announces as much as it may.
        length(1 << 30).repeat(500),
        // A list and a term, then a tree, as deep as the message is long; and what is neither.
        deep(1),
        deep(2),
        deep(0),
        deep(255),
    ];
    for bytes in &messages {
        assert!(sender.send(bytes.as_slice()).is_ok());
    }
    sender.close(WATCHDOG).unwrap();
    for number in 1..=messages.len() {
        let said = process.expect(&format!("decoded {number}: "));
        assert!(number != 1 || said.starts_with("[Some(\"it ends too early\")"), "{said}");
        assert!(number != 6 || said.contains("nested deeper than 256 levels"), "{said}");
    }
    process.finish();
}

//! `lamq recv --format json`: one object for each event.

use base64::{Engine, engine::general_purpose::STANDARD};
use lamq::{Departure, Event, Peer};
use serde::Serialize;
use std::str;

/// What a script sees of an event, in this order of fields. Fields may be added, and none is taken away or changed.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Object<'a> {
    Message {
        #[serde(flatten)]
        stream: Stream,
        number: u64,
        lamport: u64,
        /// An earlier receiver may have had it too.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        again: bool,
        #[serde(flatten)]
        body: Body<'a>,
    },
    /// The sender dropped these numbers for want of room.
    Gap {
        #[serde(flatten)]
        stream: Stream,
        first: u64,
        last: u64,
    },
    Joined {
        #[serde(flatten)]
        stream: Stream,
    },
    Left {
        #[serde(flatten)]
        stream: Stream,
        last: u64,
    },
    Died {
        #[serde(flatten)]
        stream: Stream,
        last: u64,
    },
    Failed {
        #[serde(flatten)]
        stream: Stream,
        last: u64,
        why: String,
    },
}

/// Who sends. An epoch is text, because many readers of JSON have no numbers of 64 bits.
#[derive(Serialize)]
struct Stream {
    pid: u32,
    uid: u32,
    epoch: String,
    index: u32,
}

impl From<Peer> for Stream {
    fn from(Peer { pid, uid, stream }: Peer) -> Self {
        Self { pid, uid, epoch: stream.epoch.to_string(), index: stream.index }
    }
}

/// JSON has no bytes, only text.
#[derive(Serialize)]
enum Body<'a> {
    #[serde(rename = "body")]
    Text(&'a str),
    #[serde(rename = "base64")]
    Bytes(String),
}

impl<'a> Body<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        str::from_utf8(bytes).map_or_else(|_| Self::Bytes(STANDARD.encode(bytes)), Self::Text)
    }
}

/// Appends the object, without an end of line. Returns whether there is one: an event of a later version has none.
pub(super) fn append(output: &mut Vec<u8>, event: &Event) -> bool {
    let object = match event {
        Event::Message(message) => Object::Message {
            stream: message.peer().into(),
            number: message.number(),
            lamport: message.lamport(),
            again: message.may_repeat(),
            body: Body::of(message),
        },
        Event::Gap { peer, first, last } => Object::Gap { stream: (*peer).into(), first: *first, last: *last },
        Event::Joined(peer) => Object::Joined { stream: (*peer).into() },
        Event::Departed { peer, departure, last } => {
            let (stream, last) = ((*peer).into(), *last);
            match departure {
                Departure::Left => Object::Left { stream, last },
                Departure::Died => Object::Died { stream, last },
                Departure::Violated(_) | Departure::Accused(_) => {
                    Object::Failed { stream, last, why: departure.to_string() }
                }
            }
        }
        _ => return false,
    };
    serde_json::to_writer(output, &object).expect("text and numbers, written to memory");
    true
}

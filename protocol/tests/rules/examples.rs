//! The worked examples of `SPEC.md` are what an endpoint sends, byte by byte, and what it understands.

use lamq_protocol::{
    Epoch, FrameNumber, Level, Number, SessionId, Stamp, StreamId,
    wire::{
        Acknowledgement, Ask, Back, Close, EndReason, Frame, Greeting, Item, OpenFrame, Refusal, RefusalReason, Shape,
        Terms, Welcome, decode,
    },
};

const SPEC: &str = include_str!("../../../SPEC.md");

/// The id that the sender chose, for frames to it.
fn reply_session() -> SessionId {
    SessionId::new(0x1122_3344_5566_7788).unwrap()
}

/// The id that the receiver chose, for frames to it.
fn data_session() -> SessionId {
    SessionId::new(0x99AA_BBCC_DDEE_FF00).unwrap()
}

/// The bytes of the block of `SPEC.md` that is marked `hex KIND`; every line says where it is.
fn example(kind: &str) -> Vec<u8> {
    let (_, block) = SPEC.split_once(&format!("```hex {kind}\n")).expect("SPEC.md shows every kind of frame");
    let (block, _) = block.split_once("```").expect("the block ends");
    let mut bytes = Vec::new();
    for line in block.lines() {
        let digits = line.split(';').next().unwrap_or(line);
        let mut words = digits.split_whitespace();
        let offset = words.next().map(|word| usize::from_str_radix(word, 16));
        assert_eq!(offset, Some(Ok(bytes.len())), "offset in {line:?}");
        bytes.extend(words.map(|word| u8::from_str_radix(word, 16).expect("two digits")));
    }
    bytes
}

/// The example is what `encoded` is, and decodes to `frame` in `session` at `stamp`.
fn assert_example(kind: &str, encoded: &[u8], session: Option<SessionId>, stamp: u64, frame: &Frame<&[u8]>) {
    let example = example(kind);
    assert_eq!(example, encoded, "SPEC.md shows another {kind}; the encoder writes\n{}", dump(encoded));
    let (header, decoded) = decode(example.as_slice()).expect("a good frame");
    assert_eq!((header.session, header.stamp.get()), (session, stamp), "{kind}");
    assert_eq!(decoded, *frame, "{kind}");
}

/// As `SPEC.md` has it.
fn dump(bytes: &[u8]) -> String {
    let line = |(row, bytes): (usize, &[u8])| {
        let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{:04x}  {}\n", row * 16, digits.join(" "))
    };
    bytes.chunks(16).enumerate().map(line).collect()
}

#[test]
fn the_greeting_is_what_we_send_and_understand() {
    let greeting = Greeting {
        versions: (1, 1),
        codec: 0,
        level: Some(Level::Delivered),
        pid: 4711,
        stream: StreamId { epoch: Epoch::new(0xE1E2_E3E4_E5E6_E7E8).unwrap(), index: 2 },
        reply_session: reply_session(),
        pid_namespace: 4_026_531_836,
        back: Some(Terms { frame_credit: 8, byte_credit: 65_536, max_message: 1 << 20, rendezvous: false }),
        first: Number::new(1),
        exposed: Number::NONE,
        to: 0xF4_F5F6_F7F8,
        inbox: b"/lamq.4711.0".to_vec(),
    };
    let encoded = greeting.encode(Stamp::new(5));
    assert_example("greeting", &encoded, None, 5, &Frame::Greeting(greeting));
}

#[test]
fn the_welcome_is_what_we_send_and_understand() {
    let welcome = Welcome {
        data_session: data_session(),
        epoch: Epoch::new(0xF1F2_F3F4_F5F6_F7F8).unwrap(),
        pid: 815,
        terms: Terms { frame_credit: 8, byte_credit: 262_144, max_message: 16 << 20, rendezvous: false },
        back: Some(Back { level: Level::Delivered, index: 5 }),
    };
    let encoded = welcome.encode(reply_session(), Stamp::new(17));
    assert_example("welcome", &encoded, Some(reply_session()), 17, &Frame::Welcome(welcome));
}

#[test]
fn the_refusal_is_what_we_send_and_understand() {
    let refusal = Refusal { reason: RefusalReason::TooManySessions { limit: 1024 }, versions: (1, 1) };
    let encoded = refusal.encode(reply_session(), Stamp::new(17));
    assert_example("refusal", &encoded, Some(reply_session()), 17, &Frame::Refusal(refusal));
}

#[test]
fn the_data_frame_is_what_we_send_and_understand() {
    let mut open = OpenFrame::new(Vec::new(), 512, Number::new(7));
    open.push(Shape::default(), b"one", Stamp::new(20));
    open.push(Shape::default(), b"", Stamp::new(21));
    open.push(Shape::default(), b"three", Stamp::new(30));
    let encoded = open.seal(data_session(), FrameNumber::new(4), true);

    let example = example("data");
    let (header, Frame::Data(data)) = decode(example.as_slice()).expect("a good frame") else { panic!("data") };
    let mut cursor = data.cursor();
    let records: Vec<_> = std::iter::from_fn(|| data.next_item(&mut cursor))
        .map(|item| if let Item::Message(record) = item { record } else { panic!("a message, not {item:?}") })
        .map(|record| (record.number.get(), record.stamp.get(), &example[record.body]))
        .collect();
    assert_eq!(data.frame().get(), 4);
    assert_eq!(records, [(7, 20, &b"one"[..]), (8, 21, b""), (9, 30, b"three")]);
    assert!(data.solicits());
    assert_eq!(header.session, Some(data_session()));
    assert_example("data", &encoded, Some(data_session()), 20, &Frame::Data(data));
}

#[test]
fn the_data_frame_that_carries_is_what_we_understand() {
    let example = example("carrying");
    let (header, Frame::Data(data)) = decode(example.as_slice()).expect("a good frame") else { panic!("data") };
    assert_eq!((header.session, header.stamp, data.frame().get()), (Some(reply_session()), Stamp::new(32), 1));
    let Some(Item::Message(record)) = data.next_item(&mut data.cursor()) else { panic!("a message") };
    assert_eq!(&example[record.body], b"as you wish.");
    let acknowledgement = Acknowledgement {
        frames: FrameNumber::new(4),
        early: 1,
        answered: 1,
        received: Number::new(9),
        delivered: Number::new(9),
        processed: Number::new(8),
        frame_credit: 12,
        byte_credit: 262_147,
    };
    assert_eq!(data.carried(), Some((Stamp::new(32), acknowledgement)));
    // What we send is that data frame, but for its flag and its check, and the end of that acknowledgement.
    let mut open = OpenFrame::new(Vec::new(), 512, Number::new(1));
    open.push(Shape::default(), b"as you wish.", Stamp::new(32));
    let alone = open.seal(reply_session(), FrameNumber::new(1), true);
    let (frame, carried) = example.split_at(alone.len());
    assert_eq!((&frame[4..46], &frame[48..]), (&alone[4..46], &alone[48..]));
    assert_eq!(carried, &acknowledgement.encode(reply_session(), Stamp::new(32))[16..]);
}

#[test]
fn the_acknowledgement_is_what_we_send_and_understand() {
    let acknowledgement = Acknowledgement {
        frames: FrameNumber::new(4),
        early: 1, // frame 6
        answered: 1,
        received: Number::new(9),
        delivered: Number::new(8),
        processed: Number::new(7),
        frame_credit: 12,
        byte_credit: 262_147,
    };
    let encoded = acknowledgement.encode(reply_session(), Stamp::new(31));
    assert_example("acknowledgement", &encoded, Some(reply_session()), 31, &Frame::Acknowledgement(acknowledgement));
}

#[test]
fn the_ask_is_what_we_send_and_understand() {
    let ask = Ask { question: 2, bytes: 5_242_880, given_back: 1000 };
    let encoded = ask.encode(data_session(), Stamp::new(33));
    assert_example("ask", &encoded, Some(data_session()), 33, &Frame::Ask(ask));
}

#[test]
fn the_close_is_what_we_send_and_understand() {
    let close = Close { last: Number::new(11), reason: EndReason::Finished, frame: FrameNumber::new(7) };
    let encoded = close.encode(data_session(), Stamp::new(34));
    assert_example("close", &encoded, Some(data_session()), 34, &Frame::Close(close));
}

//! The core, driven by hand: worked examples of SPEC.md, and the rules that decide about windows and credit.

use lamq_protocol::{
    Epoch, Level, Number, SessionId, Stamp, StreamId,
    lamport::Clock,
    recv::{RecvWindow, Verdict},
    send::{NoRoom, SendSettings, SendWindow},
    wire::{
        Acknowledgement, Close, DataFrame, EndReason, Frame, Greeting, OpenFrame, Refusal, RefusalReason, Welcome,
        decode,
    },
};
use lamq_proves::proves;

fn session() -> SessionId {
    SessionId::new(0x5E55_1011).unwrap()
}

fn examples() -> [(&'static str, Vec<u8>); 6] {
    let stream = StreamId { epoch: Epoch::new(0xE90C).unwrap(), index: 0 };
    let greeting = Greeting {
        versions: (1, 1),
        codec: 0,
        level: Level::Delivered,
        pid: 4711,
        stream,
        reply_session: session(),
        pid_namespace: 0xF000_0000,
        inbox: b"/lamq.4711.0".to_vec(),
    };
    let welcome = Welcome {
        data_session: session(),
        epoch: Epoch::new(0xE90D).unwrap(),
        frame_credit: 8,
        byte_credit: 262_144,
        pid: 815,
    };
    let refusal = Refusal { reason: RefusalReason::TooManySessions { limit: 1024 }, versions: (1, 1) };
    let mut data = OpenFrame::new(Vec::new(), 512, Number::new(7));
    data.push(b"one", Stamp::new(20));
    data.push(b"", Stamp::new(21));
    data.push(b"three", Stamp::new(30));
    let acknowledgement = Acknowledgement {
        received: Number::new(9),
        delivered: Number::new(8),
        processed: Number::new(7),
        frame_credit: 12,
        byte_credit: 300_000,
    };
    let close = Close { last: Number::new(9), reason: EndReason::Finished };
    let now = Stamp::new(31);
    [
        ("greeting", greeting.encode(now)),
        ("welcome", welcome.encode(session(), now)),
        ("refusal", refusal.encode(session(), now)),
        ("data", data.seal(session(), true)),
        ("acknowledgement", acknowledgement.encode(session(), now)),
        ("close", close.encode(session(), now)),
    ]
}

fn hex(bytes: &[u8]) -> String {
    let rows = bytes.chunks(16).enumerate().map(|(row, bytes)| {
        let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{:04x}  {}\n", row * 16, bytes.join(" "))
    });
    rows.collect()
}

#[test]
fn the_worked_examples_of_the_specification_are_what_we_send() {
    let spec = include_str!("../../SPEC.md");
    for (kind, frame) in examples() {
        let block = format!("```hex {kind}\n{}```", hex(&frame));
        assert!(spec.contains(&block), "SPEC.md should have\n{block}");
        decode(frame).unwrap();
    }
}

#[proves("FRM-3", "FRM-4")]
#[test]
fn every_truncation_and_every_flipped_bit_of_the_framing_is_refused() {
    for (kind, frame) in examples() {
        for length in 0..frame.len() {
            assert!(decode(&frame[..length]).is_err(), "{kind} cut to {length}");
        }
        let bodies = if kind == "data" { 40..48 } else { 0..0 };
        for bit in 0..frame.len() * 8 {
            let mut broken = frame.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&broken).is_ok(), bodies.contains(&(bit / 8)), "{kind}, bit {bit}");
        }
        let mut longer = frame;
        longer.push(0);
        assert!(decode(&longer).is_err(), "{kind} with a byte more");
    }
}

fn data(first: u64, bodies: &[&[u8]], solicit: bool) -> DataFrame<Vec<u8>> {
    let mut frame = OpenFrame::new(Vec::new(), 8192, Number::new(first));
    for (body, stamp) in bodies.iter().zip(first..) {
        frame.push(body, Stamp::new(stamp));
    }
    match decode(frame.seal(session(), solicit)).unwrap().1 {
        Frame::Data(data) => data,
        _ => unreachable!("a data frame"),
    }
}

#[proves("DAT-2")]
#[test]
fn records_are_consecutive_and_keep_their_stamps() {
    let frame = examples().into_iter().find(|(kind, _)| *kind == "data").unwrap().1;
    let (_, Frame::Data(data)) = decode(frame.clone()).unwrap() else { panic!("data") };
    let mut cursor = data.cursor();
    let records: Vec<_> = std::iter::from_fn(|| data.next_record(&mut cursor))
        .map(|record| (record.number.get(), record.stamp.get(), frame[record.body].to_vec()))
        .collect();
    assert_eq!(records, [(7, 20, b"one".to_vec()), (8, 21, vec![]), (9, 30, b"three".to_vec())]);
}

fn receiving(frames: u64, bytes: u64) -> RecvWindow {
    let mut window = RecvWindow::new(Level::Delivered, 1000);
    window.told(Acknowledgement { frame_credit: frames, byte_credit: bytes, ..Acknowledgement::default() });
    window
}

#[proves("DAT-3", "DAT-4", "CRD-5", "LIM-2")]
#[test]
fn a_frame_is_the_next_one_a_duplicate_or_a_violation() {
    let mut window = receiving(2, 1000);
    assert_eq!(window.receive(&data(1, &[b"a", b"b"], false)), Ok(Verdict::Deliver));
    assert_eq!(window.receive(&data(1, &[b"a", b"b"], false)), Ok(Verdict::Duplicate));
    assert_eq!(window.receive(&data(2, &[b"b", b"c"], false)), Err(EndReason::Gap));
    assert_eq!(window.receive(&data(4, &[b"d"], false)), Err(EndReason::Gap));
    assert_eq!(window.receive(&data(3, &[&[0; 999]], false)), Err(EndReason::Credit));
    assert_eq!(window.receive(&data(3, &[b"c"], false)), Ok(Verdict::Deliver));
    assert_eq!(window.receive(&data(4, &[b"d"], false)), Err(EndReason::Credit), "two frames were granted");
}

#[proves("ACK-1", "ACK-2", "ACK-3", "ACK-4", "CRD-4")]
#[test]
fn an_acknowledgement_is_due_at_half_a_window_when_idle_and_when_asked_for() {
    let mut window = receiving(4, 1000);
    assert_eq!(window.due(4, true), None, "nothing happened");
    window.receive(&data(1, &[b"a"], false)).unwrap();
    assert_eq!(window.due(4, false), None);
    let idle = window.due(4, true).unwrap();
    assert_eq!((idle.received.get(), idle.delivered.get(), idle.frame_credit), (1, 0, 5));
    window.receive(&data(2, &[b"b"], false)).unwrap();
    assert!(window.due(4, false).is_some(), "half of four frames");
    window.told(window.current(4));
    window.receive(&data(3, &[b"c"], true)).unwrap();
    window.deliver(1);
    window.deliver(1);
    assert_eq!(window.due(4, false), None, "the third is not delivered yet");
    window.deliver(1);
    let asked = window.due(4, false).unwrap();
    assert_eq!((asked.delivered.get(), asked.byte_credit), (3, 1003));
}

fn sending(frames: u64, bytes: u64) -> (SendWindow, Clock) {
    let mut window = SendWindow::new(SendSettings { frame_size: 512, level: Level::Delivered, retain: 600 });
    window.open(session(), frames, bytes);
    (window, Clock::default())
}

#[proves("WEL-1", "CRD-2", "CRD-6", "LIM-1")]
#[test]
fn a_message_needs_a_session_credit_and_memory() {
    let mut unwelcomed = SendWindow::new(SendSettings { frame_size: 512, level: Level::Delivered, retain: 600 });
    assert_eq!(unwelcomed.push(b"x", &mut Clock::default()), Err(NoRoom::Credit));
    let (mut window, mut clock) = sending(9, 100);
    assert_eq!(window.push(&[0; 101], &mut clock), Err(NoRoom::Credit));
    assert_eq!(window.push(&[0; 469], &mut clock), Err(NoRoom::TooLong { length: 469, limit: 468 }));
    assert_eq!(window.push(&[0; 100], &mut clock), Ok(Number::new(1)), "what was refused took no number");
    let (mut window, mut clock) = sending(9, 10_000);
    window.push(&[0; 400], &mut clock).unwrap();
    assert_eq!(window.push(&[0; 201], &mut clock), Err(NoRoom::Credit), "600 bytes may be kept");
}

#[proves("DAT-5", "DAT-6", "ACK-5", "ACK-6", "ACK-7")]
#[test]
fn a_lone_message_leaves_at_once_and_the_next_ones_share_a_frame() {
    let (mut window, mut clock) = sending(9, 10_000);
    let mut frames = 0;
    let mut transmit = |window: &mut SendWindow| {
        window.transmit(&mut |_| {
            frames += 1;
            true
        });
        frames
    };
    window.push(b"a", &mut clock).unwrap();
    assert_eq!(transmit(&mut window), 1);
    window.push(b"b", &mut clock).unwrap();
    window.push(b"c", &mut clock).unwrap();
    assert_eq!(transmit(&mut window), 1, "staged behind an unacknowledged frame");
    let number = Number::new;
    let one = Acknowledgement { received: number(1), frame_credit: 9, byte_credit: 10_000, ..Default::default() };
    assert_eq!(window.acknowledge(&one), Ok(true));
    assert_eq!(transmit(&mut window), 2, "the acknowledgement came");
    assert_eq!(window.acknowledge(&one), Ok(false), "stale");
    for impossible in [
        Acknowledgement { received: number(4), ..one },
        Acknowledgement { received: number(2), frame_credit: 8, ..one },
        Acknowledgement { received: number(2), delivered: number(1), processed: number(2), ..one },
    ] {
        assert_eq!(window.clone().acknowledge(&impossible), Err(EndReason::Acknowledgement), "{impossible:?}");
    }
    assert_eq!(window.settled(), Number::NONE, "received is not delivered: both frames are kept");
}

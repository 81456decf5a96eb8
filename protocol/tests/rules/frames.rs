//! Section 5 of `SPEC.md`, and the layout of the frames that carry no messages.

use crate::{
    forge::{acknowledgement, altered, check, close, data, sealed, session, terms},
    net::Net,
};
use lamq_protocol::{
    Epoch, FrameNumber, Level, Number, SessionId, Stamp, StreamId,
    wire::{
        Acknowledgement, Ask, Back, Close, EndReason, Fault, Frame, Greeting, Header, Refusal, RefusalReason, Terms,
        Welcome, decode,
    },
};
use lamq_proves::proves;
use proptest::prelude::*;

fn greeting() -> Greeting {
    Greeting {
        versions: (1, 1),
        codec: 0,
        level: Some(Level::Delivered),
        pid: 7,
        stream: StreamId { epoch: Epoch::new(0xE0).unwrap(), index: 1 },
        reply_session: session(),
        pid_namespace: 9,
        back: None,
        first: Number::new(1),
        exposed: Number::NONE,
        to: 0xAB,
        inbox: b"/inbox".to_vec(),
    }
}

fn welcome() -> Welcome {
    let epoch = Epoch::new(0xE1).unwrap();
    Welcome { data_session: session(), epoch, pid: 8, terms: terms(8, 1000), back: None }
}

/// A good frame of each kind.
pub(crate) fn good_frames() -> [(&'static str, Vec<u8>); 7] {
    let now = Stamp::new(3);
    let refusal = Refusal { reason: RefusalReason::Version, versions: (1, 1) };
    [
        ("greeting", greeting().encode(now)),
        ("welcome", welcome().encode(session(), now)),
        ("refusal", refusal.encode(session(), now)),
        ("data", data(session(), 1, 1, &[b"one", b"", b"three"])),
        ("acknowledgement", acknowledgement(3, [3, 2, 1, 9, 999]).encode(session(), now).to_vec()),
        ("close", close(session(), 2, 3, EndReason::Finished)),
        ("ask", Ask { question: 1, bytes: 2000, given_back: 3 }.encode(session(), now)),
    ]
}

fn good_frame(kind: &str) -> Vec<u8> {
    good_frames().into_iter().find(|(name, _)| *name == kind).expect("a kind").1
}

fn with_length(frame: &[u8], length: usize) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame.resize(length, 0);
    sealed(frame)
}

#[proves("FRM-1", "DAT-1")]
#[test]
fn a_wrong_frame_is_dropped_under_the_name_of_its_fault_and_changes_nothing_else() {
    let mut net = Net::pair();
    net.send(0, "a message that waits to be read").unwrap();
    net.pump();
    let mut drop_of = |what: String, frame: Vec<u8>, fault: Fault| {
        let (before, counted) = (net.receiver.core.clone(), *net.receiver.core.counters());
        assert_eq!(net.receiver.core.handle_frame(frame), None, "{what}");
        assert_eq!(net.receiver.core, before, "{what}");
        let now = net.receiver.core.counters();
        assert_eq!(now.of_fault(fault), counted.of_fault(fault) + 1, "{what} is {fault:?}");
        assert_eq!(now.all_faults(), counted.all_faults() + 1, "{what} has one fault");
    };
    for (kind, good) in good_frames() {
        let length = good.len();
        let too_short = if matches!(kind, "greeting" | "data") { Fault::Length } else { Fault::TooShort };
        drop_of(format!("{kind} without its end"), with_length(&good, length - 1), too_short);
        drop_of(format!("{kind} with a byte more"), with_length(&good, length + 1), Fault::Length);
        drop_of(format!("half the header of a {kind}"), good[..12].to_vec(), Fault::TooShort);
        drop_of(format!("{kind} with wrong magic"), altered(good.clone(), 4, b"LQ"), Fault::Magic);
        drop_of(format!("{kind} of version 2"), altered(good.clone(), 6, &[2]), Fault::Version);
        for number in [0, 8, 0xFF] {
            drop_of(format!("{kind} as kind {number}"), altered(good.clone(), 7, &[number]), Fault::Kind);
        }
        let mut unchecked = good.clone();
        unchecked[0] ^= 1;
        drop_of(format!("{kind} with a wrong check"), unchecked, Fault::Check);
    }
    drop_of("nothing".to_string(), Vec::new(), Fault::TooShort);
}

#[proves("FRM-1")]
#[test]
fn a_field_with_a_value_that_it_cannot_have_is_a_fault() {
    let zero = [0_u8; 8];
    let cases: &[(&str, usize, &[u8], &str)] = &[
        ("greeting", 8, &[1], "it has no session yet"),
        ("greeting", 24, &[2, 1], "its lowest version is above its highest"),
        ("greeting", 27, &[4], "no level"),
        ("greeting", 27, &[0xFF], "no level"),
        ("greeting", 32, &zero, "epoch 0"),
        ("greeting", 40, &zero, "reply session 0"),
        ("welcome", 8, &zero, "session 0"),
        ("welcome", 24, &zero, "data session 0"),
        ("welcome", 32, &zero, "epoch 0"),
        ("refusal", 8, &zero, "session 0"),
        ("refusal", 24, &[0], "no reason"),
        ("refusal", 24, &[6], "no reason"),
        ("refusal", 24, &[5, 0, 1, 1, 1], "another pid namespace needs no detail"),
        ("refusal", 28, &[1], "no common version needs no detail"),
        ("data", 8, &zero, "session 0"),
        ("data", 24, &zero, "frame 0"),
        ("data", 32, &zero, "number 0"),
        ("data", 32, &[0xFF; 8], "numbers beyond the last there is"),
        ("data", 44, &[0, 0], "no record"),
        ("acknowledgement", 8, &zero, "session 0"),
        ("close", 8, &zero, "session 0"),
        ("close", 32, &[7], "no reason"),
        ("close", 32, &[1], "an accusation has no place among the frames"),
        ("ask", 8, &zero, "session 0"),
        ("ask", 24, &zero, "asks count from 1"),
    ];
    for (kind, at, bytes, why) in cases {
        let frame = altered(good_frame(kind), *at, bytes);
        assert_eq!(decode(frame), Err(Fault::Field), "{kind}: {why}");
    }
}

#[proves("FRM-4")]
#[test]
fn what_is_reserved_is_sent_as_zero_and_refused_when_it_is_not() {
    let index = 48 + 8;
    let reserved = [
        ("greeting", 62..63, !1), // flags but back: without it, rendezvous and the terms are nothing
        ("greeting", 63..88, 0xFF),
        ("welcome", 64..65, !1),   // flags but rendezvous
        ("welcome", 65..66, !3),   // a level
        ("welcome", 66..72, 0xFF), // without a level the index is nothing
        ("close", 34..40, 0xFF),
        ("data", 46..47, !7_u8), // flags but solicit, await and carry
        ("data", 47..48, 0xFF),
        ("data", index + 3..index + 4, 0x07), // flags of a record but stamp, gap, more, rest, void
    ];
    for (kind, bytes, mask) in reserved {
        for at in bytes {
            let good = good_frame(kind);
            assert_eq!(good[at] & mask, 0, "{kind}, byte {at}");
            for bit in (0..8).map(|bit| 1_u8 << bit).filter(|bit| bit & mask != 0) {
                let set = altered(good.clone(), at, &[good[at] | bit]);
                assert_eq!(decode(set), Err(Fault::Field), "{kind}, byte {at}, bit {bit:#04x}");
            }
        }
    }
}

#[test]
fn the_check_is_a_crc_over_all_but_itself_and_the_bodies() {
    for (kind, frame) in good_frames() {
        assert_eq!(frame[..4], check(&frame).to_le_bytes(), "{kind}");
    }
    let mut frame = good_frame("data");
    frame[48] = b'X';
    assert!(decode(&frame).is_ok(), "bodies are not covered");
    assert_eq!(frame[..4], check(&frame).to_le_bytes());
}

/// Any frame but a data frame.
fn control_frames() -> impl Strategy<Value = Frame<Vec<u8>>> {
    prop_oneof![greetings(), welcomes(), refusals(), acknowledgements(), closes(), asks()]
}

fn id() -> impl Strategy<Value = SessionId> {
    any::<u64>().prop_filter_map("0 is no id", SessionId::new)
}

fn epoch() -> impl Strategy<Value = Epoch> {
    any::<u64>().prop_filter_map("no epoch", Epoch::new)
}

fn any_terms() -> impl Strategy<Value = Terms> {
    (any::<[u64; 2]>(), any::<u32>(), any::<bool>()).prop_map(
        |([frame_credit, byte_credit], max_message, rendezvous)| Terms {
            frame_credit,
            byte_credit,
            max_message,
            rendezvous,
        },
    )
}

fn greetings() -> impl Strategy<Value = Frame<Vec<u8>>> {
    let level = prop::option::of(prop::sample::select(&[Level::Received, Level::Delivered, Level::Processed][..]));
    let versions = (any::<u8>(), any::<u8>()).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let stream = (epoch(), any::<u32>()).prop_map(|(epoch, index)| StreamId { epoch, index });
    let inbox = prop::collection::vec(any::<u8>(), 1..=255);
    let numbers = (any::<u8>(), any::<u32>(), any::<u64>(), 1_u64.., any::<[u64; 2]>());
    (versions, numbers, level, stream, id(), prop::option::of(any_terms()), inbox).prop_map(
        |(versions, (codec, pid, pid_namespace, first, [exposed, to]), level, stream, reply_session, back, inbox)| {
            let [first, exposed] = [first, exposed].map(Number::new);
            Frame::Greeting(Greeting {
                versions,
                codec,
                level,
                pid,
                stream,
                reply_session,
                pid_namespace,
                back,
                first,
                exposed,
                to,
                inbox,
            })
        },
    )
}

fn welcomes() -> impl Strategy<Value = Frame<Vec<u8>>> {
    let level = prop::sample::select(&[Level::Received, Level::Delivered, Level::Processed][..]);
    let back = prop::option::of((level, any::<u32>()).prop_map(|(level, index)| Back { level, index }));
    (id(), epoch(), any::<u32>(), any_terms(), back).prop_map(|(data_session, epoch, pid, terms, back)| {
        Frame::Welcome(Welcome { data_session, epoch, pid, terms, back })
    })
}

fn refusals() -> impl Strategy<Value = Frame<Vec<u8>>> {
    let reason = prop_oneof![
        Just(RefusalReason::Version),
        any::<u8>().prop_map(|expected| RefusalReason::Codec { expected }),
        any::<u32>().prop_map(|limit| RefusalReason::TooManySessions { limit }),
        any::<u32>().prop_map(|sessions| RefusalReason::AskedOnly { sessions }),
        Just(RefusalReason::PidNamespace),
    ];
    (reason, any::<(u8, u8)>()).prop_map(|(reason, versions)| Frame::Refusal(Refusal { reason, versions }))
}

fn acknowledgements() -> impl Strategy<Value = Frame<Vec<u8>>> {
    (any::<[u64; 3]>(), any::<[u64; 5]>()).prop_map(|([frames, early, answered], values)| {
        Frame::Acknowledgement(Acknowledgement { early, answered, ..acknowledgement(frames, values) })
    })
}

fn closes() -> impl Strategy<Value = Frame<Vec<u8>>> {
    let reason = prop_oneof![
        Just(EndReason::Finished),
        Just(EndReason::Sequence),
        Just(EndReason::Credit),
        Just(EndReason::Acknowledgement),
        Just(EndReason::Stamp),
        Just(EndReason::Final),
        Just(EndReason::TooLong),
    ];
    (any::<u64>(), reason, any::<u64>()).prop_map(|(last, reason, frame)| {
        let frame = if reason == EndReason::Finished { frame } else { 0 };
        Frame::Close(Close { last: Number::new(last), reason, frame: FrameNumber::new(frame) })
    })
}

fn asks() -> impl Strategy<Value = Frame<Vec<u8>>> {
    (1..=u64::MAX, any::<[u64; 2]>())
        .prop_map(|(question, [bytes, given_back])| Frame::Ask(Ask { question, bytes, given_back }))
}

fn encode<B>(session: Option<SessionId>, stamp: Stamp, frame: &Frame<B>) -> Vec<u8> {
    match (frame, session) {
        (Frame::Greeting(greeting), _) => greeting.encode(stamp),
        (Frame::Welcome(welcome), Some(session)) => welcome.encode(session, stamp),
        (Frame::Refusal(refusal), Some(session)) => refusal.encode(session, stamp),
        (Frame::Acknowledgement(acknowledgement), Some(session)) => acknowledgement.encode(session, stamp).to_vec(),
        (Frame::Close(close), Some(session)) => close.encode(session, stamp),
        (Frame::Ask(ask), Some(session)) => ask.encode(session, stamp),
        (Frame::Data(_), _) | (_, None) => unreachable!("control frames with a session"),
    }
}

proptest! {
    #[test]
    fn every_frame_comes_back_as_it_was_sent(frame in control_frames(), session in id(), stamp in any::<u64>()) {
        let stamp = Stamp::new(stamp);
        let session = Some(session).filter(|_| !matches!(frame, Frame::Greeting(_)));
        let (header, decoded) = decode(encode(session, stamp, &frame)).unwrap();
        let Header { session: its_session, stamp: its_stamp, .. } = header;
        prop_assert_eq!((its_session, its_stamp, decoded), (session, stamp, frame));
    }

    /// Two frames that differ do not mean the same: nothing in a frame is ignored.
    #[test]
    fn what_is_understood_is_written_in_one_way_only(
        frame in control_frames(), at in 8..400_usize, byte in any::<u8>(),
    ) {
        let frame = encode(Some(session()), Stamp::new(3), &frame);
        let changed = altered(frame.clone(), at % frame.len(), &[byte]);
        if let Ok((header, decoded)) = decode(changed.as_slice()) {
            prop_assert_eq!(encode(header.session, header.stamp, &decoded), changed);
        }
    }
}

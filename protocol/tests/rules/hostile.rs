//! Whatever bytes come: no panic, no session of an innocent disturbed. Tests are built with overflow checks.

use crate::{
    forge::{acknowledgement, bodies_of, decode_data, sealed},
    frames::good_frames,
    net::{Net, Seen, Sender, Setup},
};
use lamq_protocol::{
    Epoch, FrameNumber, Level, Number, SessionId, Stamp, StreamId,
    lamport::MAX_LEAD,
    session::{Departure, Inbound},
    wire::{
        Acknowledgement, Ask, Back, Close, EndReason, Frame, Greeting, OpenFrame, Refusal, RefusalReason, Shape, Terms,
        Welcome, decode,
    },
};
use lamq_proves::proves;
use proptest::prelude::*;

#[proves("FRM-3", "DAT-1")]
#[test]
fn every_truncation_is_a_fault() {
    for (kind, frame) in good_frames() {
        for length in 0..frame.len() {
            assert!(decode(&frame[..length]).is_err(), "{kind} cut to {length}");
            assert!(
                decode(sealed(frame[..length.max(8)].to_vec())).is_err(),
                "{kind} cut to {length}, check made good"
            );
        }
    }
}

#[proves("FRM-1", "FRM-3")]
#[test]
fn every_flipped_bit_is_a_fault_or_in_a_body() {
    for (kind, frame) in good_frames() {
        let bodies = bodies_of(&frame);
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if !bodies.contains(&(bit / 8)) {
                assert!(decode(flipped).is_err(), "{kind}, bit {bit}");
                continue;
            }
            let (good, flipped) = (decode_data(frame.clone()), decode_data(flipped));
            let [mut good_cursor, mut flipped_cursor] = [good.cursor(), flipped.cursor()];
            for _ in 0..=3 {
                assert_eq!(good.next_item(&mut good_cursor), flipped.next_item(&mut flipped_cursor), "same framing");
            }
        }
    }
}

/// Numbers at which something could go over an edge.
const EDGES: &[u64] = &[0, 1, 2, 3, 8, 9, 1 << 16, 1 << 48, (1 << 48) + 1, 1 << 63, u64::MAX - 1, u64::MAX];

fn edge() -> impl Strategy<Value = u64> {
    prop_oneof![3 => prop::sample::select(EDGES), 1 => any::<u64>()]
}

/// A record of some length and shape, as far as the encoder can write it.
fn record() -> impl Strategy<Value = (usize, Shape)> {
    let gap = prop_oneof![6 => Just(0), 1 => 1..4_u64, 1 => edge()];
    let [rest, more, void] = [(); 3].map(|()| prop::bool::weighted(0.2));
    (0..200_usize, gap, rest, more, void)
        .prop_map(|(length, gap, rest, more, void)| (length, Shape { gap, rest, more, void }))
}

fn forged_data(session: SessionId) -> impl Strategy<Value = Vec<u8>> {
    let records = prop::collection::vec(record(), 1..5);
    let places = [(); 2].map(|()| prop_oneof![3 => 1..6_u64, 1 => edge()]);
    let stamp = prop_oneof![3 => 1..99_u64, 1 => edge()];
    (places, stamp, records, any::<bool>()).prop_map(move |([frame, first], stamp, records, solicit)| {
        let mut open = OpenFrame::new(Vec::new(), 4096, Number::new(first));
        for ((length, shape), stamp) in records.iter().zip(stamp..=u64::MAX) {
            if open.fits(*shape, *length, Stamp::new(stamp)) {
                open.push(*shape, &vec![0; *length], Stamp::new(stamp));
            }
        }
        open.seal(session, FrameNumber::new(frame), solicit)
    })
}

fn terms() -> impl Strategy<Value = Terms> {
    (edge(), edge(), any::<u32>(), any::<bool>()).prop_map(|(frame_credit, byte_credit, max_message, rendezvous)| {
        Terms { frame_credit, byte_credit, max_message, rendezvous }
    })
}

fn forged_greeting(reply_session: SessionId) -> impl Strategy<Value = Vec<u8>> {
    let level = prop::option::of(prop::sample::select(&[Level::Received, Level::Delivered, Level::Processed][..]));
    let epoch = edge().prop_filter_map("no epoch", Epoch::new);
    let who = (epoch, 0..3_u32, 100..104_u32);
    (who, level, edge(), prop::option::of(terms())).prop_map(move |((epoch, index, pid), level, stamp, back)| {
        let (first, exposed) = (Number::new(stamp.max(1)), Number::new(stamp / 2));
        let (stream, inbox, versions) = (StreamId { epoch, index }, b"/inbox".to_vec(), (0, 3));
        let greeting = Greeting {
            versions,
            codec: 0,
            level,
            pid,
            stream,
            reply_session,
            pid_namespace: 0,
            back,
            first,
            exposed,
            to: 0x1_0001, // the receiver of a net
            inbox,
        };
        greeting.encode(Stamp::new(stamp))
    })
}

fn forged_control(session: SessionId) -> impl Strategy<Value = Vec<u8>> {
    let reason = prop::sample::select(&[EndReason::Finished, EndReason::Sequence, EndReason::Final][..]);
    let values = [edge(), edge(), edge(), edge(), edge()];
    let more = [edge(), edge(), edge()];
    (0..5, values, more, reason, edge().prop_map(Stamp::new)).prop_map(move |(kind, values, more, reason, stamp)| {
        let [number, _, _, frame_credit, byte_credit] = values;
        let [frames, early, answered] = more;
        let epoch = Epoch::new(number).unwrap_or(Epoch::new(1).expect("not 0"));
        match kind {
            0 => {
                let forged = Acknowledgement { early, answered, ..acknowledgement(frames, values) };
                forged.encode(session, stamp).to_vec()
            }
            1 => Close { last: Number::new(number), reason, frame: FrameNumber::new(frames) }.encode(session, stamp),
            2 => {
                let max_message = u32::try_from(frames).unwrap_or(u32::MAX);
                let terms = Terms { frame_credit, byte_credit, max_message, rendezvous: frames % 2 == 1 };
                let back = (frames % 3 == 1).then_some(Back { level: Level::Delivered, index: 0 });
                Welcome { data_session: session, epoch, pid: 1, terms, back }.encode(session, stamp)
            }
            3 => Ask { question: number, bytes: byte_credit, given_back: frames }.encode(session, stamp),
            _ => Refusal { reason: RefusalReason::Version, versions: (0, 9) }.encode(session, stamp),
        }
    })
}

/// Something that a stranger, or a peer gone mad, puts into an inbox.
fn hostile(session: SessionId) -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop::collection::vec(any::<u8>(), 0..120);
    prop_oneof![4 => forged_data(session), 4 => forged_control(session), 2 => forged_greeting(session), 1 => bytes]
}

/// One sender will go mad, the other is good.
fn mad_and_good() -> Net {
    Net::greeted(Setup { senders: 2, window: 4096, ..Setup::default() })
}

/// What is put into the inbox of the receiver, as from the mad sender, or into that of the mad sender.
fn attacks() -> impl Strategy<Value = Vec<(bool, Vec<u8>)>> {
    let Sender { session, at_receiver, .. } = &mad_and_good().senders[0];
    let to_receiver = hostile(at_receiver.expect("it was greeted")).prop_map(|frame| (true, frame));
    let to_sender = hostile(*session).prop_map(|frame| (false, frame));
    prop::collection::vec(prop_oneof![to_receiver, to_sender], 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[proves("FRM-3")]
    #[test]
    fn no_bytes_make_decoding_panic(
        kind in 0..9_u8, mut bytes in prop::collection::vec(any::<u8>(), 0..200), plausible in any::<bool>(),
    ) {
        _ = decode(bytes.as_slice());
        // Random bytes would all fail at the magic: the header is made good, and lengths and counts are made small.
        if bytes.len() > 48 {
            bytes[4..8].copy_from_slice(&[b'l', b'q', u8::from(kind != 1 && kind != 3), kind]);
            if plausible {
                bytes[41..44].fill(0);
                bytes[45] = 0;
            }
            _ = decode(sealed(bytes));
        }
    }
}

/// Sender 1 finishes its work, whatever sender 0 has become; it sent `sent` messages, of which `seen` was seen.
fn assert_good_goes_on(mut net: Net, sent: u64, mut seen: Vec<Seen>) {
    net.close(1);
    seen.extend(net.recv_all());
    seen.retain(|seen| matches!(seen, Seen::Message(1, ..) | Seen::Departed(1, ..)));
    let message = |number| Seen::Message(1, number, format!("{number}").into());
    let expected: Vec<_> = (1..=sent).map(message).chain([Seen::Departed(1, Departure::Left, sent)]).collect();
    assert_eq!(seen, expected);
    assert_eq!(net.inbound(1), None);
}

proptest! {
    #[proves("FRM-3", "SES-3", "PRO-3")]
    #[test]
    fn a_peer_gone_mad_harms_nobody_but_itself(attacks in attacks()) {
        let mut net = mad_and_good();
        let (mut sent, mut seen) = (0, Vec::new());
        for (to_receiver, frame) in attacks {
            let (mut attacked, mut seen_now) = (net.clone(), seen.clone());
            if to_receiver {
                attacked.give_receiver(frame);
            } else {
                attacked.give_sender(0, frame);
            }
            _ = attacked.send(0, "whatever");
            prop_assert_eq!(attacked.send(1, format!("{}", sent + 1)), Ok(sent + 1));
            seen_now.extend(attacked.recv_all());
            if attacked.receiver.core.now().get() >= MAX_LEAD {
                // Who follows the mad one's clock as far as LAM-4 allows is itself too far ahead for the others.
                continue;
            }
            let survived = attacked.ended(0).is_none() && attacked.inbound(0).is_some_and(Inbound::is_open);
            if survived {
                (net, sent, seen) = (attacked, sent + 1, seen_now);
            } else {
                assert_good_goes_on(attacked, sent + 1, seen_now); // and the next attack finds the session open again
            }
        }
        assert_good_goes_on(net, sent, seen);
    }
}

#[test]
fn a_frame_that_decodes_is_one_of_the_seven() {
    let kinds = good_frames().map(|(kind, frame)| (kind, decode(frame).unwrap().1));
    for (kind, frame) in kinds {
        let name = match frame {
            Frame::Greeting(_) => "greeting",
            Frame::Welcome(_) => "welcome",
            Frame::Refusal(_) => "refusal",
            Frame::Data(_) => "data",
            Frame::Acknowledgement(_) => "acknowledgement",
            Frame::Close(_) => "close",
            Frame::Ask(_) => "ask",
        };
        assert_eq!(name, kind);
    }
}

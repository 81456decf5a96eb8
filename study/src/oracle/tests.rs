use super::*;
use proptest::{collection::vec, prelude::*};
use std::collections::BTreeSet;

fn judged(history: &[u64], sent: u64, acknowledged: u64, complete: bool) -> Verdict {
    let mut oracle = Oracle::new();
    for &number in history {
        oracle.delivered((), number);
    }
    oracle.judge(&(), Claims { sent, acknowledged, complete })
}

fn complete(history: &[u64], sent: u64) -> Verdict {
    judged(history, sent, sent, true)
}

fn killed(history: &[u64], sent: u64, acknowledged: u64) -> Verdict {
    judged(history, sent, acknowledged, false)
}

#[test]
fn a_whole_stream_holds() {
    assert_eq!(complete(&[1, 2, 3], 3), Verdict { delivered: 3, ..Verdict::default() });
    assert!(complete(&[1, 2, 3], 3).holds());
    assert!(complete(&[], 0).holds());
}

#[test]
fn a_living_sender_must_have_everything_delivered() {
    let verdict = judged(&[1, 3], 4, 2, true);
    assert_eq!(verdict, Verdict { delivered: 2, lost: 2, acknowledged_lost: 1, ..Verdict::default() });
    assert!(!verdict.holds());
    assert_eq!(verdict.to_string(), "2 delivered, 2 lost, 1 of these acknowledged");
}

#[test]
fn of_a_killed_sender_a_prefix_holds_and_a_hole_does_not() {
    assert!(killed(&[1, 2], 9, 2).holds());
    assert!(killed(&[], 9, 0).holds());
    assert_eq!(killed(&[1, 2, 4], 9, 0).lost, 1);
}

#[test]
fn of_a_killed_sender_what_was_acknowledged_must_be_there() {
    let verdict = killed(&[1, 2, 4], 9, 6);
    assert_eq!((verdict.lost, verdict.acknowledged_lost), (3, 3), "3 is a hole and acknowledged: counted once");
    assert_eq!(killed(&[], 9, 1).lost, 1);
}

#[test]
fn a_swap_is_one_out_of_order_and_nothing_else() {
    let verdict = complete(&[2, 1], 2);
    assert_eq!(verdict, Verdict { delivered: 2, misordered: 1, ..Verdict::default() });
    assert_eq!(verdict.to_string(), "2 delivered, 1 out of order");
    assert_eq!(complete(&[3, 1, 2], 3).misordered, 2, "each that came late");
}

#[test]
fn a_late_number_is_lost_until_it_comes_and_twice_when_it_comes_again() {
    let mut oracle = Oracle::new();
    let claims = Claims { sent: 5, acknowledged: 0, complete: false };
    for number in [1, 5] {
        oracle.delivered("a", number);
    }
    assert_eq!(oracle.judge(&"a", claims).lost, 3);
    oracle.delivered("a", 3);
    oracle.delivered("a", 3);
    assert_eq!(
        oracle.judge(&"a", claims),
        Verdict { delivered: 3, lost: 2, misordered: 1, doubled: 1, ..Verdict::default() }
    );
}

#[test]
fn a_number_that_was_never_given_is_invented() {
    let verdict = complete(&[1, 2, 7, 0], 2);
    assert_eq!(verdict, Verdict { delivered: 2, invented: 2, ..Verdict::default() }, "3 to 6 were not sent either");
    assert!(!verdict.holds());
}

#[test]
fn a_corrupt_payload_is_delivered_all_the_same() {
    let mut oracle = Oracle::new();
    oracle.delivered(7, 1);
    oracle.corrupt(7);
    let verdict = oracle.judge(&7, Claims { sent: 1, acknowledged: 1, complete: true });
    assert_eq!(verdict, Verdict { delivered: 1, corrupt: 1, ..Verdict::default() });
    assert!(!verdict.holds());
}

#[test]
fn streams_are_judged_apart_and_summed() {
    let mut oracle = Oracle::new();
    for (stream, number) in [('a', 1), ('b', 2), ('a', 2), ('b', 1)] {
        oracle.delivered(stream, number);
    }
    assert_eq!(oracle.streams().collect::<Vec<_>>(), [&'a', &'b']);
    let claims = Claims { sent: 2, acknowledged: 2, complete: true };
    assert!(oracle.judge(&'a', claims).holds());
    let all: Verdict = ['a', 'b', 'c'].iter().map(|stream| oracle.judge(stream, claims)).sum();
    assert_eq!(all, Verdict { delivered: 4, lost: 2, acknowledged_lost: 2, misordered: 1, ..Verdict::default() });
}

#[test]
fn a_history_in_order_needs_no_memory() {
    let mut stream = Stream::NEW;
    (1..=1000).for_each(|number| stream.deliver(number));
    assert!(stream.gaps.is_empty());
    stream.deliver(u64::MAX);
    assert_eq!(stream.gaps.len(), 1);
}

/// The definitions of [`Verdict`], word by word.
fn naive(history: &[u64], claims: Claims) -> Verdict {
    let Claims { sent, acknowledged, complete } = claims;
    let mut verdict = Verdict::default();
    for (at, &number) in history.iter().enumerate() {
        let before = &history[..at];
        if number == 0 {
            verdict.invented += 1;
        } else if before.contains(&number) {
            verdict.doubled += 1;
        } else {
            verdict.misordered += u64::from(before.iter().any(|&earlier| earlier > number));
            *(if number <= sent { &mut verdict.delivered } else { &mut verdict.invented }) += 1;
        }
    }
    let largest = history.iter().copied().max().unwrap_or(0);
    let lost: BTreeSet<_> = (1..=sent.max(acknowledged))
        .filter(|number| !history.contains(number))
        .filter(|&number| number <= acknowledged || complete || number < largest)
        .collect();
    verdict.lost = lost.len() as u64;
    verdict.acknowledged_lost = lost.range(..=acknowledged).count() as u64;
    verdict
}

proptest! {
    #[test]
    fn agrees_with_the_definitions(
        history in vec(0..12_u64, 0..24), sent in 0..12_u64, acknowledged in 0..12_u64, complete: bool,
    ) {
        let claims = Claims { sent, acknowledged, complete };
        prop_assert_eq!(judged(&history, sent, acknowledged, complete), naive(&history, claims));
    }

    #[test]
    fn holds_for_prefixes_alone(history in vec(1..5_u64, 0..5)) {
        let is_prefix = history.iter().copied().eq(1..=history.len() as u64);
        prop_assert_eq!(killed(&history, 5, 0).holds(), is_prefix);
    }
}

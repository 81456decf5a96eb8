use super::*;
use crate::sync::{Arc, checked::seek_cheap_barrier};
use std::{panic, thread, time::Duration};

/// Counts those that are there.
struct Watched(Arc<()>);

fn watched() -> (Counted<Watched>, impl Fn() -> bool) {
    let alive = Arc::new(());
    let value = Counted::new(Watched(Arc::clone(&alive)));
    (value, move || Arc::strong_count(&alive) > 1)
}

#[test]
fn the_last_reference_takes_the_value_along() {
    let (first, is_alive) = watched();
    let second = first.clone();
    drop(first);
    assert!(is_alive());
    assert_eq!(Arc::strong_count(&second.0), 2);
    drop(second);
    assert!(!is_alive());
}

#[test]
fn what_is_paid_for_and_not_handed_out_is_given_back() {
    let (mut value, is_alive) = watched();
    let mut prepaid = value.prepay(3);
    assert!(value.get_mut().is_none(), "three more may come");
    let taken = prepaid.take().expect("there are three");
    drop(prepaid);
    assert!(value.get_mut().is_none(), "one did");
    drop(taken);
    assert!(value.get_mut().is_some());
    drop(value.prepay(0));
    assert!(value.get_mut().is_some());
    drop(value);
    assert!(!is_alive());
}

#[test]
fn what_is_paid_for_keeps_the_value() {
    let (value, is_alive) = watched();
    let mut prepaid = value.prepay(2);
    drop(value);
    assert!(is_alive());
    let taken = prepaid.take().expect("there are two");
    drop(prepaid);
    assert!(is_alive());
    drop(taken);
    assert!(!is_alive(), "it was the last");

    let (value, is_alive) = watched();
    let prepaid = value.prepay(2);
    drop((value, prepaid));
    assert!(!is_alive(), "those that nobody took were");
}

#[test]
fn the_first_to_share_is_one_more() {
    let (mut value, is_alive) = watched();
    let first = value.share_first();
    assert!(value.get_mut().is_none(), "it has it too");
    drop(value);
    assert!(is_alive());
    drop(first);
    assert!(!is_alive());
}

#[test]
#[should_panic(expected = "nobody else has it")]
fn there_is_one_first_to_share() {
    let (mut value, _) = watched();
    let _first = value.share_first();
    _ = value.share_first();
}

#[test]
fn no_more_are_handed_out_than_were_paid_for() {
    let (value, is_alive) = watched();
    let mut prepaid = value.prepay(2);
    let taken: Vec<_> = std::iter::from_fn(|| prepaid.take()).collect();
    assert_eq!((taken.len(), prepaid.take().is_none()), (2, true));
    drop((taken, value));
    assert!(!is_alive());
    drop(prepaid); // it has nothing to give back
}

#[test]
fn whoever_is_alone_may_change_it() {
    let mut value = Counted::new(vec![1]);
    let other = value.clone();
    assert_eq!(value.get_mut(), None);
    assert_eq!(*other, [1]);
    drop(other);
    value.get_mut().expect("it is alone").push(2);
    assert_eq!(*value, [1, 2]);
}

#[test]
fn references_go_to_other_threads() {
    let (mut value, is_alive) = watched();
    for _ in 0..100 {
        let mut prepaid = value.prepay(10);
        thread::scope(|scope| {
            for _ in 0..3 {
                let taken = [prepaid.take(), prepaid.take(), prepaid.take()];
                scope.spawn(move || {
                    let clones = taken.clone();
                    drop(taken);
                    assert!(clones.iter().flatten().all(|clone| Arc::strong_count(&clone.0) == 2));
                });
            }
            scope.spawn(move || drop(prepaid)); // with the tenth
        });
        assert!(value.get_mut().is_some(), "all came back");
    }
    let last = value.prepay(1);
    drop(value);
    thread::spawn(move || drop(last)).join().unwrap();
    assert!(!is_alive());
}

#[test]
fn one_thread_at_a_time_has_the_lock() {
    let count = Brief::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    count.with(|count| *count += 1);
                }
            });
        }
    });
    assert_eq!(count.with(|count| *count), 30_000);
}

#[test]
fn who_finds_it_taken_for_long_sleeps_and_gets_it() {
    let (holder, waiter) = (Brief::new(false), thread::current());
    thread::scope(|scope| {
        scope.spawn(|| {
            holder.with(|done| {
                waiter.unpark();
                thread::sleep(Duration::from_millis(20));
                *done = true;
            });
        });
        thread::park();
        assert!(holder.with(|done| *done));
    });
}

/// A lock that is biased to this thread, where that is possible.
fn biased<T>(value: T) -> Brief<T> {
    seek_cheap_barrier();
    let lock = Brief::new(value);
    for _ in 0..1000 {
        lock.with(|_| assert!(!lock.bias.enter(thread_number()), "it is in, or has the lock"));
    }
    assert_eq!(lock.bias.enter(thread_number()), is_barrier_cheap());
    assert!(!lock.bias.enter(thread_number()), "it is in");
    lock.bias.flag().store(false, Ordering::Release);
    lock
}

#[test]
fn who_wants_a_lock_that_is_biased_gets_it_alone() {
    let count = biased(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..300 {
                    count.with(|count| *count += 1);
                    thread::sleep(Duration::from_micros(50));
                }
            });
        }
        (0..500_000).for_each(|_| count.with(|count| *count += 1));
    });
    assert_eq!(count.with(|count| *count), 500_600);
}

#[test]
fn who_wants_a_lock_waits_for_who_is_in_by_its_bias() {
    let (lock, here) = (biased(false), thread::current());
    thread::scope(|scope| {
        let waiter = lock.with(|done| {
            let waiter = scope.spawn(|| {
                here.unpark();
                lock.with(|done| *done)
            });
            thread::park();
            thread::sleep(Duration::from_millis(20));
            *done = true;
            waiter
        });
        assert!(waiter.join().expect("no panic"));
    });
}

#[test]
fn it_is_seen_from_elsewhere_that_somebody_stays_in() {
    for lock in [Brief::new(()), biased(())] {
        thread::scope(|scope| {
            let is_held_up = || scope.spawn(|| lock.is_held_up()).join().expect("no panic");
            assert!(!is_held_up());
            lock.with(|()| assert!(is_held_up()));
            assert!(!is_held_up());
        });
    }
}

#[test]
fn a_panic_gives_the_lock_back() {
    for value in [Brief::new(1), biased(1)] {
        let outcome = panic::catch_unwind(panic::AssertUnwindSafe(|| value.with(|_| panic!("to be caught"))));
        assert!(outcome.is_err());
        thread::scope(|scope| assert_eq!(scope.spawn(|| value.with(|value| *value)).join().expect("no panic"), 1));
        assert_eq!(value.with(|value| *value), 1);
    }
}

#[test]
fn messages_may_cross_a_caught_panic_and_go_to_other_threads() {
    fn is_free<T: Send + Sync + panic::UnwindSafe + panic::RefUnwindSafe>() {}
    is_free::<Counted<Vec<u8>>>();
    is_free::<crate::Message>();
}

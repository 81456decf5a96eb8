//! What is read and written by whom is checked by loom, in all orders that the memory may show.

use super::*;
use crate::sync::checked::AtomicUsize as Witness;
use loom::{sync::Arc, thread};

/// Loom fails where one of its uses does not come before a change of it, or its end.
struct Watched {
    value: Witness,
    ends: Arc<Witness>,
}

impl Watched {
    fn new() -> (Counted<Self>, Arc<Witness>) {
        let ends = Arc::new(Witness::new(0));
        (Counted::new(Self { value: Witness::new(7), ends: Arc::clone(&ends) }), ends)
    }

    fn read(&self) -> usize {
        self.value.load(Ordering::Relaxed)
    }

    fn change(&mut self) {
        self.value.with_mut(|value| *value += 1);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.change();
        self.ends.fetch_add(1, Ordering::Relaxed);
    }
}

fn has_ended(ends: &Witness) -> bool {
    let ends = ends.load(Ordering::Relaxed);
    assert!(ends < 2, "it was freed twice");
    ends == 1
}

#[test]
fn the_last_of_the_references_ends_the_value_behind_all_uses() {
    loom::model(|| {
        let (value, ends) = Watched::new();
        let mut prepaid = value.prepay(2);
        let taken = prepaid.take().expect("there are two");
        let users = [
            thread::spawn(move || {
                let clone = taken.clone();
                drop(taken);
                assert_eq!(clone.read(), 7);
            }),
            thread::spawn(move || {
                assert_eq!(value.read(), 7);
                drop(value);
            }),
        ];
        drop(prepaid);
        users.into_iter().for_each(|user| user.join().expect("no panic"));
        assert!(has_ended(&ends));
    });
}

#[test]
fn who_is_alone_changes_the_value_behind_all_uses() {
    loom::model(|| {
        let (mut value, ends) = Watched::new();
        let mut prepaid = value.prepay(3);
        let users = [(); 2].map(|()| {
            let taken = prepaid.take().expect("there are three");
            thread::spawn(move || assert_eq!(taken.read(), 7))
        });
        drop(prepaid);
        let mut changes = 0;
        if let Some(value) = value.get_mut() {
            value.change();
            changes += 1;
        }
        users.into_iter().for_each(|user| user.join().expect("no panic"));
        value.get_mut().expect("all came back").change();
        assert_eq!(value.read(), 8 + changes);
        assert!(!has_ended(&ends));
        drop(value);
        assert!(has_ended(&ends));
    });
}

#[test]
fn the_first_to_share_may_be_elsewhere() {
    loom::model(|| {
        let (mut value, ends) = Watched::new();
        for _ in 0..2 {
            let first = value.share_first();
            let user = thread::spawn(move || assert_eq!(first.read(), 7));
            if value.get_mut().is_none() {
                user.join().expect("no panic");
            }
            assert!(value.get_mut().is_some());
        }
        drop(value);
        assert!(has_ended(&ends));
    });
}

#[test]
fn who_holds_the_lock_is_alone() {
    loom::model(|| {
        let count = Arc::new(Brief::new(0));
        let users = [(); 2].map(|()| {
            let count = Arc::clone(&count);
            thread::spawn(move || count.with(|count| *count += 1))
        });
        count.with(|count| *count += 1);
        users.into_iter().for_each(|user| user.join().expect("no panic"));
        assert_eq!(count.with(|count| *count), 3);
    });
}

#[test]
fn who_holds_the_lock_by_its_bias_is_alone_too() {
    loom::model(|| {
        let count = Arc::new(Brief::new(0));
        let take = |times| {
            let count = Arc::clone(&count);
            move || (0..times).for_each(|_| count.with(|count| *count += 1))
        };
        // The first to take it gets the bias, comes in by it, loses it, and gets it again.
        let user = thread::spawn(take(3));
        take(2)();
        user.join().expect("no panic");
        assert_eq!(count.with(|count| *count), 5);
    });
}

#[test]
fn nobody_undoes_what_another_owner_of_the_bias_has_stored() {
    let mut bounded = loom::model::Builder::new();
    bounded.preemption_bound = Some(4);
    bounded.check(|| {
        let count = Arc::new(Brief::new(0));
        let users = [(); 2].map(|()| {
            let count = Arc::clone(&count);
            thread::spawn(move || (0..2).for_each(|_| count.with(|count| *count += 1)))
        });
        count.with(|count| *count += 1);
        users.into_iter().for_each(|user| user.join().expect("no panic"));
        assert_eq!(count.with(|count| *count), 5);
    });
}

//! Somebody sleeps in the inbox, and the keeper stands guard.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How often somebody has slept in an inbox, in all runs of all models.
pub(super) static SLEPT: AtomicUsize = AtomicUsize::new(0);

/// Whoever waits sleeps in the inbox if the keeper has got to its post by then.
fn model_of_rest(run: impl Fn(&Shared) + Sync + Send + 'static) {
    let before = SLEPT.load(Ordering::Relaxed);
    model(move || {
        let shared = shared();
        shared.1.change(|inner| inner.rests = true);
        shared.0.inner.lock().guard = super::super::guard::Guard::Wanted;
        let keeper = start_keeper(&shared);
        run(&shared);
        stop_keeper(&shared, keeper);
    });
    assert!(SLEPT.load(Ordering::Relaxed) > before, "nobody has slept in the inbox");
}

fn wait_in(shared: &Shared, mut is_over: impl FnMut(&Taken) -> bool) {
    let (role, kernel) = &**shared;
    role.wait(kernel, Deadline::Never, |taken| {
        step(kernel, taken);
        is_over(taken).then_some(())
    });
}

#[test]
fn it_is_woken_by_a_frame_and_by_the_next_one() {
    model_of_rest(|shared| {
        let other = Arc::clone(shared);
        let waiting = thread::spawn(move || {
            wait_for(&other, 1);
            wait_for(&other, 2);
        });
        shared.1.deliver(1);
        shared.1.deliver(2);
        waiting.join().unwrap();
    });
}

#[test]
fn it_is_woken_by_what_is_no_frame() {
    model_of_rest(|shared| {
        let kernel = Arc::clone(&shared.1);
        let dying = thread::spawn(move || kernel.change(|inner| inner.rare = true));
        wait_in(shared, |taken| taken.rare);
        dying.join().unwrap();
    });
}

#[test]
fn it_is_woken_by_what_happens_between_two_sleeps() {
    model_of_rest(|shared| {
        let other = Arc::clone(shared);
        let waiting = thread::spawn(move || {
            wait_for(&other, 1);
            wait_in(&other, |taken| taken.rare);
        });
        shared.1.deliver(1);
        shared.1.change(|inner| inner.rare = true);
        waiting.join().unwrap();
    });
}

#[test]
fn it_is_woken_by_a_call_that_does_what_it_waits_for() {
    model_of_rest(|shared| {
        let other = Arc::clone(shared);
        let waiting = thread::spawn(move || wait_in(&other, |taken| taken.rare));
        shared.0.call(&shared.1, |taken| (taken.rare, taken.progressed) = (true, true));
        waiting.join().unwrap();
    });
}

#[test]
fn it_takes_what_a_parked_thread_waits_for() {
    model_of_rest(|shared| {
        let other = Arc::clone(shared);
        let waiting = thread::spawn(move || wait_for(&other, 1));
        shared.1.deliver(2);
        shared.1.deliver(1);
        wait_for(shared, 2);
        waiting.join().unwrap();
    });
}

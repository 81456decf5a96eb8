//! The role and the keeper under every interleaving of two or three threads: nobody sleeps through what he waits for, and
//! nothing that is left to do stays undone. A lost wake-up shows as a deadlock, which loom reports.

use super::Role;
use crate::clock::Deadline;
use loom::{sync::Arc, thread};

mod resting;
mod unsaid;
mod world;

use world::{Kernel, MESSAGE, Taken};

/// Up to three preemptions, which is where nearly all races show; without a bound some of these run for minutes.
fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

type Shared = Arc<(Role<Taken>, Arc<Kernel>)>;

fn shared() -> Shared {
    Arc::new((Role::new(Taken::default()), Arc::new(Kernel::default())))
}

/// As the pump does: takes whatever is there, also what others wait for.
fn step(kernel: &Kernel, taken: &mut Taken) {
    taken.served = true;
    if taken.in_inbox {
        return;
    }
    let arrived = {
        let mut inner = kernel.inner.lock().unwrap();
        taken.rare |= std::mem::take(&mut inner.rare);
        std::mem::take(&mut inner.frames)
    };
    taken.progressed |= !arrived.is_empty();
    taken.frames.extend(arrived);
}

fn wait_for(shared: &Shared, frame: u8) {
    let (role, kernel) = &**shared;
    role.wait(kernel, Deadline::Never, |taken| {
        step(kernel, taken);
        taken.frames.contains(&frame).then_some(())
    });
}

/// As an event loop does: looks, then sleeps until the kernel or the memory has something.
fn poll_for_the_message(shared: &Shared) {
    let (role, kernel) = &**shared;
    let look = |taken: &mut Taken| {
        step(kernel, taken);
        taken.frames.contains(&MESSAGE)
    };
    while !role.call(kernel, look).0 {
        kernel.sleep_until(|inner| !inner.frames.is_empty() || inner.ready);
    }
}

fn start_keeper(shared: &Shared) -> thread::JoinHandle<()> {
    assert!(shared.0.announce_keeper());
    let shared = Arc::clone(shared);
    thread::spawn(move || shared.0.keep(&shared.1))
}

fn with_keeper(receiving: bool) -> (Shared, thread::JoinHandle<()>) {
    let shared = shared();
    shared.0.call(&shared.1, |taken| taken.receiving = receiving);
    let keeper = start_keeper(&shared);
    (shared, keeper)
}

fn stop_keeper(shared: &Shared, keeper: thread::JoinHandle<()>) {
    shared.0.lets_go(&shared.1);
    keeper.join().unwrap();
}

#[test]
fn two_threads_wait_for_one_frame_each() {
    model(|| {
        let shared = shared();
        shared.1.deliver(2);
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || wait_for(&other, 1));
        let kernel = Arc::clone(&shared.1);
        let sender = thread::spawn(move || kernel.deliver(1));
        wait_for(&shared, 2);
        thread.join().unwrap();
        sender.join().unwrap();
    });
}

#[test]
fn a_call_that_does_not_wait_takes_what_the_holder_sleeps_for() {
    model(|| {
        let shared = shared();
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || wait_for(&other, 1));
        shared.1.deliver(1);
        let (role, kernel) = &*shared;
        role.call(kernel, |taken| step(kernel, taken));
        thread.join().unwrap();
    });
}

// In these two the second frame comes only because the first was got: no later arrival makes up for a wake-up that was lost.

#[test]
fn a_thread_that_parks_has_taken_what_the_holder_sleeps_for() {
    model(|| {
        let shared = shared();
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            wait_for(&other, 1);
            other.1.deliver(2);
        });
        shared.1.deliver(1);
        wait_for(&shared, 2);
        thread.join().unwrap();
    });
}

#[test]
fn the_holder_wakes_up_for_what_a_parked_thread_waits_for() {
    model(|| {
        let shared = shared();
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || wait_for(&other, 1));
        let kernel = Arc::clone(&shared.1);
        let sender = thread::spawn(move || kernel.deliver(2));
        wait_for(&shared, 2);
        shared.1.deliver(1);
        thread.join().unwrap();
        sender.join().unwrap();
    });
}

// With a keeper.

#[test]
fn the_keeper_serves_what_comes_while_nobody_calls() {
    model(|| {
        let (shared, keeper) = with_keeper(true);
        shared.1.deliver(1);
        shared.1.sleep_until(|inner| inner.sent == 1);
        stop_keeper(&shared, keeper);
    });
}

#[test]
fn a_caller_takes_the_role_from_the_keeper_and_gives_it_back() {
    model(|| {
        let (shared, keeper) = with_keeper(true);
        let kernel = Arc::clone(&shared.1);
        let sender = thread::spawn(move || kernel.deliver(1));
        wait_for(&shared, 1);
        sender.join().unwrap();
        // Taken by the keeper or by the call. The second one is the keeper's in any case.
        let before = shared.1.look(|inner| inner.sent);
        shared.1.deliver(2);
        shared.1.sleep_until(|inner| inner.sent == before + 1);
        stop_keeper(&shared, keeper);
    });
}

#[test]
fn a_call_that_leaves_something_wakes_the_keeper() {
    for receiving in [false, true] {
        model(move || {
            let (shared, keeper) = with_keeper(receiving);
            shared.0.call(&shared.1, |taken| taken.staged = true);
            shared.1.sleep_until(|inner| inner.sent == 1);
            stop_keeper(&shared, keeper);
        });
    }
}

#[test]
fn a_call_that_leaves_something_while_another_waits_wakes_the_keeper() {
    model(|| {
        let shared = shared();
        let keeper = start_keeper(&shared);
        let other = Arc::clone(&shared);
        let waiting = thread::spawn(move || wait_for(&other, 1));
        shared.0.call(&shared.1, |taken| taken.staged = true);
        shared.1.sleep_until(|inner| inner.sent == 1);
        shared.1.deliver(1);
        waiting.join().unwrap();
        stop_keeper(&shared, keeper);
    });
}

#[test]
fn an_interrupt_for_a_waiting_thread_does_not_keep_the_keeper_awake() {
    model(|| {
        let shared = shared();
        shared.0.call(&shared.1, |taken| taken.receiving = true);
        let other = Arc::clone(&shared);
        let waiting = thread::spawn(move || wait_for(&other, 1));
        shared.1.deliver(1);
        shared.0.call(&shared.1, |taken| step(&shared.1, taken));
        waiting.join().unwrap();
        let keeper = start_keeper(&shared);
        shared.1.deliver(2);
        shared.1.sleep_until(|inner| inner.sent == 1);
        stop_keeper(&shared, keeper);
    });
}

#[test]
fn a_keeper_that_is_left_alone_does_what_is_left_and_ends() {
    for receiving in [false, true] {
        model(move || {
            let (shared, keeper) = with_keeper(receiving);
            shared.0.call(&shared.1, |taken| taken.staged = true);
            shared.0.lets_go(&shared.1);
            keeper.join().unwrap();
            assert_eq!(shared.1.look(|inner| inner.sent), 1);
        });
    }
}

// With somebody who sleeps outside of the role.

#[test]
fn who_polls_sees_what_the_keeper_has_taken() {
    model(|| {
        let (shared, keeper) = with_keeper(true);
        let kernel = Arc::clone(&shared.1);
        let sender = thread::spawn(move || kernel.deliver(MESSAGE));
        poll_for_the_message(&shared);
        sender.join().unwrap();
        stop_keeper(&shared, keeper);
    });
}

#[test]
fn who_polls_sees_what_a_call_has_taken() {
    model(|| {
        let shared = shared();
        let other = Arc::clone(&shared);
        let polling = thread::spawn(move || poll_for_the_message(&other));
        shared.1.deliver(MESSAGE);
        shared.0.call(&shared.1, |taken| step(&shared.1, taken));
        polling.join().unwrap();
    });
}

#[test]
fn who_polls_sees_what_a_waiting_thread_has_taken() {
    model(|| {
        let shared = shared();
        let [polling, waiting] = [Arc::clone(&shared), Arc::clone(&shared)];
        let polling = thread::spawn(move || poll_for_the_message(&polling));
        let waiting = thread::spawn(move || wait_for(&waiting, 1));
        shared.1.deliver(MESSAGE);
        polling.join().unwrap();
        shared.1.deliver(1);
        waiting.join().unwrap();
    });
}

//! The role under every interleaving of two or three threads: nobody sleeps through what he waits for. A lost wake-up
//! shows as a deadlock, which loom reports.

use super::{Role, World};
use crate::clock::Deadline;
use loom::{
    sync::{Arc, Condvar, Mutex},
    thread,
};

/// Stands in for the kernel: frames that have arrived, and the interrupt.
#[derive(Default)]
struct Kernel {
    inner: Mutex<(Vec<u8>, bool)>,
    changed: Condvar,
}

impl Kernel {
    fn deliver(&self, frame: u8) {
        self.inner.lock().unwrap().0.push(frame);
        self.changed.notify_all();
    }
}

/// What a step took out of the kernel.
#[derive(Default)]
struct Taken {
    frames: Vec<u8>,
    progressed: bool,
}

impl World<Taken> for Arc<Kernel> {
    type Plan = ();

    fn plan(&self, _: &mut Taken) {}

    fn take_progress(&self, taken: &mut Taken) -> bool {
        std::mem::take(&mut taken.progressed)
    }

    fn sleep(&self, (): (), _: Deadline) {
        let mut inner = self.inner.lock().unwrap();
        while inner.0.is_empty() && !inner.1 {
            inner = self.changed.wait(inner).unwrap();
        }
        inner.1 = false;
    }

    fn interrupt(&self) {
        self.inner.lock().unwrap().1 = true;
        self.changed.notify_all();
    }
}

type Shared = Arc<(Role<Taken>, Arc<Kernel>)>;

fn shared() -> Shared {
    Arc::new((Role::new(Taken::default()), Arc::new(Kernel::default())))
}

/// As the pump does: takes whatever is there, also what others wait for.
fn step(kernel: &Kernel, taken: &mut Taken) {
    let arrived = std::mem::take(&mut kernel.inner.lock().unwrap().0);
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

#[test]
fn two_threads_wait_for_one_frame_each() {
    loom::model(|| {
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
    loom::model(|| {
        let shared = shared();
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || wait_for(&other, 1));
        shared.1.deliver(1);
        let (role, kernel) = &*shared;
        let mut taken = role.lock();
        step(kernel, &mut taken);
        role.unlock(taken, kernel);
        thread.join().unwrap();
    });
}

// In these two the second frame comes only because the first was got: no later arrival makes up for a wake-up that was lost.

#[test]
fn a_thread_that_parks_has_taken_what_the_holder_sleeps_for() {
    loom::model(|| {
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
    loom::model(|| {
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

//! What the role is run on in these models.

use super::{
    super::{Upkeep, World},
    step,
};
use crate::clock::Deadline;
use loom::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Stands in for the kernel: frames that have arrived, and the two eventfds.
#[derive(Default)]
pub(super) struct Kernel {
    pub(super) inner: Mutex<Descriptors>,
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct Descriptors {
    pub(super) frames: Vec<u8>,
    pub(super) interrupt: bool,
    pub(super) evict: bool,
    /// Something that is no frame, until a step has looked.
    pub(super) rare: bool,
    /// Whether whoever waits would rather sleep in the inbox, and whether that one was rung for.
    pub(super) rests: bool,
    pub(super) rung: bool,
    /// Whether the keeper is asleep here.
    pub(super) watching: bool,
    /// Whether [`MESSAGE`] is in memory, for who sleeps outside of the role.
    pub(super) ready: bool,
    /// What the keeper has sent: for frames taken while away, and for what was staged.
    pub(super) sent: usize,
}

/// The frame that who sleeps outside of the role sleeps for.
pub(super) const MESSAGE: u8 = 7;

impl Kernel {
    pub(super) fn look<R>(&self, look: impl FnOnce(&Descriptors) -> R) -> R {
        look(&self.inner.lock().unwrap())
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Descriptors)) {
        change(&mut self.inner.lock().unwrap());
        self.changed.notify_all();
    }

    pub(super) fn sleep_until(&self, condition: impl Fn(&Descriptors) -> bool) {
        let mut inner = self.inner.lock().unwrap();
        while !condition(&inner) {
            inner = self.changed.wait(inner).unwrap();
        }
    }

    pub(super) fn deliver(&self, frame: u8) {
        self.change(|inner| inner.frames.push(frame));
    }
}

/// What a step took out of the kernel, and what it left to do.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) frames: Vec<u8>,
    pub(super) progressed: bool,
    pub(super) served: bool,
    pub(super) receiving: bool,
    pub(super) staged: bool,
    pub(super) rare: bool,
    pub(super) in_inbox: bool,
}

impl World<Taken> for Arc<Kernel> {
    type Plan = ();

    fn plan(&self, _: &mut Taken) {}

    fn is_outdated(&self, _: &mut Taken) -> bool {
        false
    }

    fn take_progress(&self, taken: &mut Taken) -> bool {
        std::mem::take(&mut taken.progressed)
    }

    fn end(&self, (): &(), deadline: Deadline) -> Deadline {
        deadline
    }

    fn prefers_inbox(&self, _: &Taken) -> bool {
        self.look(|inner| inner.rests)
    }

    fn enter_inbox(&self, taken: &mut Taken) {
        taken.in_inbox = true;
    }

    fn sleep_in_inbox(&self, (): &()) {
        let alone = self.look(|inner| !inner.watching);
        assert!(alone, "the keeper would not see the frame");
        super::resting::SLEPT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.sleep_until(|inner| !inner.frames.is_empty() || inner.rung);
        self.change(|inner| inner.rung = false);
    }

    fn ring(&self, taken: &mut Taken) -> bool {
        assert!(taken.in_inbox, "nobody else takes the empty frame");
        self.change(|inner| inner.rung = true);
        true
    }

    fn guard(&self, until: Deadline) -> bool {
        let happened = |inner: &Descriptors| inner.interrupt || inner.rare;
        if until == Deadline::Never {
            self.sleep_until(|inner| happened(inner) || inner.evict);
        }
        self.look(happened)
    }

    fn wake(&self, taken: &mut Taken, (): ()) {
        taken.in_inbox = false;
    }

    fn sleep(&self, (): &(), _: Deadline) {
        let alone = self.look(|inner| !inner.watching || inner.evict);
        assert!(alone, "two threads would be woken by each frame");
        self.sleep_until(|inner| !inner.frames.is_empty() || inner.interrupt || inner.rare);
    }

    fn interrupt(&self) {
        self.change(|inner| inner.interrupt = true);
    }

    fn clear_interrupt(&self) {
        self.change(|inner| inner.interrupt = false);
    }

    fn show(&self, taken: &Taken) {
        let ready = taken.frames.contains(&MESSAGE);
        if self.look(|inner| inner.ready) != ready {
            self.change(|inner| inner.ready = ready);
        }
    }

    fn is_unsaid(&self, taken: &Taken) -> bool {
        taken.staged
    }

    fn is_awaiting(&self, taken: &Taken) -> bool {
        taken.receiving
    }

    fn take_served(&self, taken: &mut Taken) -> bool {
        std::mem::take(&mut taken.served)
    }

    fn upkeep(&self, taken: &mut Taken, _: bool, away: bool) -> Upkeep {
        let mut sent = usize::from(std::mem::take(&mut taken.staged));
        if away {
            let before = taken.frames.len();
            step(self, taken);
            taken.served = false;
            sent += taken.frames.len() - before;
        }
        if sent > 0 {
            self.change(|inner| inner.sent += sent);
        }
        if taken.receiving && away { Upkeep::Watch } else { Upkeep::Rest }
    }

    fn tick(&self) -> Duration {
        Duration::ZERO
    }

    fn watch(&self, (): ()) {
        let sleeps = self.look(|inner| !inner.interrupt || inner.evict);
        assert!(sleeps, "an interrupt that was not for the keeper would keep it awake");
        self.change(|inner| inner.watching = true);
        self.sleep_until(|inner| !inner.frames.is_empty() || inner.rare || inner.interrupt || inner.evict);
        self.change(|inner| inner.watching = false);
    }

    fn evict(&self) {
        self.change(|inner| inner.evict = true);
    }

    fn clear_evict(&self) {
        self.change(|inner| inner.evict = false);
    }
}

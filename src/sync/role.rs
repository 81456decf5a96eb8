//! Who waits, pumps: the role of the one thread that sleeps in the kernel on behalf of all threads of an endpoint.
//!
//! A thread that has to wait takes the role when it is free, and sleeps in [`World::sleep`] without the lock, or, while the keeper stands
//! guard ([`guard`]), in [`World::sleep_in_inbox`]. Everybody
//! else who has to wait parks on the condition variable. Whoever wakes up first runs its own step again, which moves
//! frames and tests its own condition. While nobody waits, the keeper does what is left to do ([`keeper`]); whoever has to
//! wait takes the role from it. No step runs user code.

use super::{AtomicBool, AtomicU32, Condvar, Mutex, Ordering};
use crate::clock::Deadline;
use std::time::Duration;

mod bell;
mod guard;
mod keeper;

pub(crate) use keeper::Upkeep;

/// What the holder of the role sleeps on, and what the keeper has to do.
pub(crate) trait World<S> {
    /// What to sleep on, prepared under the lock.
    type Plan;

    /// Prepares a sleep.
    fn plan(&self, state: &mut S) -> Self::Plan;

    /// Whether steps took something that another thread may sleep for, since it was last asked.
    fn take_progress(&self, state: &mut S) -> bool;

    /// Sleeps until something happens, the deadline, or an [`interrupt`](Self::interrupt), also one that was not cleared yet.
    fn sleep(&self, plan: &Self::Plan, deadline: Deadline);

    /// Until when such a sleep lasts at most.
    fn end(&self, plan: &Self::Plan, deadline: Deadline) -> Deadline;

    /// Whether whoever is about to sleep would rather do it in the inbox, which costs less, but lets it see frames only: the keeper is to
    /// [`guard`](Self::guard) all else.
    fn prefers_inbox(&self, state: &S) -> bool;

    /// Somebody is about to sleep in the inbox: nobody else reads it.
    fn enter_inbox(&self, state: &mut S);

    /// Sleeps in the inbox until a frame comes, or a [`ring`](Self::ring), also one before.
    fn sleep_in_inbox(&self, plan: &Self::Plan);

    /// Ends the sleep of whoever sleeps in the inbox, or is about to. Returns whether it does.
    fn ring(&self, state: &mut S) -> bool;

    /// For the keeper: sleeps until something happens elsewhere than in the inbox, the deadline, or an [`evict`](Self::evict), also one that
    /// was not cleared yet. Returns whether something has happened.
    fn guard(&self, until: Deadline) -> bool;

    /// Takes back by what was slept.
    fn wake(&self, state: &mut S, plan: Self::Plan);

    /// Ends the sleep of the holder.
    fn interrupt(&self);

    /// Takes an interrupt back.
    fn clear_interrupt(&self);

    /// Shows to whoever sleeps elsewhere what steps have left: the lock is about to be given up.
    fn show(&self, state: &S);

    /// Whether whoever sleeps in the kernel, by the plan that was prepared last, would wake up too late, or sleeps on what is not there
    /// any more.
    fn is_outdated(&self, state: &mut S) -> bool;

    /// Whether something is left to say that no call need say.
    fn is_unsaid(&self, state: &S) -> bool;

    /// Whether something may come that is to be served.
    fn is_awaiting(&self, state: &S) -> bool;

    /// Whether steps have looked for what came, since it was last asked: a call without that does nothing that the keeper would.
    fn take_served(&self, state: &mut S) -> bool;

    /// What the keeper does at a tick. `quiet`: no call has served and ended since the last tick; `away`: and none waits.
    fn upkeep(&self, state: &mut S, quiet: bool, away: bool) -> Upkeep;

    /// The time between two ticks of the keeper.
    fn tick(&self) -> Duration;

    /// As [`sleep`](Self::sleep), for the keeper: until something happens or an [`evict`](Self::evict), also one that was not
    /// cleared yet.
    fn watch(&self, plan: Self::Plan);

    /// Ends the keeper's sleep, and nobody else's.
    fn evict(&self);

    /// Takes an evict back.
    fn clear_evict(&self);
}

#[derive(Debug)]
struct Inner<S> {
    state: S,
    /// Whether a thread that waits for something sleeps in the kernel at present.
    held: bool,
    /// Whether its sleep was interrupted; it clears that itself, so that nobody else is kept awake by it.
    interrupted: bool,
    /// Until when at most, if it sleeps in the inbox.
    in_inbox: Option<Deadline>,
    /// Threads parked on `changed`.
    parked: usize,
    /// Calls that have ended, and have served.
    calls: u64,
    keeper: keeper::Place,
    guard: guard::Guard,
    /// No further call will come.
    alone: bool,
}

/// State under a lock, and the role.
#[derive(Debug)]
pub(crate) struct Role<S> {
    inner: Mutex<Inner<S>>,
    /// For threads that wait.
    changed: Condvar,
    /// For the keeper.
    bell: bell::Bell,
    /// Whether somebody sleeps in the inbox.
    is_resting: AtomicBool,
    /// How often a call has taken the lock.
    turn: AtomicU32,
}

/// Whether a keeper is to be started: there is none, and there is something to do for it.
pub(crate) type KeeperWanted = bool;

impl<S> Role<S> {
    pub(crate) fn new(state: S) -> Self {
        let inner = Inner {
            state,
            held: false,
            interrupted: false,
            in_inbox: None,
            parked: 0,
            calls: 0,
            keeper: keeper::Place::Absent,
            guard: guard::Guard::default(),
            alone: false,
        };
        Self {
            inner: Mutex::new(inner),
            changed: Condvar::new(),
            bell: bell::Bell::new(),
            is_resting: AtomicBool::new(false),
            turn: AtomicU32::new(0),
        }
    }

    /// Runs a step that does not wait; if it took what others may sleep for, they look again.
    pub(crate) fn call<R>(&self, world: &impl World<S>, step: impl FnOnce(&mut S) -> R) -> (R, KeeperWanted) {
        let mut inner = self.inner.lock();
        self.count_turn();
        let result = step(&mut inner.state);
        if world.take_progress(&mut inner.state) || (inner.held && world.is_outdated(&mut inner.state)) {
            self.wake_others(&mut inner, world);
        }
        world.show(&inner.state);
        (result, self.end_call(&mut inner, world))
    }

    /// Runs `step` until it returns something or the deadline has passed, and sleeps in between: as the holder of the role when it
    /// is free, else parked.
    pub(crate) fn wait<R>(
        &self,
        world: &impl World<S>,
        deadline: Deadline,
        mut step: impl FnMut(&mut S) -> Option<R>,
    ) -> (Option<R>, KeeperWanted) {
        let mut inner = self.inner.lock();
        self.count_turn();
        loop {
            let result = step(&mut inner.state);
            world.show(&inner.state);
            if result.is_some() || deadline.has_passed() {
                // What the step did may be what others wait for.
                self.wake_others(&mut inner, world);
                return (result, self.end_call(&mut inner, world));
            }
            self.leave_unsaid(&mut inner, world);
            if inner.held {
                // Only for news: to interrupt the holder each time one parks would never end.
                if world.take_progress(&mut inner.state) || world.is_outdated(&mut inner.state) {
                    self.wake_others(&mut inner, world);
                }
                inner.parked += 1;
                inner = self.changed.wait(inner, deadline);
                inner.parked -= 1;
            } else {
                // Two who poll an inbox are both woken by each frame, so the keeper has to go.
                Self::evict_keeper(&mut inner, world);
                inner.held = true;
                let plan = world.plan(&mut inner.state);
                let end = world.prefers_inbox(&inner.state).then(|| world.end(&plan, deadline));
                inner.in_inbox = end.filter(|end| self.is_guarded(&mut inner, world, *end));
                if inner.in_inbox.is_some() {
                    world.enter_inbox(&mut inner.state);
                    self.is_resting.store(true, Ordering::Relaxed);
                    drop(inner);
                    world.sleep_in_inbox(&plan);
                    self.is_resting.store(false, Ordering::Relaxed);
                } else {
                    drop(inner);
                    world.sleep(&plan, deadline);
                }
                inner = self.inner.lock();
                self.count_turn();
                world.wake(&mut inner.state, plan);
                inner.held = false;
                inner.in_inbox = None;
                if std::mem::take(&mut inner.interrupted) {
                    world.clear_interrupt();
                }
                if inner.parked > 0 {
                    self.changed.notify_all();
                }
            }
        }
    }

    fn wake_others(&self, inner: &mut Inner<S>, world: &impl World<S>) {
        if inner.parked > 0 {
            self.changed.notify_all();
        }
        if inner.held && !std::mem::replace(&mut inner.interrupted, true) {
            // The keeper sees an interrupt, should the ring fail.
            if inner.in_inbox.is_none() || !world.ring(&mut inner.state) {
                world.interrupt();
            }
        }
    }
}

#[cfg(all(test, lamq_loom))]
mod loom_tests;

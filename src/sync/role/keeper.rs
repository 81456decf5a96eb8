//! The keeper: a thread that serves an endpoint while the application does not call in (CAL-6).
//!
//! It looks once a tick while calls come and go. When a whole tick has passed without any, it does what they left undone, and
//! sleeps: in the kernel if something may still happen that is to be served, or if it stands guard ([`guard`](super::guard)), else parked.
//! Asleep, it enters no system call; a call that leaves something to do for it wakes it.

use super::{Inner, KeeperWanted, Role, World, guard::Guard};

/// How the keeper goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upkeep {
    /// Something is to be looked at again at the next tick.
    Tick,
    /// Something may happen in the kernel that is to be served. Only when away.
    Watch,
    /// There is nothing to do until a call leaves something.
    Rest,
}

/// Where the keeper is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Not started.
    Absent,
    /// At work, or asleep until the next tick.
    Ticking,
    /// Parked until a call leaves something to do.
    Parked,
    /// Asleep in the kernel, with nobody else there.
    Watching,
    /// Told to end, or ended.
    Stopped,
}

impl<S> Role<S> {
    /// Announces a keeper, which is to run [`keep`](Self::keep). False if there is one, or has been one.
    pub(crate) fn announce_keeper(&self) -> bool {
        let mut inner = self.inner.lock();
        let absent = inner.keeper == Place::Absent;
        if absent {
            inner.keeper = Place::Ticking;
        }
        absent
    }

    /// The announced keeper could not be started.
    pub(crate) fn withdraw_keeper(&self) {
        let mut inner = self.inner.lock();
        inner.keeper = Place::Absent;
        inner.guard = Guard::Off;
    }

    /// The life of the keeper, until [`lets_go`](Self::lets_go).
    pub(crate) fn keep(&self, world: &impl World<S>) {
        let mut inner = self.come_in(false);
        let mut calls_seen = None;
        while inner.keeper != Place::Stopped {
            let quiet = calls_seen.replace(inner.calls) == Some(inner.calls) || inner.alone;
            let away = quiet && !inner.held;
            let upkeep = world.upkeep(&mut inner.state, quiet, away);
            world.show(&inner.state);
            if inner.held && world.is_outdated(&mut inner.state) {
                self.wake_others(&mut inner, world); // what was found to have no room is to be looked after
            }
            if inner.alone && !world.is_unsaid(&inner.state) {
                return;
            }
            match upkeep {
                Upkeep::Watch if away => {
                    inner.keeper = Place::Watching;
                    let plan = world.plan(&mut inner.state);
                    drop(inner);
                    world.watch(plan);
                    inner = self.come_in(false);
                    if inner.keeper == Place::Watching {
                        inner.keeper = Place::Ticking;
                        continue; // not evicted: something happened
                    }
                    world.clear_evict();
                    if inner.keeper == Place::Stopped {
                        return;
                    }
                }
                Upkeep::Rest if quiet => {
                    inner.keeper = Place::Parked;
                    while inner.keeper == Place::Parked {
                        inner = self.nap(inner, world, None);
                    }
                    calls_seen = None; // whoever has left something may say it yet
                    continue;
                }
                _ => {}
            }
            inner = self.nap(inner, world, Some(world.tick()));
        }
    }

    /// There will be no further call. Returns whether something is left to do; then the keeper, which is to be started if there is
    /// none, ends when it is done. Else it ends now, and the caller joins it.
    pub(crate) fn lets_go(&self, world: &impl World<S>) -> bool {
        let mut inner = self.inner.lock();
        Self::evict_keeper(&mut inner, world);
        inner.alone = true;
        let left = world.is_unsaid(&inner.state);
        if !left {
            inner.keeper = Place::Stopped;
        } else if inner.keeper == Place::Parked {
            inner.keeper = Place::Ticking;
        }
        self.call_keeper(&mut inner, world);
        left
    }

    /// Sends the keeper out of the kernel, if it is there.
    pub(super) fn evict_keeper(inner: &mut Inner<S>, world: &impl World<S>) {
        if inner.keeper == Place::Watching {
            inner.keeper = Place::Ticking;
            world.evict();
        }
    }

    /// A call waits, and not for what its step has left to say: should all be quiet, the keeper says it.
    pub(super) fn leave_unsaid(&self, inner: &mut Inner<S>, world: &impl World<S>) {
        if inner.keeper == Place::Parked && world.is_unsaid(&inner.state) {
            self.unpark_keeper(inner, world);
        }
    }

    /// A call ends: wakes the keeper if it sleeps and has something to do now.
    pub(super) fn end_call(&self, inner: &mut Inner<S>, world: &impl World<S>) -> KeeperWanted {
        inner.calls = inner.calls.wrapping_add(u64::from(world.take_served(&mut inner.state)));
        // Asleep in the kernel, the keeper sees what comes, but not what a call has left, nor what is to be done earlier now.
        let wanted = match inner.keeper {
            Place::Absent if inner.guard == Guard::Wanted => true,
            Place::Absent | Place::Parked => world.is_unsaid(&inner.state) || world.is_awaiting(&inner.state),
            Place::Watching => world.is_unsaid(&inner.state) || world.is_outdated(&mut inner.state),
            Place::Ticking | Place::Stopped => false,
        };
        match inner.keeper {
            Place::Parked if wanted => self.unpark_keeper(inner, world),
            Place::Watching if wanted => Self::evict_keeper(inner, world),
            _ => {}
        }
        wanted && inner.keeper == Place::Absent
    }
}

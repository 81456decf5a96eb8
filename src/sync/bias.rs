//! The bias of a lock: the thread that takes it again and again does so without an atomic operation that reads and writes, each of which costs as much as
//! all else that is done for a short message. Whoever else wants it takes the bias away first: by a barrier in all threads of the process (`membarrier(2)`),
//! some microseconds long, so that the owner needs none.
//!
//! Sources: Dice, Huang and Yang, *Asymmetric Dekker Synchronization* (2001); Russell and Detlefs, *Eliminating Synchronization-Related Atomic Operations
//! with Biased Locking and Bulk Rebiasing* (2006).

use super::{
    Ordering,
    checked::{AtomicBool, AtomicUsize, await_others, barrier_in_all_threads, barrier_of_compiler},
};

/// A thread; none is 0.
pub(crate) type ThreadNumber = usize;

/// Beside a lock that all others take.
#[derive(Debug)]
pub(crate) struct Bias {
    /// Who needs not take the lock. Stored only by whoever has it.
    owner: AtomicUsize,
    /// The owner is at it, or tries. Only one thread ever stores this: the only one that the bias is ever given to ([`Habit::whose`]). Another one could
    /// store it late, when it was the owner no more, and so undo what its successor has stored.
    in_use: AtomicBool,
}

impl Bias {
    pub(crate) fn new() -> Self {
        Self { owner: AtomicUsize::new(0), in_use: AtomicBool::new(false) }
    }

    /// Lets the owner in. Nobody else comes through [`revoke`](Self::revoke) until its [`flag`](Self::flag) is cleared.
    #[inline]
    pub(crate) fn enter(&self, me: ThreadNumber) -> bool {
        // Whoever is in already, in a signal handler say, would come in once more.
        if self.owner.load(Ordering::Relaxed) != me || self.in_use.load(Ordering::Relaxed) {
            return false;
        }
        self.in_use.store(true, Ordering::Relaxed);
        // With the barrier of whoever revokes, this is one for the processor too: either it sees that we are in, or we that we are the owner no more.
        barrier_of_compiler();
        let entered = self.owner.load(Ordering::Relaxed) == me;
        if !entered {
            self.in_use.store(false, Ordering::Release);
        }
        entered
    }

    /// What the owner clears when it leaves (`Release`).
    #[inline]
    pub(crate) const fn flag(&self) -> &AtomicBool {
        &self.in_use
    }

    /// Whether the owner is in, or tries; a moment ago.
    pub(crate) fn is_in_use(&self) -> bool {
        self.in_use.load(Ordering::Relaxed)
    }

    /// For whoever has the lock: takes the bias away, if it is given, and waits until its owner has left. Returns whether it was.
    #[inline]
    pub(crate) fn revoke(&self) -> bool {
        let is_given = self.owner.load(Ordering::Relaxed) != 0;
        if is_given {
            self.revoke_given();
        }
        is_given
    }

    #[cold]
    fn revoke_given(&self) {
        self.owner.store(0, Ordering::Relaxed);
        barrier_in_all_threads();
        let mut tries = 0;
        while self.in_use.load(Ordering::Acquire) {
            await_others(tries);
            tries = tries.saturating_add(1);
        }
    }

    /// For whoever has the lock, and the [habit](Habit): it owns the bias, and has come in by it. It gives the lock back then.
    pub(crate) fn give_entered(&self, me: ThreadNumber) {
        // Whoever takes the lock next sees both.
        self.in_use.store(true, Ordering::Relaxed);
        self.owner.store(me, Ordering::Relaxed);
    }
}

/// Who takes a lock how often; kept under it.
#[derive(Debug)]
pub(crate) struct Habit {
    /// The only thread that the bias is ever given to: the first that had the habit.
    whose: ThreadNumber,
    last: ThreadNumber,
    /// How often the last one has taken it with no other between, and without a bias.
    run: u32,
    /// How often somebody came in by the bias since that was last taken away.
    uses: u32,
    /// How long a run is a habit.
    needed: u32,
}

/// A run that is taken for a habit at first. In its models loom would have to go through each of them.
const RUN: u32 = if cfg!(lamq_loom) { 1 } else { 64 };

/// To take a bias away costs as much as these uses of it have saved, at most.
const PAYS: u32 = if cfg!(lamq_loom) { 0 } else { 4096 };

impl Habit {
    pub(crate) const fn new() -> Self {
        Self { whose: 0, last: 0, run: 0, uses: 0, needed: RUN }
    }

    /// Somebody has it, by its bias or not.
    #[inline]
    pub(crate) fn count_use(&mut self, by_bias: bool) {
        self.uses = self.uses.saturating_add(u32::from(by_bias));
    }

    /// Somebody has taken the lock, and `revoked` the bias. Returns whether the bias is to be given to it, should the barrier be cheap.
    pub(crate) fn note(&mut self, me: ThreadNumber, revoked: bool, is_cheap: fn() -> bool) -> bool {
        if revoked {
            self.needed = if self.uses >= PAYS { RUN } else { self.needed.saturating_mul(2) };
            self.uses = 0;
        }
        self.run = if self.last == me && !revoked { self.run.saturating_add(1) } else { 1 };
        self.last = me;
        if self.run < self.needed || (self.whose != 0 && self.whose != me) {
            return false;
        }
        let is_given = is_cheap();
        if is_given {
            self.whose = me;
        } else {
            self.run = 0; // where it is not to be had, that is not to be asked each time
        }
        is_given
    }
}

#[cfg(all(test, not(lamq_loom)))]
mod tests {
    use super::*;

    /// How often a thread has to take the lock until it gets the bias; none if it does not.
    fn time_to_bias(habit: &mut Habit, me: ThreadNumber) -> Option<u32> {
        (0..1 << 20).find(|_| habit.note(me, false, || true))
    }

    #[test]
    fn a_bias_goes_to_the_first_that_has_the_habit_and_comes_back_to_nobody_else() {
        let mut habit = Habit::new();
        assert!((0..1000).all(|time| !habit.note(1 + time % 2, false, || true)), "they take turns");
        assert!((0..1000).all(|_| !habit.note(1, false, || false)), "it would cost too much");
        assert!(!habit.note(2, false, || true));
        assert_eq!(time_to_bias(&mut habit, 2), Some(RUN - 2), "the last turn was its own");
        assert!(!habit.note(1, true, || true));
        assert_eq!(time_to_bias(&mut habit, 1), None);
        assert_eq!(time_to_bias(&mut habit, 2), Some(2 * RUN - 1), "that the first time did not pay");
    }

    #[test]
    fn a_bias_that_pays_is_given_as_soon_as_before_and_one_that_does_not_later_and_later() {
        let mut habit = Habit::new();
        let mut time_after = |uses| {
            let time = time_to_bias(&mut habit, 1);
            (0..uses).for_each(|_| habit.count_use(true));
            assert!(!habit.note(2, true, || true));
            time
        };
        let times = [time_after(5), time_after(PAYS), time_after(5), time_after(5), time_after(5)];
        assert_eq!(times, [RUN, 2 * RUN, RUN, 2 * RUN, 4 * RUN].map(|run| Some(run - 1)));
    }
}

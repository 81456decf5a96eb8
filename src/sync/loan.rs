//! What the owner of a state lends to threads that do not have the state's lock.

use super::{Arc, AtomicBool, Ordering};
use crate::raw::Brief;

/// A place for what is lent. Its lock is held for a moment only, and whoever holds it takes no other.
#[derive(Debug)]
pub(crate) struct Loan<T> {
    lent: Brief<Option<T>>,
    /// Whether there may be something: a hint that costs less than the lock.
    open: AtomicBool,
}

impl<T> Default for Loan<T> {
    fn default() -> Self {
        Self { lent: Brief::new(None), open: AtomicBool::new(false) }
    }
}

impl<T> Loan<T> {
    /// Uses what is lent, if anything is. When it is of no more use, the others need not look either.
    #[inline]
    pub(crate) fn make_use<R>(&self, action: impl FnOnce(&mut T) -> Option<R>) -> Option<R> {
        if !self.open.load(Ordering::Relaxed) {
            return None;
        }
        self.lent.with(|lent| {
            let result = lent.as_mut().and_then(action);
            if result.is_none() {
                self.open.store(false, Ordering::Relaxed);
            }
            result
        })
    }

    /// Lends something.
    pub(crate) fn lend(&self, thing: T) {
        let before = self.lent.with(|lent| {
            self.open.store(true, Ordering::Relaxed);
            lent.replace(thing)
        });
        drop(before); // nothing, or it takes its time without the lock
    }

    /// Whether somebody uses it who may have lost the processor meanwhile, and whom to wait for could take long.
    pub(crate) fn is_held_up(&self) -> bool {
        self.lent.is_held_up()
    }

    /// Takes it back. From then on nobody uses it.
    pub(crate) fn take_back(&self) -> Option<T> {
        self.lent.with(|lent| {
            self.open.store(false, Ordering::Relaxed);
            lent.take()
        })
    }
}

/// The side of the owner.
#[derive(Debug)]
pub(crate) struct Lender<T> {
    loan: Arc<Loan<T>>,
    is_out: bool,
}

impl<T> Default for Lender<T> {
    fn default() -> Self {
        Self { loan: Arc::default(), is_out: false }
    }
}

impl<T> Lender<T> {
    /// Where those look who use it.
    pub(crate) fn loan(&self) -> Arc<Loan<T>> {
        Arc::clone(&self.loan)
    }

    /// Whether something was lent and not taken back.
    pub(crate) const fn is_out(&self) -> bool {
        self.is_out
    }

    /// See [`Loan::is_held_up`].
    pub(crate) fn is_held_up(&self) -> bool {
        self.is_out && self.loan.is_held_up()
    }

    /// See [`Loan::lend`].
    pub(crate) fn lend(&mut self, thing: T) {
        self.loan.lend(thing);
        self.is_out = true;
    }

    /// See [`Loan::take_back`]; takes the lock only if something was lent.
    pub(crate) fn take_back(&mut self) -> Option<T> {
        if std::mem::take(&mut self.is_out) { self.loan.take_back() } else { None }
    }
}

#[cfg(all(test, lamq_loom))]
mod loom_tests {
    use super::*;
    use loom::{sync::Arc, thread};

    #[test]
    fn what_was_done_with_a_loan_is_there_when_it_is_taken_back() {
        loom::model(|| {
            let loan = Arc::new(Loan::default());
            loan.lend(0);
            let users = [(); 2].map(|()| {
                let loan = Arc::clone(&loan);
                thread::spawn(move || {
                    let done = (0..2).map_while(|_| {
                        loan.make_use(|count| {
                            *count += 1;
                            Some(())
                        })
                    });
                    done.count()
                })
            });
            let before = loan.take_back().expect("it was lent");
            assert_eq!(loan.take_back(), None);
            loan.lend(before);
            let done: usize = users.map(|user| user.join().expect("no panic")).iter().sum();
            assert_eq!(loan.take_back(), Some(done));
        });
    }
}

//! What is told by tracing. A subscriber is code of the application: it may call the library, and it may panic. So nothing is told under
//! the lock, and nothing depends on what becomes of it.

use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Tells something, where there is no lock.
pub(crate) fn tell(report: impl FnOnce()) {
    // The panic has been told by its hook. It must not cost the caller a message, nor end the process while another one unwinds.
    _ = catch_unwind(AssertUnwindSafe(report));
}

type Report = Box<dyn FnOnce() + Send>;

/// Reports that were made under the lock, until it is given up.
#[derive(Clone, Default)]
pub(crate) struct Reports(Arc<Waiting>);

#[derive(Default)]
struct Waiting {
    /// Whether there are any: most calls need not look.
    any: AtomicBool,
    reports: Mutex<Vec<Report>>,
}

impl Reports {
    pub(crate) fn add(&self, report: impl FnOnce() + Send + 'static) {
        self.0.reports.lock().push(Box::new(report));
        self.0.any.store(true, Ordering::Release);
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.0.any.load(Ordering::Acquire)
    }

    /// Never under the lock of the endpoint.
    #[inline]
    pub(crate) fn tell(&self) {
        if !self.is_empty() {
            self.tell_all();
        }
    }

    #[cold]
    fn tell_all(&self) {
        self.0.any.store(false, Ordering::Relaxed);
        let reports = std::mem::take(&mut *self.0.reports.lock());
        reports.into_iter().for_each(tell);
    }
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reports").field("is_empty", &self.is_empty()).finish_non_exhaustive()
    }
}

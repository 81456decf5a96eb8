//! What ends a test that would hang.

use crate::{process::Process, world::WATCHDOG};
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
use std::{
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

/// Kills what does not end: a thread that waits for tracees waits without a deadline.
pub(super) struct Watchdog {
    fired: Arc<AtomicBool>,
    /// Dropped, it calls the dog off.
    _leash: mpsc::Sender<()>,
}

impl Watchdog {
    pub(super) fn new(processes: &[Process]) -> Self {
        let open = |process: &Process| {
            let pid = rustix::process::Pid::from_raw(process.id().try_into().unwrap()).unwrap();
            pidfd_open(pid, PidfdFlags::empty()).unwrap()
        };
        let prey: Vec<OwnedFd> = processes.iter().map(open).collect();
        let fired = Arc::new(AtomicBool::new(false));
        let (leash, end) = mpsc::channel::<()>();
        let bark = Arc::clone(&fired);
        thread::spawn(move || {
            if end.recv_timeout(WATCHDOG) == Err(mpsc::RecvTimeoutError::Timeout) {
                bark.store(true, Ordering::Relaxed);
                for process in prey {
                    _ = pidfd_send_signal(process, rustix::process::Signal::KILL);
                }
            }
        });
        Self { fired, _leash: leash }
    }

    pub(super) fn has_fired(&self) -> bool {
        self.fired.load(Ordering::Relaxed)
    }
}

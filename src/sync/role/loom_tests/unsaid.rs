//! What a thread that waits has not said.

use super::*;

#[test]
fn a_thread_that_waits_leaves_what_it_has_not_said_to_the_keeper() {
    model(|| {
        let shared = shared();
        let keeper = start_keeper(&shared);
        let other = Arc::clone(&shared);
        let waiting = thread::spawn(move || {
            let mut first = true;
            other.0.wait(&other.1, Deadline::Never, |taken| {
                step(&other.1, taken);
                taken.staged |= std::mem::take(&mut first);
                taken.frames.contains(&1).then_some(())
            });
        });
        shared.1.sleep_until(|inner| inner.sent == 1);
        shared.1.deliver(1);
        waiting.join().unwrap();
        stop_keeper(&shared, keeper);
    });
}

//! The same messages over a queue of the kernel as it is, for comparison: one `mq_send` and one `mq_receive` a message.
//!
//! The one file of the command that knows the system calls of queues.

use super::{
    judge::{Judge, Origin},
    member::{Outcome, begin, report_every},
    payload,
    talk::{Progress, Task, Told, tell},
};
use crate::signals::Blocked;
use nix::{
    errno::Errno,
    mqueue::{MQ_OFlag, MqAttr, MqdT, mq_close, mq_open, mq_receive, mq_send, mq_unlink},
    sys::stat::Mode,
};
use std::process;

/// The attributes of the queue that lamq makes by default.
const SLOTS: i64 = 10;
const SLOT_BYTES: i64 = 8192;

/// Removes the name, if it is still there.
pub(super) fn remove(name: &str) {
    _ = mq_unlink(name);
}

/// A name that goes with this value.
struct Name(String);

impl Drop for Name {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// Removes the name by itself, also when it is interrupted: the senders need it only until they begin.
pub(super) fn receive(blocked: Blocked, queue: String, messages: u64) -> Outcome {
    let flags = MQ_OFlag::O_RDONLY | MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL | MQ_OFlag::O_CLOEXEC;
    let attributes = MqAttr::new(0, SLOTS, SLOT_BYTES, 0);
    let descriptor = mq_open(queue.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR, Some(&attributes))
        .map_err(|error| format!("cannot create the queue {queue}: {error}"))?;
    let interrupted = queue.clone();
    let name = Name(queue);
    blocked.on_first(move |_| {
        remove(&interrupted);
        process::exit(1);
    })?;
    tell(&Told::Ready)?;
    begin()?;
    drop(name);
    let mut judge = Judge::default();
    let mut buffer = vec![0; usize::try_from(SLOT_BYTES)?];
    while judge.messages() < messages {
        let length = retry(|| mq_receive(&descriptor, &mut buffer, &mut 0))?;
        judge.take(&buffer[..length], Origin::Unknown);
    }
    mq_close(descriptor)?;
    Ok(judge.conclude()?)
}

pub(super) fn send(blocked: Blocked, queue: &str, task: &Task) -> Outcome {
    blocked.on_first(|_| process::exit(1))?;
    let descriptor: MqdT = mq_open(queue, MQ_OFlag::O_WRONLY | MQ_OFlag::O_CLOEXEC, Mode::empty(), None)
        .map_err(|error| format!("cannot open the queue {queue}: {error}"))?;
    tell(&Told::Ready)?;
    begin()?;
    let every = report_every(task.quota);
    let mut progress = Progress::default();
    for number in 1..=task.quota {
        let message = payload::write(task.sender, number);
        retry(|| mq_send(&descriptor, &message, 0))?;
        progress.sent = number;
        if number % every == 0 {
            tell(&Told::Progress(progress))?;
        }
    }
    mq_close(descriptor)?;
    Ok(tell(&Told::Ended { progress, why: None, sabotaged: false })?)
}

/// Repeats a call that a signal interrupted.
fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

//! The same messages over a queue of the kernel as it is, for comparison: one `mq_send` and one `mq_receive` a message.

use super::{
    judge::{Judge, Origin},
    member::{Outcome, begin, report_every},
    payload,
    talk::{Progress, Task, Told},
};
use crate::{
    crew::talk::tell,
    queue::{Name, Queue, SLOT_BYTES, remove},
    signals::Blocked,
};
use std::process;

/// Removes the name by itself, also when it is interrupted: the senders need it only until they begin.
pub(super) fn receive(blocked: Blocked, queue: String, messages: u64) -> Outcome {
    let opened = Queue::create(&queue, true)?;
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
    let mut buffer = vec![0; SLOT_BYTES];
    while judge.messages() < messages {
        let length = opened.receive(&mut buffer)?;
        judge.take(&buffer[..length], Origin::Unknown);
    }
    Ok(judge.conclude()?)
}

pub(super) fn send(blocked: Blocked, queue: &str, task: &Task) -> Outcome {
    blocked.on_first(|_| process::exit(1))?;
    let queue = Queue::open(queue, true)?;
    tell(&Told::Ready)?;
    begin()?;
    let every = report_every(task.quota);
    let mut progress = Progress::default();
    for number in 1..=task.quota {
        let message = payload::write(task.sender, number);
        queue.send(&message)?;
        progress.sent = number;
        if number % every == 0 {
            tell(&Told::Progress(progress))?;
        }
    }
    Ok(tell(&Told::Ended { progress, why: None, sabotaged: false })?)
}

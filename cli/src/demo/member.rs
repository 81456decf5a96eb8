//! A process of the demo: the receiver, or one of the senders.

use super::{
    judge::{Judge, Origin},
    payload, raw,
    sabotage::Broken,
    talk::{Asked, Duty, Medium, Progress, Role, Task, Told},
};
use crate::{
    crew::talk::{enlisted, hear, tell},
    inbox::Removable,
    signals::Blocked,
};
use lamq::{Event, FlushFailure, Level, Receiver, Sender, link::Posix};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::{collections::BTreeMap, error::Error, io, os::fd::AsFd, process, sync::Arc, time::Duration};

pub(super) type Outcome = Result<(), Box<dyn Error>>;

/// How long a sender waits for the receiver, which is there before it, and for its last acknowledgement.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does what the demo wants of this process.
pub(super) fn serve(duty: Duty) -> Outcome {
    let blocked = enlisted(duty.parent)?;
    match (duty.medium, duty.role) {
        (Medium::Lamq, Role::Receiver { senders, .. }) => receive(blocked, &duty.queue, senders),
        (Medium::Lamq, Role::Sender(task)) => send(blocked, &duty.queue, &task),
        (Medium::Raw, Role::Receiver { messages, .. }) => raw::receive(blocked, duty.queue, messages),
        (Medium::Raw, Role::Sender(task)) => raw::send(blocked, &duty.queue, &task),
    }
}

fn receive(blocked: Blocked, queue: &str, senders: u32) -> Outcome {
    let receiver = Arc::new(Receiver::builder().end_with_last_sender().bind(queue)?);
    let closing = Arc::clone(&receiver);
    blocked.on_first(move |_| closing.close())?;
    let result = judge_all(&receiver, senders);
    // Not by dropping it: the thread that waits for signals holds it too, and ends only with the process.
    receiver.close();
    result
}

fn judge_all(receiver: &Receiver, senders: u32) -> Outcome {
    tell(&Told::Ready)?;
    // Nobody begins before all are there: the first to go could otherwise be the last one there is.
    let mut joined = 0;
    while joined < senders {
        joined += u32::from(matches!(receiver.recv_event(None)?, Event::Joined(_)));
    }
    let pids = begin()?;
    let of_pid: BTreeMap<u32, u32> = pids.into_iter().zip(1..).collect();
    let origin = |pid: &u32| of_pid.get(pid).map_or(Origin::Stranger, |sender| Origin::Sender(*sender));
    let mut judge = Judge::default();
    let mut known = (0, Origin::Stranger);
    while let Ok(event) = receiver.recv_event(None) {
        match event {
            Event::Message(message) => {
                // Messages come in frames, so that the last sender is mostly the next one too.
                let pid = message.peer().pid;
                if known.0 != pid {
                    known = (pid, origin(&pid));
                }
                judge.take(&message, known.1);
            }
            Event::Departed { peer, departure, last } => {
                if let Origin::Sender(sender) = origin(&peer.pid) {
                    tell(&Told::Departed { sender, how: format!("{departure}, last received number {last}") })?;
                }
            }
            _ => {} // a gap shows in the numbers
        }
    }
    Ok(judge.conclude()?)
}

/// Waits until all are there.
pub(super) fn begin() -> io::Result<Vec<u32>> {
    match hear()? {
        Asked::Begin { pids } => Ok(pids),
        Asked::Judge { .. } => Err(io::Error::other("there is nothing to judge yet")),
    }
}

/// How many messages a sender lets pass between two reports: few enough to see it move, many enough not to slow it.
pub(super) fn report_every(quota: u64) -> u64 {
    (quota / 50).clamp(1, 10_000)
}

fn send(blocked: Blocked, queue: &str, task: &Task) -> Outcome {
    let Task { sender: index, quota, dies_before, sabotage } = *task;
    let removable = Removable::new(Posix);
    let own = removable.clone();
    blocked.on_first(move |_| {
        let _removed = own.remove();
        process::exit(1);
    })?;
    let link = Broken::new(removable, sabotage, quota / 2);
    let sender = Sender::builder()
        .link(link.clone())
        .wait(PATIENCE)
        .linger(Duration::ZERO)
        .level(Level::Delivered)
        .connect(queue)?;
    tell(&Told::Ready)?;
    begin()?;
    let every = report_every(quota);
    let mut why = None;
    for number in 1..=quota {
        if let Err(error) = sender.send(payload::write(index, number)) {
            why = Some(error.failure.to_string());
            break;
        }
        if number % every == 0 {
            tell(&Told::Progress(progress(&sender)))?;
        }
        if dies_before == Some(number) {
            why = Some(await_death(&sender)?);
            break;
        }
    }
    if why.is_none() {
        why = sender.flush_timeout(PATIENCE).err().map(|error| error.to_string());
    }
    let progress = progress(&sender);
    if let Err(error) = sender.close(PATIENCE) {
        why.get_or_insert_with(|| error.to_string());
    }
    Ok(tell(&Told::Ended { progress, why, sabotaged: link.is_done() })?)
}

fn progress(sender: &Sender) -> Progress {
    let stats = sender.stats();
    Progress { sent: stats.sent, acknowledged: stats.delivered, stalls: stats.stalls }
}

/// Says what is acknowledged until the demo kills this process. Returns only when the session ends first, and why.
///
/// The demo kills as soon as it hears of enough acknowledgements, mostly long before this. But it may be slow to run: without
/// this halt the sender could be through with its quota by then, and nothing would have been interrupted.
fn await_death(sender: &Sender) -> Result<String, Box<dyn Error>> {
    let stdin = io::stdin();
    let mut told = None;
    loop {
        // Only what is new: silence tells the demo that nothing moves.
        let now = progress(sender);
        if told.replace(now) != Some(now) {
            tell(&Told::Progress(now))?;
        }
        let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(5_u8)).is_ok_and(|ready| ready > 0) {
            return Err("the demo is gone".into());
        }
        if let Err(error) = sender.flush_timeout(Duration::ZERO)
            && error.why != FlushFailure::Timeout
        {
            return Ok(error.to_string());
        }
    }
}

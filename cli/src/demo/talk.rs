//! What the demo and its processes say to each other.

use super::sabotage::Sabotage;
use crate::crew::Word;
use lamq_study::{Claims, Verdict};
use serde::{Deserialize, Serialize};
use std::process;

/// What a process of the demo is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Duty {
    /// The process that started it, with which it ends.
    pub(super) parent: u32,
    pub(super) queue: String,
    pub(super) medium: Medium,
    pub(super) role: Role,
}

/// What the messages go over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Medium {
    Lamq,
    /// `mq_send` and `mq_receive` as they are.
    Raw,
}

impl Medium {
    /// The name of its queue.
    pub(super) fn queue(self) -> String {
        let kind = match self {
            Self::Lamq => "",
            Self::Raw => "-raw",
        };
        format!("/lamq-demo{kind}.{}", process::id())
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Role {
    Receiver { senders: u32, messages: u64 },
    Sender(Task),
}

/// What a sender is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Task {
    /// From 1.
    pub(super) sender: u32,
    pub(super) quota: u64,
    /// After so many messages it sends no more and waits for its death.
    pub(super) dies_before: Option<u64>,
    pub(super) sabotage: Option<Sabotage>,
}

/// From a process to the demo.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Told {
    /// The receiver has its queue; a sender is connected.
    Ready,
    /// A sender, now and then.
    Progress(Progress),
    /// The receiver heard of the end of a sender.
    Departed { sender: u32, how: String },
    /// The receiver got all it will get.
    Received { messages: u64, seconds: f64 },
    /// The receiver's judgement, sender by sender, and of whatever came from none of them.
    Judged { senders: Vec<Counts>, others: Counts },
    /// A sender is done: with its quota, or because its session ended.
    Ended { progress: Progress, why: Option<String>, sabotaged: bool },
    /// It could not do its duty.
    Failed(String),
}

impl Word for Told {
    fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }

    fn failure(&self) -> Option<&str> {
        if let Self::Failed(what) = self { Some(what) } else { None }
    }
}

/// From the demo to a process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Asked {
    /// All are there. The process ids are those of the senders, in order.
    Begin { pids: Vec<u32> },
    /// All have ended, and this is what the senders say.
    Judge { claims: Vec<Claim> },
}

/// What a sender knows of its messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    pub(super) stalls: u64,
}

/// [`Claims`] on their way to the judge.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    pub(super) complete: bool,
}

impl From<Claim> for Claims {
    fn from(claim: Claim) -> Self {
        let Claim { sent, acknowledged, complete } = claim;
        Self { sent, acknowledged, complete }
    }
}

/// What became of messages: a [`Verdict`] on its way from the judge. All are numbers of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Sent and received, each counted once.
    pub(super) delivered: u64,
    /// Not received, and should have been. Of a sender that lived: of all it was to send. Of the one that was killed: those
    /// before the last that came, and those it saw acknowledged.
    pub(super) lost: u64,
    /// Those of the lost that the sender had seen acknowledged.
    pub(super) acknowledged_lost: u64,
    /// Received again.
    pub(super) doubled: u64,
    /// Received for the first time, but after a later one.
    pub(super) misordered: u64,
    /// Received with other contents than were sent.
    pub(super) corrupt: u64,
    /// Received and never sent.
    pub(super) invented: u64,
}

impl From<Verdict> for Counts {
    fn from(verdict: Verdict) -> Self {
        let Verdict { delivered, lost, acknowledged_lost, doubled, misordered, corrupt, invented } = verdict;
        Self { delivered, lost, acknowledged_lost, doubled, misordered, corrupt, invented }
    }
}

impl From<Counts> for Verdict {
    fn from(counts: Counts) -> Self {
        let Counts { delivered, lost, acknowledged_lost, doubled, misordered, corrupt, invented } = counts;
        Self { delivered, lost, acknowledged_lost, doubled, misordered, corrupt, invented }
    }
}

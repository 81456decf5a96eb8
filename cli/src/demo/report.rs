//! What came out of the demo.

use super::{
    conduct::{Fate, Outcome, Plan},
    payload,
    sabotage::Sabotage,
    talk::Counts,
};
use lamq_study::Verdict;
use serde::Serialize;

/// The document of `lamq demo --json`.
///
/// The numbers of [`Counts`] stand in it as they are: `delivered`, `lost`, `acknowledged_lost`, `doubled`, `misordered`,
/// `corrupt`, `invented`; here for all senders together, and for anything that came from none of them.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Of this document: 1. It changes when a field is removed or changes its meaning.
    version: u32,
    /// `"held"` when every promise was kept, else `"violated"`.
    verdict: &'static str,
    /// How the link of sender 1 was broken on purpose: `null`, `"drop"`, `"double"` or `"swap"`.
    pub(super) sabotage: Option<Sabotage>,
    /// How many messages the senders that were not killed had to send.
    pub(super) messages: u64,
    /// Bytes of each message.
    pub(super) message_bytes: usize,
    #[serde(flatten)]
    pub(super) totals: Counts,
    /// Messages a second with lamq, by the receiver's clock: from the first message until the last sender is gone.
    pub(super) throughput: u64,
    /// Messages a second without lamq, likewise until the last message: as many senders, one blocking `mq_send` and
    /// `mq_receive` a message, a queue with the same attributes, the same payloads, the same checks.
    pub(super) raw_throughput: u64,
    /// How many messages that was.
    pub(super) raw_messages: u64,
    /// `throughput` by `raw_throughput`, with two digits behind the point.
    pub(super) ratio: f64,
    /// In the order of their numbers, from 1.
    pub(super) senders: Vec<SenderReport>,
}

/// One sender.
#[derive(Debug, Serialize)]
pub(super) struct SenderReport {
    pub(super) sender: usize,
    /// Its process id.
    pub(super) pid: u32,
    /// `"finished"`, `"killed"` (by SIGKILL from the demo), or `"disconnected"` (its session ended before that).
    pub(super) fate: &'static str,
    /// How many messages it had to send, had it not been killed.
    pub(super) quota: u64,
    /// How many it sent. Of a killed one: as many as it had reported or as arrived, whichever is more.
    pub(super) sent: u64,
    /// How many it saw acknowledged as delivered; of a killed one, as last reported.
    pub(super) acknowledged: u64,
    /// How many of its messages had to wait for credit; of a killed one, as last reported.
    pub(super) stalls: u64,
    #[serde(flatten)]
    pub(super) counts: Counts,
    /// What is known of its end, from either side.
    pub(super) noticed: Vec<String>,
}

impl Report {
    pub(super) fn new(messages: u64, plan: &Plan, lamq: &Outcome, raw: &Outcome) -> Self {
        let senders = lamq.stories.iter().zip(&lamq.counts).zip(&plan.quotas).enumerate();
        let senders = senders.map(|(index, ((story, &counts), &quota))| SenderReport {
            sender: index + 1,
            pid: story.pid,
            fate: match story.fate {
                Some(Fate::Finished) => "finished",
                Some(Fate::Killed) => "killed",
                Some(Fate::Disconnected) | None => "disconnected",
            },
            quota,
            sent: story.progress.sent.max(counts.delivered),
            acknowledged: story.progress.acknowledged,
            stalls: story.progress.stalls,
            counts,
            noticed: story.noticed.clone(),
        });
        let mut report = Self {
            version: 1,
            verdict: "",
            sabotage: plan.sabotage,
            messages,
            message_bytes: payload::BYTES,
            totals: lamq.totals().into(),
            throughput: whole(lamq.throughput()),
            raw_throughput: whole(raw.throughput()),
            raw_messages: raw.messages,
            ratio: if raw.throughput() > 0.0 { two_digits(lamq.throughput() / raw.throughput()) } else { 0.0 },
            senders: senders.collect(),
        };
        report.verdict = if report.holds() { "held" } else { "violated" };
        report
    }

    /// All senders together.
    pub(super) fn totals(&self) -> Verdict {
        self.totals.into()
    }

    pub(super) fn holds(&self) -> bool {
        self.totals().holds()
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("it has no maps, and no keys but names")
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive, and far from the limits
fn whole(rate: f64) -> u64 {
    rate.round() as u64
}

fn two_digits(ratio: f64) -> f64 {
    (ratio * 100.0).round() / 100.0
}

//! `lamq doctor`.

mod advice;
mod facts;

use crate::{
    failure::{Failure, counted},
    ls::{print, shown},
};
use advice::Problem;
use clap::Args;
use facts::{Facts, Share};
use serde_json::{Value, json};
use std::fmt::Write;

/// Say what limits message queues here, who uses them up, how much room is left, and what to type if there is none.
///
/// It only looks. It exits with 1 if a receiver with the usual inbox could not be made now.
#[derive(Args)]
#[command(after_help = crate::failure::EXIT_CODES)]
pub(crate) struct DoctorArgs {
    /// Write one JSON document.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &DoctorArgs) -> Result<(), Failure> {
    let facts = Facts::gather();
    let problems = advice::problems(&facts);
    if arguments.json {
        print(format_args!("{:#}", document(&facts, &problems)))?;
    } else {
        print(text(&facts, &problems))?;
    }
    match problems.into_iter().find(|problem| problem.fatal) {
        Some(Problem { what, .. }) => Err(Failure::general(what)),
        None => Ok(()),
    }
}

/// 0 is what could not be read, the highest number no limit.
fn limit(value: u64) -> String {
    match value {
        0 => "unknown".into(),
        u64::MAX => "unlimited".into(),
        value => value.to_string(),
    }
}

fn text(facts: &Facts, problems: &[Problem]) -> String {
    let Facts { limits, room, .. } = facts;
    let mut text = String::new();
    let mut line = |title: &str, value: String| {
        // Writing to a string cannot fail.
        _ = writeln!(text, "{title:<34} {value}");
    };
    let range = |(soft, hard)| format!("{} (can be raised to {})", limit(soft), limit(hard));
    let spared = if limits.exempt { ", but not for us (CAP_SYS_RESOURCE)" } else { "" };
    line("kernel", facts.kernel.clone());
    line(
        "IPC namespace",
        format!("{}{}", facts.ipc, if facts.first_ipc { ", the machine's first" } else { ", not the machine's first" }),
    );
    line("container", facts.container.clone().unwrap_or_else(|| "no sign of one".into()));
    let mounts: Vec<_> = facts.mounts.iter().map(|path| path.display().to_string()).collect();
    line("mqueue mounted on", if mounts.is_empty() { "nothing".into() } else { mounts.join(", ") });
    line("slots of a queue", format!("at most {}{spared} (fs.mqueue.msg_max)", limit(limits.msg_max)));
    line("bytes of a message", format!("at most {}{spared} (fs.mqueue.msgsize_max)", limit(limits.msgsize_max)));
    let seen = if facts.all_seen { "" } else { " or more" };
    let queues = format!("{}{seen} of {}{spared} (fs.mqueue.queues_max)", facts.queues, limit(limits.queues_max));
    line("queues of all users", queues);
    let bytes = format!("{}{seen} of {} (RLIMIT_MSGQUEUE)", facts.our_bytes, range(limits.queue_bytes));
    line(&format!("bytes of queues of user {}", facts.uid), bytes);
    line("open files of a process", format!("at most {} (RLIMIT_NOFILE)", range(limits.open_files)));
    line("room for receivers (10 x 8136)", fits(room.receivers, facts.all_seen));
    line("room for callers (10 x 2048)", fits(room.callers, facts.all_seen));
    line("room for senders (10 x 512)", fits(room.senders, facts.all_seen));
    for (title, shares) in [("user", &facts.users), ("process", &facts.processes)] {
        for Share { id, command, queues, bytes, stale } in shares {
            let stale = if *stale > 0 { format!(", of dead owners: {stale}") } else { String::new() };
            let whose = if command.is_empty() { String::new() } else { format!(" ({})", shown(command)) };
            line(&format!("{title} {id}{whose}"), format!("{}, {bytes} bytes{stale}", counted(*queues, "queue")));
        }
    }
    if facts.estimated {
        line("", "(a queue without a name is counted as the inbox of a sender)".into());
    }
    if facts.unseen.is_anything() {
        line("not seen", facts.unseen.to_string());
    }
    for Problem { what, remedies, .. } in problems {
        _ = write!(text, "\n{what}. Type one of:\n");
        for remedy in remedies {
            _ = writeln!(text, "    {remedy}");
        }
    }
    if problems.is_empty() {
        text.push_str("\nAll is well.");
    }
    text.trim_end().to_owned()
}

fn fits(number: u64, all_seen: bool) -> String {
    match number {
        u64::MAX => "without limit".into(),
        number if all_seen => number.to_string(),
        number => format!("{number} or less"),
    }
}

/// Fields may be added to version 1, and none is taken away or changed. `null` is no limit.
fn document(facts: &Facts, problems: &[Problem]) -> Value {
    let limit = |value: u64| if value == u64::MAX { Value::Null } else { value.into() };
    let Facts { limits, room, .. } = facts;
    let shares = |shares: &[Share], id: &str| -> Vec<_> {
        let share = |share: &Share| {
            json!({
                id: share.id, "command": share.command, "queues": share.queues, "bytes": share.bytes, "stale": share.stale,
            })
        };
        shares.iter().map(share).collect()
    };
    let problem = |problem: &Problem| {
        let Problem { what, remedies, fatal } = problem;
        json!({ "what": what, "type": remedies, "fatal": fatal })
    };
    json!({
        "version": 1,
        "verdict": if problems.iter().any(|problem| problem.fatal) { "no room" } else { "room" },
        "kernel": facts.kernel,
        "ipc_namespace": { "id": facts.ipc, "first": facts.first_ipc },
        "container": facts.container,
        "mounts": facts.mounts,
        "limits": {
            "msg_max": limit(limits.msg_max),
            "msgsize_max": limit(limits.msgsize_max),
            "queues_max": limit(limits.queues_max),
            "queue_bytes": { "soft": limit(limits.queue_bytes.0), "hard": limit(limits.queue_bytes.1) },
            "open_files": { "soft": limit(limits.open_files.0), "hard": limit(limits.open_files.1) },
            "exempt": limits.exempt,
        },
        "uid": facts.uid,
        "queues": facts.queues,
        "bytes": facts.our_bytes,
        "estimated": facts.estimated,
        "room": {
            "receivers": limit(room.receivers), "callers": limit(room.callers), "senders": limit(room.senders),
        },
        "users": shares(&facts.users, "uid"),
        "processes": shares(&facts.processes, "pid"),
        "complete": facts.all_seen,
        "unseen": facts.unseen.to_string(),
        "problems": problems.iter().map(problem).collect::<Vec<_>>(),
    })
}

//! `lamq rm`.

use crate::{
    failure::{Exit, Failure, counted},
    ls::{print, shown},
};
use clap::Args;
use lamq::{
    QueueName,
    inspect::{self, Listed, Ownership, RemoveError, Removed},
};

/// Remove a queue of yours that nobody owns: what a killed receiver or sender has left.
///
/// A queue whose owner lives is never removed, nor one that lamq did not make. One in which frames wait is spared unless
/// forced: whoever receives on the name next may want them. So is one whose owner has ended, or is in another pid namespace, while its lock
/// is held: forced, and by its name only, that is removed too.
#[derive(Args)]
#[command(after_help = crate::failure::EXIT_CODES)]
pub(crate) struct RmArgs {
    /// The queue's name in the kernel, such as /orders.
    #[arg(required_unless_present = "stale", conflicts_with = "stale")]
    name: Option<String>,
    /// Remove all queues whose owners are dead; with a PREFIX those whose names begin like it.
    #[arg(long, value_name = "PREFIX", num_args = 0..=1, default_missing_value = "/")]
    stale: Option<String>,
    /// Also a queue in which frames wait, and one NAME whose lock is held though its owner is not there.
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(arguments: &RmArgs) -> Result<(), Failure> {
    match arguments {
        RmArgs { stale: Some(prefix), force, .. } => remove_stale(prefix, *force),
        RmArgs { name: Some(name), force, .. } => remove_one(name, *force),
        RmArgs { .. } => unreachable!("clap demands a name or --stale"),
    }
}

fn remove_one(name: &str, force: bool) -> Result<(), Failure> {
    let name = QueueName::new(name).map_err(|error| Failure::new(Exit::Usage, error))?;
    let removed = match inspect::remove(&name, force) {
        Err(RemoveError::Held { .. }) if force => inspect::remove_held(&name),
        outcome => outcome,
    };
    let removed = removed.map_err(|error| {
        let holders = match error {
            RemoveError::Held { .. } => holders(&name),
            _ => String::new(),
        };
        Failure::general(format!("{error}{holders}"))
    })?;
    print(report(&name, removed))
}

/// Who keeps the lock, as far as it can be seen.
fn holders(name: &QueueName) -> String {
    let listed = inspect::list().queues.into_iter().find(|listed| listed.name == *name);
    let pids: Vec<_> = listed.into_iter().flat_map(|listed| listed.open_in).map(|pid| pid.to_string()).collect();
    if pids.is_empty() { String::new() } else { format!(" (it is open in: {})", pids.join(", ")) }
}

fn report(name: &QueueName, removed: Removed) -> String {
    let name = shown(name.as_str());
    match removed.frames {
        0 => format!("removed {name}"),
        frames => format!("removed {name}, and in it {}", counted(frames as u64, "frame")),
    }
}

fn remove_stale(prefix: &str, force: bool) -> Result<(), Failure> {
    if !prefix.starts_with('/') {
        let what = format!("names begin with a slash, and {prefix:?} does not; write --stale /{prefix}");
        return Err(Failure::new(Exit::Usage, what));
    }
    let listing = inspect::list();
    let mut failure = None;
    for listed in listing.queues.iter().filter(|listed| listed.name.as_str().starts_with(prefix)) {
        if !is_of_the_dead(listed) {
            continue;
        }
        // It decides under the lock: what the listing says is past.
        match inspect::remove(&listed.name, force) {
            Ok(removed) => print(report(&listed.name, removed))?,
            Err(RemoveError::NoQueue { .. }) => {}
            Err(why @ (RemoveError::Limit(_) | RemoveError::System { .. })) => failure = Some(Failure::general(why)),
            Err(why) => print(format_args!("spared {}", shown(&why.to_string())))?,
        }
    }
    if listing.unseen.names() {
        let what = format!("not seen: {}; a queue whose name you know: lamq rm NAME", listing.unseen);
        return Err(Failure::general(what));
    }
    failure.map_or(Ok(()), Err)
}

/// Whether it is lamq's, and no owner of it is alive.
fn is_of_the_dead(listed: &Listed) -> bool {
    listed.report.as_ref().is_some_and(|report| {
        report.is_lamq() && matches!(report.ownership, Ownership::Nobody | Ownership::Dead { .. })
    })
}

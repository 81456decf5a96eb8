//! What is the case.

use lamq::{
    inspect::{self, Limits, Listing, Ownership, Unseen},
    link::Geometry,
};
use nix::unistd::geteuid;
use std::{collections::BTreeMap, env, fs, path::Path, path::PathBuf};

/// The usual inboxes.
pub(super) const RECEIVER: Geometry = Geometry { slots: 10, frame_size: 8136 };
const CALLER: Geometry = Geometry { slots: 10, frame_size: 2048 };
const SENDER: Geometry = Geometry { slots: 10, frame_size: 512 };

/// What somebody uses up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    /// A user or a process.
    pub(super) id: u32,
    /// What the process is called.
    pub(super) command: String,
    pub(super) queues: u64,
    pub(super) bytes: u64,
    /// How many of the queues have a dead owner.
    pub(super) stale: u64,
}

/// How many of each still fit, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) receivers: u64,
    pub(super) callers: u64,
    pub(super) senders: u64,
}

pub(super) struct Facts {
    pub(super) kernel: String,
    pub(super) ipc: String,
    /// The IPC namespace is the one the machine started with.
    pub(super) first_ipc: bool,
    pub(super) container: Option<String>,
    pub(super) mounts: Vec<PathBuf>,
    pub(super) limits: Limits,
    pub(super) uid: u32,
    /// All queues seen.
    pub(super) queues: u64,
    /// What ours cost, as far as seen.
    pub(super) our_bytes: u64,
    /// The cost of some queues is a guess.
    pub(super) estimated: bool,
    pub(super) all_seen: bool,
    pub(super) unseen: Unseen,
    pub(super) users: Vec<Share>,
    pub(super) processes: Vec<Share>,
    pub(super) room: Room,
}

impl Facts {
    pub(super) fn gather() -> Self {
        let listing = inspect::list();
        let limits = Limits::read();
        let uid = geteuid().as_raw();
        let usage = usage(&listing);
        let ours = usage.users.iter().find(|share| share.id == uid).map_or(0, |share| share.bytes);
        let queues = (listing.queues.len() + listing.nameless.len()) as u64;
        let read = |path| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let ipc = fs::read_link("/proc/self/ns/ipc").map_or("unknown".into(), |link| link.display().to_string());
        Self {
            kernel: read("/proc/sys/kernel/osrelease"),
            first_ipc: ipc == FIRST_IPC,
            ipc,
            container: container(),
            mounts: mounts(&read("/proc/self/mounts")),
            room: room(&limits, queues, ours),
            limits,
            uid,
            queues,
            our_bytes: ours,
            estimated: usage.estimated,
            all_seen: !listing.unseen.is_anything(),
            unseen: listing.unseen,
            users: usage.users,
            processes: usage.processes,
        }
    }

    /// Our own queues whose owners are dead.
    pub(super) fn stale(&self) -> u64 {
        self.users.iter().find(|share| share.id == self.uid).map_or(0, |share| share.stale)
    }
}

/// `PROC_IPC_INIT_INO` of the kernel.
const FIRST_IPC: &str = "ipc:[4026531839]";

/// What tells a container, and where that was seen.
fn container() -> Option<String> {
    let marks = [
        ("/.dockerenv", "docker"),
        ("/run/.containerenv", "podman"),
        ("/run/systemd/container", "systemd-nspawn or the like"),
    ];
    let mark = marks.iter().find(|(path, _)| Path::new(path).exists());
    if let Some((path, engine)) = mark {
        return Some(format!("{engine} ({path} exists)"));
    }
    env::var_os("KUBERNETES_SERVICE_HOST").map(|_| "kubernetes (KUBERNETES_SERVICE_HOST is set)".into())
}

fn mounts(table: &str) -> Vec<PathBuf> {
    let mount = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (path, kind) = (words.next()?, words.next()?);
        (kind == "mqueue").then(|| path.into())
    };
    table.lines().filter_map(mount).collect()
}

struct Usage {
    users: Vec<Share>,
    processes: Vec<Share>,
    estimated: bool,
}

/// Who uses up how much; the greatest first.
fn usage(listing: &Listing) -> Usage {
    let (mut users, mut processes) = (BTreeMap::new(), BTreeMap::new());
    let mut count = |uid, pid: Option<u32>, bytes, stale| {
        for share in [Some(share(&mut users, uid)), pid.map(|pid| share(&mut processes, pid))].into_iter().flatten() {
            share.queues += 1;
            share.bytes += bytes;
            share.stale += u64::from(stale);
        }
    };
    for listed in &listing.queues {
        let Some(report) = &listed.report else {
            count(listed.uid, listed.open_in.first().copied(), 0, false);
            continue;
        };
        let owner = match report.ownership {
            Ownership::Alive { pid } if report.is_lamq() => Some(pid),
            _ => listed.open_in.first().copied(),
        };
        count(report.uid, owner, report.bytes(), report.is_stale());
    }
    for queue in &listing.nameless {
        // The inbox of a sender has its process in its name, and is open in its receivers too.
        let maker = queue.name.split('.').nth(1).and_then(|pid| pid.parse().ok());
        let owner = maker.filter(|pid| queue.open_in.contains(pid)).or(queue.open_in.first().copied());
        count(queue.uid, owner, inspect::cost(SENDER), false);
    }
    let estimated = !listing.nameless.is_empty() || listing.queues.iter().any(|listed| listed.report.is_none());
    let mut processes = sorted(processes);
    for share in &mut processes {
        let path = format!("/proc/{}/comm", share.id);
        share.command =
            fs::read(path).map(|name| String::from_utf8_lossy(name.trim_ascii()).into()).unwrap_or_default();
    }
    Usage { users: sorted(users), processes, estimated }
}

fn share(shares: &mut BTreeMap<u32, Share>, id: u32) -> &mut Share {
    shares.entry(id).or_insert(Share { id, ..Share::default() })
}

fn sorted(shares: BTreeMap<u32, Share>) -> Vec<Share> {
    let mut shares: Vec<_> = shares.into_values().collect();
    shares.sort_by_key(|share| std::cmp::Reverse((share.bytes, share.queues)));
    shares
}

fn room(limits: &Limits, queues: u64, bytes: u64) -> Room {
    let fits = |geometry| fitting(limits, queues, bytes, geometry);
    Room { receivers: fits(RECEIVER), callers: fits(CALLER), senders: fits(SENDER) }
}

/// How many inboxes of one geometry still fit.
fn fitting(limits: &Limits, queues: u64, bytes: u64, geometry: Geometry) -> u64 {
    let Limits { msg_max, msgsize_max, queues_max, queue_bytes: (bytes_max, _), exempt, .. } = *limits;
    if !exempt && (msg_max < geometry.slots as u64 || msgsize_max < geometry.frame_size as u64) {
        return 0;
    }
    let by_bytes =
        if bytes_max == u64::MAX { u64::MAX } else { bytes_max.saturating_sub(bytes) / inspect::cost(geometry) };
    let by_count = if exempt { u64::MAX } else { queues_max.saturating_sub(queues) };
    by_bytes.min(by_count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The usual limits of an ordinary user.
    pub(crate) fn limits() -> Limits {
        let mut limits = Limits::read();
        (limits.msg_max, limits.msgsize_max, limits.queues_max) = (10, 8192, 256);
        (limits.queue_bytes, limits.exempt) = ((819_200, 819_200), false);
        limits
    }

    #[test]
    fn as_many_fit_as_the_kernel_lets_a_user_make() {
        // Probed: nine, 38 and 134.
        assert_eq!(room(&limits(), 0, 0), Room { receivers: 9, callers: 38, senders: 134 });
        // One receiver and 121 senders: no room for one more.
        let used = inspect::cost(RECEIVER) + 121 * inspect::cost(SENDER);
        assert_eq!(room(&limits(), 122, used), Room { receivers: 0, callers: 0, senders: 0 });
        assert_eq!(room(&limits(), 251, 0), Room { receivers: 5, callers: 5, senders: 5 });
        assert_eq!(room(&limits(), 300, 900_000), Room { receivers: 0, callers: 0, senders: 0 });
    }

    #[test]
    fn a_queue_that_is_larger_than_allowed_does_not_fit_unless_the_process_is_exempt() {
        let mut limits = limits();
        limits.msgsize_max = 4096;
        assert_eq!(room(&limits, 0, 0), Room { receivers: 0, callers: 38, senders: 134 });
        limits.msg_max = 9;
        assert_eq!(room(&limits, 0, 0), Room { receivers: 0, callers: 0, senders: 0 });
        limits.exempt = true;
        assert_eq!(room(&limits, 256, 0), Room { receivers: 9, callers: 38, senders: 134 });
        limits.queue_bytes.0 = u64::MAX;
        assert_eq!(room(&limits, 256, 1), Room { receivers: u64::MAX, callers: u64::MAX, senders: u64::MAX });
    }
}

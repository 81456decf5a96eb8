//! The limits of the system, and what to do when one is hit (POS-11).

use crate::link::Geometry;
use nix::{
    errno::Errno,
    sys::{
        eventfd::EventFd,
        resource::{Resource, getrlimit},
    },
};
use std::{fs, io};

/// A limit of the system that an operation ran into; its message names the limit, its value and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitHit {
    /// `fs.mqueue.msg_max` or `fs.mqueue.msgsize_max`.
    #[error(
        "a queue of {asked} exceeds a limit of the kernel: fs.mqueue.msg_max is {msg_max}, fs.mqueue.msgsize_max is \
         {msgsize_max}; ask for less, or raise them (sysctl -w fs.mqueue.msgsize_max=N)"
    )]
    QueueSize {
        /// What was asked for.
        asked: Geometry,
        /// Most slots of a queue.
        msg_max: u64,
        /// Most bytes of a message.
        msgsize_max: u64,
    },
    /// `fs.mqueue.queues_max`.
    #[error(
        "there are as many message queues as the kernel allows: fs.mqueue.queues_max is {queues_max} for all users; \
         remove queues that nobody uses, or raise it (sysctl -w fs.mqueue.queues_max=N)"
    )]
    QueueCount {
        /// Most queues in this IPC namespace.
        queues_max: u64,
    },
    /// `RLIMIT_MSGQUEUE`.
    #[error(
        "a queue of {asked} costs {cost} bytes, and this user's queues may have {limit} bytes together (RLIMIT_MSGQUEUE); end \
         programs that hold queues, remove queues that killed ones have left (`lamq rm --stale`), ask for a \
         smaller one, or raise the limit (ulimit -q)"
    )]
    UserBytes {
        /// What was asked for.
        asked: Geometry,
        /// What the kernel charges for it.
        cost: u64,
        /// The limit.
        limit: u64,
    },
    /// `RLIMIT_NOFILE`.
    #[error(
        "this process has as many open files as it may: {limit} (RLIMIT_NOFILE); close some, or raise it (ulimit -n)"
    )]
    OpenFiles {
        /// The limit.
        limit: u64,
    },
    /// The whole system's table of open files is full.
    #[error(
        "the system has as many open files as it may: fs.file-max is {file_max}; raise it (sysctl -w fs.file-max=N)"
    )]
    SystemFiles {
        /// The limit.
        file_max: u64,
    },
    /// `fs.epoll.max_user_watches`.
    #[error(
        "this user's processes watch as many descriptors as they may: fs.epoll.max_user_watches is {max_user_watches}; end some that \
         wait for many, or raise it (sysctl -w fs.epoll.max_user_watches=N)"
    )]
    Watches {
        /// The limit.
        max_user_watches: u64,
    },
    /// The kernel was built without POSIX message queues.
    #[error("this kernel was built without POSIX message queues (CONFIG_POSIX_MQUEUE); use one that has them")]
    NoQueues,
}

impl LimitHit {
    /// The limit behind an error of `mq_open`, if it is one.
    pub(crate) fn of(error: Errno, asked: Option<Geometry>) -> Option<Self> {
        Some(match (error, asked) {
            (Errno::EINVAL, Some(asked)) => {
                Self::QueueSize { asked, msg_max: sysctl("mqueue/msg_max"), msgsize_max: sysctl("mqueue/msgsize_max") }
            }
            (Errno::ENOSPC, _) => Self::QueueCount { queues_max: sysctl("mqueue/queues_max") },
            // The same number stands for two limits: whether any descriptor can be had tells them apart.
            (Errno::EMFILE, Some(asked)) if EventFd::new().is_ok() => {
                Self::UserBytes { asked, cost: cost(asked), limit: soft_limit(Resource::RLIMIT_MSGQUEUE) }
            }
            (Errno::EMFILE, _) => Self::OpenFiles { limit: soft_limit(Resource::RLIMIT_NOFILE) },
            (Errno::ENFILE, _) => Self::SystemFiles { file_max: sysctl("file-max") },
            (Errno::ENOSYS, _) => Self::NoQueues,
            _ => return None,
        })
    }

    /// The limit behind an error of a call that makes a descriptor other than a queue's, or watches one.
    pub(crate) fn of_descriptors(error: &io::Error) -> Option<Self> {
        match error.raw_os_error().map(Errno::from_raw)? {
            errno @ (Errno::EMFILE | Errno::ENFILE) => Self::of(errno, None),
            Errno::ENOSPC => Some(Self::Watches { max_user_watches: sysctl("epoll/max_user_watches") }),
            _ => None,
        }
    }
}

/// The limits as they are now, for this process and in its IPC namespace. `u64::MAX` is no limit, 0 one that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Most slots of a queue: `fs.mqueue.msg_max`.
    pub msg_max: u64,
    /// Most bytes of a message: `fs.mqueue.msgsize_max`.
    pub msgsize_max: u64,
    /// Most queues in this IPC namespace, of all users together: `fs.mqueue.queues_max`.
    pub queues_max: u64,
    /// Most bytes of all queues of a user, and how far he may raise it: `RLIMIT_MSGQUEUE`.
    pub queue_bytes: (u64, u64),
    /// Most files that a process may have open, and how far it may raise it: `RLIMIT_NOFILE`.
    pub open_files: (u64, u64),
    /// This process has `CAP_SYS_RESOURCE`, which spares it the first three.
    pub exempt: bool,
}

impl Limits {
    /// Asks the kernel.
    pub fn read() -> Self {
        Self {
            msg_max: sysctl("mqueue/msg_max"),
            msgsize_max: sysctl("mqueue/msgsize_max"),
            queues_max: sysctl("mqueue/queues_max"),
            queue_bytes: getrlimit(Resource::RLIMIT_MSGQUEUE).unwrap_or_default(),
            open_files: getrlimit(Resource::RLIMIT_NOFILE).unwrap_or_default(),
            exempt: is_exempt(),
        }
    }
}

/// Whether the kernel lets this process have larger and more queues: `capable(CAP_SYS_RESOURCE)`, in the first user namespace alone.
fn is_exempt() -> bool {
    const CAP_SYS_RESOURCE: u32 = 24;
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let status = read("/proc/self/status");
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:")?.trim(), 16).ok());
    let is_first = read("/proc/self/uid_map").split_whitespace().eq(["0", "0", "4294967295"]);
    is_first && mask.is_some_and(|mask| mask >> CAP_SYS_RESOURCE & 1 == 1)
}

/// What the kernel charges a user for a queue: `mqueue_get_inode` in `ipc/mqueue.c`.
pub fn cost(Geometry { slots, frame_size }: Geometry) -> u64 {
    const PER_MESSAGE: u64 = 48 + 48; // struct msg_msg, struct posix_msg_tree_node
    slots as u64 * (frame_size as u64 + PER_MESSAGE)
}

/// The value of `fs.` + the path, 0 where it cannot be read.
fn sysctl(path: &str) -> u64 {
    fs::read_to_string(format!("/proc/sys/fs/{path}")).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

fn soft_limit(resource: Resource) -> u64 {
    getrlimit(resource).map_or(0, |(soft, _)| soft)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lamq_proves::proves;

    /// Those that no test can run into without harm; the others are hit for real, or seem to be.
    #[proves("POS-11")]
    #[test]
    fn the_limits_of_the_whole_system_are_named_with_their_remedy() {
        for (errno, words) in [
            (Errno::ENFILE, ["fs.file-max is ", "sysctl -w fs.file-max=N"]),
            (Errno::ENOSYS, ["CONFIG_POSIX_MQUEUE", "use one that has them"]),
        ] {
            let limit = LimitHit::of(errno, None).unwrap().to_string();
            assert!(words.iter().all(|word| limit.contains(word)), "{limit}");
        }
        assert_eq!(LimitHit::of(Errno::EACCES, None), None);
    }
}

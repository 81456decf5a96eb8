//! The one place that names the system's message queues: an owning descriptor, its owner lock, and a bell for deaths.

use super::{Geometry, Owner};
use crate::{
    fork::{self, Private, Unforked},
    name::QueueName,
    raw,
};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl, open},
    libc,
    mqueue::{MQ_OFlag, MqAttr, MqdT, mq_attr_member_t, mq_close, mq_getattr, mq_open, mq_unlink},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::stat::{Mode, SFlag, fchmod, fstat},
};
use std::{
    fs,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::MetadataExt,
    },
};

/// Read and write for the owner only; the sticky bit is the mark of lamq (POS-2).
pub(crate) const MODE: u32 = 0o1600;

/// Bits of a lock's length that carry the pid: `PID_MAX_LIMIT` of Linux is 2^22 (POS-3).
const PID_BITS: u32 = 22;

pub(crate) fn process_id() -> u32 {
    std::process::id()
}

/// Which pid namespace that is an id of: the inode number of the namespace, 0 if it cannot be read.
pub(crate) fn pid_namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |data| data.ino())
}

pub(crate) fn user_id() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// An open queue; closed when dropped, which `nix` does not do. No forked child gets it.
#[derive(Debug)]
pub(crate) struct Queue(Option<MqdT>);

/// What `fstat` says of a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    pub(crate) uid: u32,
    /// Permission bits with set-id and sticky bits.
    pub(crate) mode: u32,
    pub(crate) links: u64,
    /// With the inode: which queue it is, whatever its name.
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl Drop for Queue {
    fn drop(&mut self) {
        if let Some(descriptor) = self.0.take() {
            let _unforked = Unforked::begin();
            fork::release(&descriptor);
            // Only EBADF is possible.
            _ = mq_close(descriptor);
        }
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor().as_fd()
    }
}

impl Queue {
    fn new(open: impl FnOnce() -> Result<MqdT, Errno>) -> Result<Self, Errno> {
        let _unforked = Unforked::begin();
        let descriptor = open()?;
        fork::keep(&descriptor);
        Ok(Self(Some(descriptor)))
    }

    /// A new queue; `EEXIST` when the name is taken.
    pub(crate) fn create(name: &QueueName, geometry: Geometry) -> Result<Self, Errno> {
        let member = |value: usize| mq_attr_member_t::try_from(value).unwrap_or(mq_attr_member_t::MAX);
        let attributes = MqAttr::new(0, member(geometry.slots), member(geometry.frame_size), 0);
        let flags =
            MQ_OFlag::O_RDWR | MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL | MQ_OFlag::O_NONBLOCK | MQ_OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(MODE);
        let queue = Self::new(|| retry(|| mq_open(name.as_str(), flags, mode, Some(&attributes))))?;
        // The umask may have taken bits away. One's own queue can always be changed back; should it fail, the name stays, because
        // without the lock it is not ours to remove (POS-7).
        retry(|| fchmod(&queue, mode))?;
        Ok(queue)
    }

    /// An existing queue, to read and write.
    pub(crate) fn open(name: &QueueName) -> Result<Self, Errno> {
        Self::open_with(name, MQ_OFlag::O_RDWR)
    }

    /// An existing queue, to write.
    pub(crate) fn open_to_write(name: &QueueName) -> Result<Self, Errno> {
        Self::open_with(name, MQ_OFlag::O_WRONLY)
    }

    /// An existing queue, to look at: for that one permission is as good as the other.
    pub(crate) fn open_to_inspect(name: &QueueName) -> Result<Self, Errno> {
        match Self::open_with(name, MQ_OFlag::O_RDONLY) {
            Err(Errno::EACCES) => Self::open_to_write(name),
            result => result,
        }
    }

    fn open_with(name: &QueueName, access: MQ_OFlag) -> Result<Self, Errno> {
        let flags = access | MQ_OFlag::O_NONBLOCK | MQ_OFlag::O_CLOEXEC;
        Self::new(|| retry(|| mq_open(name.as_str(), flags, Mode::empty(), None)))
    }

    /// Sends without waiting; `EAGAIN` when full.
    pub(crate) fn try_send(&self, frame: &[u8], priority: u32) -> Result<(), Errno> {
        retry(|| raw::mq_send(self.as_fd(), frame, priority))
    }

    /// Receives without waiting; `EAGAIN` when empty.
    pub(crate) fn try_recv(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        retry(|| raw::mq_receive(self.as_fd(), buffer))
    }

    /// The same queue once more, to wait in its calls. Whether calls wait is a matter of the open file description, which duplicates
    /// share (`fcntl(2)`), and the queue may have no name any more: so it is opened by its entry in proc(5).
    pub(crate) fn reopen_to_wait(&self) -> Result<Private, Errno> {
        let path = format!("/proc/self/fd/{}", self.as_fd().as_raw_fd());
        retry(|| Private::open(|| open(path.as_str(), OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())))
    }

    pub(crate) fn geometry(&self) -> Result<Geometry, Errno> {
        let attributes = retry(|| mq_getattr(self.descriptor()))?;
        let member = |value: mq_attr_member_t| usize::try_from(value).unwrap_or(0);
        Ok(Geometry { slots: member(attributes.maxmsg()), frame_size: member(attributes.msgsize()) })
    }

    /// How many messages lie in it.
    pub(crate) fn waiting(&self) -> Result<usize, Errno> {
        let attributes = retry(|| mq_getattr(self.descriptor()))?;
        Ok(usize::try_from(attributes.curmsgs()).unwrap_or(0))
    }

    pub(crate) fn status(&self) -> Result<Status, Errno> {
        let stat = retry(|| fstat(self))?;
        Ok(Status {
            uid: stat.st_uid,
            mode: stat.st_mode & !SFlag::S_IFMT.bits(),
            links: stat.st_nlink,
            device: stat.st_dev,
            inode: stat.st_ino,
        })
    }

    /// Takes the owner lock (POS-3); `EAGAIN` when somebody has it.
    pub(crate) fn lock(&self, owner: Owner) -> Result<(), Errno> {
        let lock = write_lock(length_of(owner));
        retry(|| fcntl(self, FcntlArg::F_OFD_SETLK(&lock))).map(drop)
    }

    /// Who holds the owner lock through another descriptor than this one (POS-3).
    pub(crate) fn owner(&self) -> Result<Option<Owner>, Errno> {
        let mut lock = write_lock(1);
        retry(|| fcntl(self, FcntlArg::F_OFD_GETLK(&mut lock)))?;
        let held = i32::from(lock.l_type) != libc::F_UNLCK;
        Ok(held.then(|| owner_of(lock.l_len)))
    }

    fn descriptor(&self) -> &MqdT {
        self.0.as_ref().expect("taken in drop only")
    }
}

/// Removes a name. Only the holder of its owner lock may do so (POS-7).
pub(crate) fn unlink(name: &QueueName) -> Result<(), Errno> {
    retry(|| mq_unlink(name.as_str()))
}

/// A descriptor that becomes readable when the process ends, zombies included (`pidfd_open(2)`). `ESRCH` when it is gone, or in
/// a namespace that we do not see.
pub(crate) fn open_pidfd(pid: u32) -> Result<OwnedFd, Errno> {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Errno::ESRCH)?;
    retry(|| pidfd_open(pid, PidfdFlags::empty()).map_err(|error| Errno::from_raw(error.raw_os_error())))
}

/// A directory of the queues of our IPC namespace, wherever they are mounted or not. Needs `CAP_SYS_ADMIN`.
pub(crate) fn open_directory() -> Result<OwnedFd, Errno> {
    use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
    let mount = || {
        let context = fsopen("mqueue", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&context)?;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
    };
    mount().map_err(|error: rustix::io::Errno| Errno::from_raw(error.raw_os_error()))
}

/// A duplicate whose number is higher than that of `other`.
pub(crate) fn duplicate_above(descriptor: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let least = other.as_raw_fd() + 1;
    let duplicate = || rustix::io::fcntl_dupfd_cloexec(descriptor, least);
    retry(|| duplicate().map_err(|error| Errno::from_raw(error.raw_os_error())))
}

/// Whether a pidfd says that its process has ended.
pub(crate) fn has_ended(pidfd: &OwnedFd) -> Result<bool, Errno> {
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    retry(|| poll(&mut fds, PollTimeout::ZERO)).map(|ready| ready > 0)
}

/// Repeats a call that a signal interrupted.
pub(crate) fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

// The constants are ints in C, the fields shorts.
#[allow(clippy::cast_possible_truncation)]
fn write_lock(length: libc::off_t) -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: length,
        l_pid: 0,
    }
}

fn length_of(owner: Owner) -> libc::off_t {
    let length = u64::from(owner.pid) | owner.epoch_low << PID_BITS;
    libc::off_t::try_from(length).expect("22 + 40 bits")
}

/// A length of 0, "to the end of the file", is no owner of ours: pid 0, which cannot be opened.
fn owner_of(length: libc::off_t) -> Owner {
    let length = u64::try_from(length).unwrap_or(0);
    let pid = length & ((1 << PID_BITS) - 1);
    Owner { pid: u32::try_from(pid).expect("22 bits"), epoch_low: length >> PID_BITS }
}

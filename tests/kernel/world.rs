//! The world outside of lamq: raw queues, locks and processes.

use lamq_protocol::Epoch;
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
    libc,
    mqueue::{MQ_OFlag, MqAttr, MqdT, mq_attr_member_t, mq_close, mq_getattr, mq_open, mq_receive, mq_send, mq_unlink},
    sys::stat::{FileStat, Mode, fchmod, fstat},
};
use std::{
    fmt,
    os::fd::{AsFd, BorrowedFd},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// How long a test waits for what must happen, before it fails instead of hanging.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(60);

/// The mode of a queue of lamq.
pub(crate) const MODE: u32 = 0o1600;

/// Waits for a condition.
#[track_caller]
pub(crate) fn wait_until(what: impl fmt::Display, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < WATCHDOG, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A queue name of this test process; checked to be gone at the end.
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn new(test: &str) -> Self {
        Self(format!("/lamq-test-{}-{test}", std::process::id()))
    }

    /// The first inbox that a sender of this process makes.
    pub(crate) fn of_sender(pid: u32) -> Self {
        Self(format!("/lamq.{pid}.0"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn exists(&self) -> bool {
        mq_open(self.as_str(), MQ_OFlag::O_WRONLY, Mode::empty(), None).map(mq_close) != Err(Errno::ENOENT)
    }

    /// Removes what a killed owner or the test itself has left.
    #[track_caller]
    pub(crate) fn remove(&self) {
        mq_unlink(self.as_str()).unwrap();
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let left = mq_unlink(self.as_str()).is_ok();
        assert!(!left || thread::panicking(), "{} was left behind", self.0);
    }
}

/// The id of a process that has ended.
pub(crate) fn dead_pid() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

/// A queue without lamq.
#[derive(Debug)]
pub(crate) struct Raw(Option<MqdT>);

impl Raw {
    /// A new queue that looks like an inbox whose owner is dead: no lock.
    pub(crate) fn create(name: &str) -> Result<Self, Errno> {
        Self::create_as(name, MODE, 4, 512)
    }

    pub(crate) fn create_as(name: &str, mode: u32, slots: i32, frame_size: i32) -> Result<Self, Errno> {
        let member = mq_attr_member_t::from;
        let attributes = MqAttr::new(0, member(slots), member(frame_size), 0);
        let mode = Mode::from_bits_truncate(mode);
        let flags = MQ_OFlag::O_RDWR | MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL | MQ_OFlag::O_NONBLOCK;
        let queue = Self(Some(mq_open(name, flags, mode, Some(&attributes))?));
        fchmod(&queue, mode)?;
        Ok(queue)
    }

    pub(crate) fn open(name: &str) -> Result<Self, Errno> {
        Ok(Self(Some(mq_open(name, MQ_OFlag::O_RDWR | MQ_OFlag::O_NONBLOCK, Mode::empty(), None)?)))
    }

    /// Whether there was room.
    #[track_caller]
    pub(crate) fn send(&self, frame: &[u8], priority: u32) -> bool {
        match mq_send(self.descriptor(), frame, priority) {
            Ok(()) => true,
            Err(Errno::EAGAIN) => false,
            Err(error) => panic!("mq_send: {error}"),
        }
    }

    pub(crate) fn recv(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; usize::try_from(self.attributes().msgsize()).unwrap()];
        match mq_receive(self.descriptor(), &mut buffer, &mut 0) {
            Ok(length) => Some(buffer[..length].to_vec()),
            Err(Errno::EAGAIN) => None,
            Err(error) => panic!("mq_receive: {error}"),
        }
    }

    /// How many frames nobody has read yet.
    pub(crate) fn waiting(&self) -> usize {
        usize::try_from(self.attributes().curmsgs()).unwrap()
    }

    pub(crate) fn stat(&self) -> FileStat {
        fstat(self).unwrap()
    }

    /// Takes the owner lock as lamq does (POS-3). Whether it was free.
    pub(crate) fn lock(&self, pid: u32, epoch: Epoch) -> bool {
        let length = i64::from(pid) | i64::try_from(epoch.low_bits() << 22).unwrap();
        let lock = flock(0, length);
        match fcntl(self, FcntlArg::F_OFD_SETLK(&lock)) {
            Ok(_) => true,
            Err(Errno::EAGAIN | Errno::EACCES) => false,
            Err(error) => panic!("F_OFD_SETLK: {error}"),
        }
    }

    /// The lock of others that covers this byte.
    pub(crate) fn lock_at(&self, byte: i64) -> Option<libc::flock> {
        let mut lock = flock(byte, 1);
        fcntl(self, FcntlArg::F_OFD_GETLK(&mut lock)).unwrap();
        (i32::from(lock.l_type) != libc::F_UNLCK).then_some(lock)
    }

    fn attributes(&self) -> MqAttr {
        mq_getattr(self.descriptor()).unwrap()
    }

    fn descriptor(&self) -> &MqdT {
        self.0.as_ref().expect("taken in drop only")
    }
}

impl AsFd for Raw {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor().as_fd()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        _ = self.0.take().map(mq_close);
    }
}

fn flock(start: i64, length: i64) -> libc::flock {
    let short = |constant: i32| libc::c_short::try_from(constant).unwrap();
    libc::flock {
        l_type: short(libc::F_WRLCK),
        l_whence: short(libc::SEEK_SET),
        l_start: start,
        l_len: length,
        l_pid: 0,
    }
}

/// Numbers that look random and can be had again: `SplitMix64`.
pub(crate) struct Dice(u64);

impl Dice {
    /// Prints its seed, which the harness shows when the test fails. `LAMQ_SEED` sets it.
    pub(crate) fn new() -> Self {
        let chosen = std::env::var("LAMQ_SEED").ok().map(|seed| seed.parse().unwrap());
        let seed = chosen.unwrap_or_else(|| getrandom::u64().unwrap());
        println!("LAMQ_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.word() % end as u64).unwrap()
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.word().to_le_bytes()[0]).collect()
    }
}

/// Writes the check of a frame without bodies: CRC-32C, bit by bit.
pub(crate) fn seal(frame: &mut [u8]) {
    let crc = frame[4..].iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 })
    });
    frame[..4].copy_from_slice(&(!crc).to_le_bytes());
}

//! Queues of the kernel as they are, for comparison. The one file of the command that knows their system calls.

use nix::{
    errno::Errno,
    mqueue::{MQ_OFlag, MqAttr, MqdT, mq_close, mq_open, mq_receive, mq_send, mq_unlink},
    sys::stat::Mode,
};
use std::hint::spin_loop;

/// The attributes of the queue that lamq makes by default.
const SLOTS: i64 = 10;
pub(crate) const SLOT_BYTES: usize = 8192;

/// Removes the name, if it is still there.
pub(crate) fn remove(name: &str) {
    _ = mq_unlink(name);
}

/// A name that goes with this value.
#[derive(Debug)]
pub(crate) struct Name(pub(crate) String);

impl Drop for Name {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// An open queue.
#[derive(Debug)]
pub(crate) struct Queue(Option<MqdT>);

impl Queue {
    /// A new queue to read from, which must not exist yet.
    pub(crate) fn create(name: &str, waits: bool) -> Result<Self, String> {
        let flags = MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL | MQ_OFlag::O_RDONLY | common(waits);
        let attributes = MqAttr::new(0, SLOTS, i64::try_from(SLOT_BYTES).expect("it is small"), 0);
        let created = mq_open(name, flags, Mode::S_IRUSR | Mode::S_IWUSR, Some(&attributes));
        created.map(|descriptor| Self(Some(descriptor))).map_err(|error| {
            let remedy = match error {
                Errno::EMFILE | Errno::ENOSPC | Errno::EINVAL => {
                    "; `lamq doctor` shows the limits, and how to raise them"
                }
                _ => "",
            };
            format!("cannot create the queue {name}: {error}{remedy}")
        })
    }

    /// One that is there, to write to.
    pub(crate) fn open(name: &str, waits: bool) -> Result<Self, String> {
        let opened = mq_open(name, MQ_OFlag::O_WRONLY | common(waits), Mode::empty(), None);
        opened
            .map(|descriptor| Self(Some(descriptor)))
            .map_err(|error| format!("cannot open the queue {name}: {error}"))
    }

    /// One call, or as many as it takes where it does not wait by itself.
    pub(crate) fn send(&self, message: &[u8]) -> Result<(), Errno> {
        retry(|| mq_send(self.descriptor(), message, 0))
    }

    /// Likewise; the buffer has room for [`SLOT_BYTES`].
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        retry(|| mq_receive(self.descriptor(), buffer, &mut 0))
    }

    fn descriptor(&self) -> &MqdT {
        self.0.as_ref().expect("it is closed only when it is dropped")
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if let Some(descriptor) = self.0.take() {
            _ = mq_close(descriptor);
        }
    }
}

fn common(waits: bool) -> MQ_OFlag {
    MQ_OFlag::O_CLOEXEC | if waits { MQ_OFlag::empty() } else { MQ_OFlag::O_NONBLOCK }
}

/// Repeats a call that a signal interrupted, or that would have had to wait.
fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::EAGAIN) => spin_loop(),
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

//! Buffers of received frames, shared by the messages in them and used again when the last of these is dropped.

use crate::raw::{Counted, Prepaid};
use std::collections::VecDeque;

/// A received frame; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct FrameBuffer {
    bytes: Counted<Vec<u8>>,
    length: usize,
}

impl FrameBuffer {
    /// Makes that many of those who share it, to be taken one by one.
    pub(crate) fn prepay(&self, count: u16) -> Prepaid<Vec<u8>> {
        self.bytes.prepay(count)
    }

    /// The buffer it lies in, at whose beginning.
    #[inline]
    pub(crate) fn into_bytes(self) -> Counted<Vec<u8>> {
        self.bytes
    }
}

impl AsRef<[u8]> for FrameBuffer {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A message that was put together from several frames.
impl From<Vec<u8>> for FrameBuffer {
    fn from(bytes: Vec<u8>) -> Self {
        let length = bytes.len();
        Self { bytes: Counted::new(bytes), length }
    }
}

/// A buffer that nobody else has. The count of those who share it stays with it, so that to share it again takes no memory.
#[derive(Debug)]
pub(crate) struct Buffer(Counted<Vec<u8>>);

impl Buffer {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(Counted::new(bytes))
    }

    /// To be written to.
    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        self.0.get_mut().expect("nobody else has it")
    }
}

/// Makes frame buffers of one size.
#[derive(Debug)]
pub(crate) struct Pool {
    frame_size: usize,
    /// Empty ones.
    spare: Vec<Buffer>,
    lent: Lent,
    /// Those that are as short as their frames.
    lent_short: Lent,
}

/// Buffers that were handed out, oldest first.
#[derive(Debug, Default)]
struct Lent(VecDeque<Counted<Vec<u8>>>);

/// How many handed-out buffers are remembered for another use.
const REMEMBERED: usize = 32;

/// A frame that fills less than this part of its buffer is copied out of it, so that a message which the application
/// keeps for long does not pin a buffer many times its size.
const COPY_BELOW: usize = 4;

/// A buffer of this size is short enough for any frame.
const SHORT: usize = 512;

impl Lent {
    fn lend(&mut self, Buffer(mut bytes): Buffer, length: usize) -> FrameBuffer {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(bytes.share_first());
        FrameBuffer { bytes, length }
    }

    /// One that came back, and is no larger than that.
    fn reclaim(&mut self, largest: usize) -> Option<Buffer> {
        // The oldest comes back first, as a rule; the application may also keep some for ever.
        for _ in 0..self.0.len().min(2) {
            let mut bytes = self.0.pop_front()?;
            if bytes.capacity() <= largest && bytes.get_mut().is_some() {
                return Some(Buffer(bytes));
            }
            self.0.push_back(bytes);
        }
        None
    }
}

impl Pool {
    pub(crate) fn new(frame_size: usize) -> Self {
        Self { frame_size, spare: Vec::new(), lent: Lent::default(), lent_short: Lent::default() }
    }

    /// A buffer of the full frame size.
    pub(crate) fn take(&mut self) -> Buffer {
        let used = self.spare.pop().or_else(|| self.lent.reclaim(usize::MAX));
        used.unwrap_or_else(|| Buffer::new(vec![0; self.frame_size]))
    }

    /// Gives back a buffer that was not used.
    pub(crate) fn put_back(&mut self, buffer: Buffer) {
        self.spare.push(buffer);
    }

    /// Makes the first `length` bytes a frame to share.
    pub(crate) fn share(&mut self, buffer: Buffer, length: usize) -> FrameBuffer {
        if length * COPY_BELOW >= self.frame_size {
            return self.lent.lend(buffer, length);
        }
        let frame = &buffer.0[..length];
        let copy = match self.lent_short.reclaim(SHORT.max(length * COPY_BELOW)) {
            Some(mut copy) => {
                copy.bytes_mut().clear();
                copy.bytes_mut().extend_from_slice(frame);
                copy
            }
            None => Buffer::new(frame.to_vec()),
        };
        self.spare.push(buffer);
        self.lent_short.lend(copy, length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_the_last_message_in_it_is_dropped() {
        let mut pool = Pool::new(100);
        let buffer = pool.take();
        let place = buffer.0.as_ptr();
        let frame = pool.share(buffer, 90);
        let message = frame.clone();
        drop(frame);
        let other = pool.take();
        assert_ne!(other.0.as_ptr(), place, "a message still uses it");
        drop(message);
        let again = pool.take();
        assert_eq!(again.0.as_ptr(), place);
    }

    #[test]
    fn a_short_frame_does_not_pin_a_long_buffer() {
        let mut pool = Pool::new(8192);
        let buffer = pool.take();
        let place = buffer.0.as_ptr();
        let frame = pool.share(buffer, 100);
        assert_eq!(frame.as_ref().len(), 100);
        assert!(frame.bytes.capacity() < 200);
        let again = pool.take();
        assert_eq!(again.0.as_ptr(), place, "the long one is free at once");
    }

    #[test]
    fn a_short_buffer_is_used_again_for_a_frame_that_is_not_much_shorter() {
        let mut pool = Pool::new(8192);
        let mut share = |length| {
            let mut buffer = pool.take();
            buffer.bytes_mut()[..length].fill(7);
            let frame = pool.share(buffer, length);
            assert_eq!(frame.as_ref(), vec![7; length]);
            frame.bytes.as_ptr()
        };
        let place = share(2000);
        assert_eq!(share(1000), place);
        assert_ne!(share(100), place, "it would pin twenty times its size");
    }
}

//! Buffers of received frames, shared by the messages in them and used again when the last of these is dropped.

use crate::sync::Arc;
use std::collections::VecDeque;

/// A received frame; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct FrameBuffer {
    bytes: Arc<Vec<u8>>,
    length: usize,
}

impl AsRef<[u8]> for FrameBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A message that was put together from several frames.
impl From<Vec<u8>> for FrameBuffer {
    fn from(bytes: Vec<u8>) -> Self {
        let length = bytes.len();
        Self { bytes: Arc::new(bytes), length }
    }
}

/// Makes frame buffers of one size.
#[derive(Debug)]
pub(crate) struct Pool {
    frame_size: usize,
    /// Empty ones.
    spare: Vec<Vec<u8>>,
    /// Handed out, oldest first.
    lent: VecDeque<Arc<Vec<u8>>>,
}

/// How many handed-out buffers are remembered for another use.
const REMEMBERED: usize = 32;

/// A frame that fills less than this part of its buffer is copied out of it, so that a message which the application
/// keeps for long does not pin a buffer many times its size.
const COPY_BELOW: usize = 4;

impl Pool {
    pub(crate) fn new(frame_size: usize) -> Self {
        Self { frame_size, spare: Vec::new(), lent: VecDeque::new() }
    }

    /// A buffer of the full frame size.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        if let Some(buffer) = self.spare.pop() {
            return buffer;
        }
        // The oldest comes back first, as a rule; the application may also keep some for ever.
        for _ in 0..self.lent.len().min(2) {
            match self.lent.pop_front().map(Arc::try_unwrap) {
                Some(Ok(buffer)) => return buffer,
                Some(Err(still_used)) => self.lent.push_back(still_used),
                None => break,
            }
        }
        vec![0; self.frame_size]
    }

    /// Gives back a buffer that was not used.
    pub(crate) fn put_back(&mut self, buffer: Vec<u8>) {
        self.spare.push(buffer);
    }

    /// Makes the first `length` bytes a frame to share.
    pub(crate) fn share(&mut self, buffer: Vec<u8>, length: usize) -> FrameBuffer {
        if length * COPY_BELOW < self.frame_size {
            let bytes = Arc::new(buffer[..length].to_vec());
            self.spare.push(buffer);
            return FrameBuffer { bytes, length };
        }
        let bytes = Arc::new(buffer);
        if self.lent.len() == REMEMBERED {
            self.lent.pop_front();
        }
        self.lent.push_back(Arc::clone(&bytes));
        FrameBuffer { bytes, length }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_the_last_message_in_it_is_dropped() {
        let mut pool = Pool::new(100);
        let buffer = pool.take();
        let place = buffer.as_ptr();
        let frame = pool.share(buffer, 90);
        let message = frame.clone();
        drop(frame);
        let other = pool.take();
        assert_ne!(other.as_ptr(), place, "a message still uses it");
        drop(message);
        let again = pool.take();
        assert_eq!(again.as_ptr(), place);
    }

    #[test]
    fn a_short_frame_does_not_pin_a_long_buffer() {
        let mut pool = Pool::new(8192);
        let buffer = pool.take();
        let place = buffer.as_ptr();
        let frame = pool.share(buffer, 100);
        assert_eq!(frame.as_ref().len(), 100);
        assert!(frame.bytes.capacity() < 200);
        let again = pool.take();
        assert_eq!(again.as_ptr(), place, "the long one is free at once");
    }
}

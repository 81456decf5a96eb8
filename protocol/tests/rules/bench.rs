//! The window of a sender by itself, with a link that has all the room in the world.

use crate::forge::{acknowledgement, decode_data, session};
use lamq_protocol::{
    Level, Number,
    lamport::Clock,
    send::{NoRoom, SendSettings, SendWindow},
};

pub(crate) const PLENTY: u64 = 1 << 40;

/// A window with its clock, and a link with all the room in the world.
pub(crate) struct Bench {
    pub(crate) window: SendWindow,
    pub(crate) clock: Clock,
}

impl Bench {
    pub(crate) fn new(settings: SendSettings) -> Self {
        Self { window: SendWindow::new(settings), clock: Clock::default() }
    }

    /// Welcomed; frames have up to 512 bytes.
    pub(crate) fn open(level: Level, frame_credit: u64, byte_credit: u64) -> Self {
        let mut bench = Self::new(SendSettings { frame_size: 512, level, retain: 1 << 20 });
        bench.window.open(session(), frame_credit, byte_credit);
        bench
    }

    pub(crate) fn push(&mut self, length: usize) -> Result<u64, NoRoom> {
        self.window.push(&vec![0; length], &mut self.clock).map(Number::get)
    }

    /// First and last number of every frame that leaves.
    pub(crate) fn transmit(&mut self) -> Vec<(u64, u64)> {
        let mut frames = Vec::new();
        self.window.transmit(&mut |frame| {
            let data = decode_data(frame.to_vec());
            frames.push((data.first().get(), data.last().get()));
            true
        });
        frames
    }

    /// Everything up to `number` is received, and credit is plenty.
    pub(crate) fn received(&mut self, number: u64) {
        assert_eq!(self.window.acknowledge(&acknowledgement([number, 0, 0, PLENTY, PLENTY])), Ok(true));
    }
}

//! The window of a sender by itself, with a link that has all the room in the world.

use crate::forge::{acknowledgement, session, terms};
use lamq_protocol::{
    Level, Number, Stamp,
    lamport::Clock,
    send::{Manner, NoRoom, SendSettings, SendWindow},
    wire::{Acknowledgement, DataFrame, Frame, decode},
};
use std::collections::BTreeMap;

pub(crate) const PLENTY: u64 = 1 << 40;

/// The longest message that the receiver of a bench takes.
pub(crate) const MAX_MESSAGE: u32 = 5000;

/// A window with its clock, and a link with all the room in the world.
pub(crate) struct Bench {
    pub(crate) window: SendWindow,
    pub(crate) clock: Clock,
    /// The last message that ends in each frame that has left, or before it.
    left: BTreeMap<u64, u64>,
}

impl Bench {
    pub(crate) fn new(settings: SendSettings) -> Self {
        Self { window: SendWindow::new(settings), clock: Clock::default(), left: BTreeMap::new() }
    }

    /// Welcomed; frames have up to 512 bytes.
    pub(crate) fn open(level: Level, frame_credit: u64, byte_credit: u64) -> Self {
        let mut bench =
            Self::new(SendSettings { frame_size: 512, level, retain: 1 << 20, lossy: false, resumes: false });
        bench.window.open(session(), &terms(frame_credit, byte_credit));
        bench
    }

    pub(crate) fn push(&mut self, length: usize) -> Result<u64, NoRoom> {
        self.push_as(length, Manner::default())
    }

    pub(crate) fn push_as(&mut self, length: usize, manner: Manner) -> Result<u64, NoRoom> {
        self.window.push(&vec![0; length], &mut self.clock, manner).map(Number::get)
    }

    /// Every frame that leaves, whatever it is.
    pub(crate) fn leaving(&mut self) -> Vec<Frame<Vec<u8>>> {
        let mut frames = Vec::new();
        self.window.transmit(Stamp::new(1), &mut |frame| {
            frames.push(decode(frame.to_vec()).expect("a good frame").1);
            true
        });
        for frame in &frames {
            if let Frame::Data(data) = frame {
                self.left.insert(data.frame().get(), data.last_whole().get());
            }
        }
        frames
    }

    /// Every frame that leaves; nothing but data does.
    pub(crate) fn leaving_data(&mut self) -> Vec<DataFrame<Vec<u8>>> {
        let data = |frame| if let Frame::Data(data) = frame { data } else { panic!("a data frame, not {frame:?}") };
        self.leaving().into_iter().map(data).collect()
    }

    /// First and last number of every frame that leaves.
    pub(crate) fn transmit(&mut self) -> Vec<(u64, u64)> {
        self.leaving_data().iter().map(|data| (data.first().get(), data.last().get())).collect()
    }

    /// What an honest receiver says when it has received, delivered, processed so much, with this frame and byte credit. It
    /// has taken the frame in which the last message ends that it received, and those before it.
    pub(crate) fn said(&self, values: [u64; 5]) -> Acknowledgement {
        let taken = self.left.iter().take_while(|(_, last)| **last <= values[0]).last();
        let taken = taken.map_or(0, |(frame, _)| *frame);
        assert_eq!(values[0], self.left.get(&taken).copied().unwrap_or(0), "a frame is received as a whole");
        acknowledgement(taken, values)
    }

    /// The receiver says so; it is news.
    pub(crate) fn hear(&mut self, values: [u64; 5]) {
        let said = self.said(values);
        assert_eq!(self.window.acknowledge(&said), Ok(true), "{said:?}");
    }

    /// Everything up to `number` is received, and credit is plenty.
    pub(crate) fn received(&mut self, number: u64) {
        self.hear([number, 0, 0, PLENTY, PLENTY]);
    }
}

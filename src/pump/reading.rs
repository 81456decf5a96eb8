//! The inbox is read.

use super::State;
use crate::pool::FrameBuffer;
use lamq_protocol::endpoint::Handled;

/// How far the inbox is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Until the application has something to see.
    Ahead,
    /// The same for an application that asks for what is next: a message that comes alone is handed out at once.
    Through,
    /// Until it is empty.
    All,
}

/// What came of a look into the inbox.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    /// How many frames came.
    pub(crate) frames: usize,
    /// Whether the inbox was found empty.
    pub(crate) drained: bool,
}

impl Look {
    /// The inbox is empty for whoever may not look into it.
    pub(super) const NOTHING: Self = Self { frames: 0, drained: true };

    /// Whether any frame came.
    pub(super) const fn came(self) -> bool {
        self.frames > 0
    }
}

/// How many frames one step takes from the inbox at most, so that a flood cannot outlast a deadline.
const FRAMES_PER_STEP: usize = 64;

/// How many such steps empty any inbox: `HARD_MSGMAX` of Linux is 65,536 frames.
const MAX_DRAIN: usize = (1 << 16) / FRAMES_PER_STEP;

impl State {
    /// Takes frames of all inboxes.
    pub(super) fn read(&mut self, reading: Reading) -> Look {
        self.served = true;
        if self.rest.is_in_inbox() {
            return Look::NOTHING; // who sleeps there gets what comes first, and must be the next to read
        }
        if self.orphans.is_empty() {
            return self.read_inbox(None, reading);
        }
        let mut look = Look::NOTHING;
        // Else who keeps one of them full would be all that is heard.
        let count = self.orphans.len() + 1;
        self.turn = (self.turn + 1) % count;
        // What is handed out at once would be so before what the other inboxes have brought.
        let reading = if reading == Reading::All { reading } else { Reading::Ahead };
        for step in 0..count {
            let place = ((self.turn + step) % count).checked_sub(1);
            let Look { frames, drained } = self.read_inbox(place, reading);
            look = Look { frames: look.frames + frames, drained: look.drained & drained };
        }
        look
    }

    /// Takes frames of one inbox, an orphan or the one with the name.
    fn read_inbox(&mut self, orphan: Option<usize>, mut reading: Reading) -> Look {
        let mut look = Look::default();
        for _ in 0..FRAMES_PER_STEP {
            let mailbox = orphan.map_or(&self.mailbox, |place| &self.orphans[place].mailbox);
            let has_event = self.passed.is_some() || self.core.has_event();
            // Acknowledgements of what we send must not wait behind messages that nobody reads. Credit bounds what is held.
            let came = look.came();
            let goes_on = || if came { self.core.awaits_answer() } else { self.core.sends() || mailbox.has_ahead() };
            if reading != Reading::All && has_event && !goes_on() {
                return look;
            }
            let mut buffer = self.pool.take();
            match mailbox.try_recv(&mut buffer) {
                Ok(Some(0)) if self.rest.was_rung_for() => self.pool.put_back(buffer), // POS-14
                Ok(Some(length)) => {
                    look.frames += 1;
                    let frame = self.pool.share(buffer, length);
                    match self.handle(frame, reading) {
                        Handled::Quietly => {}
                        Handled::Greeting(arrival) => self.answer(arrival, orphan),
                        Handled::Message(event) => {
                            self.passed = Some(event);
                            reading = Reading::Ahead;
                        }
                    }
                }
                Ok(None) => {
                    self.pool.put_back(buffer);
                    look.drained = true;
                    return look;
                }
                Err(error) => {
                    self.reports.add(move || {
                        tracing::warn!(target: "lamq", %error, "the inbox cannot be read, it is tried again");
                    });
                    self.pool.put_back(buffer);
                    self.retry_soon = true;
                    return look;
                }
            }
        }
        look
    }

    #[inline]
    fn handle(&mut self, frame: FrameBuffer, reading: Reading) -> Handled<FrameBuffer> {
        if reading == Reading::Through {
            self.core.handle_and_next(frame)
        } else {
            self.core.handle_frame(frame).map_or(Handled::Quietly, Handled::Greeting)
        }
    }

    /// Reads the inbox empty. A full inbox is the most there can be, unless somebody goes on writing.
    pub(crate) fn drain(&mut self) {
        for _ in 0..MAX_DRAIN {
            let look = self.read(Reading::All);
            if look.drained || !look.came() {
                return;
            }
        }
    }
}

//! What a world is made of, drawn from its seed; and the one place that makes values of the core's own types.

use super::{
    Settings,
    events::{Bytes, MICROSECOND, MILLISECOND, Place, SECOND, Time},
    lane::Lane,
};
use fastrand::Rng;
use lamq_protocol::{
    Endpoint, Epoch, Level, SessionId,
    endpoint::{self, BackSettings, CODEC_RAW, Connect, Greeter},
    send::SendSettings,
};

/// The core that is driven: the one that ships.
pub(super) type Core = Endpoint<Bytes>;

/// The receiver. Senders have the places behind it.
pub(super) const RECEIVER: Place = 0;

/// How the receiver ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It reads all there is.
    Stays,
    Dies(Time),
    Leaves(Time),
}

/// How the receiver answers what it gets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answers {
    /// How many of 16 messages it answers.
    pub(super) often: u8,
    /// Whether it waits for room: then whoever sends reads while it waits, or the two could wait for each other.
    pub(super) patient: bool,
    /// Whether it ends the stream back to a sender that has left.
    pub(super) closes: bool,
    level: Level,
    reading: Reading,
}

/// How those read who get answers, as the receiver does its messages.
#[derive(Clone, Copy, Debug)]
struct Reading {
    auto_process: bool,
    rendezvous: bool,
}

/// A world, before anything has happened in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    pub(super) senders: usize,
    /// Of each sender.
    pub(super) messages: u64,
    /// Which incarnation receives.
    receiver: Epoch,
    pub(super) lossy: bool,
    /// Of the receiver's inbox, and of each sender's.
    slots: usize,
    sender_slots: usize,
    pub(super) frame_size: usize,
    pub(super) window: u64,
    pub(super) max_message: u32,
    pub(super) large_memory: u64,
    pub(super) max_sessions: u32,
    pub(super) retain: usize,
    level: Level,
    auto_process: bool,
    /// Whether the receiver has no capacity.
    rendezvous: bool,
    /// The longest that a frame takes.
    pub(super) latency: Time,
    /// How often a frame is lost, and how often it arrives twice.
    pub(super) loss: f64,
    pub(super) double: f64,
    /// When faults cease.
    pub(super) calm: Time,
    pub(super) fate: Fate,
    /// How many senders die, give or take: this part of them.
    pub(super) deaths: f64,
    /// Whether senders ask for streams back, and the receiver answers.
    pub(super) answers: Option<Answers>,
}

const LEVELS: [Level; 3] = [Level::Received, Level::Delivered, Level::Processed];

impl Scenario {
    pub(super) fn draw(settings: &Settings, rng: &mut Rng) -> Self {
        // Drawn whether or not it is needed: a setting that is given as it would be drawn changes nothing.
        let (many, few, coin) = (rng.usize(7..=16), rng.usize(1..=5), rng.bool());
        let senders = settings.senders.unwrap_or(if rng.u8(..8) == 0 { many } else { few });
        let lossy = settings.lossy.unwrap_or(coin);
        let frame_size = 512 << rng.usize(..3);
        let window = frame_size as u64 * [1, 2, 4, 8, 32][rng.usize(..5)];
        let max_message = window * rng.u64(2..=4);
        let calm = rng.u64(SECOND..10 * SECOND);
        let early = rng.u64(MILLISECOND..calm / 10);
        let limit = if rng.u8(..8) == 0 { rng.usize(1..=senders) } else { 1024 };
        Self {
            senders,
            messages: settings.messages,
            receiver: drawn(rng, Epoch::new),
            lossy,
            slots: if rng.bool() { 10 } else { rng.usize(3..10) },
            sender_slots: [1, 2, 3, 5, 10][rng.usize(..5)],
            frame_size,
            window,
            max_message: u32::try_from(max_message).expect("small"),
            large_memory: max_message * rng.u64(1..=2),
            max_sessions: u32::try_from(limit).expect("small"),
            retain: 1024 << rng.usize(..11),
            level: LEVELS[rng.usize(..3)],
            auto_process: rng.u8(..4) > 0,
            rendezvous: rng.u8(..8) == 0,
            latency: [MICROSECOND, 20 * MICROSECOND, MILLISECOND, 50 * MILLISECOND][rng.usize(..4)],
            loss: [0.01, 0.1, 0.3][rng.usize(..3)],
            double: [0.0, 0.05, 0.2][rng.usize(..3)],
            calm,
            fate: match rng.u8(..8) {
                0 => Fate::Dies(early),
                1 => Fate::Leaves(early),
                _ => Fate::Stays,
            },
            deaths: [0.0, 0.2, 0.8][rng.usize(..3)],
            answers: (rng.u8(..3) == 0).then(|| Answers::draw(rng)),
        }
    }

    /// The core of a process.
    pub(super) fn core(&self, place: Place, rng: &mut Rng) -> Core {
        let is_receiver = place == RECEIVER;
        let back = self.answers.filter(|_| !is_receiver);
        let back_level = self.answers.map_or(self.level, |answers| answers.level);
        Core::new(endpoint::Settings {
            epoch: if is_receiver { self.receiver } else { drawn(rng, Epoch::new) },
            pid: pid_of(place),
            pid_namespace: 0,
            slots: self.slots(place) as u64,
            window: self.window,
            max_sessions: if is_receiver { self.max_sessions } else { 0 },
            max_message: self.max_message,
            large_memory: self.large_memory,
            lossy: self.lossy,
            auto_process: self.processes_by_itself(place),
            codec: CODEC_RAW,
            rendezvous: back.map_or(self.rendezvous, |back| back.reading.rendezvous),
            back: BackSettings { level: back_level, retain: self.retain },
        })
    }

    /// Whether asking for the next message says that the application at `place` is done with the one before.
    pub(super) fn processes_by_itself(&self, place: Place) -> bool {
        let back = self.answers.filter(|_| place != RECEIVER);
        back.map_or(self.auto_process, |back| back.reading.auto_process)
    }

    /// At which level the frames of a stream are released.
    pub(super) fn level(&self, lane: Lane) -> Level {
        let back = self.answers.filter(|_| lane.is_back);
        back.map_or(self.level, |back| back.level)
    }

    /// Whether anything is sent to the application at `place`.
    pub(super) const fn receives(&self, place: Place) -> bool {
        place == RECEIVER || self.answers.is_some()
    }

    /// Slots of an inbox.
    pub(super) const fn slots(&self, place: Place) -> usize {
        if place == RECEIVER { self.slots } else { self.sender_slots }
    }

    /// What the link knows of a sender.
    pub(super) const fn greeter(&self) -> Greeter {
        Greeter { uid: 0, frame_size: self.frame_size }
    }

    /// How a sender connects.
    pub(super) fn connect(&self, place: Place) -> Connect {
        let settings = SendSettings {
            frame_size: self.frame_size,
            level: self.level,
            retain: self.retain,
            lossy: self.lossy,
            resumes: false,
        };
        let inbox = format!("/{place}").into_bytes();
        let (asks_only, wants_back, uid) = (false, self.answers.is_some(), 0);
        let to = self.receiver.low_bits();
        Connect { stream: 0, codec: CODEC_RAW, settings, asks_only, inbox, wants_back, uid, to }
    }

    /// The length of a message: of every kind, the short ones most often.
    pub(super) fn length(&self, rng: &mut Rng) -> usize {
        match rng.u8(..40) {
            0..=4 => 0,
            5..=25 => rng.usize(1..64),
            26..=34 => rng.usize(64..=self.frame_size),
            35..=38 => rng.usize(self.frame_size..=self.window_length()),
            _ => rng.usize(self.window_length() + 1..=self.max_message as usize),
        }
    }

    fn window_length(&self) -> usize {
        usize::try_from(self.window).unwrap_or(usize::MAX)
    }
}

impl Answers {
    fn draw(rng: &mut Rng) -> Self {
        Self {
            often: [16, 15, 8, 1][rng.usize(..4)],
            patient: rng.bool(),
            closes: rng.bool(),
            level: LEVELS[rng.usize(..3)],
            reading: Reading { auto_process: rng.u8(..4) > 0, rendezvous: rng.u8(..8) == 0 },
        }
    }
}

/// The id of a new session.
pub(super) fn session(rng: &mut Rng) -> SessionId {
    drawn(rng, SessionId::new)
}

fn drawn<T>(rng: &mut Rng, make: impl Fn(u64) -> Option<T>) -> T {
    loop {
        if let Some(value) = make(rng.u64(..)) {
            return value;
        }
    }
}

pub(super) fn pid_of(place: Place) -> u32 {
    u32::try_from(place).expect("few processes") + 1
}

pub(super) const fn place_of(pid: u32) -> Place {
    pid as usize - 1
}

/// The process whose inbox has this name; none but ours have any.
pub(super) fn place_named(inbox: &[u8]) -> Option<Place> {
    std::str::from_utf8(inbox).ok()?.strip_prefix('/')?.parse().ok()
}

/// A message, known again by every byte of it.
pub(super) fn body(lane: Lane, number: u64, length: usize) -> Vec<u8> {
    let mut state = u64::from(lane.is_back) << 63 | (lane.sender as u64) << 32 ^ number;
    let byte = std::iter::repeat_with(|| {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        state.to_le_bytes()[7]
    });
    byte.take(length).collect()
}

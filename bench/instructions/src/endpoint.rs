//! What the core does with a frame, whatever the link.

use crate::{
    counted_part,
    frames::{BODY, FRAME_SIZE, session},
};
use lamq_protocol::{
    Endpoint, Epoch, Level, SessionId,
    endpoint::{BackSettings, CODEC_RAW, Connect, Greeter, Settings},
    send::{Manner, SendSettings},
    session::Outbound,
    wire::Priority,
};
use std::{hint::black_box, rc::Rc};

type Core = Endpoint<Rc<[u8]>>;

/// How often as many messages are sent and taken as there is credit for.
const ROUNDS: u64 = 40;

/// Until buffers are as large as they will ever be.
const WARM_UP: u64 = 5;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Data,
    Back,
}

/// What the sender calls the session; the receiver has [`session`].
fn reply_session() -> SessionId {
    SessionId::new(1).expect("it is not 0")
}

fn core(pid: u32) -> Core {
    Endpoint::new(Settings {
        epoch: Epoch::new(pid.into()).expect("it is not 0"),
        pid,
        pid_namespace: 0,
        slots: 10,
        window: 256 << 10,
        max_sessions: 1024,
        max_message: 16 << 20,
        large_memory: 64 << 20,
        lossy: false,
        auto_process: true,
        codec: CODEC_RAW,
        rendezvous: false,
        back: BackSettings { level: Level::Delivered, retain: 1 << 20 },
    })
}

/// A receiver and a sender that it has welcomed.
fn pair() -> (Core, Core) {
    let (mut receiver, mut sender) = (core(1), core(2));
    let level = Level::Delivered;
    let settings = SendSettings { frame_size: FRAME_SIZE, level, retain: 1 << 20, lossy: false, resumes: false };
    let target = Connect {
        stream: 0,
        codec: CODEC_RAW,
        settings,
        asks_only: false,
        inbox: b"/sender".to_vec(),
        wants_back: false,
        uid: 0,
        to: receiver.epoch().low_bits(),
    };
    sender.connect(reply_session(), target);
    for greeting in said(&mut sender, false) {
        let arrival = receiver.handle_frame(greeting).expect("it deserves an answer");
        receiver.accept(&arrival.greeting, Greeter { uid: 0, frame_size: 512 }, session());
    }
    for welcome in said(&mut receiver, true) {
        _ = sender.handle_frame(welcome);
    }
    (receiver, sender)
}

/// All frames that are due; when `idle`, there is nothing more to read.
fn said(core: &mut Core, idle: bool) -> Vec<Rc<[u8]>> {
    let mut frames = Vec::new();
    let mut link = |_, _: Priority, frame: &[u8]| {
        frames.push(frame.into());
        true
    };
    core.transmit(idle, &mut link);
    frames
}

/// Sends as many messages as there is credit for, which fill frames but the first and the last. Returns how many.
fn send_all(sender: &mut Core) -> u64 {
    let mut messages = 0;
    while sender.send(reply_session(), &BODY, Manner::default()).is_ok() {
        messages += 1;
    }
    sender.with_outbound(reply_session(), Outbound::handle_stage_timeout);
    messages
}

/// Lets `core` handle frames, in the counted part or not.
fn handle(core: &mut Core, frames: Vec<Rc<[u8]>>, is_counted: bool) {
    let handle = || frames.into_iter().for_each(|frame| assert!(black_box(core.handle_frame(frame)).is_none()));
    if is_counted { counted_part(handle) } else { handle() }
}

/// Counts what it takes to handle the frames of some directions. Returns how many messages were sent meanwhile, and how many
/// acknowledgements came.
fn exchange(is_counted: impl Fn(Direction) -> bool) -> (u64, u64) {
    let (mut receiver, mut sender) = pair();
    let (mut messages, mut acknowledgements) = (0, 0);
    for round in 0..WARM_UP + ROUNDS {
        let counts = |direction| round >= WARM_UP && is_counted(direction);
        let sent = send_all(&mut sender);
        let data = said(&mut sender, false);
        handle(&mut receiver, data, counts(Direction::Data));
        let mut answers = Vec::new();
        while receiver.next_event().is_some() {
            answers.extend(said(&mut receiver, false));
        }
        answers.extend(said(&mut receiver, true));
        if round >= WARM_UP {
            messages += sent;
            acknowledgements += answers.len() as u64;
        }
        handle(&mut sender, answers, counts(Direction::Back));
    }
    let kept = sender.outbound(reply_session()).map(|outbound| outbound.window().frames_kept());
    assert!(kept <= Some(1), "{kept:?} frames: more than the one that was begun ahead of its credit");
    (messages, acknowledgements)
}

pub(crate) fn handle_data() -> u64 {
    exchange(|direction| direction == Direction::Data).0
}

pub(crate) fn handle_acknowledgement() -> u64 {
    exchange(|direction| direction == Direction::Back).1
}

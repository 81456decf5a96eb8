//! ZeroMQ: PUSH and PULL over `ipc://`.
//!
//! As its guide and manual say for throughput: one I/O thread (it is good for a gigabyte a second), no polling where
//! there is one socket, and one message object that is received into again and again. It always sleeps: who looks all
//! the time only keeps the I/O thread from the core that they share. Names are abstract, so that no file is left.

use crate::version;
use lamq_cli::guest::{Ends, Inlet, Letter, Outcome, Outlet, Sheet, Site, Way};
use zmq::{Context, Message, PULL, PUSH, Socket, SocketType};

/// Its default, in messages.
const HIGH_WATER: usize = 1000;

/// For long messages, of which a thousand on each side would be gigabytes; those of a MiB go through one and a half times
/// as fast as with 16 MiB.
const BYTES: usize = 2 << 20;

/// For what nobody received, in milliseconds.
const LINGER: i32 = 1000;

pub(crate) fn settings() -> String {
    let (major, minor, patch) = zmq::version();
    format!(
        "libzmq {major}.{minor}.{patch} by zmq {}, built from source; PUSH and PULL, ipc:// with an abstract name; one I/O \
         thread a process, on its core; high-water mark {HIGH_WATER} messages or {} MiB on each side; recv into one message, \
         which sleeps",
        version::of("zmq"),
        BYTES >> 20
    )
}

pub(crate) struct PushPull;

impl Ends for PushPull {
    type Out = Push;
    type In = Pull;

    fn inlet(site: &Site, way: Way) -> Outcome<Self::In> {
        let socket = socket(site, PULL)?;
        socket.bind(&address(site, way))?;
        Ok(Pull { socket, message: Message::new(), length: site.length })
    }

    fn outlet(site: &Site, way: Way) -> Outcome<Self::Out> {
        let socket = socket(site, PUSH)?;
        socket.connect(&address(site, way))?;
        Ok(Push { socket, sheet: Sheet::new(site.length) })
    }
}

fn socket(site: &Site, kind: SocketType) -> Outcome<Socket> {
    let context = Context::new();
    context.set_io_threads(1)?;
    let socket = context.socket(kind)?; // it keeps its context
    let mark = i32::try_from(HIGH_WATER.min(BYTES / site.length).max(2))?;
    socket.set_sndhwm(mark)?;
    socket.set_rcvhwm(mark)?;
    socket.set_linger(LINGER)?;
    Ok(socket)
}

fn address(site: &Site, way: Way) -> String {
    format!("ipc://@{}", site.way(way).trim_start_matches('/'))
}

pub(crate) struct Push {
    socket: Socket,
    sheet: Sheet,
}

impl Outlet for Push {
    fn send(&mut self, letter: Letter) -> Outcome {
        Ok(self.socket.send(self.sheet.write(letter), 0)?)
    }
}

pub(crate) struct Pull {
    socket: Socket,
    message: Message,
    length: usize,
}

impl Inlet for Pull {
    fn receive(&mut self) -> Outcome<Letter> {
        self.socket.recv(&mut self.message, 0)?;
        Sheet::read(&self.message, self.length)
    }
}

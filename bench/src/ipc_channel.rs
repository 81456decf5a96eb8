//! ipc-channel: its channel of bytes, which spares the serialisation of the typed ones.
//!
//! Its server of one connection makes up its own name, which goes through a file; then the sender makes the channel and
//! hands the receiving end over.

use crate::version;
use ipc_channel::{
    TryRecvError,
    ipc::{IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender, bytes_channel},
};
use lamq_cli::guest::{Ends, Inlet, Letter, Outcome, Outlet, Sheet, Site, Way};
use std::{
    env, fs,
    hint::spin_loop,
    path::{Path, PathBuf},
};

pub(crate) fn settings() -> String {
    format!(
        "ipc-channel {}, bytes_channel (no serialisation); it has no other settings; recv, or try_recv again and again where \
         it spins",
        version::of("ipc-channel")
    )
}

/// Where the name of a way's server stands.
fn file(way: &str) -> PathBuf {
    env::temp_dir().join(way.trim_start_matches('/'))
}

/// The file, and the server's socket in a folder of its own if nobody came.
pub(crate) fn clear(way: &str) {
    if let Ok(name) = fs::read_to_string(file(way)) {
        _ = fs::remove_file(&name);
        _ = Path::new(&name).parent().map(fs::remove_dir); // does nothing unless it is empty
        _ = fs::remove_file(file(way));
    }
}

pub(crate) struct Bytes;

type Server = IpcOneShotServer<IpcBytesReceiver>;

impl Ends for Bytes {
    type Out = Sending;
    type In = Receiving;

    fn inlet(site: &Site, way: Way) -> Outcome<Self::In> {
        let (server, name) = Server::new()?;
        fs::write(file(site.way(way)), name)?;
        let spins = site.spin.is_some_and(|spin| !spin.is_zero());
        Ok(Receiving { server: Some(server), receiver: None, spins, length: site.length })
    }

    fn outlet(site: &Site, way: Way) -> Outcome<Self::Out> {
        let introduction = IpcSender::connect(fs::read_to_string(file(site.way(way)))?)?;
        let (sender, receiver) = bytes_channel()?;
        introduction.send(receiver)?;
        Ok(Sending { sender, sheet: Sheet::new(site.length) })
    }
}

pub(crate) struct Sending {
    sender: IpcBytesSender,
    sheet: Sheet,
}

impl Outlet for Sending {
    fn send(&mut self, letter: Letter) -> Outcome {
        Ok(self.sender.send(self.sheet.write(letter))?)
    }
}

pub(crate) struct Receiving {
    /// Until the sender was met.
    server: Option<Server>,
    receiver: Option<IpcBytesReceiver>,
    spins: bool,
    length: usize,
}

impl Receiving {
    fn next(&mut self) -> Outcome<Vec<u8>> {
        if let Some(server) = self.server.take() {
            self.receiver = Some(server.accept()?.1);
        }
        let receiver = self.receiver.as_ref().ok_or("nobody was met")?;
        if !self.spins {
            return Ok(receiver.recv()?);
        }
        loop {
            match receiver.try_recv() {
                Err(TryRecvError::Empty) => spin_loop(),
                outcome => return Ok(outcome?),
            }
        }
    }
}

impl Inlet for Receiving {
    fn receive(&mut self) -> Outcome<Letter> {
        let bytes = self.next()?;
        Sheet::read(&bytes, self.length)
    }
}

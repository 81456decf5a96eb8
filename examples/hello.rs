//! One process sends, another receives, over a queue of the kernel.
//!
//! ```sh
//! cargo run --example hello
//! ```
//!
//! The program binds a queue and starts itself a second time as the sender. When the sender has left, receiving ends by itself.

use lamq::{Receiver, RecvTimeoutError, Sender};
use std::{
    env,
    error::Error,
    process::{self, Command},
    time::Duration,
};

fn main() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1) {
        Some(name) => send(&name),
        None => receive(),
    }
}

fn send(name: &str) -> Result<(), Box<dyn Error>> {
    let sender = Sender::connect(name)?;
    sender.send("hello")?;
    sender.send("how are you?")?;
    // Success means that the receiver's application was handed every message.
    sender.close(Duration::from_secs(10))?;
    Ok(())
}

fn receive() -> Result<(), Box<dyn Error>> {
    let name = format!("/lamq-hello-{}", process::id());
    // Short messages need no large inbox.
    let receiver = Receiver::builder().frame_size(512).end_with_last_sender().bind(name.as_str())?;
    let mut sender = Command::new(env::current_exe()?).arg(&name).spawn()?;
    loop {
        match receiver.recv_timeout(Duration::from_secs(10)) {
            Ok(message) => {
                let text = String::from_utf8_lossy(&message);
                println!("message {} of process {}: {text}", message.number(), message.peer().pid);
            }
            Err(RecvTimeoutError::Disconnected) => break, // the last sender is gone
            Err(timeout) => return Err(timeout.into()),
        }
    }
    if sender.wait()?.success() { Ok(()) } else { Err("the sender failed".into()) }
}

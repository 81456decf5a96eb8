//! One thread serves two queues: it sleeps until either has something.
//!
//! ```sh
//! cargo run --example select
//! ```
//!
//! The program binds two queues and starts itself twice as a sender. When both senders have left, it ends.

use lamq::{Receiver, Select, Sender, TryRecvError};
use std::{
    env,
    error::Error,
    process::{self, Command},
    time::Duration,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match &arguments[..] {
        [name, goods] => send(name, goods),
        _ => serve(),
    }
}

fn send(name: &str, goods: &str) -> Result<(), Box<dyn Error>> {
    let sender = Sender::connect(name)?;
    for _ in 0..3 {
        sender.send(goods.to_owned())?;
    }
    sender.close(Duration::from_secs(10))?;
    Ok(())
}

fn serve() -> Result<(), Box<dyn Error>> {
    let names = ["orders", "returns"].map(|what| format!("/lamq-{what}-{}", process::id()));
    let bind = |name: &str| Receiver::builder().frame_size(512).end_with_last_sender().bind(name);
    let receivers = [("order", bind(&names[0])?), ("return", bind(&names[1])?)];
    let start = |name: &str, goods: &str| Command::new(env::current_exe()?).args([name, goods]).spawn();
    let mut senders = [start(&names[0], "apples")?, start(&names[1], "pears")?];

    let mut select = Select::new();
    for (_, receiver) in &receivers {
        select.recv(receiver)?; // the indices are 0 and 1
    }
    let mut open = receivers.len();
    while open > 0 {
        let ready = select.ready_timeout(Duration::from_secs(10))?;
        let (what, receiver) = &receivers[ready];
        match receiver.try_recv() {
            Ok(message) => println!("{what} {}: {}", message.number(), String::from_utf8_lossy(&message)),
            Err(TryRecvError::Empty) => {} // a sender has joined
            Err(TryRecvError::Disconnected) => {
                select.remove(ready);
                open -= 1;
            }
        }
    }
    for sender in &mut senders {
        if !sender.wait()?.success() {
            return Err("a sender failed".into());
        }
    }
    Ok(())
}

//! Four processes send to one: the messages of each arrive complete and in order, however they are mixed.
//!
//! ```sh
//! cargo run --example fan_in
//! ```
//!
//! The program binds a queue, starts itself four times as a sender, and checks what arrives.

use lamq::{Departure, Event, Receiver, Sender};
use std::{
    env,
    error::Error,
    process::{self, Command},
    time::Duration,
};

const SENDERS: usize = 4;
const MESSAGES: u64 = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match &arguments[..] {
        [name, index] => send(name, index),
        _ => receive(),
    }
}

fn send(name: &str, index: &str) -> Result<(), Box<dyn Error>> {
    let sender = Sender::connect(name)?;
    for count in 1..=MESSAGES {
        sender.send(format!("{index} {count}"))?;
    }
    sender.close(Duration::from_secs(60))?;
    Ok(())
}

fn receive() -> Result<(), Box<dyn Error>> {
    let name = format!("/lamq-fan-in-{}", process::id());
    let receiver = Receiver::builder().frame_size(512).bind(name.as_str())?;
    let program = env::current_exe()?;
    let start = |index: usize| Command::new(&program).args([&name, &index.to_string()]).spawn();
    let senders = (0..SENDERS).map(start).collect::<Result<Vec<_>, _>>()?;

    let (mut arrived, mut gone) = ([0; SENDERS], 0);
    while gone < SENDERS {
        match receiver.recv_event(Some(Duration::from_secs(60)))? {
            Event::Message(message) => {
                let text = std::str::from_utf8(&message)?;
                let (index, count) = text.split_once(' ').ok_or("not one of ours")?;
                let last = arrived.get_mut(index.parse::<usize>()?).ok_or("no such sender")?;
                *last += 1;
                if count.parse() != Ok(*last) {
                    return Err(format!("sender {index}: expected message {last}, got {count}").into());
                }
            }
            Event::Departed { departure: Departure::Left, .. } => gone += 1,
            Event::Departed { peer, departure, .. } => return Err(format!("process {} {departure}", peer.pid).into()),
            _ => {}
        }
    }
    for (index, mut sender) in senders.into_iter().enumerate() {
        if !sender.wait()?.success() || arrived[index] != MESSAGES {
            return Err(format!("sender {index} failed after {} messages", arrived[index]).into());
        }
        println!("sender {index}: {MESSAGES} messages, complete and in order");
    }
    Ok(())
}

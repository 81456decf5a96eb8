//! When the receiver has no room, its sender chooses: to wait, to get the message back, or to drop it where everybody can see.
//!
//! ```sh
//! cargo run --example backpressure
//! ```
//!
//! The receiver does not read until its sender has tried all three.

use lamq::{Event, Receiver, Sender};
use std::{
    env,
    error::Error,
    io::{self, Write},
    process::{self, Command, Stdio},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_millis(100);

fn main() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1) {
        Some(name) => send(&name),
        None => receive(),
    }
}

fn send(name: &str) -> Result<(), Box<dyn Error>> {
    let sender = Sender::connect(name)?;
    let mut taken = 0;
    let late = loop {
        match sender.send_timeout([0; 100], PATIENCE) {
            Ok(number) => taken = number,
            Err(error) => break error,
        }
    };
    println!("wait: {taken} messages were taken, the next one came back: {late}");
    println!("fail: {}", sender.try_send("at once").unwrap_err());
    println!("drop: {:?}", sender.send_or_drop("never mind", Duration::ZERO)?);
    io::stdout().flush()?;
    println!("after that: {:?}", sender.send_or_drop("there is room again", Duration::from_secs(10))?);
    sender.close(Duration::from_secs(10))?;
    Ok(())
}

fn receive() -> Result<(), Box<dyn Error>> {
    let name = format!("/lamq-backpressure-{}", process::id());
    let receiver = Receiver::builder().frame_size(512).window(1000).bind(name.as_str())?;
    let mut sender = Command::new(env::current_exe()?).arg(&name).stdout(Stdio::piped()).spawn()?;
    let output = io::BufReader::new(sender.stdout.take().ok_or("its output is piped")?);
    let mut lines = io::BufRead::lines(output);
    for line in lines.by_ref().take(3) {
        println!("{}", line?);
    }
    loop {
        match receiver.recv_event(Some(Duration::from_secs(10)))? {
            Event::Gap { first, last, .. } => println!("the receiver is told that {first} to {last} were dropped"),
            Event::Departed { last, .. } => break println!("the sender has left; its last number was {last}"),
            _ => {}
        }
    }
    for line in lines {
        println!("{}", line?);
    }
    if sender.wait()?.success() { Ok(()) } else { Err("the sender failed".into()) }
}

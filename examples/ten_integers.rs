//! The classic lesson: a child sends ten integers with pauses, while its parent prints what it has.
//!
//! ```sh
//! cargo run --example ten_integers
//! ```
//!
//! The parent does not wait for the child: it asks ([`Receiver::try_recv`]), and has other things to do when nothing is there.
//! The end of the child is one more thing that it receives.

use lamq::{Receiver, Sender, TryRecvError};
use std::{
    env,
    error::Error,
    process::{self, Command},
    thread,
    time::Duration,
};

fn main() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1) {
        Some(name) => child(&name),
        None => parent(),
    }
}

fn child(name: &str) -> Result<(), Box<dyn Error>> {
    let sender = Sender::connect(name)?;
    for integer in 1_i32..=10 {
        sender.send(integer.to_le_bytes())?;
        thread::sleep(Duration::from_millis(7));
    }
    sender.close(Duration::from_secs(10))?;
    Ok(())
}

fn parent() -> Result<(), Box<dyn Error>> {
    let name = format!("/lamq-ten-integers-{}", process::id());
    let receiver = Receiver::builder().frame_size(512).end_with_last_sender().bind(name.as_str())?;
    let mut child = Command::new(env::current_exe()?).arg(&name).spawn()?;
    let mut have = Vec::new();
    loop {
        match receiver.try_recv() {
            Ok(message) => {
                have.push(i32::from_le_bytes(message.to_vec().try_into().map_err(|_| "not an integer")?));
                println!("have {have:?}");
            }
            Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) if child.try_wait()?.is_some_and(|status| !status.success()) => {
                return Err("the child failed".into());
            }
            Err(TryRecvError::Empty) => thread::sleep(Duration::from_millis(3)), // the other things
        }
    }
    child.wait()?;
    println!("the child has left; the sum is {}", have.iter().sum::<i32>());
    Ok(())
}

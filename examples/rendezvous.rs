//! A synchronous send returns when the other process has taken the message, and not before: the two meet.
//!
//! ```sh
//! cargo run --example rendezvous
//! ```
//!
//! The sender writes down when it handed each message over; the receiver takes its time. Compare with `hello`, where the sender
//! does not wait.

use lamq::{Receiver, Sender};
use std::{
    env,
    error::Error,
    process::{self, Command},
    thread,
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
    for baton in ["first", "second", "third"] {
        // Behind this line it is certain that `recv` has returned it over there.
        sender.send_sync(baton)?;
        println!("handed over: {baton}");
    }
    sender.close(Duration::from_secs(10))?;
    Ok(())
}

fn receive() -> Result<(), Box<dyn Error>> {
    let name = format!("/lamq-rendezvous-{}", process::id());
    let receiver = Receiver::builder().frame_size(512).end_with_last_sender().bind(name.as_str())?;
    let mut sender = Command::new(env::current_exe()?).arg(&name).spawn()?;
    thread::sleep(Duration::from_millis(50)); // nothing is handed over meanwhile
    println!("the receiver begins");
    let mut taken = 0;
    while receiver.recv_timeout(Duration::from_secs(10)).is_ok() {
        taken += 1;
    }
    if sender.wait()?.success() && taken == 3 { Ok(()) } else { Err("not all was handed over".into()) }
}

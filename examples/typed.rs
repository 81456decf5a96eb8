//! Values instead of bytes: what the sender sent as an `Order`, the receiver gets as one.
//!
//! ```sh
//! cargo run --example typed
//! ```
//!
//! The two processes run the same program, and so agree on the type. One that does not name a type would be refused.

use lamq::{Receiver, Sender};
use serde::{Deserialize, Serialize};
use std::{
    env,
    error::Error,
    process::{self, Command},
    time::Duration,
};

#[derive(Serialize, Deserialize)]
enum Order {
    Buy { item: String, count: u32 },
    Forget { order: u64 },
}

fn main() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1) {
        Some(name) => send(&name),
        None => receive(),
    }
}

fn send(name: &str) -> Result<(), Box<dyn Error>> {
    let sender = Sender::builder().typed::<Order>().connect(name)?;
    let order = sender.send(Order::Buy { item: "apples".into(), count: 3 })?;
    sender.send(Order::Buy { item: "pear".into(), count: 1 })?;
    sender.send(Order::Forget { order })?;
    sender.close(Duration::from_secs(10))?;
    Ok(())
}

fn receive() -> Result<(), Box<dyn Error>> {
    let name = format!("/lamq-typed-{}", process::id());
    let builder = Receiver::builder().frame_size(512).end_with_last_sender();
    let receiver = builder.typed::<Order>().bind(name.as_str())?;
    let mut sender = Command::new(env::current_exe()?).arg(&name).spawn()?;
    while let Ok(message) = receiver.recv_timeout(Duration::from_secs(10)) {
        match message.decode()? {
            Order::Buy { item, count } => println!("buy {count} {item}"),
            Order::Forget { order } => println!("forget order {order}"),
        }
    }
    if sender.wait()?.success() { Ok(()) } else { Err("the sender failed".into()) }
}

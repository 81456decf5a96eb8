//! Several threads share one sender, and several threads one receiver: the messages are one stream, and each is taken once.
//!
//! ```sh
//! cargo run --example threads
//! ```
//!
//! Both ends live in one process here, on queues in memory, so that nothing of the kernel is used up.

use lamq::{Receiver, Sender, link::Memory};
use std::{error::Error, thread};

const THREADS: u64 = 3;
const MESSAGES: u64 = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let space = Memory::new();
    let receiver = Receiver::builder().link(space.clone()).end_with_last_sender().bind("/work")?;
    let sender = Sender::builder().link(space).connect("/work")?;
    let mut numbers = thread::scope(|scope| {
        for _ in 0..THREADS {
            let sender = sender.clone();
            scope.spawn(move || (0..MESSAGES).try_for_each(|_| sender.send("a piece of work").map(drop)));
        }
        // The last clone ends the stream when it is dropped, and then the workers end.
        drop(sender);
        let work = || receiver.iter().map(|message| message.number()).collect::<Vec<_>>();
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers.map(|worker| worker.join().unwrap_or_default()).concat()
    });
    numbers.sort_unstable();
    if !numbers.iter().copied().eq(1..=THREADS * MESSAGES) {
        return Err("a piece of work was lost or done twice".into());
    }
    println!("{} pieces of work, each done once", numbers.len());
    Ok(())
}

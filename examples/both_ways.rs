//! A client asks, a server answers: two processes, one session, one queue for each.
//!
//! ```sh
//! cargo run --example both_ways
//! ```
//!
//! The program is the server and starts itself twice as a client. When both clients have left, it ends.

use lamq::{Event, Receiver, Sender};
use std::{
    env,
    error::Error,
    process::{self, Command},
    time::Duration,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match &arguments[..] {
        [name, words] => ask(name, words),
        _ => serve(),
    }
}

fn ask(name: &str, words: &str) -> Result<(), Box<dyn Error>> {
    let (questions, answers) = Sender::builder().connect_both_ways(name, &Receiver::builder())?;
    for word in words.split(' ') {
        questions.send(word.to_owned())?;
        let answer = answers.recv_timeout(Duration::from_secs(10))?;
        println!("{word} backwards is {}", String::from_utf8_lossy(&answer));
    }
    questions.close(Duration::from_secs(10))?;
    Ok(())
}

fn serve() -> Result<(), Box<dyn Error>> {
    let name = format!("/lamq-both-ways-{}", process::id());
    let receiver = Receiver::builder().frame_size(512).bind(name.as_str())?;
    let client = |words: &str| Command::new(env::current_exe()?).args([&name, words]).spawn();
    let mut clients = [client("stressed live")?, client("drawer")?];

    let mut left = 0;
    while left < clients.len() {
        match receiver.recv_event(Some(Duration::from_secs(10)))? {
            Event::Message(question) => {
                let client = receiver.sender_to(question.peer()).ok_or("a client that wants no answer")?;
                client.send(question.iter().rev().copied().collect::<Vec<_>>())?;
            }
            Event::Departed { .. } => left += 1,
            _ => {}
        }
    }
    for client in &mut clients {
        if !client.wait()?.success() {
            return Err("a client failed".into());
        }
    }
    Ok(())
}

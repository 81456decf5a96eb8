//! Many processes at once: they want one name, or they send to one receiver.
//!
//! They start behind a gate, a pipe that all of them read and that is closed. What they say comes through one pipe too, so that the
//! order of it is known between processes.

use crate::{
    owner::bind,
    process::{hear, play},
    world::{Dice, MODE, Name, Raw, WATCHDOG},
};
use lamq::{
    BindError, Departure, Event, QueueName, Receiver, Sender,
    inspect::{RemoveError, remove},
};
use lamq_proves::proves;
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    io::{BufRead, BufReader, PipeWriter, Write, pipe},
    process::{self, Child, Command},
    sync::mpsc,
    thread,
    time::Duration,
};

const STARTERS: usize = 64;
const CLEANERS: usize = 8;

/// Says a line in one go, so that no other comes between.
fn say_to(mut pipe: impl Write, line: &str) {
    pipe.write_all(format!("> {line}\n").as_bytes()).unwrap();
}

fn announce(line: &str) {
    say_to(std::io::stderr(), line);
}

/// Role: behind the gate, wants the name; has it until it is killed.
pub(crate) fn start_up(name: &str) {
    announce("behind the gate");
    hear();
    let own = process::id();
    match bind(name) {
        Ok(_receiver) => {
            announce(&format!("owner {own}"));
            loop {
                thread::park();
            }
        }
        Err(BindError::InUse { pid, .. }) => announce(&format!("refused {own} {pid}")),
        Err(error) => announce(&format!("failed {own} {error}")),
    }
}

/// Role: behind the gate, removes what it may under the name, until it meets a living owner.
pub(crate) fn clean(name: &str) {
    announce("behind the gate");
    hear();
    let (own, queue_name) = (process::id(), QueueName::new(name).unwrap());
    for attempt in 0..200 {
        match remove(&queue_name, attempt % 2 == 1) {
            Err(RemoveError::InUse { .. }) => break,
            Ok(_) | Err(RemoveError::NoQueue { .. } | RemoveError::Waiting { .. }) => thread::yield_now(),
            Err(error) => return announce(&format!("failed {own} {error}")),
        }
    }
    announce(&format!("cleaned {own}"));
}

/// Processes behind a gate, or through it; killed when dropped.
struct Herd {
    gate: Option<PipeWriter>,
    members: BTreeMap<u32, Child>,
    said: mpsc::Receiver<String>,
    /// To say something between what they say.
    voice: PipeWriter,
}

/// Passes on what they say, but for the harness.
fn hear_of(line: &str, heard: &mpsc::Sender<String>) -> Result<(), mpsc::SendError<String>> {
    if let Some(said) = line.strip_prefix("> ") {
        return heard.send(said.to_string());
    }
    println!("{line}"); // shown if the test fails
    Ok(())
}

impl Herd {
    fn gather<'a>(roles: impl IntoIterator<Item = &'a str>, argument: &str) -> Self {
        let (closed, gate) = pipe().unwrap();
        let (ear, voice) = pipe().unwrap();
        let mut members = BTreeMap::new();
        for role in roles {
            let mut command = Command::new(env::current_exe().unwrap());
            let command = play(&mut command, role, argument);
            let child = command.stdin(closed.try_clone().unwrap()).stderr(voice.try_clone().unwrap()).spawn().unwrap();
            members.insert(child.id(), child);
        }
        let (heard, said) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(ear).lines().map_while(Result::ok).try_for_each(|line| hear_of(&line, &heard))
        });
        let all = Self { gate: Some(gate), members, said, voice };
        (0..all.members.len()).for_each(|_| assert_eq!(all.line(), "behind the gate"));
        all
    }

    fn open_the_gate(&mut self) {
        drop(self.gate.take());
    }

    /// What is said next.
    fn line(&self) -> String {
        self.said.recv_timeout(WATCHDOG).expect("they say something")
    }

    /// Kills a member, and says so before.
    fn kill(&mut self, pid: u32) {
        say_to(&self.voice, &format!("killed {pid}"));
        let mut victim = self.members.remove(&pid).unwrap();
        victim.kill().unwrap();
        victim.wait().unwrap();
    }

    /// Waits for one that has said its last word.
    fn see_off(&mut self, pid: u32) {
        assert!(self.members.remove(&pid).unwrap().wait().unwrap().success());
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        for child in self.members.values_mut() {
            _ = child.kill();
            _ = child.wait();
        }
    }
}

/// Who owns the name, as far as has been said.
#[derive(Default)]
struct History {
    owner: Option<u32>,
    refused_by: BTreeSet<u32>,
    refused: usize,
    spoken: BTreeSet<u32>,
    killed: BTreeSet<u32>,
}

impl History {
    fn take(&mut self, line: &str) {
        let words: Vec<_> = line.splitn(3, ' ').collect();
        let pid = words[1].parse().unwrap();
        match words[0] {
            "killed" => {
                self.killed.insert(pid);
                self.owner = self.owner.filter(|owner| *owner != pid);
            }
            // What one says that was being killed tells nothing of when it was so.
            _ if self.killed.contains(&pid) => {}
            "owner" => assert_eq!(self.owner.replace(pid), None, "two own it, the other is {pid}"),
            "refused" => {
                self.refused += 1;
                self.refused_by.insert(words[2].parse().unwrap());
            }
            "cleaned" => {}
            _ => panic!("{line}"),
        }
        self.spoken.insert(pid);
    }
}

/// Lets them all go at once. Returns what came of it, when the owner alone is left, and who it is.
fn stampede(name: &Name, cleaners: usize, mut disturb: impl FnMut(&mut Herd, &mut History)) -> (Herd, History) {
    let roles = [("start-up", STARTERS), ("clean", cleaners)];
    let roles = roles.into_iter().flat_map(|(role, count)| std::iter::repeat_n(role, count));
    let mut herd = Herd::gather(roles, name.as_str());
    let all: BTreeSet<_> = herd.members.keys().copied().collect();
    let mut history = History::default();
    herd.open_the_gate();
    disturb(&mut herd, &mut history);
    while history.spoken != all || history.killed.len() + herd.members.len() < all.len() {
        history.take(&herd.line());
    }
    for pid in all.into_iter().filter(|pid| !history.killed.contains(pid) && history.owner != Some(*pid)) {
        herd.see_off(pid);
    }
    (herd, history)
}

/// One of them all owns the name and serves it, and has told so those that it refused.
fn demand_one_owner(name: &Name, cleaners: usize) {
    let (mut herd, history) = stampede(name, cleaners, |_, _| {});
    let owner = history.owner.expect("an owner");
    assert_eq!((history.refused, history.refused_by), (STARTERS - 1, [owner].into()));
    assert_eq!(lamq::ping(name.as_str(), WATCHDOG).unwrap().pid, owner);
    herd.kill(owner);
    drop(bind(name.as_str()).unwrap());
}

#[proves("POS-5")]
#[test]
fn of_all_who_want_a_new_name_at_once_one_gets_it() {
    demand_one_owner(&Name::new("stampede"), 0);
}

#[proves("POS-5", "POS-6", "POS-7")]
#[test]
fn of_all_who_want_the_name_of_a_dead_one_at_once_one_gets_it() {
    let name = Name::new("stampede-dead");
    // Where nobody cleans up, those who want another shape make it anew themselves.
    for (slots, frames, cleaners) in
        [(2, 0, CLEANERS), (3, 0, 0), (3, 0, CLEANERS), (2, 2, 0), (3, 2, 0), (3, 2, CLEANERS)]
    {
        let dead = Raw::create_as(name.as_str(), MODE, slots, 512).unwrap();
        (0..frames).for_each(|_| assert!(dead.send(b"of the dead", 0)));
        demand_one_owner(&name, cleaners);
    }
}

#[proves("POS-5", "POS-6", "POS-7")]
#[test]
fn whoever_is_killed_in_a_stampede_no_two_own_the_name_and_the_next_gets_it() {
    let (name, mut dice) = (Name::new("stampede-kills"), Dice::new());
    for slots in [2, 3] {
        drop(Raw::create_as(name.as_str(), MODE, slots, 512).unwrap());
        let (mut herd, history) = stampede(&name, CLEANERS, |herd, history| {
            for _ in 0..STARTERS / 2 {
                thread::sleep(Duration::from_micros(dice.below(2_000) as u64));
                while let Ok(line) = herd.said.try_recv() {
                    history.take(&line);
                }
                let living: Vec<_> = herd.members.keys().copied().collect();
                let owner = history.owner.filter(|owner| living.contains(owner) && dice.below(2) == 0);
                herd.kill(owner.unwrap_or(living[dice.below(living.len())]));
            }
        });
        if let Some(owner) = history.owner {
            assert_eq!(lamq::ping(name.as_str(), WATCHDOG).unwrap().pid, owner);
            herd.kill(owner);
        }
        drop(bind(name.as_str()).unwrap());
    }
}

/// How many send to one receiver. Each costs its user 6080 of the 819,200 bytes that he has for queues, which other tests need too, one of
/// them a third of them: so there are 64 only where they are alone, `LAMQ_SENDERS=64 cargo test --test kernel crowd_of_senders`.
const SENDERS: usize = 24;

const MESSAGES: u64 = 200;

/// Role: behind the gate, sends its messages.
pub(crate) fn send_in_a_crowd(name: &str) {
    announce("behind the gate");
    hear();
    let sender = Sender::builder().wait(WATCHDOG).connect(name).unwrap();
    for number in 1..=MESSAGES {
        assert_eq!(sender.send_timeout(number.to_le_bytes().repeat(10), WATCHDOG).unwrap(), number);
    }
    sender.close(WATCHDOG).unwrap();
    announce(&format!("finished {}", process::id()));
}

#[proves("PRO-1", "PRO-3")]
#[test]
fn each_of_a_crowd_of_senders_has_its_turn() {
    let senders = env::var("LAMQ_SENDERS").map_or(SENDERS, |senders| senders.parse().unwrap());
    let name = Name::new("crowd-of-senders");
    let receiver = Receiver::builder().slots(4).frame_size(512).bind(name.as_str()).unwrap();
    let mut herd = Herd::gather(std::iter::repeat_n("send-in-a-crowd", senders), name.as_str());
    herd.open_the_gate();
    let (mut taken, mut left) = (BTreeMap::new(), 0);
    while left < senders {
        match receiver.recv_event(Some(WATCHDOG)).unwrap() {
            Event::Message(message) => {
                let taken = taken.entry(message.peer().pid).or_insert(0_u64);
                *taken += 1;
                assert_eq!((message.number(), &*message), (*taken, &*taken.to_le_bytes().repeat(10)));
            }
            Event::Departed { departure, last, .. } => {
                assert_eq!((departure, last), (Departure::Left, MESSAGES));
                left += 1;
            }
            _ => {}
        }
    }
    assert!(taken.len() == senders && taken.values().all(|taken| *taken == MESSAGES), "{taken:?}");
    for _ in 0..senders {
        let line = herd.line();
        herd.see_off(line.strip_prefix("finished ").unwrap().parse().unwrap());
    }
}

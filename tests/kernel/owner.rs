//! Who owns a queue, as anybody can ask the kernel.

use crate::{
    process::{Process, say},
    tap::Tap,
    world::{MODE, Name, Raw, WATCHDOG, wait_until},
};
use lamq::{
    BindError, Event, Receiver, Sender,
    link::{Link, Owner, Posix},
};
use lamq_protocol::{
    Epoch,
    wire::{self, Frame, Greeting},
};
use lamq_proves::proves;
use nix::{
    libc,
    sys::stat::{Mode, umask},
    unistd::geteuid,
};
use std::{
    fs,
    io::{self, Read, Write},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

pub(crate) fn bind(name: &str) -> Result<Receiver, BindError> {
    Receiver::builder().slots(2).frame_size(512).bind(name)
}

/// Role: under the umask given, owns a queue and serves it until it is killed.
pub(crate) fn receive(argument: &str) {
    let (mask, name) = argument.split_once(' ').unwrap();
    umask(Mode::from_bits_truncate(u32::from_str_radix(mask, 8).unwrap()));
    let receiver = bind(name).unwrap();
    say("bound");
    while receiver.recv_event(None).is_ok() {}
}

/// Role: under the umask given, greets a receiver.
pub(crate) fn greet(argument: &str) {
    let (mask, name) = argument.split_once(' ').unwrap();
    umask(Mode::from_bits_truncate(u32::from_str_radix(mask, 8).unwrap()));
    drop(Sender::builder().wait(WATCHDOG).connect(name));
}

/// Another process greets the queue `name`, which only looks like a receiver's. Returns it, its greeting and its inbox.
fn greeter(name: &Name, mask: &str) -> (Process, Greeting, Raw, Name) {
    let queue = Raw::create(name.as_str()).unwrap();
    assert!(queue.lock(std::process::id(), Epoch::new(7).unwrap()));
    let process = Process::start("greet", &format!("{mask} {}", name.as_str()));
    let private = Name::of_sender(process.id());
    wait_until("a greeting comes", || queue.waiting() > 0);
    let Frame::Greeting(greeting) = wire::decode(queue.recv().unwrap()).unwrap().1 else { panic!("not a greeting") };
    assert_eq!(greeting.inbox, private.as_str().as_bytes());
    let inbox = Raw::open(private.as_str()).unwrap();
    name.remove();
    (process, greeting, inbox, private)
}

fn demand_ours(queue: &Raw) {
    let stat = queue.stat();
    assert_eq!((stat.st_mode & 0o7777, stat.st_uid), (MODE, geteuid().as_raw()), "mode {:o}", stat.st_mode);
}

#[proves("POS-2")]
#[test]
fn an_inbox_has_the_mode_1600_whatever_the_umask() {
    for mask in ["000", "022", "277", "777"] {
        let name = Name::new(&format!("umask-{mask}"));
        let mut process = Process::start("receive", &format!("{mask} {}", name.as_str()));
        process.expect("bound");
        demand_ours(&Raw::open(name.as_str()).unwrap());
        process.kill();
        name.remove();

        let (mut process, _, inbox, private) = greeter(&name, mask);
        demand_ours(&inbox);
        process.kill();
        private.remove();
    }
}

/// What the owner lock says. It is a write lock of an open file description, from byte 0 to the length that carries the owner.
fn owner_of(queue: &Raw) -> Owner {
    let lock = queue.lock_at(0).expect("a lock");
    assert_eq!((i32::from(lock.l_type), lock.l_start, lock.l_pid), (libc::F_WRLCK, 0, -1));
    assert!(queue.lock_at(lock.l_len - 1).is_some() && queue.lock_at(lock.l_len).is_none());
    Owner { pid: u32::try_from(lock.l_len % (1 << 22)).unwrap(), epoch_low: u64::try_from(lock.l_len >> 22).unwrap() }
}

#[proves("POS-3", "DTH-1")]
#[test]
fn the_lock_of_a_receiver_says_who_it_is_and_dies_with_it() {
    let name = Name::new("lock");
    let mut process = Process::start("receive", &format!("022 {}", name.as_str()));
    process.expect("bound");
    let queue = Raw::open(name.as_str()).unwrap();
    let owner = owner_of(&queue);
    assert_eq!(owner.pid, process.id());
    // Its peers see the same.
    let outbox = Posix.open(&name.as_str().try_into().unwrap()).unwrap();
    assert_eq!(outbox.destination().owner(), owner);
    let tap = Tap::default();
    let sender = Sender::builder().wait(WATCHDOG).link(tap.clone()).connect(name.as_str()).unwrap();
    let welcome = tap.log().decoded().find_map(|(_, _, frame)| match frame {
        Frame::Welcome(welcome) => Some(welcome),
        _ => None,
    });
    let welcome = welcome.unwrap();
    assert_eq!(Owner::new(welcome.pid, welcome.epoch), owner);
    assert!(outbox.destination().is_alive().unwrap());
    process.kill();
    assert!(queue.lock_at(0).is_none() && !outbox.destination().is_alive().unwrap());
    drop(sender);
    name.remove();
}

#[proves("POS-3")]
#[test]
fn the_lock_of_a_sender_says_who_greets_and_dies_with_it() {
    let name = Name::new("greeter");
    let (mut process, greeting, inbox, private) = greeter(&name, "022");
    assert_eq!(owner_of(&inbox), Owner::new(greeting.pid, greeting.stream.epoch));
    assert_eq!(greeting.pid, process.id());
    process.kill();
    assert!(inbox.lock_at(0).is_none());
    private.remove();
}

/// What the descriptors of a process lead to, sorted.
pub(crate) fn descriptors(pid: u32) -> Vec<String> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let link =
        |entry: io::Result<fs::DirEntry>| fs::read_link(entry.ok()?.path()).ok()?.into_os_string().into_string().ok();
    let mut links: Vec<_> = links.filter_map(link).collect();
    links.sort();
    links
}

/// A program that does nothing but hold what it inherited, until its input ends.
fn program() -> Child {
    let mut child =
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // Once it answers it has closed what it opened to start.
    child.stdin.as_mut().unwrap().write_all(b"?").unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    child
}

/// Of a process with pipes of its own, only the others count.
fn inherited(child: &Child) -> Vec<String> {
    descriptors(child.id()).into_iter().filter(|link| !link.starts_with("pipe:")).collect()
}

#[proves("POS-3")]
#[test]
fn a_program_that_an_owner_starts_inherits_nothing_and_takes_nothing_with_it() {
    let name = Name::new("exec");
    let mut before = program();
    let receiver = bind(name.as_str()).unwrap();
    let connecting = {
        let name = name.as_str().to_string();
        thread::spawn(move || Sender::builder().wait(WATCHDOG).linger(Duration::ZERO).connect(name).unwrap())
    };
    while !matches!(receiver.recv_event(Some(WATCHDOG)).unwrap(), Event::Joined(_)) {}
    let sender = connecting.join().unwrap();
    assert!(descriptors(std::process::id()).iter().any(|link| link == name.as_str()), "queues can be seen like this");
    let mut started = program();
    assert_eq!(inherited(&started), inherited(&before));
    for child in [&mut started, &mut before] {
        drop(child.stdin.take());
        child.wait().unwrap();
    }
    assert_eq!(owner_of(&Raw::open(name.as_str()).unwrap()).pid, std::process::id());
    sender.send("still here").unwrap();
    assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"still here");
}

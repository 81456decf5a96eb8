//! A process of the bench: the receiver, or one of the senders.

use super::{
    cue::{self, Cue},
    guest::Guest,
    media::{
        Ends, Inlet, Letter, Outcome, Outlet, Parting, Site, Way,
        lamq::{Bytes, Rendezvous, Typed},
        packed::Packed,
        pipe::Pipe,
        posix::Posix,
        seqpacket::SeqPacket,
    },
    system_v::SystemV,
    talk::{Asked, Duty, Measured, Medium, Role, Told, WAYS, Work},
};
use crate::{
    clock::{Stopwatch, monotonic, sleep_until},
    crew::talk::{enlisted, hear, tell},
    failure::Exit,
};
use hdrhistogram::Histogram;
use nix::{
    sched::{CpuSet, sched_setaffinity},
    sys::{
        resource::{Usage, UsageWho, getrusage},
        time::TimeValLike,
    },
    unistd::Pid,
};
use std::{fs, process, thread, time::Duration};

/// Set in the mark of the last message of a sender in a crowd.
const LAST: u64 = 1 << 63;

/// How many messages are sent between two looks at the clock.
const UNWATCHED: u64 = 16;

/// Does what the bench wants of this process.
pub(super) fn serve(duty: &Duty, guests: &[Guest]) -> Outcome {
    let blocked = enlisted(duty.parent)?;
    // Before there is another thread, which would keep what it inherits.
    keep_to(duty.core)?;
    let parting = Parting::default();
    let own = parting.clone();
    blocked.on_first(move |_| {
        own.part();
        process::exit(Exit::Failure as i32);
    })?;
    let site = Site { ways: duty.ways.clone(), length: duty.work.length(), spin: duty.spin, parting };
    match (duty.medium, duty.work) {
        (Medium::Lamq, Work::Rendezvous { .. }) => act::<Rendezvous>(duty, &site),
        (Medium::Lamq, _) => act::<Bytes>(duty, &site),
        (Medium::LamqTyped, _) => act::<Typed>(duty, &site),
        (Medium::Queue, _) => act::<Posix<true>>(duty, &site),
        (Medium::QueueSpinning, _) => act::<Posix<false>>(duty, &site),
        (Medium::Packed, _) => act::<Packed>(duty, &site),
        (Medium::Pipe, _) => act::<Pipe>(duty, &site),
        (Medium::SeqPacket, _) => act::<SeqPacket>(duty, &site),
        (Medium::SystemV, _) => act::<SystemV>(duty, &site),
        (Medium::Guest(index), _) => act_as_guest(guests.get(index).ok_or("nobody knows this guest")?, duty, &site),
    }
}

/// Keeps this thread, and those that it starts, to a core.
fn keep_to(core: usize) -> Outcome {
    let mut only = CpuSet::new();
    only.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &only).map_err(|error| format!("cannot keep to core {core}: {error}"))?;
    Ok(())
}

fn act_as_guest(guest: &Guest, duty: &Duty, site: &Site) -> Outcome {
    let (clear, ways): (_, [String; WAYS]) = (guest.clear, duty.ways.clone());
    site.parting.add(move || ways.iter().for_each(|way| clear(way)));
    (guest.act)(duty, site)
}

/// Plays the role on this medium, or both.
pub(super) fn act<E: Ends>(duty: &Duty, site: &Site) -> Outcome {
    let whole = UsageWho::RUSAGE_SELF;
    match duty.role {
        Role::Receiver => act_receiver::<E>(duty.work, site, whole, &mut cue::Process),
        Role::Sender(index) => act_sender::<E>(duty.work, site, index, whole, &mut cue::Process),
        Role::Both { sender_core } => act_both::<E>(duty.work, site, sender_core),
    }
}

fn act_both<E: Ends>(work: Work, site: &Site, sender_core: usize) -> Outcome {
    let (mut receiving, mut sending) = cue::threads();
    let own = UsageWho::RUSAGE_THREAD;
    thread::scope(|scope| {
        let sender = scope.spawn(move || {
            let acted = keep_to(sender_core)
                .and_then(|()| sending.await_inlet())
                .and_then(|()| act_sender::<E>(work, site, 0, own, &mut sending));
            acted.map_err(|error| error.to_string())
        });
        let taken = act_receiver::<E>(work, site, own, &mut receiving);
        drop(receiving); // who waits for it shall know
        let sent = sender.join().unwrap_or_else(|_| Err("the sender panicked".into()));
        match (taken, sent) {
            (Ok(()), Ok(())) => Ok(()),
            (Err(error), Ok(())) => Err(error),
            (Ok(()), Err(error)) => Err(error.into()),
            (Err(receiver), Err(sender)) => Err(format!("receiver: {receiver}; sender: {sender}").into()),
        }
    })
}

fn act_receiver<E: Ends>(work: Work, site: &Site, who: UsageWho, cue: &mut impl Cue) -> Outcome {
    let mut inlet = E::inlet(site, Way::There)?;
    cue.begin()?;
    let mut outlet = if work.is_answered() { Some(E::back(site, &mut inlet)?) } else { None };
    let meter = Meter::start(who)?;
    let measured = receive(&mut inlet, outlet.as_mut(), work)?;
    cue.done(meter.read(measured)?)
}

fn act_sender<E: Ends>(work: Work, site: &Site, index: u64, who: UsageWho, cue: &mut impl Cue) -> Outcome {
    let (mut outlet, mut inlet) = if work.is_answered() {
        let (outlet, inlet) = E::both(site)?;
        (outlet, Some(inlet))
    } else {
        (E::outlet(site, Way::There)?, None)
    };
    let at = cue.begin()?;
    let meter = Meter::start(who)?;
    let measured = send(&mut outlet, inlet.as_mut(), work, index, at)?;
    cue.done(meter.read(measured)?)
}

/// What a process, or a thread, takes from a point in time on.
struct Meter(UsageWho, Usage);

impl Meter {
    fn start(who: UsageWho) -> Outcome<Self> {
        Ok(Self(who, getrusage(who)?))
    }

    fn read(self, measured: Measured) -> Outcome<Measured> {
        let micros = |usage: &Usage| usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        let spent = micros(&getrusage(self.0)?) - micros(&self.1);
        let status = fs::read_to_string("/proc/self/status")?;
        let peak =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        let cpu_seconds = Duration::from_micros(spent.unsigned_abs()).as_secs_f64();
        Ok(Measured { cpu_seconds, peak_kib: peak.ok_or("/proc/self/status has no VmHWM")?, ..measured })
    }
}

/// Nanoseconds, to three digits.
struct Latencies(Histogram<u64>);

impl Latencies {
    fn new() -> Outcome<Self> {
        Ok(Self(Histogram::new(3)?))
    }

    fn add(&mut self, time: u64) {
        // It grows by itself: no time is out of its range.
        _ = self.0.record(time);
    }

    fn pairs(&self) -> Vec<(u64, u64)> {
        self.0.iter_recorded().map(|step| (step.value_iterated_to(), step.count_since_last_iteration())).collect()
    }
}

fn receive<I: Inlet, O: Outlet>(inlet: &mut I, outlet: Option<&mut O>, work: Work) -> Outcome<Measured> {
    match work {
        Work::OneWay { count, .. } | Work::Rendezvous { count } => {
            expect(inlet.receive()?, 1)?;
            let stopwatch = Stopwatch::start();
            for number in 2..=count {
                expect(inlet.receive()?, number)?;
            }
            Ok(Measured { seconds: stopwatch.read().as_secs_f64(), messages: count, ..Measured::default() })
        }
        Work::RoundTrip { count } => {
            let outlet = outlet.ok_or("there is no way back")?;
            for number in 1..=count {
                let letter = inlet.receive()?;
                expect(letter, number)?;
                outlet.send(letter)?;
            }
            outlet.finish()?;
            Ok(Measured { messages: count, ..Measured::default() })
        }
        Work::FanIn { senders, .. } => receive_of_many(inlet, senders),
        Work::Paced { count, .. } => {
            let mut latencies = Latencies::new()?;
            for number in 1..=count {
                let letter = inlet.receive()?;
                latencies.add(monotonic().saturating_sub(letter.mark));
                expect(letter, number)?;
            }
            Ok(Measured { messages: count, latencies: latencies.pairs(), ..Measured::default() })
        }
        Work::Idle => {
            expect(inlet.receive()?, 1)?;
            tell(&Told::Settled)?;
            expect(inlet.receive()?, 2)?;
            Ok(Measured { messages: 2, ..Measured::default() })
        }
    }
}

fn receive_of_many(inlet: &mut impl Inlet, senders: u64) -> Outcome<Measured> {
    let mut lasts = vec![0; usize::try_from(senders)?];
    let (mut ended, mut messages) = (0, 0);
    while ended < senders {
        let letter = inlet.receive()?;
        let last = lasts.get_mut(usize::try_from(letter.mark & !LAST)?).ok_or("a message of no sender")?;
        *last += 1;
        expect(letter, *last)?;
        messages += 1;
        ended += u64::from(letter.mark & LAST != 0);
    }
    Ok(Measured { messages, ..Measured::default() })
}

fn expect(letter: Letter, number: u64) -> Outcome {
    if letter.number == number {
        return Ok(());
    }
    Err(format!("message {} came in the place of message {number}", letter.number).into())
}

fn send<O: Outlet, I: Inlet>(
    outlet: &mut O,
    inlet: Option<&mut I>,
    work: Work,
    index: u64,
    at: u64,
) -> Outcome<Measured> {
    let stopwatch = Stopwatch::start();
    let mut measured = Measured::default();
    match work {
        Work::OneWay { count, .. } => {
            (1..=count).try_for_each(|number| outlet.send(Letter::new(number)))?;
            measured.messages = count;
        }
        Work::RoundTrip { count } => {
            let inlet = inlet.ok_or("there is no way back")?;
            measured = timed(count, |number| {
                outlet.send(Letter::new(number))?;
                expect(inlet.receive()?, number)
            })?;
        }
        Work::Rendezvous { count } => measured = timed(count, |number| outlet.send(Letter::new(number)))?,
        Work::FanIn { time, .. } => {
            let end = at.saturating_add(u64::try_from(time.as_nanos())?);
            while monotonic() < end {
                for _ in 0..UNWATCHED {
                    measured.messages += 1;
                    outlet.send(Letter { number: measured.messages, mark: index })?;
                }
            }
            outlet.send(Letter { number: measured.messages + 1, mark: index | LAST })?;
        }
        Work::Paced { period, count } => {
            let (begun, period) = (monotonic(), u64::try_from(period.as_nanos())?);
            for number in 1..=count {
                sleep_until(begun + number * period);
                outlet.send(Letter { number, mark: monotonic() })?;
            }
            measured.messages = count;
        }
        Work::Idle => {
            outlet.send(Letter::new(1))?;
            outlet.finish()?;
            tell(&Told::Settled)?;
            hear::<Asked>()?;
            outlet.send(Letter::new(2))?;
            measured.messages = 2;
        }
    }
    measured.seconds = stopwatch.read().as_secs_f64();
    outlet.finish()?;
    Ok(measured)
}

/// Does it so often, and notes how long it takes each time.
fn timed(count: u64, mut act: impl FnMut(u64) -> Outcome) -> Outcome<Measured> {
    let mut latencies = Latencies::new()?;
    let mut before = monotonic();
    for number in 1..=count {
        act(number)?;
        let now = monotonic();
        latencies.add(now - before);
        before = now;
    }
    Ok(Measured { messages: count, latencies: latencies.pairs(), ..Measured::default() })
}

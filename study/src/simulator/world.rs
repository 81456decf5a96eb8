//! The world: its processes, and what happens to them, one event after the other.

use super::{
    Failure, Report, Settings,
    events::{Event, MILLISECOND, Place, SECOND, Time},
    link::Surroundings,
    receiving::Receiving,
    scenario::{Fate, RECEIVER, Scenario},
    sending::Sending,
    shell::Shell,
    situations::{Situation, Situations},
    trace::{Sink, Trace, What, name},
};
use fastrand::Rng;

/// How long nobody may come any further once nothing goes wrong any more: who waits for an answer asks every 30 s at least.
const PATIENCE: Time = 120 * SECOND;

/// How many events there may be, at most, without anybody coming any further.
const MOST_EVENTS: u64 = 1_000_000;

/// How often a process that does something stops before, for a while: one time of so many.
const STOPS: u32 = 300;

struct Process {
    /// `None`: it is dead.
    shell: Option<Shell>,
    application: Application,
    /// Until when it does nothing.
    stopped: Time,
    /// Whether it is about to be woken.
    waking: bool,
}

enum Application {
    Receives(Receiving),
    Sends(Sending),
}

pub(super) struct World<'a> {
    around: Surroundings<'a>,
    processes: Vec<Process>,
}

impl<'a> World<'a> {
    pub(super) fn new(seed: u64, settings: &Settings, sink: Sink<'a>) -> Self {
        let mut rng = Rng::with_seed(seed);
        let scenario = Scenario::draw(settings, &mut rng);
        let mut around = Surroundings::new(scenario, settings.sabotage, rng, Trace::new(sink));
        let mut processes = Vec::new();
        for place in 0..=scenario.senders {
            let application = if place == RECEIVER {
                Application::Receives(Receiving::default())
            } else {
                Application::Sends(Sending::new(place, &mut around))
            };
            let shell = Some(Shell::new(place, scenario.core(place, &mut around.rng)));
            processes.push(Process { shell, application, stopped: 0, waking: false });
            let longest = if around.rng.u8(..4) == 0 { 500 * MILLISECOND } else { MILLISECOND };
            let begin = around.rng.u64(..longest);
            around.schedule.at(begin, Event::Act(place));
        }
        match scenario.fate {
            Fate::Stays => {}
            Fate::Dies(time) => around.schedule.at(time, Event::Die(RECEIVER)),
            Fate::Leaves(time) => around.schedule.at(time, Event::Leave(RECEIVER)),
        }
        around.schedule.at(scenario.calm, Event::Calm);
        Self { around, processes }
    }

    /// Lets everything happen, until nothing happens any more.
    pub(super) fn run(mut self, seed: u64, settings: &Settings) -> Result<Report, Failure> {
        let mut end = self.around.scenario.calm + PATIENCE;
        let (mut events, mut progress) = (0, 0);
        let mut what = None;
        while let Some(event) = self.around.schedule.next() {
            events += 1;
            if self.around.check.progress() > progress {
                (events, progress) = (0, self.around.check.progress());
                end = end.max(self.around.now() + PATIENCE);
            }
            if self.around.now() > end || events > MOST_EVENTS {
                what = Some(format!("nobody comes any further: {}", self.stuck()));
                break;
            }
            self.happen(event);
            if let Some(violation) = self.around.check.violation() {
                what = Some(violation.to_owned());
                break;
            }
        }
        if what.is_none() {
            what = self.is_unsettled().or_else(|| {
                self.around.check.finish();
                self.around.check.violation().map(str::to_owned)
            });
        }
        let living = self.processes.iter().filter_map(|process| process.shell.as_ref());
        living.for_each(|shell| count(shell, &mut self.around.situations));
        let Surroundings { trace, situations, scenario, .. } = &self.around;
        match what {
            None => Ok(Report {
                seed,
                digest: trace.digest(),
                steps: trace.steps(),
                virtual_time: self.around.now(),
                situations: *situations,
            }),
            Some(what) => Err(Failure {
                seed,
                settings: *settings,
                what,
                scenario: format!("{scenario:?}"),
                last_steps: trace.last(),
            }),
        }
    }

    fn happen(&mut self, event: Event) {
        if let Some(place) = event.runs() {
            let Process { stopped, shell, .. } = &mut self.processes[place];
            if shell.is_none() {
                return;
            }
            if *stopped > self.around.now() && !self.around.calm {
                return self.around.schedule.at(*stopped, event);
            }
        }
        match event {
            Event::Arrival { to, priority, frame } => {
                if self.around.arrive(to, priority, frame) {
                    self.notice(to);
                }
            }
            Event::Room { of, session } => {
                let sabotage = self.around.sabotage;
                if let Some(shell) = &mut self.processes[of].shell {
                    shell.ring_room(sabotage, session);
                    self.notice(of);
                }
            }
            Event::Bell { of, dead } => {
                if let Some(shell) = &mut self.processes[of].shell {
                    shell.ring_death(dead);
                    self.notice(of);
                }
            }
            Event::Alarm(place) => {
                let now = self.around.now();
                if let Some(shell) = &mut self.processes[place].shell {
                    shell.alarm_rang(now);
                    self.notice(place);
                }
            }
            Event::Wake(place) => self.wake(place),
            Event::Tick(place) => self.tick(place),
            Event::Act(place) => self.act(place),
            Event::Leave(place) => self.leave(place),
            Event::Die(place) => self.die(place),
            Event::Calm => {
                self.around.calm = true;
                self.around.note(What::Calm);
            }
        }
    }

    /// Something came up for a process: whoever waits in a call is woken, else the keeper will see to it.
    fn notice(&mut self, place: Place) {
        let Process { shell: Some(shell), application, waking, .. } = &mut self.processes[place] else { return };
        if !application.waits() {
            shell.call_keeper(&mut self.around);
        } else if !std::mem::replace(waking, true) {
            let longest = if self.around.rng.u8(..16) == 0 { MILLISECOND } else { MILLISECOND / 50 };
            let delay = self.around.rng.u64(1..longest);
            self.around.schedule.after(delay, Event::Wake(place));
        }
    }

    fn wake(&mut self, place: Place) {
        self.processes[place].waking = false;
        self.call(place, |application, shell, around| match application {
            Application::Receives(receiving) if receiving.waits() => receiving.act(shell, around),
            Application::Sends(sending) if sending.waits() => sending.go_on(shell, around),
            _ => {}
        });
    }

    fn act(&mut self, place: Place) {
        if !self.around.calm && self.around.rng.u32(..STOPS) == 0 {
            let until = self.around.now() + self.around.rng.u64(..SECOND);
            self.around.note(What::Stops { place, until });
            self.around.met(Situation::Stopped);
            self.processes[place].stopped = until;
            return self.around.schedule.at(until, Event::Act(place));
        }
        self.call(place, |application, shell, around| match application {
            Application::Receives(receiving) => receiving.act(shell, around),
            Application::Sends(sending) => sending.act(shell, around),
        });
    }

    fn leave(&mut self, place: Place) {
        self.call(place, |application, shell, around| {
            if let Application::Receives(receiving) = application {
                receiving.leave(shell, around);
            }
        });
    }

    /// The application calls in.
    fn call(&mut self, place: Place, run: impl FnOnce(&mut Application, &mut Shell, &mut Surroundings<'_>)) {
        let Process { shell: Some(shell), application, .. } = &mut self.processes[place] else { return };
        run(application, shell, &mut self.around);
        shell.rests(&mut self.around, false);
        shell.call_keeper(&mut self.around);
        shell.set_alarm(&mut self.around);
        if application.waits() && shell.is_called(&self.around) {
            self.notice(place);
        }
    }

    fn tick(&mut self, place: Place) {
        let Process { shell: Some(shell), application, .. } = &mut self.processes[place] else { return };
        let quiet = shell.tick(&mut self.around, application.waits());
        shell.rests(&mut self.around, quiet);
    }

    fn die(&mut self, place: Place) {
        let Process { shell, application, .. } = &mut self.processes[place];
        let Some(shell) = shell.take() else { return };
        let is_over = matches!(application, Application::Sends(sending) if sending.is_over());
        count(&shell, &mut self.around.situations);
        self.around.note(What::Dies { place });
        self.around.check.died(place);
        if place == RECEIVER {
            self.around.situations.add(Situation::ReceiverDeath, u64::from(!shell.has_left));
        } else {
            self.around.situations.add(Situation::SenderDeath, u64::from(!is_over));
        }
        self.around.end(place);
    }

    /// Whose work is not done.
    fn stuck(&self) -> String {
        let mut stuck = Vec::new();
        for (place, process) in self.processes.iter().enumerate() {
            if let (Some(shell), Application::Sends(sending)) = (&process.shell, &process.application) {
                stuck.push(format!("{} {}", name(place), sending.describe(shell)));
            }
        }
        if stuck.is_empty() { "nobody is left".to_owned() } else { stuck.join("; ") }
    }

    /// All senders are gone, and nothing is left of them.
    fn is_unsettled(&self) -> Option<String> {
        if self.processes.iter().skip(1).any(|sender| sender.shell.is_some()) {
            return Some(format!("all is quiet, and not done: {}", self.stuck()));
        }
        let receiver = self.processes[RECEIVER].shell.as_ref()?;
        let is_silent = !receiver.core.has_event() && !receiver.core.wants_idle_transmit();
        let left = receiver.left();
        (left > 0 || !is_silent).then(|| format!("all senders are gone, and {left} things of theirs are left"))
    }
}

/// What a core has counted.
fn count(shell: &Shell, situations: &mut Situations) {
    let counters = shell.core.counters();
    let is_receiver = shell.place == RECEIVER;
    situations.add(if is_receiver { Situation::Delivered } else { Situation::AnswerRead }, counters.delivered);
    for (situation, count) in [
        (Situation::Early, counters.early),
        (Situation::Duplicate, counters.duplicates),
        (Situation::RepeatedGreeting, counters.repeated_greeting),
        (Situation::RepeatedWelcome, counters.repeated_welcome),
        (Situation::StaleAcknowledgement, counters.stale_acknowledgements),
        (Situation::UnknownSession, counters.unknown_session),
    ] {
        situations.add(situation, count);
    }
}

impl Application {
    const fn waits(&self) -> bool {
        match self {
            Self::Receives(receiving) => receiving.waits(),
            Self::Sends(sending) => sending.waits(),
        }
    }
}

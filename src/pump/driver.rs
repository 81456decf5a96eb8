//! The handle of an endpoint: its calls, and the thread that serves it between them.

use super::{Handout, Mailbox, Part, Staging, State, poller::Poller};
use crate::{
    clock::Deadline,
    fork::{Forked, Generation, Maker},
    link::Link,
    message::Message,
    reports,
    sync::{Arc, Mutex, Role},
};
use lamq_protocol::{Number, SessionId, endpoint::Settings};
use nix::sys::signal::{SigSet, SigmaskHow};
use std::{io, os::fd::BorrowedFd, thread, time::Duration};

/// One endpoint.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) link: Arc<dyn Link>,
    handout: Arc<Handout>,
    staging: Arc<Staging>,
    shared: Arc<Shared>,
    keeper: Mutex<Option<thread::JoinHandle<()>>>,
    generation: Generation,
    /// In a forked child there is no keeper, whatever this value says.
    maker: Maker,
}

#[derive(Debug)]
struct Shared {
    role: Role<State>,
    poller: Poller,
}

impl Driver {
    /// An endpoint that receives is served from now on, any other from the first call on that leaves something to do.
    pub(crate) fn new(
        link: Arc<dyn Link>,
        mailbox: Mailbox,
        settings: Settings,
        part: Part,
        spin: Option<Duration>,
    ) -> io::Result<Self> {
        let generation = Generation::watched()?;
        let receives = part != Part::Sender;
        let poller = Poller::new(receives, spin)?;
        let state = State::new(Arc::clone(&link), mailbox, settings, part, &poller);
        let (handout, staging) = (state.handout.loan(), state.staging.loan());
        let shared = Arc::new(Shared { role: Role::new(state), poller });
        let maker = Maker::here();
        let driver = Self { link, handout, staging, shared, keeper: Mutex::new(None), generation, maker };
        if receives {
            driver.start_keeper();
        }
        Ok(driver)
    }

    /// # Errors
    /// This is a forked child of the process that made it.
    pub(crate) fn check(&self) -> Result<(), Forked> {
        self.generation.check()
    }

    /// The next message of those that lie ready, see [`Handout::take`]; `None` also in a forked child.
    #[inline]
    pub(crate) fn take(&self, one_more: bool) -> Option<Message> {
        if self.generation.check().is_err() { None } else { self.handout.take(one_more) }
    }

    /// More of them, see [`Handout::take_more`].
    #[inline]
    pub(crate) fn take_more(&self, limit: usize, append: impl FnMut(Message)) -> usize {
        if self.generation.check().is_err() { 0 } else { self.handout.take_more(limit, append) }
    }

    /// Whether to ask for what has been read before is worth a call, if another is made should there be nothing.
    pub(crate) fn has_event(&self) -> bool {
        self.shared.poller.has_event()
    }

    /// Accepts a message that can be staged, and returns its number; `None` if the endpoint is to be asked, and in a forked child.
    #[inline]
    pub(crate) fn stage(&self, session: SessionId, body: &[u8]) -> Option<Number> {
        self.generation.check().ok().and_then(|()| self.staging.push(session, body))
    }

    /// Runs a step that does not wait.
    ///
    /// # Errors
    /// In a forked child: a thread that is not there may hold the lock for ever (FRK-1).
    pub(crate) fn call<R>(&self, step: impl FnOnce(&mut State) -> R) -> Result<R, Forked> {
        self.generation.check()?;
        let step = |state: &mut State| {
            state.settle();
            step(state)
        };
        let (result, keeper_wanted) = self.shared.role.call(&self.shared.poller, step);
        self.shared.poller.tell();
        if keeper_wanted {
            self.start_keeper();
        }
        Ok(result)
    }

    /// Runs `step` until it returns something or the deadline has passed; sleeps in between.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub(crate) fn wait<R>(
        &self,
        deadline: Deadline,
        mut step: impl FnMut(&mut State) -> Option<R>,
    ) -> Result<Option<R>, Forked> {
        self.generation.check()?;
        let step = |state: &mut State| {
            state.settle();
            let result = step(state);
            if result.is_none() {
                // ACK-12: it may be a call for which the application lets its answer wait.
                state.core.expect_no_answer();
                state.transmit(false);
            }
            result
        };
        let (result, keeper_wanted) = self.shared.role.wait(&self.shared.poller, deadline, step);
        self.shared.poller.tell();
        if keeper_wanted {
            self.start_keeper();
        }
        Ok(result)
    }

    /// A descriptor that is readable while a call of the receiver may find something.
    pub(crate) fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        self.generation.check()?;
        let poller = &self.shared.poller;
        match poller.beacon() {
            Some(beacon) => Ok(beacon),
            None => self.call(|state| poller.light_beacon(Arc::clone(state.mailbox.entrance())))?,
        }
    }

    /// How long a thread looks before it sleeps.
    pub(crate) fn spin(&self) -> Duration {
        self.shared.poller.spin()
    }

    /// Whether this is the process that made it, and no forked child, which has the descriptors but not the sessions.
    pub(crate) fn is_ours(&self) -> bool {
        self.maker.is_here()
    }

    #[cold]
    fn start_keeper(&self) {
        if !self.shared.role.announce_keeper() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let builder = thread::Builder::new().name("lamq-keeper".into());
        // Signals are for the application's own threads. The new thread inherits the mask, so there is no moment without it.
        let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK);
        let spawned = builder.spawn(move || {
            shared.role.keep(&shared.poller);
            shared.poller.tell();
        });
        if let Ok(mask) = mask {
            _ = mask.thread_set_mask();
        }
        match spawned {
            Ok(handle) => *self.keeper.lock() = Some(handle),
            Err(error) => {
                self.shared.role.withdraw_keeper();
                // What is lent now would keep calls from entering.
                self.shared.role.call(&self.shared.poller, State::settle);
                reports::tell(|| {
                    tracing::warn!(target: "lamq", %error, "no thread to serve the endpoint between calls; the next call tries again");
                });
            }
        }
    }
}

impl Drop for Driver {
    /// Ends the keeper, or, if there is still something to say that found no room, leaves it to it: it holds the inbox and the
    /// lock until all is said or the peers are gone. Otherwise they would wait for an endpoint that has left its process.
    fn drop(&mut self) {
        if !self.is_ours() {
            return;
        }
        if self.shared.role.lets_go(&self.shared.poller) {
            self.start_keeper();
            return;
        }
        let handle = self.keeper.lock().take();
        // Not by itself: what it reports may make a subscriber drop the last end.
        if let Some(handle) = handle.filter(|handle| handle.thread().id() != thread::current().id()) {
            // It panics only if this library has a bug, which its message has told by now.
            _ = handle.join();
        }
    }
}

//! iceoryx2: publish and subscribe in shared memory.
//!
//! As its own benchmark does: the subscriber polls, and slices of bytes are loaned, filled and sent. Unlike there nothing
//! may be lost, so overflow is off and the publisher tries again until there is room. Each message is written into its
//! loan from the sender's bytes, as every contestant takes them, and read where it lies. Where it is to sleep, its event
//! service wakes the subscriber.
//!
//! A publisher also drops what finds the buffer full before the subscriber has looked for connections, so it waits once
//! until that has been done.

use crate::version;
use iceoryx2::{
    port::{
        listener::Listener, notifier::Notifier, publisher::Publisher, subscriber::Subscriber,
        update_connections::UpdateConnections,
    },
    prelude::*,
    service::port_factory::{event, publish_subscribe},
};
use lamq_cli::guest::{Ends, Inlet, Letter, Outcome, Outlet, Sheet, Site, Way};
use std::{env, fs, hint::spin_loop, path::PathBuf};

/// Of a subscriber's buffer, in messages. From 16 to 4096 it makes no difference.
const BUFFER: usize = 256;

/// Of a subscriber's buffer, for long messages.
const BYTES: usize = 16 << 20;

fn settings(waiting: &str) -> String {
    format!(
        "iceoryx2 {}, ipc::Service, publish_subscribe::<[u8]>; subscriber buffer {BUFFER} messages or {} MiB, \
         enable_safe_overflow(false), RetryUntilDelivered; loan_slice_uninit, write_from_slice and send; {waiting}",
        version::of("iceoryx2"),
        BYTES >> 20
    )
}

pub(crate) fn polled() -> String {
    settings("receive again and again")
}

pub(crate) fn notified() -> String {
    settings("notify after each, and blocking_wait where receive has nothing")
}

/// Where all files of a way are, but for shared memory.
fn root(way: &str) -> PathBuf {
    env::temp_dir().join(way.trim_start_matches('/'))
}

/// What the names of a way's shared memory begin with.
fn prefix(way: &str) -> String {
    format!("{}_", way.trim_start_matches('/'))
}

/// By hand, as its list of questions and answers says, for folders stay even if all goes well.
pub(crate) fn clear(way: &str) {
    _ = fs::remove_dir_all(root(way));
    let prefix = prefix(way);
    for file in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
        if file.file_name().to_string_lossy().starts_with(&prefix) {
            _ = fs::remove_file(file.path());
        }
    }
}

/// The services of one way, which nobody else finds.
struct Services {
    messages: publish_subscribe::PortFactory<ipc::Service, [u8], ()>,
    events: Option<event::PortFactory<ipc::Service>>,
    /// That the subscriber has connected.
    meeting: event::PortFactory<ipc::Service>,
}

impl Services {
    fn open(site: &Site, way: Way, notifies: bool) -> Outcome<Self> {
        set_log_level(LogLevel::Error);
        let mut config = Config::default();
        let root = root(site.way(way));
        config.global.set_root_path(&Path::new(root.to_str().map(str::as_bytes).unwrap_or_default())?);
        config.global.prefix = FileName::new(prefix(site.way(way)).as_bytes())?;
        // A signal is for the bench.
        let node = NodeBuilder::new().config(&config).signal_handling_mode(SignalHandlingMode::Disabled);
        let node = node.create::<ipc::Service>()?;
        let messages = node
            .service_builder(&"messages".try_into()?)
            .publish_subscribe::<[u8]>()
            .max_publishers(1)
            .max_subscribers(1)
            .history_size(0)
            .subscriber_max_buffer_size(BUFFER.min(BYTES / site.length).max(2))
            .subscriber_max_borrowed_samples(1)
            .enable_safe_overflow(false)
            .open_or_create()?;
        let events = || node.service_builder(&"events".try_into()?).event().open_or_create().map_err(Into::into);
        let events: Option<Outcome<_>> = notifies.then(events);
        let meeting = node.service_builder(&"meeting".try_into()?).event().open_or_create()?;
        Ok(Self { messages, events: events.transpose()?, meeting })
    }
}

pub(crate) struct Shared<const NOTIFIES: bool>;
pub(crate) type Polled = Shared<false>;
pub(crate) type Notified = Shared<true>;

impl<const NOTIFIES: bool> Ends for Shared<NOTIFIES> {
    type Out = Publishing;
    type In = Subscribing;

    fn inlet(site: &Site, way: Way) -> Outcome<Self::In> {
        let services = Services::open(site, way, NOTIFIES)?;
        let subscriber = services.messages.subscriber_builder().create()?;
        let listener = services.events.map(|events| events.listener_builder().create()).transpose()?;
        Ok(Subscribing { subscriber, listener, meeting: Some(services.meeting), length: site.length })
    }

    fn outlet(site: &Site, way: Way) -> Outcome<Self::Out> {
        let services = Services::open(site, way, NOTIFIES)?;
        let publisher = services.messages.publisher_builder();
        let publisher = publisher
            .initial_max_slice_len(site.length)
            .max_loaned_samples(1)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()?;
        let notifier = services.events.map(|events| events.notifier_builder().create()).transpose()?;
        let meeting = Some(services.meeting.listener_builder().create()?);
        Ok(Publishing { publisher, notifier, meeting, sheet: Sheet::new(site.length) })
    }
}

pub(crate) struct Publishing {
    publisher: Publisher<ipc::Service, [u8], ()>,
    notifier: Option<Notifier<ipc::Service>>,
    /// Until the first message.
    meeting: Option<Listener<ipc::Service>>,
    sheet: Sheet,
}

impl Outlet for Publishing {
    fn send(&mut self, letter: Letter) -> Outcome {
        if let Some(meeting) = self.meeting.take() {
            while meeting.blocking_wait(|_| {})? == 0 {}
        }
        let bytes = self.sheet.write(letter);
        self.publisher.loan_slice_uninit(bytes.len())?.write_from_slice(bytes).send()?;
        if let Some(notifier) = &self.notifier {
            notifier.notify()?;
        }
        Ok(())
    }
}

pub(crate) struct Subscribing {
    subscriber: Subscriber<ipc::Service, [u8], ()>,
    listener: Option<Listener<ipc::Service>>,
    /// Until the first message.
    meeting: Option<event::PortFactory<ipc::Service>>,
    length: usize,
}

impl Inlet for Subscribing {
    fn receive(&mut self) -> Outcome<Letter> {
        if let Some(meeting) = self.meeting.take() {
            self.subscriber.update_connections()?;
            meeting.notifier_builder().create()?.notify()?;
        }
        loop {
            if let Some(sample) = self.subscriber.receive()? {
                return Sheet::read(sample.payload(), self.length);
            }
            match &self.listener {
                Some(listener) => _ = listener.blocking_wait(|_| {})?,
                None => spin_loop(),
            }
        }
    }
}

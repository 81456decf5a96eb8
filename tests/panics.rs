//! Panics in code of the application that the library calls: codecs, and subscribers of its reports.

use lamq::{
    Receiver, Sender,
    codec::{Codec, CodecError, Decode, Encode},
    link::Memory,
};
use lamq_proves::proves;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, Once,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};
use tracing::{
    Metadata, Subscriber,
    span::{Attributes, Id, Record},
};

/// Only there to fail instead of hang.
const WATCHDOG: Duration = Duration::from_secs(20);

/// Panics on the number 13, on either side.
struct Superstitious;

impl Codec for Superstitious {
    const ID: u8 = 200;
    const NAME: &'static str = "superstitious";
}

impl Encode<u8> for Superstitious {
    fn encode(value: &u8, body: &mut Vec<u8>) -> Result<(), CodecError> {
        body.extend_from_slice(b"half of it");
        assert_ne!(*value, 13, "on purpose");
        body.clear();
        body.push(*value + 1);
        Ok(())
    }
}

impl Decode<'_, u8> for Superstitious {
    fn decode(body: &[u8]) -> Result<u8, CodecError> {
        assert_ne!(body, [13], "on purpose");
        Ok(body[0] - 1)
    }
}

fn panics<R>(call: impl FnOnce() -> R) -> bool {
    catch_unwind(AssertUnwindSafe(call)).is_err()
}

#[proves("NUM-2", "COD-3")]
#[test]
fn a_codec_that_panics_costs_one_message_and_nothing_else() {
    let space = Memory::new();
    let builder = Receiver::builder().link(space.clone()).typed::<u8>().codec::<Superstitious>();
    let receiver = builder.bind("/superstitious").unwrap();
    let builder = Sender::builder().link(space).typed::<u8>().codec::<Superstitious>();
    let sender = builder.connect("/superstitious").unwrap();
    assert_eq!(sender.send(1).unwrap(), 1);
    assert!(panics(|| sender.send(13)), "cannot be encoded");
    assert!(panics(|| sender.send_sync(13)), "cannot be encoded");
    assert_eq!(sender.send(12).unwrap(), 2, "cannot be decoded");
    let permit = sender.reserve(100).unwrap();
    assert!(panics(|| permit.send(13)), "cannot be encoded");
    assert_eq!(sender.send(3).unwrap(), 3);
    let [first, second, third] = [(); 3].map(|()| receiver.recv().unwrap());
    assert_eq!((first.number(), first.decode().unwrap()), (1, 1));
    assert!(panics(|| second.decode()));
    assert_eq!(second.number(), 2);
    assert_eq!((third.number(), third.decode().unwrap()), (3, 3));
    sender.flush_timeout(WATCHDOG).unwrap();
    sender.close(WATCHDOG).unwrap();
}

/// Calls a sender of the endpoint that reports, and panics.
struct Meddler;

/// Whom it calls, and how often it has.
static CALLED: Mutex<Option<Sender>> = Mutex::new(None);
static CALLS: AtomicUsize = AtomicUsize::new(0);

impl Subscriber for Meddler {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "lamq"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let called = CALLED.lock().unwrap().clone();
        if let Some(sender) = called {
            _ = (sender.stats(), sender.unacknowledged());
            CALLS.fetch_add(1, Ordering::Relaxed);
            panic!("on purpose, at {}", event.metadata().name());
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Runs what could hang for ever.
fn watched(run: impl FnOnce() + Send + 'static) {
    static MEDDLE: Once = Once::new();
    MEDDLE.call_once(|| tracing::subscriber::set_global_default(Meddler).unwrap());
    let (tell, told) = mpsc::channel();
    let running = thread::spawn(move || {
        run();
        tell.send(()).unwrap();
    });
    match told.recv_timeout(WATCHDOG) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        _ => running.join().unwrap(),
    }
}

/// A sender that goes on with the next receiver, of which it reports; first in a call, then by itself.
#[proves("CAL-6")]
#[test]
fn a_subscriber_may_call_what_reports_to_it_and_panic() {
    watched(|| {
        let space = Memory::new();
        let bind = || Receiver::builder().link(space.clone()).bind("/reported").unwrap();
        let receiver = bind();
        let sender = Sender::builder().link(space.clone()).resume(WATCHDOG).connect("/reported").unwrap();
        *CALLED.lock().unwrap() = Some(sender.clone());
        drop(receiver);
        let receiver = bind();
        assert_eq!(sender.send_timeout("first", WATCHDOG).unwrap(), 1);
        assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"first");
        assert_eq!(sender.send_timeout("second", WATCHDOG).unwrap(), 2);
        let calls = CALLS.load(Ordering::Relaxed);
        drop(receiver);
        let receiver = bind();
        assert_eq!(&*receiver.recv_timeout(WATCHDOG).unwrap(), b"second");
        while CALLS.load(Ordering::Relaxed) == calls {
            thread::yield_now();
        }
        // What serves the endpoint between calls still does: nothing else sends what is staged.
        for number in 3..=5 {
            assert_eq!(sender.send("more").unwrap(), number);
        }
        for number in 3..=5 {
            assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap().number(), number);
        }
        CALLED.lock().unwrap().take();
        sender.close(WATCHDOG).unwrap();
        assert!(calls > 0);
    });
}

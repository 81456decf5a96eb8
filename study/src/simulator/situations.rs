//! What a run came across: a check that met none of it would say little.

use std::ops::AddAssign;

macro_rules! situations {
    ($($variant:ident $name:literal)*) => {
        /// Something that a simulation has to meet now and then to mean anything.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Situation {
            $(#[doc = $name] $variant,)*
        }

        impl Situation {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// In words.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

situations! {
    Delivered "messages delivered"
    SharedFrame "frames with several messages"
    Piece "frames that end within a message"
    Gap "gaps told"
    Stall "messages without credit at first"
    FullInbox "frames that found an inbox full"
    Ask "asks"
    GivenBack "credit given back"
    LargeGrant "grants beyond the window"
    Lost "frames lost"
    Doubled "frames doubled"
    Early "frames that came early"
    Duplicate "duplicates dropped"
    SentAgain "frames sent again"
    AskedAgain "answers waited for too long"
    StaleAcknowledgement "stale acknowledgements"
    RepeatedGreeting "greetings again"
    RepeatedWelcome "welcomes again"
    Refused "refusals"
    Untrusted "greetings of the dead"
    UnknownSession "frames of no session"
    Rendezvous "deliveries waited for"
    Flush "flushes"
    Through "messages handed through"
    Reservation "reservations used"
    StageTimeout "frames staged too long"
    Stopped "processes stopped for a while"
    SenderDeath "deaths of senders"
    DeathBehindFrames "deaths told behind what was left"
    ReceiverDeath "deaths of receivers"
    ReceiverLeft "receivers that left"
    TurnedAway "senders that came too late"
    Finished "sessions finished"
    Answered "answers sent"
    LongAnswer "answers longer than a frame"
    AnswerRead "answers read"
    Carried "acknowledgements carried"
    PutOff "acknowledgements put off for an answer"
    BackFinished "streams back finished"
    BackLeft "streams back that nobody reads"
}

/// How often each [`Situation`] was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situations([u64; Situation::ALL.len()]);

impl Situations {
    /// How often.
    pub const fn count(&self, situation: Situation) -> u64 {
        self.0[situation as usize]
    }

    pub(super) const fn add(&mut self, situation: Situation, count: u64) {
        self.0[situation as usize] += count;
    }
}

impl Default for Situations {
    fn default() -> Self {
        Self([0; Situation::ALL.len()])
    }
}

impl AddAssign for Situations {
    fn add_assign(&mut self, other: Self) {
        for situation in Situation::ALL {
            self.add(*situation, other.count(*situation));
        }
    }
}

//! The facts: every event of the log, its name and its version.

use std::fmt;

use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use crate::booking::*;
pub use crate::opening::*;
pub use crate::tenure_records::*;
pub use crate::waiting::*;

use crate::time::Timestamp;

/// The head of an event's JSON: its type and version come first.
#[derive(Serialize)]
struct Tagged<'a, T> {
    r#type: &'static str,
    v: u32,
    #[serde(flatten)]
    body: &'a T,
}

macro_rules! events {
    ($($name:ident = $version:literal),+ $(,)?) => {
        /// A fact of the log. One accepted command is exactly one of these.
        ///
        /// As JSON: `{"type": "SeatsHeld", "v": 1, ...}`, type and version
        /// first; times are milliseconds since the epoch.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Event {
            $(#[allow(missing_docs, reason = "each is documented at its own type")]
            $name($name)),+
        }

        impl Event {
            /// Every event's type with its newest version.
            pub const TYPES: &'static [(&'static str, u32)] = &[$((stringify!($name), $version)),+];

            /// The event's type, as JSON names it.
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name)),+ }
            }

            /// The version that is written.
            pub fn version(&self) -> u32 {
                match self { $(Self::$name(_) => $version),+ }
            }

            /// When it was decided.
            pub fn at(&self) -> Timestamp {
                match self { $(Self::$name(event) => event.at),+ }
            }
        }

        impl Serialize for Event {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$name(body) => {
                        Tagged { r#type: stringify!($name), v: $version, body }.serialize(serializer)
                    })+
                }
            }
        }

        fn decode_body<'de, A: MapAccess<'de>>(kind: &str, v: u32, map: A) -> Result<Event, A::Error> {
            let body = MapAccessDeserializer::new(map);
            // An older version is upcast here: one arm more for each.
            match (kind, v) {
                $((stringify!($name), $version) => Ok(Event::$name(Deserialize::deserialize(body)?)),)+
                _ => Err(de::Error::custom(format_args!("unknown event {kind} of version {v}"))),
            }
        }

        $(impl From<$name> for Event {
            fn from(event: $name) -> Self {
                Self::$name(event)
            }
        })+
    };
}

events! {
    OpeningScheduled = 1,
    OpeningRescheduled = 1,
    PlanAdded = 1,
    ShowingAdded = 1,
    SeatsBlocked = 1,
    SeatsUnblocked = 1,
    PolicyChanged = 1,
    MessageChanged = 1,
    OpeningOpened = 1,
    OpeningPaused = 1,
    OpeningResumed = 1,
    OpeningDrained = 1,
    OpeningClosed = 1,
    RefusalsCounted = 1,
    VisitorJoined = 1,
    TicketMoved = 1,
    VisitorLeft = 1,
    LobbyClosed = 1,
    DrawHeld = 1,
    VisitorsAdmitted = 1,
    AdmissionsExpired = 1,
    VisitorsWentAway = 1,
    VisitorsReturned = 1,
    VisitorEntered = 1,
    VisitsEnded = 1,
    SeatsHeld = 1,
    HoldSwapped = 1,
    HoldExtended = 1,
    HoldReleased = 1,
    HoldsExpired = 1,
    BookingConfirmed = 1,
    BookingCancelled = 1,
    RefundDue = 1,
    WriterClaimed = 1,
    WriterAlive = 1,
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EventVisitor;

        impl<'de> Visitor<'de> for EventVisitor {
            type Value = Event;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event that begins with its type and version")
            }

            // One pass without buffering: the head is read, then the rest
            // goes straight into the event's own type.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event, A::Error> {
                let (Some("type"), kind) = (map.next_key::<&str>()?, map.next_value::<&str>()?) else {
                    return Err(de::Error::custom("an event begins with its type"));
                };
                let (Some("v"), v) = (map.next_key::<&str>()?, map.next_value::<u32>()?) else {
                    return Err(de::Error::custom("an event's version follows its type"));
                };
                decode_body(kind, v, map)
            }
        }

        deserializer.deserialize_map(EventVisitor)
    }
}

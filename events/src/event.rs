//! The facts: every event of the log, its name and its version.
//!
//! Only the newest version of an event is written; every version that was
//! ever written is read, and upcast to the newest as it is. A change of what
//! an event says, an added field too, makes a new version, so that a binary
//! that is too old to understand it stops instead of going on without it:
//!
//! * the old shape stays, as a struct, and `From` says what it means now:
//!   `SeatsHeld = 2 { 1 => SeatsHeldV1 }`;
//! * if the new fields have a default that says what their absence meant, the
//!   newest shape reads the old one itself: `SeatsHeld = 2 { 1 => SeatsHeld }`.
//!
//! `fixtures/` holds each version's text for good.

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
    ($($name:ident = $version:literal $({ $($older:literal => $shape:ty),+ $(,)? })?),+ $(,)?) => {
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

        fn decode_body<'de, A: MapAccess<'de>>(kind: &str, v: u32, map: A) -> Result<Event, A::Error> {
            let body = MapAccessDeserializer::new(map);
            match (kind, v) {
                $((stringify!($name), $version) => Ok(Event::$name(Deserialize::deserialize(body)?)),
                $($((stringify!($name), $older) => Ok(Event::$name(<$shape>::deserialize(body)?.into())),)+)?)+
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
    OpeningScheduled = 2 { 1 => OpeningScheduled },
    OpeningRescheduled = 1,
    PlanAdded = 2 { 1 => PlanAdded },
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Events as they will be one day: two of them were changed.
    #[allow(dead_code, unreachable_pub, reason = "made by the macro, as in production")]
    mod one_day {
        use super::super::*;

        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub(super) struct DoorOpened {
            pub(super) at: Timestamp,
            pub(super) door: Vec<String>,
        }

        #[derive(Deserialize)]
        pub(super) struct DoorOpenedV1 {
            at: Timestamp,
            door: String,
        }

        impl From<DoorOpenedV1> for DoorOpened {
            fn from(old: DoorOpenedV1) -> Self {
                Self { at: old.at, door: vec![old.door] }
            }
        }

        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub(super) struct DoorClosed {
            pub(super) at: Timestamp,
            #[serde(default)]
            pub(super) slammed: bool,
        }

        events! {
            DoorOpened = 2 { 1 => DoorOpenedV1 },
            DoorClosed = 3 { 1 => DoorClosed, 2 => DoorClosed },
        }
    }

    use one_day::{DoorClosed, DoorOpened};

    fn read(text: &str) -> Result<one_day::Event, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn an_older_version_is_read_as_what_it_means_now() {
        let opened = DoorOpened { at: Timestamp(5), door: vec!["left".to_owned()] };
        let read_back = read(r#"{"type":"DoorOpened","v":1,"at":5,"door":"left"}"#);
        assert_eq!(read_back, Ok(opened.clone().into()));
        let newest = serde_json::to_string(&one_day::Event::from(opened)).unwrap();
        assert_eq!(
            newest, r#"{"type":"DoorOpened","v":2,"at":5,"door":["left"]}"#,
            "only the newest is written"
        );
    }

    #[test]
    fn a_field_that_was_added_has_its_default_in_older_versions() {
        let closed = |slammed| Ok(DoorClosed { at: Timestamp(6), slammed }.into());
        assert_eq!(read(r#"{"type":"DoorClosed","v":1,"at":6}"#), closed(false));
        assert_eq!(read(r#"{"type":"DoorClosed","v":2,"at":6}"#), closed(false));
        assert_eq!(read(r#"{"type":"DoorClosed","v":3,"at":6,"slammed":true}"#), closed(true));
    }

    #[test]
    fn each_version_is_read_by_its_own_shape_alone() {
        assert!(read(r#"{"type":"DoorOpened","v":1,"at":5,"door":["left"]}"#).is_err());
        assert!(read(r#"{"type":"DoorOpened","v":2,"at":5,"door":"left"}"#).is_err());
    }

    #[test]
    fn a_version_that_is_not_known_is_an_error_that_names_it() {
        for (text, named) in [
            (r#"{"type":"DoorOpened","v":3,"at":5,"door":["left"]}"#, "DoorOpened of version 3"),
            (r#"{"type":"DoorOpened","v":0,"at":5,"door":"left"}"#, "DoorOpened of version 0"),
            (r#"{"type":"DoorPainted","v":1,"at":5}"#, "DoorPainted of version 1"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}

//! Names of things: openings, tickets, seats, and the ids that clients make.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// A text that is not a valid name or id; the message says what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{expected}")]
pub struct InvalidId {
    /// What a valid one looks like.
    pub expected: &'static str,
}

fn is_slug(text: &str) -> bool {
    let bytes = text.as_bytes();
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    matches!(bytes.first(), Some(first) if plain(first))
        && bytes.len() <= 64
        && bytes.iter().all(|b| plain(b) || *b == b'-')
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl $name {
            /// Checks `text` and makes it a name.
            pub fn new(text: &str) -> Result<Self, InvalidId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.into())) } else { Err(InvalidId { expected: $expected }) }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct TextVisitor;
                impl Visitor<'_> for TextVisitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::new(text).map_err(E::custom)
                    }
                }
                // Asked for as a borrowed text: no copy, and what reads a URL
                // knows which of its parts was wrong.
                deserializer.deserialize_str(TextVisitor)
            }
        }
    };
}

text_id!(
    /// An opening's id, `[a-z0-9][a-z0-9-]{0,63}`, never reused. The record
    /// key, and what decides the partition.
    OpeningId, "expected an id like `concert-2026`: [a-z0-9][a-z0-9-]{0,63}", is_slug
);
text_id!(
    /// A showing's id, unique in its opening.
    ShowingId, "expected a showing id like `gangnam-1-1900`: [a-z0-9][a-z0-9-]{0,63}", is_slug
);
text_id!(
    /// A plan's name, unique in its opening.
    PlanName, "expected a plan name like `hall-1`: [a-z0-9][a-z0-9-]{0,63}", is_slug
);
text_id!(
    /// A seat's id: the `seat_guid` of its plan, 1 to 100 characters, none of
    /// them a control character.
    SeatId, "expected a seat_guid of 1 to 100 characters without control characters",
    |text| !text.is_empty() && text.chars().count() <= 100 && !text.chars().any(char::is_control)
);
text_id!(
    /// The merchant's opaque reference of a payment.
    PaymentReference, "expected a payment reference: [A-Za-z0-9._-]{1,128}",
    |text| !text.is_empty()
        && text.len() <= 128
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    };
}

uuid_id!(
    /// A hold's id, made by the client.
    HoldId
);
uuid_id!(
    /// A booking's id, made by the client.
    BookingId
);
uuid_id!(
    /// The id of one extension of a hold, made by the client.
    ExtensionId
);
uuid_id!(
    /// The id of an admission by hand, made by the client.
    AdmissionId
);
uuid_id!(
    /// A command's id: the client's id of the resource, the `Idempotency-Key`,
    /// or, for timers, derived from the state.
    CommandId
);

macro_rules! bytes32 {
    ($(#[$doc:meta])* $name:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(const_hex::Buffer::<32>::new().format(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            /// Reads 64 lower-case hexadecimal digits.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let invalid = InvalidId { expected: $expected };
                if text.len() != 64 || text.bytes().any(|b| b.is_ascii_uppercase()) {
                    return Err(invalid);
                }
                const_hex::decode_to_array(text).map(Self).map_err(|_| invalid)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(const_hex::Buffer::<32>::new().format(&self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct HexVisitor;
                impl Visitor<'_> for HexVisitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(HexVisitor)
            }
        }
    };
}

bytes32!(
    /// A visitor's place in one opening's queue: SHA-256 of their secret.
    /// Public; knowing one is never a right.
    Ticket, "expected a ticket: 64 lower-case hexadecimal digits"
);
bytes32!(
    /// A 32-byte hash, written as 64 lower-case hexadecimal digits.
    Hash, "expected a hash: 64 lower-case hexadecimal digits"
);

impl Ticket {
    /// The house's, under which operators hold seats: no secret is known that
    /// makes it, and nobody joins with it.
    pub const HOUSE: Self = Self([0; 32]);

    /// The ticket of the visitor who holds `secret` (the 32 bytes themselves).
    pub fn of_secret(secret: &[u8; 32]) -> Self {
        Self(Sha256::digest(secret).into())
    }
}

/// Who sent a command: `kind:name`, as the log's `actor` header holds it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A visitor; named by the first 8 bytes of their ticket in hexadecimal.
    Visitor(Ticket),
    /// An operator's API key, by its configured name.
    Operator(Arc<str>),
    /// A merchant's API key, by its configured name.
    Merchant(Arc<str>),
    /// A deadline that came due; named by what it does.
    Timer(&'static str),
}

impl Actor {
    /// The actor as the log's header holds it.
    pub fn header(&self) -> Box<str> {
        match self {
            Self::Visitor(ticket) => {
                ["visitor:", const_hex::Buffer::<8>::new().format(&ticket.prefix())].concat()
            }
            _ => self.to_string(),
        }
        .into()
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Visitor(ticket) => {
                f.write_str("visitor:")?;
                f.write_str(const_hex::Buffer::<8>::new().format(&ticket.prefix()))
            }
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::Merchant(name) => write!(f, "merchant:{name}"),
            Self::Timer(name) => write!(f, "timer:{name}"),
        }
    }
}

impl Ticket {
    fn prefix(&self) -> [u8; 8] {
        let mut prefix = [0; 8];
        prefix.copy_from_slice(&self.0[..8]);
        prefix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_the_hash_of_its_secret_in_lower_case_hex() {
        let ticket = Ticket::of_secret(&[7; 32]);
        let text = ticket.to_string();
        assert_eq!(text.parse::<Ticket>(), Ok(ticket));
        assert!(text.to_uppercase().parse::<Ticket>().is_err());
    }

    #[test]
    fn an_opening_id_is_a_short_slug() {
        for good in ["a", "concert-2026", &"x".repeat(64)] {
            assert!(OpeningId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a_b", "a/b", &"x".repeat(65)] {
            assert!(OpeningId::new(bad).is_err(), "{bad}");
        }
    }
}

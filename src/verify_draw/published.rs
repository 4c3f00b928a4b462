//! What is published of a draw, as this check reads it.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// 32 bytes, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bytes32(pub(super) [u8; 32]);

impl fmt::Display for Bytes32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Bytes32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Bytes32 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        bytes(&text).map(Self).ok_or_else(|| de::Error::custom("expected 64 lower-case hexadecimal digits"))
    }
}

/// `N` bytes of lower-case hexadecimal digits.
pub(super) fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// `GET .../draw`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Draw {
    pub(super) seed_commitment: Bytes32,
    pub(super) seed: Option<Bytes32>,
    pub(super) beacon: Option<Beacon>,
    pub(super) cohort_root: Option<Bytes32>,
    pub(super) order_root: Option<Bytes32>,
    pub(super) count: Option<usize>,
}

/// The beacon that was named, and its round once it is there.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Beacon {
    pub(super) source: String,
    pub(super) round: u64,
    pub(super) round_at: String,
    pub(super) signature: Option<String>,
    pub(super) randomness: Option<Bytes32>,
}

/// `GET .../tickets/{ticket}/proof`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Proof {
    pub(super) ticket: Bytes32,
    pub(super) cohort: Inclusion,
    pub(super) order: Option<Inclusion>,
}

/// An audit path.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Inclusion {
    pub(super) index: usize,
    pub(super) path: Vec<Bytes32>,
}

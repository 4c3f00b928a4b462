//! One record of the log: an event with where it belongs and who caused it.

use bytes::Bytes;
use uuid::Uuid;

use crate::event::Event;
use crate::ids::{CommandId, Hash, OpeningId};
use crate::tenure::Stamp;
use crate::time::Timestamp;

/// A place in a partition, from 0.
pub type Offset = u64;

/// The largest value of a record, in bytes.
pub const MAX_RECORD_BYTES: usize = 16 * 1024 * 1024;

/// What a record says beside its value. Binary and short on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// The tenure in which it was written; of a claim, what it drew: random,
    /// new for each attempt. See [`crate::tenure::named`].
    pub tenure: u64,
    /// Its rank since the claim, from 1; a claim has 0.
    pub n: u64,
    /// Its rank among the opening's valid records, from 1.
    pub seq: u64,
    /// The command that caused it.
    pub command_id: CommandId,
    /// BLAKE3 of the command's canonical request.
    pub digest: Hash,
    /// Who sent the command: `kind:name`.
    pub actor: Box<str>,
    /// BLAKE3 over the opening's previous chain value and this record; see [`chain`].
    pub chain: Hash,
}

/// A record as it is appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The opening; claims and alive records have none.
    pub key: Option<OpeningId>,
    /// The event as JSON.
    pub value: Bytes,
    /// The rest.
    pub headers: Headers,
}

/// A record as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Where it stands.
    pub offset: Offset,
    /// When the log took it, by the log's clock.
    pub appended_at: Timestamp,
    /// The record.
    pub record: Record,
}

/// A record that cannot be understood: poison.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The value is no event of a version that this binary knows.
    #[error("the value is no known event: {0}")]
    Value(#[from] serde_json::Error),
    /// A header is missing or has the wrong form.
    #[error("header `{0}` is missing or malformed")]
    Header(&'static str),
    /// The key is no opening id.
    #[error("the key is no opening id")]
    Key,
    /// An event of an opening without a key, or a writer's with one.
    #[error("{0} has a key where it should not, or none where it should")]
    Misplaced(&'static str),
}

impl Record {
    /// A record of the writer itself: a claim or a sign of life.
    pub fn of_writer(stamp: Stamp, event: &Event) -> Result<Self, serde_json::Error> {
        Ok(Self {
            key: None,
            value: encode(event)?,
            headers: Headers {
                tenure: stamp.tenure,
                n: stamp.n,
                seq: 0,
                command_id: CommandId(Uuid::nil()),
                digest: Hash::default(),
                actor: "timer:writer".into(),
                chain: Hash::default(),
            },
        })
    }

    /// Which reign wrote it, and where in it.
    ///
    /// Whether it is a claim is decided without decoding the value: a claim is
    /// the only record with `n` = 0.
    pub fn stamp(&self) -> Stamp {
        Stamp { tenure: self.headers.tenure, n: self.headers.n }
    }

    /// The event it holds.
    pub fn event(&self) -> Result<Event, DecodeError> {
        let event: Event = serde_json::from_slice(&self.value)?;
        let of_writer = matches!(event, Event::WriterClaimed(_) | Event::WriterAlive(_));
        if of_writer == self.key.is_some() {
            return Err(DecodeError::Misplaced(event.kind()));
        }
        Ok(event)
    }
}

/// An event as a record's value.
pub fn encode(event: &Event) -> Result<Bytes, serde_json::Error> {
    let mut value = Vec::with_capacity(256);
    serde_json::to_writer(&mut value, event)?;
    Ok(value.into())
}

/// The chain value of a record: BLAKE3 over, each preceded by its length as
/// 8 bytes little-endian: the opening's previous chain value, key, value,
/// seq, command id, digest, actor. Numbers are 8 bytes little-endian.
pub fn chain(previous: &Hash, key: &OpeningId, value: &[u8], headers: &Headers) -> Hash {
    // Put together first: the hash is fast over one text, not over many parts.
    let mut text = Vec::with_capacity(512 + value.len());
    let mut part = |bytes: &[u8]| {
        text.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        text.extend_from_slice(bytes);
    };
    part(&previous.0);
    part(key.as_str().as_bytes());
    part(value);
    part(&headers.seq.to_le_bytes());
    part(headers.command_id.0.as_bytes());
    part(&headers.digest.0);
    part(headers.actor.as_bytes());
    Hash(blake3::hash(&text).into())
}

//! A record as bytes: one blob for the embedded log, and the header fields
//! that Kafka carries.
//!
//! The blob is versioned; all numbers are big-endian:
//! `version u8, tenure u64, n u64, seq u64, command_id 16, digest 32,
//! chain 32, actor (u16 length), key (u16 length, 0: none), value (the rest)`.

use bytes::Bytes;
use uuid::Uuid;

use crate::ids::{CommandId, Hash, OpeningId};
use crate::record::{DecodeError, Headers, Record};

/// The format that is written.
const VERSION: u8 = 1;

/// Appends the record's blob to `out`.
pub fn write(record: &Record, out: &mut Vec<u8>) {
    let headers = &record.headers;
    out.push(VERSION);
    out.extend_from_slice(&headers.tenure.to_be_bytes());
    out.extend_from_slice(&headers.n.to_be_bytes());
    out.extend_from_slice(&headers.seq.to_be_bytes());
    out.extend_from_slice(headers.command_id.0.as_bytes());
    out.extend_from_slice(&headers.digest.0);
    out.extend_from_slice(&headers.chain.0);
    short(headers.actor.as_bytes(), out);
    short(record.key.as_ref().map_or(&[], |key| key.as_str().as_bytes()), out);
    out.extend_from_slice(&record.value);
}

fn short(bytes: &[u8], out: &mut Vec<u8>) {
    let bytes = &bytes[..bytes.len().min(usize::from(u16::MAX))];
    out.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Reads a blob that [`write()`] made. The value is shared with `whole`, not
/// copied; `like` is what the key probably is, and spares making it again.
pub fn read(whole: &Bytes, like: Option<&OpeningId>) -> Result<Record, DecodeError> {
    let mut blob = &whole[..];
    let version = take::<1>(&mut blob, "version")?;
    if version[0] != VERSION {
        return Err(DecodeError::Header("version"));
    }
    let tenure = u64::from_be_bytes(take(&mut blob, "tenure")?);
    let n = u64::from_be_bytes(take(&mut blob, "n")?);
    let seq = u64::from_be_bytes(take(&mut blob, "seq")?);
    let command_id = CommandId(Uuid::from_bytes(take(&mut blob, "command_id")?));
    let digest = Hash(take(&mut blob, "digest")?);
    let chain = Hash(take(&mut blob, "chain")?);
    let actor = actor(take_short(&mut blob, "actor")?)?;
    let key = take_short(&mut blob, "key")?;
    let key = match like {
        _ if key.is_empty() => None,
        Some(like) if like.as_str().as_bytes() == key => Some(like.clone()),
        _ => Some(opening(key)?),
    };
    let headers = Headers { tenure, n, seq, command_id, digest, actor, chain };
    Ok(Record { key, value: whole.slice_ref(blob), headers })
}

/// A key of a record as an opening's id.
pub fn opening(key: &[u8]) -> Result<OpeningId, DecodeError> {
    let text = std::str::from_utf8(key).map_err(|_| DecodeError::Key)?;
    OpeningId::new(text).map_err(|_| DecodeError::Key)
}

/// The actor header.
pub fn actor(bytes: &[u8]) -> Result<Box<str>, DecodeError> {
    std::str::from_utf8(bytes).map(Into::into).map_err(|_| DecodeError::Header("actor"))
}

/// A header field of exactly `N` bytes.
pub fn field<const N: usize>(bytes: &[u8], name: &'static str) -> Result<[u8; N], DecodeError> {
    bytes.try_into().map_err(|_| DecodeError::Header(name))
}

fn take<const N: usize>(blob: &mut &[u8], name: &'static str) -> Result<[u8; N], DecodeError> {
    let (head, rest) = blob.split_first_chunk::<N>().ok_or(DecodeError::Header(name))?;
    *blob = rest;
    Ok(*head)
}

fn take_short<'a>(blob: &mut &'a [u8], name: &'static str) -> Result<&'a [u8], DecodeError> {
    let len = usize::from(u16::from_be_bytes(take(blob, name)?));
    let (head, rest) = blob.split_at_checked(len).ok_or(DecodeError::Header(name))?;
    *blob = rest;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record() -> impl Strategy<Value = Record> {
        let ids = (
            any::<u64>(),
            any::<u64>(),
            any::<u64>(),
            any::<[u8; 16]>(),
            any::<[u8; 32]>(),
            any::<[u8; 32]>(),
        );
        let texts = ("[a-z]{1,20}:[a-z]{0,20}", prop::option::of("[a-z0-9][a-z0-9-]{0,63}"));
        (ids, texts, prop::collection::vec(any::<u8>(), 0..300)).prop_map(|(ids, (actor, key), value)| {
            let (tenure, n, seq, command_id, digest, chain) = ids;
            Record {
                key: key.map(|key| OpeningId::new(&key).unwrap()),
                value: value.into(),
                headers: Headers {
                    tenure,
                    n,
                    seq,
                    command_id: CommandId(Uuid::from_bytes(command_id)),
                    digest: Hash(digest),
                    actor: actor.into(),
                    chain: Hash(chain),
                },
            }
        })
    }

    proptest! {
        #[test]
        fn a_record_reads_as_it_was_written(record in record()) {
            let mut blob = Vec::new();
            write(&record, &mut blob);
            let (blob, other) = (Bytes::from(blob), OpeningId::new("other").unwrap());
            for like in [None, record.key.as_ref(), Some(&other)] {
                prop_assert_eq!(&read(&blob, like).unwrap(), &record);
            }
        }

        #[test]
        fn garbage_is_an_error_and_no_panic(blob in prop::collection::vec(any::<u8>(), 0..300)) {
            drop(read(&blob.into(), None));
        }

        #[test]
        fn a_record_cut_short_is_never_read_as_another(record in record(), cut in 1usize..120) {
            let mut blob = Vec::new();
            write(&record, &mut blob);
            let fixed = blob.len() - record.value.len();
            blob.truncate(fixed.saturating_sub(cut));
            prop_assert!(read(&blob.into(), None).is_err());
        }
    }
}

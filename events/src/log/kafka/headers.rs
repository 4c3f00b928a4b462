//! A record as a Kafka message: key, value and headers.
//!
//! Headers are binary and in this order: `tenure`, `n`, `seq` (8 bytes
//! big-endian each), `command_id` (16), `digest` (32), `actor` (UTF-8),
//! `chain` (32). They are found by name; unknown ones are left alone.

use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message, OwnedHeaders};
use uuid::Uuid;

use crate::ids::{CommandId, Hash};
use crate::record::{DecodeError, Headers, Record, StoredRecord};
use crate::tenure::Stamp;
use crate::time::Timestamp;
use crate::wire;

/// How many headers a record has.
const COUNT: usize = 7;

/// What a message that is not ours is read as: void for every reader, because
/// no reign has this rank.
pub(super) const FOREIGN: Stamp = Stamp { tenure: 0, n: u64::MAX };

/// The headers of a message that carries `headers`, with room for `more`.
pub(super) fn encode(headers: &Headers, more: usize) -> OwnedHeaders {
    OwnedHeaders::new_with_capacity(COUNT + more)
        .insert(header("tenure", &headers.tenure.to_be_bytes()))
        .insert(header("n", &headers.n.to_be_bytes()))
        .insert(header("seq", &headers.seq.to_be_bytes()))
        .insert(header("command_id", headers.command_id.0.as_bytes()))
        .insert(header("digest", &headers.digest.0))
        .insert(header("actor", headers.actor.as_bytes()))
        .insert(header("chain", &headers.chain.0))
}

/// One header.
pub(super) fn header<'a>(key: &'a str, value: &'a [u8]) -> Header<'a, &'a [u8]> {
    Header { key, value: Some(value) }
}

/// A message as the record it was made of.
pub(super) fn decode<M: Message>(message: &M) -> Result<Record, DecodeError> {
    let mut fields: [Option<&[u8]>; COUNT] = [None; COUNT];
    if let Some(headers) = message.headers() {
        for i in 0..headers.count() {
            let Some(header) = headers.try_get(i) else { break };
            if let Some(place) = place(header.key) {
                fields[place] = header.value;
            }
        }
    }
    let field = |place: usize, name| fields[place].ok_or(DecodeError::Header(name));
    let headers = Headers {
        tenure: u64::from_be_bytes(wire::field(field(0, "tenure")?, "tenure")?),
        n: u64::from_be_bytes(wire::field(field(1, "n")?, "n")?),
        seq: u64::from_be_bytes(wire::field(field(2, "seq")?, "seq")?),
        command_id: CommandId(Uuid::from_bytes(wire::field(field(3, "command_id")?, "command_id")?)),
        digest: Hash(wire::field(field(4, "digest")?, "digest")?),
        actor: wire::actor(field(5, "actor")?)?,
        chain: Hash(wire::field(field(6, "chain")?, "chain")?),
    };
    let key = message.key().map(wire::opening).transpose()?;
    Ok(Record { key, value: Bytes::copy_from_slice(message.payload().unwrap_or_default()), headers })
}

fn place(name: &str) -> Option<usize> {
    Some(match name {
        "tenure" => 0,
        "n" => 1,
        "seq" => 2,
        "command_id" => 3,
        "digest" => 4,
        "actor" => 5,
        "chain" => 6,
        _ => return None,
    })
}

/// A message as it stands in the log; one that is not ours as a void record,
/// with what is wrong with it.
pub(super) fn stored(message: &BorrowedMessage<'_>) -> (StoredRecord, Option<DecodeError>) {
    let (record, foreign) = match decode(message) {
        Ok(record) => (record, None),
        Err(fault) => (foreign(message.payload().unwrap_or_default()), Some(fault)),
    };
    let offset = message.offset().max(0).cast_unsigned();
    let appended_at = Timestamp(message.timestamp().to_millis().unwrap_or_default());
    (StoredRecord { offset, appended_at, record }, foreign)
}

fn foreign(value: &[u8]) -> Record {
    let headers = Headers {
        tenure: FOREIGN.tenure,
        n: FOREIGN.n,
        seq: 0,
        command_id: CommandId(Uuid::nil()),
        digest: Hash::default(),
        actor: "foreign:".into(),
        chain: Hash::default(),
    };
    Record { key: None, value: Bytes::copy_from_slice(value), headers }
}

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp as KafkaTimestamp;
    use rdkafka::message::OwnedMessage;

    use super::*;
    use crate::ids::OpeningId;

    fn record() -> Record {
        let headers = Headers {
            tenure: 0x0102_0304_0506_0708,
            n: 0x1112_1314_1516_1718,
            seq: 0x2122_2324_2526_2728,
            command_id: CommandId(Uuid::from_u128(0x3132_3334_3536_3738_393a_3b3c_3d3e_3f40)),
            digest: Hash([0x55; 32]),
            actor: "operator:box-office".into(),
            chain: Hash([0x88; 32]),
        };
        Record {
            key: Some(OpeningId::new("concert-2026").unwrap()),
            value: Bytes::from_static(b"{}"),
            headers,
        }
    }

    fn message(headers: OwnedHeaders) -> OwnedMessage {
        let Record { key, value, .. } = record();
        let key = key.map(|key| key.as_str().as_bytes().to_vec());
        let at = KafkaTimestamp::NotAvailable;
        OwnedMessage::new(Some(value.to_vec()), key, "usher".to_owned(), at, 0, 0, Some(headers))
    }

    /// The format, as it stands in every log that was ever written.
    #[test]
    fn the_headers_of_a_record_are_these_bytes() {
        let written = encode(&record().headers, 0);
        let written: Vec<(&str, String)> =
            written.iter().map(|header| (header.key, const_hex::encode(header.value.unwrap()))).collect();
        let expected = [
            ("tenure", "0102030405060708".to_owned()),
            ("n", "1112131415161718".to_owned()),
            ("seq", "2122232425262728".to_owned()),
            ("command_id", "3132333435363738393a3b3c3d3e3f40".to_owned()),
            ("digest", "55".repeat(32)),
            ("actor", "6f70657261746f723a626f782d6f6666696365".to_owned()),
            ("chain", "88".repeat(32)),
        ];
        assert_eq!(written, expected);
    }

    #[test]
    fn headers_are_found_by_name_and_unknown_ones_are_left_alone() {
        let written = encode(&record().headers, 1);
        let mut turned = OwnedHeaders::new().insert(header("trace", b"x"));
        for i in (0..written.count()).rev() {
            let Header { key, value } = written.get(i);
            turned = turned.insert(Header { key, value });
        }
        assert_eq!(decode(&message(turned)).unwrap(), record());
    }

    #[test]
    fn a_message_without_one_of_the_headers_or_with_a_short_one_is_not_ours() {
        let written = encode(&record().headers, 0);
        for left_out in 0..COUNT {
            let (mut without, mut short) = (OwnedHeaders::new(), OwnedHeaders::new());
            for (i, found) in written.iter().enumerate() {
                let (name, value) = (found.key, found.value.unwrap());
                if i != left_out {
                    without = without.insert(header(name, value));
                    short = short.insert(header(name, value));
                } else if name != "actor" {
                    short = short.insert(header(name, b"short"));
                }
            }
            assert!(decode(&message(without)).is_err(), "{left_out}");
            assert!(decode(&message(short)).is_err(), "{left_out}");
        }
    }
}

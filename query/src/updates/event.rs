//! Events as they are sent, and the ids by which a stream is resumed.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use usher_events::record::Offset;

/// How far a client is: the position that its status is true of and, where it
/// watches a showing, the version of its seats. Both follow from the log, so
/// that any instance understands what another one sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) position: Offset,
    pub(super) version: Option<u64>,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Some(version) => write!(f, "{}-{version}", self.position),
            None => write!(f, "{}", self.position),
        }
    }
}

/// A text that is no id of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoId;

impl FromStr for Id {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        let number = |text: &str| text.parse().map_err(|_| NoId);
        match text.split_once('-') {
            Some((position, version)) => {
                Ok(Self { position: number(position)?, version: Some(number(version)?) })
            }
            None => Ok(Self { position: number(text)?, version: None }),
        }
    }
}

/// An event. `data` is JSON, which has no line breaks of its own.
pub(super) fn event(id: Id, name: &str, data: &[u8]) -> Bytes {
    let mut frame = format!("id: {id}\nevent: {name}\ndata: ").into_bytes();
    frame.extend_from_slice(data);
    frame.extend_from_slice(b"\n\n");
    frame.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_as_it_was_written_and_others_are_none() {
        for id in [Id { position: 1_042, version: None }, Id { position: 7, version: Some(0) }] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for text in ["", "-", "1-", "-1", "1-2-3", "x", "1 "] {
            assert_eq!(text.parse::<Id>(), Err(NoId), "{text}");
        }
    }
}

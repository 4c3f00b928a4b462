//! `as_of`: which positions of the log an answer is true of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use usher_events::log::Partition;
use usher_events::record::Offset;

/// The most positions that one token holds.
const MAX_POSITIONS: usize = 1_024;

/// One or more positions of the log. Opaque to clients; `partition.position`
/// pairs, joined by `_`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AsOf(Vec<(Partition, Offset)>);

impl AsOf {
    /// Of one partition: everything before `position`, the next offset.
    pub fn one(partition: Partition, position: Offset) -> Self {
        Self(vec![(partition, position)])
    }

    /// Of several partitions.
    pub fn several(positions: Vec<(Partition, Offset)>) -> Self {
        Self(positions)
    }

    /// Its positions.
    pub fn positions(&self) -> &[(Partition, Offset)] {
        &self.0
    }

    /// The position of `partition`; 0, which every view has, where none is named.
    pub fn position(&self, partition: Partition) -> Offset {
        let of_partition = self.0.iter().filter(|(of, _)| *of == partition);
        of_partition.map(|(_, position)| *position).max().unwrap_or(0)
    }

    /// Whether what is at `position` in `partition` has been seen: everything
    /// before it.
    pub fn covers(&self, partition: Partition, position: Offset) -> bool {
        self.position(partition) >= position
    }
}

/// A plain decimal number: no sign, no leading zero, so that a token has one
/// way to be written.
fn number<N: FromStr>(text: &str) -> Result<N, NotAnAsOf> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    if plain { text.parse().map_err(|_| NotAnAsOf) } else { Err(NotAnAsOf) }
}

impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (partition, position)) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "_" };
            write!(f, "{separator}{partition}.{position}")?;
        }
        Ok(())
    }
}

/// A text that is no `as_of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an `as_of` of an earlier answer")]
pub struct NotAnAsOf;

impl FromStr for AsOf {
    type Err = NotAnAsOf;

    fn from_str(text: &str) -> Result<Self, NotAnAsOf> {
        let pair = |part: &str| {
            let (partition, position) = part.split_once('.').ok_or(NotAnAsOf)?;
            Ok((number(partition)?, number(position)?))
        };
        let positions: Vec<_> =
            text.split('_').take(MAX_POSITIONS + 1).map(pair).collect::<Result<_, _>>()?;
        if positions.len() > MAX_POSITIONS { Err(NotAnAsOf) } else { Ok(Self(positions)) }
    }
}

impl Serialize for AsOf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AsOf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_as_of_reads_as_it_was_written(positions in prop::collection::vec(any::<(u32, u64)>(), 1..20)) {
            let as_of = AsOf::several(positions);
            prop_assert_eq!(as_of.to_string().parse::<AsOf>(), Ok(as_of));
        }

        #[test]
        fn a_text_is_refused_or_is_the_one_way_to_write_it(text in "[-+a.0-9_ ]{0,20}") {
            if let Ok(as_of) = text.parse::<AsOf>() {
                prop_assert_eq!(as_of.to_string(), text);
            }
        }
    }

    #[test]
    fn garbage_is_refused() {
        for text in ["", "3", "3.", ".4", "3.4_", "+3.4", "3.-4", "03.4", "3.4 ", "4294967296.1", "a.b"] {
            assert_eq!(text.parse::<AsOf>(), Err(NotAnAsOf), "{text}");
        }
        assert!(vec!["1.1"; MAX_POSITIONS].join("_").parse::<AsOf>().is_ok());
        assert!(vec!["1.1"; MAX_POSITIONS + 1].join("_").parse::<AsOf>().is_err());
    }

    #[test]
    fn it_covers_what_is_before_its_position_in_the_same_partition() {
        let as_of: AsOf = "3.1042_7.12".parse().unwrap();
        assert!(as_of.covers(3, 1042) && !as_of.covers(3, 1043));
        assert!(as_of.covers(7, 12) && as_of.covers(1, 0) && !as_of.covers(1, 1));
    }
}

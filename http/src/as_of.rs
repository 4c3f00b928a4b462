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
            let partition = partition.parse().map_err(|_| NotAnAsOf)?;
            Ok((partition, position.parse().map_err(|_| NotAnAsOf)?))
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
        fn garbage_is_refused(text in "[a-z.0-9_]{0,20}") {
            if let Ok(as_of) = text.parse::<AsOf>() {
                prop_assert!(!as_of.positions().is_empty());
            }
        }
    }
}

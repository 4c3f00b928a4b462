//! The state of one partition as its valid records make it.

use std::sync::Arc;

use hashbrown::HashMap;
use usher_events::event::{Event, WriterClaimed};
use usher_events::ids::{Hash, OpeningId};
use usher_events::record::{DecodeError, Offset, StoredRecord};
use usher_events::tenure::{Cursor, Verdict};
use usher_events::time::Timestamp;

use crate::opening::{Fact, Numbering, Opening};

/// An opening with its place in its own chain of records.
#[derive(Debug, Clone, Default)]
pub struct Chained {
    /// The aggregate.
    pub opening: Opening,
    /// How many valid records it has.
    pub seq: u64,
    /// The chain value of the last one.
    pub chain: Hash,
    /// When the last one was decided; time never runs backwards in an opening.
    pub last_at: Timestamp,
}

impl Chained {
    /// Applies a valid record of this opening.
    pub fn fold(&mut self, fact: &Fact, seq: u64, chain: Hash) {
        self.last_at = self.last_at.max(fact.event.at());
        self.opening.fold(fact);
        self.seq = seq;
        self.chain = chain;
    }
}

/// A claim as it landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Where it stands.
    pub offset: Offset,
    /// What it drew.
    pub drew: u64,
    /// What it says.
    pub claimed: WriterClaimed,
    /// When the log took it, by the log's clock.
    pub appended_at: Timestamp,
}

/// A valid record that this binary cannot fold: the partition cannot be
/// owned, or followed further, from here.
#[derive(Debug, thiserror::Error)]
#[error("record at offset {offset} cannot be folded: {error}")]
pub struct Unfoldable {
    /// Where it stands.
    pub offset: Offset,
    /// What is wrong with it.
    pub error: DecodeError,
}

/// All of one partition: the follower's state, and what a writer starts from.
#[derive(Debug, Clone, Default)]
pub struct PartitionState {
    /// Its openings.
    pub openings: HashMap<OpeningId, Chained>,
    /// Which records count next.
    pub cursor: Cursor,
    /// The next offset to fold.
    pub position: Offset,
    /// The newest claim.
    pub claim: Option<Claim>,
    /// Void records met so far.
    pub voids: u64,
}

impl PartitionState {
    /// Folds the next record of the partition, if it is valid.
    ///
    /// A record below `position` was folded already and changes nothing.
    pub fn fold(&mut self, stored: StoredRecord) -> Result<Verdict, Unfoldable> {
        self.fold_with(stored, None)
    }

    /// The same with what a draw leads to, where it was hashed before.
    pub(super) fn fold_with(
        &mut self,
        stored: StoredRecord,
        numbering: Option<Arc<Numbering>>,
    ) -> Result<Verdict, Unfoldable> {
        let StoredRecord { offset, appended_at, record } = stored;
        if offset < self.position {
            return Ok(Verdict::Void);
        }
        let verdict = self.cursor.judge(offset, record.stamp());
        if verdict == Verdict::Void {
            self.voids += 1;
            self.position = offset + 1;
            return Ok(verdict);
        }
        let event = record.event().map_err(|error| Unfoldable { offset, error })?;
        match (event, record.key) {
            (Event::WriterClaimed(claimed), _) => {
                self.claimed(claimed.at);
                self.claim = Some(Claim { offset, drew: record.headers.tenure, claimed, appended_at });
            }
            (event, Some(key)) => {
                let headers = record.headers;
                let (command_id, digest) = (headers.command_id, headers.digest);
                let fact = Fact { command_id, digest, event, numbering };
                self.openings.entry(key).or_default().fold(&fact, headers.seq, headers.chain);
            }
            (_, None) => {}
        }
        self.position = offset + 1;
        Ok(verdict)
    }

    fn claimed(&mut self, at: Timestamp) {
        for chained in self.openings.values_mut() {
            chained.opening.claimed(at);
        }
    }
}

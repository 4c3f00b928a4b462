//! Copies of records that no projection could apply.

use async_trait::async_trait;
use tracing::error;
use usher_events::log::Partition;
use usher_events::record::StoredRecord;

/// A record with why it could not be applied.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// Which projection met it.
    pub projection: &'static str,
    /// In which partition.
    pub partition: Partition,
    /// The record.
    pub record: StoredRecord,
    /// Why it cannot be applied.
    pub reason: String,
}

/// Where dead letters go.
#[async_trait]
pub trait DeadLetters: Send + Sync + 'static {
    /// Keeps a copy.
    async fn put(&self, letter: &DeadLetter) -> Result<(), String>;
}

/// For one process: the log keeps the record itself, and the stop its place,
/// so that a line for the operator is all that is added.
#[derive(Debug, Clone, Copy, Default)]
pub struct Logged;

#[async_trait]
impl DeadLetters for Logged {
    async fn put(&self, letter: &DeadLetter) -> Result<(), String> {
        let value = String::from_utf8_lossy(&letter.record.record.value).into_owned();
        error!(
            projection = letter.projection,
            partition = letter.partition,
            offset = letter.record.offset,
            reason = letter.reason,
            value,
            "a dead letter"
        );
        Ok(())
    }
}

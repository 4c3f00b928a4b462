//! The log port: an append-only, partitioned sequence of records.
//!
//! ```text
//!              append ->                     end
//!                |                            |
//!   partition p: [0][1][2][3] ... [k-1][k]  . v
//!                       ^
//!                  read(2) -> 2, 3, ... k, then waits for k + 1
//! ```
//!
//! What every adapter promises, and the contract suite checks:
//!
//! * **Order.** Records that one [`Log::append`] call takes, and those of
//!   later calls by the same process, are *sent* in that order. They are not
//!   promised to *land* without gaps: a failure in the middle may be followed
//!   by records that land. The tenure in each record is what makes gaps
//!   visible (see [`crate::tenure`]).
//! * **Reports.** Every record handed over gets exactly one report: the
//!   offset where it is durable, or an error. Reports may be wrong in one
//!   way only: a success may carry an offset that is not the record's, so the
//!   caller compares it with the one it expects.
//! * **Durability.** A record reported at offset `k` is read at `k` by every
//!   later read, also after a crash of this process.
//! * **Prefix.** Readers see offsets in ascending order without duplicates,
//!   and never a record that could later vanish.
//!
//! Nothing here retries for the caller: a writer whose append failed drops
//! its state and claims again.

pub mod embedded;
pub mod kafka;
pub mod simulated;

use std::sync::Arc;

use async_trait::async_trait;

use crate::record::{Offset, Record, StoredRecord};

/// Which partition of the log, from 0.
pub type Partition = u32;

/// Why a record was not acknowledged. The variants say what is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// It was not sent and will not land: the local queue is full or the log
    /// is unreachable. The caller may try again later, in a new tenure.
    #[error("not sent: {0}")]
    Retryable(String),
    /// It cannot land, now or later: too large, or no permission.
    #[error("refused for good: {0}")]
    Terminal(String),
    /// It may or may not land, now or later.
    #[error("unknown outcome: {0}")]
    Unknown(String),
}

/// What became of one appended record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The record's partition.
    pub partition: Partition,
    /// The record's tenure.
    pub tenure: u64,
    /// The record's rank in its tenure.
    pub n: u64,
    /// Where it is durable, or why that is not known.
    pub outcome: Result<Offset, AppendError>,
}

/// Takes reports, in any thread, without blocking. One call tells of one
/// partition.
pub type ReportSink = Arc<dyn Fn(Vec<Report>) + Send + Sync>;

/// Why reading stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The log cannot be reached now; the reader stays usable and goes on
    /// where it was.
    #[error("the log cannot be read now: {0}")]
    Retryable(String),
    /// The position does not exist any more or yet, or a record is not one of
    /// ours: going on would skip or invent records.
    #[error("the log cannot be read from here: {0}")]
    Terminal(String),
}

/// An append-only, partitioned sequence of records.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Hands `records` over in their order and returns without waiting; each
    /// is reported to `reports` exactly once. The caller bounds how many are
    /// in flight.
    fn append(&self, partition: Partition, records: Vec<Record>, reports: &ReportSink);

    /// A reader of `partition` that starts at `from`.
    fn read(&self, partition: Partition, from: Offset) -> Box<dyn LogReader>;

    /// The offset after the last durable record of `partition`.
    async fn end(&self, partition: Partition) -> Result<Offset, ReadError>;
}

/// Reads one partition in order.
#[async_trait]
pub trait LogReader: Send {
    /// The next records, at least one; waits until there are some. Dropping
    /// the future loses nothing.
    async fn next(&mut self) -> Result<Vec<StoredRecord>, ReadError>;
}

//! Facts of the writer: they carry no opening.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A writer's tenure over the partition begins here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterClaimed {
    /// When it was sent, by the writer's clock.
    pub at: Timestamp,
    /// Where the writer answers commands, e.g. `http://10.0.0.7:8081`.
    pub address: String,
    /// The version of its binary.
    pub version: String,
    /// How many partitions the log has; never changes.
    pub partitions: u32,
}

/// The writer still holds the partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterAlive {
    /// When it was sent, by the writer's clock.
    pub at: Timestamp,
}

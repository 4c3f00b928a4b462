//! What a writer is told at its start.

use std::sync::Arc;
use std::time::Duration;

use crate::draw_keys::DrawKeys;

/// The settings of all writers of one process.
#[derive(Debug, Clone)]
pub struct WriterConfig {
    /// How many partitions the log has.
    pub partitions: u32,
    /// Where this instance answers commands; stands in its claims.
    pub address: String,
    /// The keys that draws' seeds derive from.
    pub draw_keys: Arc<DrawKeys>,
    /// The most records of one partition in flight to the log.
    pub max_in_flight: usize,
    /// The most commands of one partition that wait for an answer.
    pub mailbox: usize,
    /// How long a command may wait for a writer before it is told to come again.
    pub patience: Duration,
    /// How long a second of presence lasts; shorter in tests only.
    pub presence_second: Duration,
    /// Above this many tickets, a draw is hashed off the writer's thread.
    pub hash_inline: usize,
    /// Which parts of the protocol are in force; all, outside of tests.
    pub rules: WriterRules,
}

impl WriterConfig {
    /// The defaults for an instance at `address`.
    pub fn new(partitions: u32, address: String, draw_keys: Arc<DrawKeys>) -> Self {
        Self {
            partitions,
            address,
            draw_keys,
            max_in_flight: 8_192,
            mailbox: 16_384,
            patience: Duration::from_secs(8),
            presence_second: Duration::from_secs(1),
            hash_inline: 4_096,
            rules: WriterRules::default(),
        }
    }
}

/// The protocol's parts that a simulation may switch off, to show that it
/// notices. Never touched in production.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterRules {
    /// Replies wait until what they tell is durable.
    pub reply_when_durable: bool,
    /// The first failed append ends the tenure.
    pub latch: bool,
    /// Records that do not continue the open tenure are void.
    pub void: bool,
}

impl Default for WriterRules {
    fn default() -> Self {
        Self { reply_when_durable: true, latch: true, void: true }
    }
}

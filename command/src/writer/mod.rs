//! The writer: one per partition, decides commands and appends their events.
//!
//! [`Partition`] is all of it without I/O, threads or clocks; the threads of
//! [`Writers`] drive it in production and a simulator drives the same code in
//! tests. A command goes mailbox -> decide -> apply -> append -> reply when
//! durable, and later commands are decided while earlier appends are in
//! flight.

mod config;
mod decide;
mod due;
mod follow;
mod hashing;
mod mailbox;
mod notices;
mod ownership;
mod partition;
mod replies;
mod start;
mod state;
mod threads;

pub use config::{WriterConfig, WriterRules};
pub use hashing::{HashOrder, HashesFor};
pub use mailbox::{Overloaded, Owner, Reply, Writers};
pub use partition::{Output, Partition};
pub use replies::Submitted;
pub use start::{StartError, check_partition_count};
pub use state::{Chained, Claim, PartitionState, Unfoldable};
pub use threads::WriterThreads;

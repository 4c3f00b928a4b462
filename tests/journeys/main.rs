//! Journeys over the whole: the real binary, and real servers.
//!
//! Run them through `compose/stack run -- cargo test`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod crowd;
mod draw;
mod embedded;
mod log;
mod operator;
mod outages;
mod process;
mod readme;
mod rehearsal;
mod roles;
mod servers;
mod shop;
mod three_brokers;
mod updates;
mod webhooks;

use std::sync::LazyLock;

/// The journeys load the machine: one at a time.
static ALONE: LazyLock<tokio::sync::Mutex<()>> = LazyLock::new(|| tokio::sync::Mutex::new(()));

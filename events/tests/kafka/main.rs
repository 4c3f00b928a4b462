//! The log in Kafka, on a real broker: `compose/stack run -- cargo test`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod appending;
#[path = "../contract/mod.rs"]
mod contract;
mod dead_letters;
mod keeps_the_contract;
mod owners;
#[allow(dead_code, reason = "some of it is for tests with brokers of their own")]
mod place;
mod reading;
mod topics;

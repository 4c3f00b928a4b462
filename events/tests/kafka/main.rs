//! The log in Kafka, on a real broker: `compose/stack run -- cargo test`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod appending;
mod dead_letters;
mod owners;
mod place;
mod reading;
mod topics;

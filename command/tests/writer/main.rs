//! The writer of a partition: when it claims, serves, answers, counts and
//! hands over; by hand on the simulated log, and in threads on real ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answering;
mod asks;
mod bench;
mod claiming;
mod counting;
mod moving;
mod threads;
mod timing;

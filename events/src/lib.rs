//! The facts and the log: what happened, how it is written, and where it is
//! kept. This crate knows nobody; everybody knows it.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod booking;
mod opening;
mod tenure_records;
mod waiting;

pub mod draw;
pub mod event;
pub mod ids;
pub mod log;
pub mod partition;
pub mod plan;
pub mod policy;
pub mod ranks;
pub mod record;
pub mod reference;
pub mod reign;
pub mod tenure;
pub mod time;
pub mod wire;

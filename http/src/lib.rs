//! What every role's HTTP shares: problem documents, bodies and parameters,
//! who calls, positions, and the routes for operators.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod as_of;
pub mod auth;
pub mod body;
mod bounded;
pub mod description;
pub mod etag;
mod operations;
pub mod pass;
pub mod peer;
pub mod problem;
pub mod server;
mod stall;
mod times;

//! Decides: the opening's aggregate, the writer, and the HTTP of commands.
//! This crate never reads a view.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod claims;
pub mod draw_keys;
pub mod http;
pub mod opening;
pub mod presence;
pub mod quicknet;
pub mod writer;

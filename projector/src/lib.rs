//! Remembers: queue views and booking views, pure functions of the log. This
//! crate decides nothing.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod booking;
pub mod dead_letter;
pub mod history;
pub mod places;
pub mod projection;
pub mod queue;
pub mod store;

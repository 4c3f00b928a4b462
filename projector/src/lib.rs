//! Remembers: queue views and booking views, pure functions of the log. This
//! crate decides nothing.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod admin;
pub mod analytics;
pub mod announcer;
pub mod booking;
pub mod dead_letter;
pub mod history;
pub mod judge;
pub mod places;
pub mod projection;
pub mod queue;
mod stops;
pub mod store;
mod tables;
pub mod webhooks;

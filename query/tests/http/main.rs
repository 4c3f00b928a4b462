//! The HTTP of queries over the views in memory, fed by events.
//!
//! Every answer is compared with what the OpenAPI document says of its route,
//! wherever it is asked for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod after;
mod bad_input;
mod caching;
mod calls;
mod console;
mod description;
mod draw;
mod happenings;
mod holds;
mod listener;
mod openings;
mod seats;
mod tickets;
mod updates;
mod world;

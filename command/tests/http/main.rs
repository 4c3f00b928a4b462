//! The HTTP of commands over real writers and a real log.
//!
//! Every answer is compared with what the OpenAPI document says of its route,
//! wherever it is asked for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod authorization;
mod bad_input;
mod beacons;
mod bookings;
mod broken_plans;
mod calls;
mod claims;
mod description;
mod forwarding;
mod holds;
mod instance;
mod openings;
mod overload;
mod passes;
mod presence;
mod problems;
mod queue;
mod rates;
mod scenes;

//! Views against the log: whatever the store, the same log gives the same
//! answers, however often projectors are killed, doubled, or sent back.
//!
//! Redis and Postgres are real ones: run through `compose/stack run`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod analysts;
mod answers;
mod couriers;
mod disturbed;
mod every_event;
mod history;
mod lost;
mod outbox;
mod play;
mod poison;
mod queue_events;
mod recomputed;
mod same_answers;
mod seat_events;
mod servers;
mod stage;
mod told;

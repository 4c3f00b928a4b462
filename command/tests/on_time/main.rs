//! What happens when: the real writer, a log in which records land at once,
//! and a clock that is set by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod outages;
mod slots;
mod writer;

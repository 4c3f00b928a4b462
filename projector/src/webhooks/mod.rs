//! Telling merchants what happened to holds and bookings: webhooks, driven by
//! the log. docs/webhooks.md says what receivers may rely on.
//!
//! A projection of its own writes what is to be told into an [`Outbox`], in
//! the same step as its place; a [`Courier`] for each receiver takes it from
//! there, in order per opening, until the receiver has taken it or it is a
//! dead letter. An outbox is no view: what was told is not in the log.

mod courier;
mod embedded;
mod kind;
mod message;
mod outbox;
mod postgres;
mod receiver;

pub use courier::{Courier, Manner};
pub use embedded::EmbeddedOutbox;
pub use kind::Kind;
pub use message::{Message, Order};
pub use outbox::{Failure, Line, LineState, Outbox, OutboxError};
pub use postgres::PostgresOutbox;
pub use receiver::{Receiver, ReceiverConfig, ReceiverFault, mint};

/// The projection's name.
const PROJECTION: &str = "webhooks";

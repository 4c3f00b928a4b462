//! What webhooks tell of.

use serde::{Deserialize, Serialize};

/// What a webhook tells of; its name is the CloudEvent's `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A visitor holds seats, or holds others instead.
    #[serde(rename = "seats.held")]
    SeatsHeld,
    /// A hold lasts longer.
    #[serde(rename = "hold.extended")]
    HoldExtended,
    /// A visitor gave a hold back, or left.
    #[serde(rename = "hold.released")]
    HoldReleased,
    /// A hold ran out.
    #[serde(rename = "hold.expired")]
    HoldExpired,
    /// A hold was paid for.
    #[serde(rename = "booking.confirmed")]
    BookingConfirmed,
    /// A booking was cancelled, or seats of it.
    #[serde(rename = "booking.cancelled")]
    BookingCancelled,
    /// A payment must go back.
    #[serde(rename = "refund.due")]
    RefundDue,
}

impl Kind {
    /// The CloudEvent's `type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::SeatsHeld => "seats.held",
            Self::HoldExtended => "hold.extended",
            Self::HoldReleased => "hold.released",
            Self::HoldExpired => "hold.expired",
            Self::BookingConfirmed => "booking.confirmed",
            Self::BookingCancelled => "booking.cancelled",
            Self::RefundDue => "refund.due",
        }
    }
}

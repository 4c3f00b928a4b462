//! A command's resource as it is now: what answers show.

use serde::Serialize;
use usher_events::event::{RefundReason, TicketState};
use usher_events::ids::{
    AdmissionId, BookingId, ExtensionId, HoldId, OpeningId, PaymentReference, PlanName, SeatId, ShowingId,
    Ticket,
};
use usher_events::policy::Policy;
use usher_events::time::{Timestamp, rfc3339};

use super::OpeningState;

/// What a hold is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// The seats are kept.
    Live,
    /// Given back.
    Released,
    /// Ran out.
    Expired,
    /// Became a booking.
    Booked,
}

/// What a booking is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BookingState {
    /// The seats are sold.
    Booked,
    /// The seats are free again.
    Cancelled,
}

/// The resource of a command, as it is now.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "fields are named as in the design's HTTP table and the events")]
pub enum Resource {
    Opening {
        #[serde(skip_serializing_if = "Option::is_none")]
        opening: Option<OpeningId>,
        state: OpeningState,
        title: String,
        #[serde(with = "rfc3339")]
        opens_at: Timestamp,
        #[serde(with = "rfc3339::option")]
        drains_at: Option<Timestamp>,
        #[serde(with = "rfc3339::option")]
        closes_at: Option<Timestamp>,
        message: Option<String>,
        policy: Box<Policy>,
    },
    Plan {
        plan: PlanName,
        seats: usize,
    },
    Showing {
        showing: ShowingId,
        plan: PlanName,
        seats: usize,
    },
    Ticket {
        ticket: Ticket,
        state: TicketState,
        number: Option<u32>,
    },
    Entry {
        ticket: Ticket,
        state: TicketState,
        #[serde(with = "rfc3339::option")]
        leave_by: Option<Timestamp>,
        max_seats: u32,
    },
    Admission {
        admission: AdmissionId,
        count: u32,
        serving_number: u32,
    },
    Hold {
        hold: HoldId,
        state: HoldState,
        showing: ShowingId,
        seats: Vec<SeatId>,
        #[serde(with = "rfc3339")]
        expires_at: Timestamp,
        #[serde(skip_serializing_if = "Option::is_none")]
        extension: Option<ExtensionId>,
    },
    Booking {
        booking: BookingId,
        state: BookingState,
        hold: HoldId,
        showing: ShowingId,
        seats: Vec<SeatId>,
        payment_reference: PaymentReference,
        /// What people read out; none for bookings older than references.
        reference: Option<String>,
        late: bool,
    },
    /// The payment became no booking.
    Refund {
        booking: BookingId,
        hold: HoldId,
        payment_reference: PaymentReference,
        reason: RefundReason,
    },
    /// When the last showing starts, or the opening closes if it has none.
    Over {
        #[serde(with = "rfc3339")]
        over_at: Timestamp,
    },
    /// There is nothing to show; never after an accepted command.
    Nothing {},
}

//! Facts of seats: holds, bookings, settlements.

use serde::{Deserialize, Serialize};

use crate::ids::{BookingId, ExtensionId, HoldId, PaymentReference, SeatId, ShowingId, Ticket};
use crate::time::Timestamp;

/// A hold whose seats are free again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedHold {
    /// Which hold.
    pub hold: HoldId,
    /// Of which showing.
    pub showing: ShowingId,
    /// The seats that are free again.
    pub seats: Vec<SeatId>,
}

/// Seats are kept for one visitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatsHeld {
    /// When this was decided.
    pub at: Timestamp,
    /// The hold.
    pub hold: HoldId,
    /// Whose.
    pub ticket: Ticket,
    /// Of which showing.
    pub showing: ShowingId,
    /// Which seats.
    pub seats: Vec<SeatId>,
    /// Until when.
    pub expires_at: Timestamp,
    /// When the visit ends now; never before the hold.
    pub leave_by: Timestamp,
}

/// A held set was exchanged for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldSwapped {
    /// When this was decided.
    pub at: Timestamp,
    /// The hold.
    pub hold: HoldId,
    /// Whose.
    pub ticket: Ticket,
    /// Of which showing.
    pub showing: ShowingId,
    /// The seats that are free again.
    pub freed: Vec<SeatId>,
    /// All seats of the hold now.
    pub seats: Vec<SeatId>,
    /// Until when; unchanged by the swap.
    pub expires_at: Timestamp,
}

/// A hold lasts longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldExtended {
    /// When this was decided.
    pub at: Timestamp,
    /// The hold.
    pub hold: HoldId,
    /// Whose.
    pub ticket: Ticket,
    /// Which extension.
    pub extension: ExtensionId,
    /// Until when now.
    pub expires_at: Timestamp,
    /// When the visit ends now; never before the hold.
    pub leave_by: Timestamp,
}

/// The visitor gave a hold back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldReleased {
    /// When this was decided.
    pub at: Timestamp,
    /// Whose.
    pub ticket: Ticket,
    /// What is free again.
    #[serde(flatten)]
    pub released: ReleasedHold,
}

/// One hold that ran out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpiredHold {
    /// Whose.
    pub ticket: Ticket,
    /// What is free again.
    #[serde(flatten)]
    pub released: ReleasedHold,
}

/// Holds ran out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldsExpired {
    /// When this was decided.
    pub at: Timestamp,
    /// Which.
    pub holds: Vec<ExpiredHold>,
}

/// A hold was paid for: its seats are booked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookingConfirmed {
    /// When this was decided.
    pub at: Timestamp,
    /// The booking.
    pub booking: BookingId,
    /// The hold that became it.
    pub hold: HoldId,
    /// Whose.
    pub ticket: Ticket,
    /// Of which showing.
    pub showing: ShowingId,
    /// Which seats.
    pub seats: Vec<SeatId>,
    /// The merchant's payment.
    pub payment_reference: PaymentReference,
    /// Whether the hold had expired before the payment came.
    pub late: bool,
    /// Whether this ended the visit: the ticket is done.
    pub visit_ended: bool,
    /// What people read out, where one is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// Seats of a booking are free again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookingCancelled {
    /// When this was decided.
    pub at: Timestamp,
    /// The booking.
    pub booking: BookingId,
    /// Whose.
    pub ticket: Ticket,
    /// The merchant's payment that was for it.
    pub payment_reference: PaymentReference,
    /// Of which showing.
    pub showing: ShowingId,
    /// The seats that are free again.
    pub freed: Vec<SeatId>,
    /// The seats that stay booked; none: the whole booking is cancelled.
    pub remaining: Vec<SeatId>,
}

/// Why a payment did not become a booking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefundReason {
    /// The hold had expired, and a seat was taken by then.
    SeatsTaken,
    /// The hold had expired longer ago than the grace for late payments.
    TooLate,
    /// The hold was released by its visitor.
    HoldReleased,
    /// The hold is already booked with another payment.
    AlreadyBooked,
}

/// A payment came that cannot become a booking: it must go back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundDue {
    /// When this was decided.
    pub at: Timestamp,
    /// The booking id that it was asked under.
    pub booking: BookingId,
    /// The hold that was paid for.
    pub hold: HoldId,
    /// Whose.
    pub ticket: Ticket,
    /// The merchant's payment.
    pub payment_reference: PaymentReference,
    /// Why.
    pub reason: RefundReason,
}

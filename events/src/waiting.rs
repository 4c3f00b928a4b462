//! Facts of the waiting room: joins, the draw, admissions, visits.

use serde::{Deserialize, Serialize};

use crate::booking::ReleasedHold;
use crate::ids::{AdmissionId, Hash, Ticket};
use crate::time::Timestamp;

/// Where a ticket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketState {
    /// Joined before the opening opened; no number yet.
    Lobby,
    /// In line and present.
    Waiting,
    /// In line and silent; skipped, place kept.
    Away,
    /// May enter the seat window, until a deadline.
    Admitted,
    /// In the seat window.
    Inside,
    /// Final: booked, and the visit is over.
    Done,
    /// Final: left by their own will, or the place moved.
    Left,
    /// Final: missed too often, or stayed to the end without a booking.
    Spent,
}

impl TicketState {
    /// Whether nothing can follow.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Left | Self::Spent)
    }
}

/// Someone wants in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitorJoined {
    /// When this was decided.
    pub at: Timestamp,
    /// Their ticket.
    pub ticket: Ticket,
    /// Their number; none in the lobby.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// Keyed hash of who they are, where the policy asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Hash>,
}

/// The same person took their place over with another ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketMoved {
    /// When this was decided.
    pub at: Timestamp,
    /// Has left.
    pub from: Ticket,
    /// Has the place now.
    pub to: Ticket,
    /// The number that goes along; none in the lobby.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// What `to` is now.
    pub state: TicketState,
    /// Whose place it is.
    pub subject: Hash,
}

/// A visitor gave their place up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitorLeft {
    /// When this was decided.
    pub at: Timestamp,
    /// Their ticket.
    pub ticket: Ticket,
    /// What the ticket is now: left, or done after a booking.
    pub state: TicketState,
    /// Their live holds, released.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<ReleasedHold>,
}

/// The lobby is closed; who is in it will be drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LobbyClosed {
    /// When this was decided.
    pub at: Timestamp,
    /// RFC 6962 tree hash of the cohort's tickets in ascending order.
    pub cohort_root: Hash,
    /// How many tickets are in the cohort.
    pub count: u32,
}

/// The value of the beacon's round, as it was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeaconValue {
    /// The source's name.
    pub source: String,
    /// The round.
    pub round: u64,
    /// The round's randomness.
    pub randomness: Hash,
    /// The round's signature, in hexadecimal.
    pub signature: String,
}

/// The lobby's order is drawn; numbers 1 to the cohort's count are given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawHeld {
    /// When this was decided.
    pub at: Timestamp,
    /// Opens the commitment.
    pub seed: Hash,
    /// The beacon's value, where one was named.
    pub beacon: Option<BeaconValue>,
    /// RFC 6962 tree hash of the tickets in drawn order.
    pub order_root: Hash,
}

/// One who was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admitted {
    /// Their ticket.
    pub ticket: Ticket,
    /// Their number.
    pub number: u32,
}

/// The next visitors may enter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitorsAdmitted {
    /// When this was decided.
    pub at: Timestamp,
    /// The admission by hand, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admission: Option<AdmissionId>,
    /// Who, by number.
    pub admitted: Vec<Admitted>,
    /// Until when they may enter.
    pub enter_by: Timestamp,
    /// The greatest number admitted so far.
    pub serving_number: u32,
    /// When the rate allows the next one.
    pub next_admission_at: Timestamp,
}

/// Admitted visitors did not enter in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmissionsExpired {
    /// When this was decided.
    pub at: Timestamp,
    /// Away now, place kept.
    pub away: Vec<Ticket>,
    /// Missed once too often.
    pub spent: Vec<Ticket>,
}

/// Waiting visitors fell silent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitorsWentAway {
    /// When this was decided.
    pub at: Timestamp,
    /// Who.
    pub tickets: Vec<Ticket>,
}

/// Away visitors are back, in their old places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitorsReturned {
    /// When this was decided.
    pub at: Timestamp,
    /// Who.
    pub tickets: Vec<Ticket>,
}

/// An admitted visitor is in the seat window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitorEntered {
    /// When this was decided.
    pub at: Timestamp,
    /// Their ticket.
    pub ticket: Ticket,
    /// When the visit ends.
    pub leave_by: Timestamp,
}

/// One visit that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedVisit {
    /// Whose.
    pub ticket: Ticket,
    /// What the ticket is now: done after a booking, else left or spent.
    pub state: TicketState,
    /// Their live holds, released.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<ReleasedHold>,
}

/// Visits ended: by leaving the seat window, or at `leave_by`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitsEnded {
    /// When this was decided.
    pub at: Timestamp,
    /// Which.
    pub visits: Vec<EndedVisit>,
}

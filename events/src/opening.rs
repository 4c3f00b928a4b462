//! Facts about an opening itself: schedule, policy, plans, states, refusals.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{Hash, PlanName, SeatId, ShowingId};
use crate::plan::{Plan, Showing};
use crate::policy::Policy;
use crate::time::Timestamp;

/// A public source of randomness that the draw waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beacon {
    /// The source's name, e.g. `drand-quicknet`.
    pub source: String,
    /// The round whose value is taken, and no other.
    pub round: u64,
    /// When that round comes out; after the opening opens.
    pub round_at: Timestamp,
}

/// An opening came to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpeningScheduled {
    /// When this was decided.
    pub at: Timestamp,
    /// What people read.
    pub title: String,
    /// When the lobby closes and the opening opens.
    pub opens_at: Timestamp,
    /// When it starts to drain by itself, if it does.
    pub drains_at: Option<Timestamp>,
    /// When it closes.
    pub closes_at: Timestamp,
    /// The rules.
    pub policy: Policy,
    /// SHA-256 of the draw's seed.
    pub seed_commitment: Hash,
    /// Which draw key the seed derives from.
    pub draw_key_id: String,
    /// The beacon that the draw takes, if any.
    pub beacon: Option<Beacon>,
    /// Its halls.
    pub plans: BTreeMap<PlanName, Plan>,
    /// Its showings, in the order given.
    pub showings: Vec<Showing>,
}

/// Title or times changed; all are listed as they are now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpeningRescheduled {
    /// When this was decided.
    pub at: Timestamp,
    /// What people read.
    pub title: String,
    /// When the lobby closes and the opening opens.
    pub opens_at: Timestamp,
    /// When it starts to drain by itself, if it does.
    pub drains_at: Option<Timestamp>,
    /// When it closes.
    pub closes_at: Timestamp,
}

/// One more plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanAdded {
    /// When this was decided.
    pub at: Timestamp,
    /// Its name.
    pub name: PlanName,
    /// Its seats.
    pub plan: Plan,
}

/// One more showing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowingAdded {
    /// When this was decided.
    pub at: Timestamp,
    /// The showing.
    pub showing: Showing,
}

/// Seats of a showing are not sold any more, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatsBlocked {
    /// When this was decided.
    pub at: Timestamp,
    /// Of which showing.
    pub showing: ShowingId,
    /// Which seats; all of them were free.
    pub seats: Vec<SeatId>,
    /// Why.
    pub reason: String,
}

/// Blocked seats are free again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatsUnblocked {
    /// When this was decided.
    pub at: Timestamp,
    /// Of which showing.
    pub showing: ShowingId,
    /// Which seats.
    pub seats: Vec<SeatId>,
}

/// The rules changed; all of them are listed as they are now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChanged {
    /// When this was decided.
    pub at: Timestamp,
    /// The rules from now on.
    pub policy: Policy,
}

/// The operator's word to everybody changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageChanged {
    /// When this was decided.
    pub at: Timestamp,
    /// The message; none takes it away.
    pub message: Option<String>,
}

/// The opening is open: admissions begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpeningOpened {
    /// When this was decided.
    pub at: Timestamp,
}

/// Admissions stop until the opening resumes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpeningPaused {
    /// When this was decided.
    pub at: Timestamp,
}

/// Admissions go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpeningResumed {
    /// When this was decided.
    pub at: Timestamp,
}

/// No new joins; who is in line is still served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpeningDrained {
    /// When this was decided.
    pub at: Timestamp,
}

/// No joins, admissions, entries and new holds any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpeningClosed {
    /// When this was decided.
    pub at: Timestamp,
}

/// How often one seat was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatRefusals {
    /// Of which showing.
    pub showing: ShowingId,
    /// Which seat.
    pub seat: SeatId,
    /// How often.
    pub count: u64,
}

/// Refusals of about a minute, for analysts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalsCounted {
    /// When this was decided.
    pub at: Timestamp,
    /// Since when they were counted.
    pub since: Timestamp,
    /// By the problem's type.
    pub by_reason: BTreeMap<String, u64>,
    /// The most refused seats, at most 1,000.
    pub by_seat: Vec<SeatRefusals>,
}

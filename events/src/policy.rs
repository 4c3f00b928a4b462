//! What an operator decides for one opening.

use garde::Validate;
use serde::{Deserialize, Deserializer, Serialize};

/// How a hold becomes a booking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payment {
    /// The merchant's key confirms, after it has the money.
    Merchant,
    /// The visitor confirms; nothing is paid here.
    None,
}

/// Who may join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// Whoever wants to.
    #[default]
    Anyone,
    /// Whoever shows an entry claim: one person, one place.
    Claim,
}

impl Join {
    fn is_anyone(&self) -> bool {
        *self == Self::Anyone
    }
}

/// The rules of one opening. Every field has a default; a change never moves
/// a deadline already given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The most visitors admitted or inside the seat window at once.
    #[garde(range(min = 1, max = 1_000_000))]
    pub capacity: u32,
    /// The most admissions a minute, evenly spread; none: only the capacity limits.
    #[garde(inner(range(min = 1, max = 1_000_000)))]
    pub admissions_per_minute: Option<u32>,
    /// Seconds an admitted visitor has to enter.
    #[garde(range(min = 5, max = 3_600))]
    pub enter_within_s: u32,
    /// Seconds a visit lasts, unless a live hold lasts longer.
    #[garde(range(min = 10, max = 86_400))]
    pub stay_for_s: u32,
    /// Seconds a hold lasts, and each extension of it.
    #[garde(range(min = 5, max = 86_400))]
    pub hold_for_s: u32,
    /// How many times one hold may be extended.
    #[garde(range(max = 10))]
    pub max_extensions: u32,
    /// The most seats one visitor may hold and have booked in the opening.
    #[garde(range(min = 1, max = 100))]
    pub max_seats: u32,
    /// Who confirms.
    #[garde(skip)]
    pub payment: Payment,
    /// Seconds after a hold's end in which a payment still books, if every
    /// seat is still free.
    #[garde(range(max = 604_800))]
    pub late_payment_grace_s: u32,
    /// Seconds of silence after which a waiting visitor is away, at most.
    #[garde(range(min = 10, max = 86_400))]
    pub away_after_s: u32,
    /// Missed admissions that a ticket survives; the next one spends it.
    #[garde(range(max = 100))]
    pub misses: u32,
    /// The most tickets the opening takes.
    #[garde(range(min = 1, max = 2_000_000))]
    pub max_tickets: u32,
    /// Whether a hold may leave a single free seat only when no choice of its
    /// size leaves none.
    #[serde(deserialize_with = "switch", skip_serializing_if = "is_off")]
    #[garde(skip)]
    pub no_single_seat: bool,
    /// Seconds before a showing starts until which wheelchair places are for
    /// who needs them; none: they always are for everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(inner(range(max = 31_536_000)))]
    pub wheelchair_until_s: Option<u32>,
    /// Whether a companion place is held only with its wheelchair place, until
    /// that is for everybody.
    #[serde(deserialize_with = "switch", skip_serializing_if = "is_off")]
    #[garde(skip)]
    pub companion_with_wheelchair: bool,
    /// Who may join. Not written when it is anyone, as in the policies from
    /// before there was a choice.
    #[serde(skip_serializing_if = "Join::is_anyone")]
    #[garde(skip)]
    pub join: Join,
}

/// Null is off, as what is off is not written.
fn switch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn is_off(switch: &bool) -> bool {
    !switch
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            capacity: 200,
            admissions_per_minute: None,
            enter_within_s: 120,
            stay_for_s: 600,
            hold_for_s: 300,
            max_extensions: 1,
            max_seats: 4,
            payment: Payment::Merchant,
            late_payment_grace_s: 600,
            away_after_s: 600,
            misses: 1,
            max_tickets: 2_000_000,
            no_single_seat: false,
            wheelchair_until_s: None,
            companion_with_wheelchair: false,
            join: Join::Anyone,
        }
    }
}

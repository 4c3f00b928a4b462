//! A hall's seats, in the open seating-plan format of the pretix project.
//!
//! Only the fields that usher uses are kept; unknown extra fields are ignored.

mod check;
mod read;

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::ids::{PlanName, SeatId, ShowingId};
use crate::time::{Timestamp, rfc3339};

pub use check::PlanError;

/// The most seats one plan may have.
pub const MAX_SEATS: usize = 100_000;

/// A seating plan as its editor writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seating {
    /// The hall's name.
    pub name: String,
    /// Price categories, by name.
    #[serde(default)]
    pub categories: Vec<Category>,
    /// Areas of the hall, each with its rows.
    pub zones: Vec<Zone>,
    /// The extent of the drawing.
    #[serde(default)]
    pub size: Size,
}

/// A price category.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Category {
    /// What seats refer to.
    pub name: String,
    /// A CSS colour.
    #[serde(default)]
    pub color: String,
}

/// An area of the hall.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Zone {
    /// The area's name.
    #[serde(default)]
    pub name: String,
    /// Where it starts, in the drawing's units.
    #[serde(default)]
    pub position: Point,
    /// Its rows, front to back.
    pub rows: Vec<Row>,
}

/// A row of seats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The row's label.
    #[serde(default)]
    pub row_number: String,
    /// Where it starts, relative to its zone.
    #[serde(default)]
    pub position: Point,
    /// Its seats, left to right.
    pub seats: Vec<Seat>,
}

/// One seat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seat {
    /// The seat's id, unique in its plan.
    pub seat_guid: SeatId,
    /// The seat's label in its row.
    #[serde(default)]
    pub seat_number: String,
    /// Where it stands, relative to its row.
    #[serde(default)]
    pub position: Point,
    /// Its price category's name.
    #[serde(default)]
    pub category: String,
}

/// A place in the drawing.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Point {
    /// To the right.
    pub x: f64,
    /// Downwards.
    pub y: f64,
}

/// The drawing's extent.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Size {
    /// Units across.
    pub width: f64,
    /// Units down.
    pub height: f64,
}

/// What a seat is for, where it is not for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeatKind {
    /// A place for a wheelchair.
    Wheelchair,
    /// Beside a wheelchair place, for who comes along.
    Companion,
    /// The view is restricted.
    RestrictedView,
    /// Kept for the house: only an operator may hold it.
    House,
}

/// An amount in a currency's minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Minor units: won for KRW, cents for EUR.
    pub amount: u64,
    /// ISO 4217 code.
    pub currency: String,
}

/// What the seating format does not say, keyed by seat or category.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeatDetails {
    /// Seats that are not for everybody.
    pub kinds: BTreeMap<SeatId, SeatKind>,
    /// Seats that are not sold, with the reason.
    pub blocked: BTreeMap<SeatId, String>,
    /// Prices by category.
    pub category_prices: BTreeMap<String, Money>,
    /// Prices of single seats, before their category's.
    pub seat_prices: BTreeMap<SeatId, Money>,
    /// Seats that are not sold before a time.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub opens_at: BTreeMap<SeatId, OpensAt>,
}

/// From when on a seat is sold: RFC 3339 in the log, too, as people wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OpensAt(#[serde(with = "rfc3339")] pub Timestamp);

impl SeatDetails {
    /// The seats that are blocked when a showing is added: those that are not
    /// sold, and those that are not sold yet.
    pub fn blocked_at_first(&self) -> HashSet<&SeatId> {
        self.blocked.keys().chain(self.opens_at.keys()).collect()
    }
}

/// A plan of an opening: seating and what comes beside it. Immutable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The seats and where they stand.
    pub seating: Seating,
    /// Kinds, blocked seats, prices.
    #[serde(default)]
    pub details: SeatDetails,
}

/// One screening in one hall at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Showing {
    /// Its id, unique in the opening.
    pub showing: ShowingId,
    /// What is shown, as people read it.
    pub title: String,
    /// When it starts.
    pub starts_at: Timestamp,
    /// Its hall's plan.
    pub plan: PlanName,
}

impl Seating {
    /// Every seat, in the order of the plan.
    pub fn seats(&self) -> impl Iterator<Item = &Seat> {
        self.zones.iter().flat_map(|zone| &zone.rows).flat_map(|row| &row.seats)
    }
}

//! A hall's seats, in the open seating-plan format of the pretix project.
//!
//! Only the fields that usher uses are kept; unknown extra fields are ignored.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::ids::{PlanName, SeatId, ShowingId};
use crate::time::Timestamp;

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

/// What is wrong with a plan, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct PlanError {
    /// Where, e.g. `zones[0].rows[3].seats[2].seat_guid`.
    pub path: String,
    /// What is wrong there.
    pub problem: String,
}

impl PlanError {
    fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }
}

impl Seating {
    /// Every seat, in the order of the plan.
    pub fn seats(&self) -> impl Iterator<Item = &Seat> {
        self.zones.iter().flat_map(|zone| &zone.rows).flat_map(|row| &row.seats)
    }

    fn seats_with_path(&self) -> impl Iterator<Item = (String, &Seat)> {
        self.zones.iter().enumerate().flat_map(|(z, zone)| {
            zone.rows.iter().enumerate().flat_map(move |(r, row)| {
                row.seats
                    .iter()
                    .enumerate()
                    .map(move |(s, seat)| (format!("zones[{z}].rows[{r}].seats[{s}]"), seat))
            })
        })
    }
}

impl Plan {
    /// Checks what types cannot: seats there are, unique, of known categories,
    /// and details only of seats and categories that exist. Names the first
    /// fault's path.
    pub fn check(&self) -> Result<(), PlanError> {
        let count = self.seating.seats().take(MAX_SEATS + 1).count();
        if count == 0 {
            return Err(PlanError::new("zones", "the plan has no seat"));
        }
        if count > MAX_SEATS {
            return Err(PlanError::new("zones", format!("more than {MAX_SEATS} seats")));
        }
        let mut categories = HashSet::new();
        for (i, category) in self.seating.categories.iter().enumerate() {
            if !categories.insert(category.name.as_str()) {
                let problem = format!("category `{}` is there twice", category.name);
                return Err(PlanError::new(format!("categories[{i}].name"), problem));
            }
        }
        let mut seats = HashSet::new();
        for (path, seat) in self.seating.seats_with_path() {
            if !seats.insert(seat.seat_guid.as_str()) {
                let problem = format!("seat `{}` is there twice", seat.seat_guid);
                return Err(PlanError::new(format!("{path}.seat_guid"), problem));
            }
            if !seat.category.is_empty() && !categories.contains(seat.category.as_str()) {
                let problem = format!("no category is called `{}`", seat.category);
                return Err(PlanError::new(format!("{path}.category"), problem));
            }
        }
        self.check_details(&seats, &categories)
    }

    fn check_details(&self, seats: &HashSet<&str>, categories: &HashSet<&str>) -> Result<(), PlanError> {
        let details = &self.details;
        let named = (details.kinds.keys().map(|seat| ("kinds", seat)))
            .chain(details.blocked.keys().map(|seat| ("blocked", seat)))
            .chain(details.seat_prices.keys().map(|seat| ("seat_prices", seat)));
        for (field, seat) in named {
            if !seats.contains(seat.as_str()) {
                return Err(PlanError::new(format!("details.{field}"), format!("no seat `{seat}`")));
            }
        }
        for category in details.category_prices.keys() {
            if !categories.contains(category.as_str()) {
                let problem = format!("no category `{category}`");
                return Err(PlanError::new("details.category_prices", problem));
            }
        }
        let prices = details.category_prices.values().chain(details.seat_prices.values());
        for price in prices {
            if price.currency.len() != 3 || !price.currency.bytes().all(|b| b.is_ascii_uppercase()) {
                let problem = format!("`{}` is no ISO 4217 currency", price.currency);
                return Err(PlanError::new("details.prices", problem));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(json: serde_json::Value) -> Plan {
        Plan { seating: serde_json::from_value(json).unwrap(), details: SeatDetails::default() }
    }

    fn hall(seats: serde_json::Value) -> serde_json::Value {
        serde_json::json!({
            "name": "Hall 1", "made_by": "an editor",
            "categories": [{"name": "Prime", "color": "#a00"}],
            "zones": [{"name": "Floor", "position": {"x": 0, "y": 0}, "zone_id": "floor",
                "rows": [{"row_number": "G", "position": {"x": 0, "y": 0}, "seats": seats}]}],
            "size": {"width": 10, "height": 10}
        })
    }

    #[test]
    fn a_plan_with_unknown_extra_fields_loads() {
        let seats =
            serde_json::json!([{"seat_guid": "G7", "seat_number": "7", "category": "Prime", "radius": 3}]);
        assert_eq!(plan(hall(seats)).check(), Ok(()));
    }

    #[test]
    fn a_seat_that_is_there_twice_is_named_with_its_path() {
        let seats = serde_json::json!([{"seat_guid": "G7"}, {"seat_guid": "G7"}]);
        let error = plan(hall(seats)).check().unwrap_err();
        assert_eq!(error.path, "zones[0].rows[0].seats[1].seat_guid");
        assert_eq!(error.problem, "seat `G7` is there twice");
    }

    #[test]
    fn an_unknown_category_and_an_empty_hall_are_refused() {
        let unknown = plan(hall(serde_json::json!([{"seat_guid": "G7", "category": "Gold"}])));
        assert_eq!(unknown.check().unwrap_err().path, "zones[0].rows[0].seats[0].category");
        assert_eq!(plan(hall(serde_json::json!([]))).check().unwrap_err().path, "zones");
    }
}

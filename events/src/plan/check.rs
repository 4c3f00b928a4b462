//! What is wrong with a plan.

use std::collections::HashSet;

use super::{MAX_SEATS, Money, Plan, Seat, SeatDetails, Seating};

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
    pub(super) fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }
}

impl Seating {
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
        self.faults().next().map_or(Ok(()), Err)
    }

    /// All faults that [`Plan::check`] looks for, in the order of the plan.
    pub fn faults(&self) -> impl Iterator<Item = PlanError> {
        let mut seats = HashSet::new();
        let mut categories = HashSet::new();
        let counted = self.count_fault();
        let of_categories: Vec<_> = self.category_faults(&mut categories).collect();
        // Who has too many seats is not told of each.
        let of_seats: Vec<_> = match counted {
            Some(_) => Vec::new(),
            None => self.seat_faults(&mut seats, &categories).collect(),
        };
        let of_details =
            if counted.is_some() { Vec::new() } else { self.details.faults(&seats, &categories) };
        counted.into_iter().chain(of_categories).chain(of_seats).chain(of_details)
    }

    fn count_fault(&self) -> Option<PlanError> {
        match self.seating.seats().take(MAX_SEATS + 1).count() {
            0 => Some(PlanError::new("zones", "the plan has no seat")),
            count if count > MAX_SEATS => {
                Some(PlanError::new("zones", format!("more than {MAX_SEATS} seats")))
            }
            _ => None,
        }
    }

    fn category_faults<'a>(&'a self, known: &mut HashSet<&'a str>) -> impl Iterator<Item = PlanError> {
        self.seating.categories.iter().enumerate().filter_map(|(i, category)| {
            let path = format!("categories[{i}].name");
            let twice = || PlanError::new(path, format!("category `{}` is there twice", category.name));
            (!known.insert(category.name.as_str())).then(twice)
        })
    }

    fn seat_faults<'a>(
        &'a self,
        known: &mut HashSet<&'a str>,
        categories: &HashSet<&str>,
    ) -> impl Iterator<Item = PlanError> {
        self.seating.seats_with_path().flat_map(|(path, seat)| {
            let twice = (!known.insert(seat.seat_guid.as_str())).then(|| {
                let problem = format!("seat `{}` is there twice", seat.seat_guid);
                PlanError::new(format!("{path}.seat_guid"), problem)
            });
            let is_known = seat.category.is_empty() || categories.contains(seat.category.as_str());
            let stray = (!is_known).then(|| {
                let problem = format!("no category is called `{}`", seat.category);
                PlanError::new(format!("{path}.category"), problem)
            });
            twice.into_iter().chain(stray)
        })
    }
}

impl SeatDetails {
    fn faults(&self, seats: &HashSet<&str>, categories: &HashSet<&str>) -> Vec<PlanError> {
        let named = (self.kinds.keys().map(|seat| ("kinds", seat)))
            .chain(self.blocked.keys().map(|seat| ("blocked", seat)))
            .chain(self.opens_at.keys().map(|seat| ("opens_at", seat)))
            .chain(self.seat_prices.keys().map(|seat| ("seat_prices", seat)));
        let stray = named.filter(|(_, seat)| !seats.contains(seat.as_str()));
        let mut faults: Vec<PlanError> = stray
            .map(|(field, seat)| PlanError::new(format!("details.{field}"), format!("no seat `{seat}`")))
            .collect();
        let never = self.opens_at.keys().filter(|seat| self.blocked.contains_key(*seat));
        faults.extend(never.map(|seat| {
            PlanError::new("details.opens_at", format!("seat `{seat}` is blocked, and so never sold"))
        }));
        let stray = self.category_prices.keys().filter(|category| !categories.contains(category.as_str()));
        faults.extend(
            stray.map(|category| {
                PlanError::new("details.category_prices", format!("no category `{category}`"))
            }),
        );
        let of_categories =
            self.category_prices.iter().map(|(name, price)| ("category_prices", name.as_str(), price));
        let of_seats = self.seat_prices.iter().map(|(seat, price)| ("seat_prices", seat.as_str(), price));
        faults.extend(of_categories.chain(of_seats).filter_map(|(field, name, price)| {
            let problem = price.fault()?;
            Some(PlanError::new(format!("details.{field}.{name}.currency"), problem))
        }));
        faults
    }
}

impl Money {
    fn fault(&self) -> Option<String> {
        let known = self.currency.len() == 3 && self.currency.bytes().all(|b| b.is_ascii_uppercase());
        (!known).then(|| format!("`{}` is no ISO 4217 currency", self.currency))
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
    fn a_seat_that_is_sold_later_exists_and_is_not_blocked() {
        let mut plan = plan(hall(serde_json::json!([{"seat_guid": "G7", "category": "Prime"}])));
        plan.details = serde_json::from_value(serde_json::json!({
            "opens_at": {"G7": "2026-03-01T11:00:00Z", "G9": "2026-03-01T11:00:00Z"},
            "blocked": {"G7": "a pillar"}
        }))
        .unwrap();
        let faults: Vec<String> = plan.faults().map(|fault| fault.to_string()).collect();
        let expected =
            ["details.opens_at: no seat `G9`", "details.opens_at: seat `G7` is blocked, and so never sold"];
        assert_eq!(faults, expected);
        let wrong = serde_json::from_value::<SeatDetails>(serde_json::json!({"opens_at": {"G7": "soon"}}));
        assert!(wrong.unwrap_err().to_string().contains("RFC 3339"));
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

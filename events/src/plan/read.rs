//! Reads a plan that people made, and names all that is wrong with it at once.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Category, Plan, PlanError, Row, Seat, SeatDetails, Seating, Zone};

impl Plan {
    /// Reads a plan: seating alone, as its editor writes it, or an object with
    /// `seating` and, beside it, `details`, as plans are added to an opening.
    ///
    /// Fails with every fault that there is, each with its path. Where a part
    /// cannot be read at all, what is in it is read all the same; what refers
    /// to it is checked only once everything can be read.
    pub fn read(json: &str) -> Result<Self, Vec<PlanError>> {
        let value: Value = serde_json::from_str(json)
            .map_err(|error| vec![PlanError::new(".", format!("this is not JSON: {error}"))])?;
        let beside = value.get("seating").is_some();
        let (seating, details) =
            if beside { (&value["seating"], value.get("details")) } else { (&value, None) };
        let within = |faults: Vec<PlanError>| -> Vec<PlanError> {
            faults.into_iter().map(|fault| if beside { fault.within_seating() } else { fault }).collect()
        };
        let mut faults = within(seating_faults(seating));
        let details = details.map_or(Ok(SeatDetails::default()), |details| part(details, "details"));
        let details = details.map_err(|fault| faults.push(fault)).unwrap_or_default();
        if !faults.is_empty() {
            return Err(faults);
        }
        let seating = part::<Seating>(seating, "").map_err(|fault| vec![fault])?;
        let plan = Self { seating, details };
        let faults: Vec<PlanError> = plan.faults().collect();
        if faults.is_empty() { Ok(plan) } else { Err(within(faults)) }
    }
}

impl PlanError {
    /// The same fault of a plan whose seating is a field of its own.
    fn within_seating(self) -> Self {
        if self.path.starts_with("details") {
            return self;
        }
        let path = if self.path == "." { "seating".to_owned() } else { format!("seating.{}", self.path) };
        Self { path, ..self }
    }
}

/// What cannot be read of the parts of a plan, each part on its own.
fn seating_faults(seating: &Value) -> Vec<PlanError> {
    let mut faults = Vec::new();
    let mut note = |fault: Option<PlanError>| faults.extend(fault);
    note(shell::<Seating>(seating, "", &["zones", "categories"]));
    for (path, category) in list(seating, "", "categories") {
        note(part::<Category>(category, &path).err());
    }
    for (path, zone) in list(seating, "", "zones") {
        note(shell::<Zone>(zone, &path, &["rows"]));
        for (path, row) in list(zone, &path, "rows") {
            note(shell::<Row>(row, &path, &["seats"]));
            for (path, seat) in list(row, &path, "seats") {
                note(part::<Seat>(seat, &path).err());
            }
        }
    }
    faults
}

/// The members of the list `field` of `value`, each with its path.
fn list<'a>(value: &'a Value, path: &str, field: &str) -> impl Iterator<Item = (String, &'a Value)> {
    let members = value.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let path = join(path, field);
    members.iter().enumerate().map(move |(i, member)| (format!("{path}[{i}]"), member))
}

/// What cannot be read of `value` itself, when its `lists` are read apart.
fn shell<T: DeserializeOwned>(value: &Value, path: &str, lists: &[&str]) -> Option<PlanError> {
    let Value::Object(fields) = value else { return part::<T>(value, path).err() };
    let empty = |(field, value): (&String, &Value)| {
        let apart = lists.contains(&field.as_str()) && value.is_array();
        (field.clone(), if apart { Value::Array(Vec::new()) } else { value.clone() })
    };
    let shell: Map<String, Value> = fields.iter().map(empty).collect();
    part::<T>(&Value::Object(shell), path).err()
}

fn part<T: DeserializeOwned>(value: &Value, path: &str) -> Result<T, PlanError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let within = error.path().to_string();
        let problem = error.into_inner().to_string();
        match (path, within.as_str()) {
            ("", within) => PlanError::new(within, problem),
            (path, ".") => PlanError::new(path, problem),
            (path, within) => PlanError::new(join(path, within), problem),
        }
    })
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(json: &Value) -> Vec<String> {
        let faults = Plan::read(&json.to_string()).expect_err("it is broken");
        faults.iter().map(ToString::to_string).collect()
    }

    fn seat(guid: &str) -> Value {
        serde_json::json!({"seat_guid": guid, "seat_number": "1", "category": "Prime"})
    }

    fn hall(seats: &[Value]) -> Value {
        serde_json::json!({
            "name": "Hall 1", "categories": [{"name": "Prime", "color": "#a00"}],
            "zones": [{"name": "Floor", "rows": [{"row_number": "A", "seats": seats}]}],
        })
    }

    #[test]
    fn every_part_that_cannot_be_read_is_named_with_its_path() {
        let mut broken = hall(&[seat("A1"), serde_json::json!({"seat_number": 2}), seat("")]);
        broken["zones"][0]["position"] = serde_json::json!({"x": "left", "y": 0});
        broken["categories"][0]["name"] = Value::Null;
        let named = faults(&broken);
        let starts = [
            "categories[0].name: invalid type: null",
            "zones[0].position.x: invalid type: string",
            "zones[0].rows[0].seats[1].seat_number: invalid type: integer",
            "zones[0].rows[0].seats[2].seat_guid: expected a seat_guid",
        ];
        assert_eq!(named.len(), starts.len(), "{named:#?}");
        for (fault, start) in named.iter().zip(starts) {
            assert!(fault.starts_with(start), "{fault}");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_named_all_at_once() {
        let mut plan = serde_json::json!({"seating": hall(&[seat("A1"), seat("A1")])});
        plan["seating"]["zones"][0]["rows"][0]["seats"][0]["category"] = "Gold".into();
        plan["details"] = serde_json::json!({
            "kinds": {"Z9": "companion"},
            "category_prices": {"Prime": {"amount": 1, "currency": "won"}, "Silver": {"amount": 1, "currency": "KRW"}},
        });
        assert_eq!(
            faults(&plan),
            [
                "seating.zones[0].rows[0].seats[0].category: no category is called `Gold`",
                "seating.zones[0].rows[0].seats[1].seat_guid: seat `A1` is there twice",
                "details.kinds: no seat `Z9`",
                "details.category_prices: no category `Silver`",
                "details.category_prices.Prime.currency: `won` is no ISO 4217 currency",
            ]
        );
    }

    #[test]
    fn what_is_no_plan_at_all_is_told_in_one_line() {
        for (text, start) in [
            ("", ".: this is not JSON"),
            ("[]", ".: invalid"),
            ("{}", ".: missing field"),
            (r#"{"seating": 1}"#, "seating: invalid type"),
        ] {
            let faults = Plan::read(text).expect_err("it is broken");
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].to_string().starts_with(start), "{}", faults[0]);
        }
    }

    #[test]
    fn seating_alone_and_with_details_beside_it_are_both_read() {
        let alone = Plan::read(&hall(&[seat("A1")]).to_string()).unwrap();
        let beside = serde_json::json!({
            "seating": hall(&[seat("A1")]), "details": {"blocked": {"A1": "pillar"}},
        });
        let beside = Plan::read(&beside.to_string()).unwrap();
        assert_eq!(alone.seating, beside.seating);
        assert_eq!((alone.details.blocked.len(), beside.details.blocked.len()), (0, 1));
    }
}

//! The sample opening: a concert film, two theatres, four halls.
//!
//! All names are made up. The halls are drawn here, in pretix's open
//! seating-plan format.

use serde_json::{Value, json};
use usher_events::time::Timestamp;

/// How long after the start the sample opens, in seconds.
const OPENS_IN_S: u32 = 30;
/// How long it stays open, in seconds.
const OPEN_FOR_S: u32 = 4 * 3600;

/// A hall to draw.
struct HallPlan {
    name: &'static str,
    title: &'static str,
    /// Rows from the screen backwards, each with its seats between aisles.
    rows: u32,
    blocks: &'static [u32],
    /// The last row is one block without aisles.
    wheelchairs: u32,
}

const HALLS: [HallPlan; 4] = [
    HallPlan {
        name: "gangnam-1",
        title: "Lumen Gangnam, hall 1",
        rows: 16,
        blocks: &[4, 12, 4],
        wheelchairs: 4,
    },
    HallPlan {
        name: "gangnam-2",
        title: "Lumen Gangnam, hall 2",
        rows: 12,
        blocks: &[4, 8, 4],
        wheelchairs: 2,
    },
    HallPlan {
        name: "hongdae-1",
        title: "Lumen Hongdae, hall 1",
        rows: 18,
        blocks: &[5, 9, 5],
        wheelchairs: 4,
    },
    HallPlan { name: "hongdae-2", title: "Lumen Hongdae, hall 2", rows: 10, blocks: &[6, 6], wheelchairs: 2 },
];

/// Units between seats, rows and aisles in the drawing.
const PITCH: u32 = 25;

/// The body of `PUT /v1/openings/{opening}` for the sample, as of `now`.
pub(crate) fn sample_opening(now: Timestamp) -> Value {
    let opens_at = now.plus_s(OPENS_IN_S);
    let mut plans = serde_json::Map::new();
    let mut details = serde_json::Map::new();
    let mut showings = Vec::new();
    for (i, hall) in (0u32..).zip(&HALLS) {
        plans.insert(hall.name.to_owned(), seating(hall));
        details.insert(hall.name.to_owned(), hall_details(hall));
        let starts_at = opens_at.plus_s(24 * 3600 + i * 1800);
        showings.push(json!({
            "showing": format!("{}-evening", hall.name),
            "title": hall.title,
            "starts_at": starts_at.to_rfc3339(),
            "plan": hall.name,
        }));
    }
    json!({
        "title": "Northern Lights: the concert film / 노던 라이츠: 콘서트 필름",
        "opens_at": opens_at.to_rfc3339(),
        "closes_at": opens_at.plus_s(OPEN_FOR_S).to_rfc3339(),
        "policy": { "capacity": 200, "max_seats": 4, "payment": "none" },
        "plans": plans,
        "details": details,
        "showings": showings,
    })
}

/// A row's letter: A is nearest to the screen.
fn letter(row: u32) -> char {
    char::from_u32('A' as u32 + row).unwrap_or('?')
}

/// The middle third of the rows is prime, the first two are front.
fn category(hall: &HallPlan, row: u32) -> &'static str {
    match row {
        0 | 1 => "Front",
        _ if row >= hall.rows / 3 && row < hall.rows - hall.rows / 4 => "Prime",
        _ => "Standard",
    }
}

fn seating(hall: &HallPlan) -> Value {
    let rows: Vec<Value> = (0..hall.rows).map(|row| self::row(hall, row)).collect();
    let across: u32 = hall.blocks.iter().sum::<u32>() + hall.blocks.len() as u32;
    json!({
        "name": hall.title,
        "categories": [
            {"name": "Front", "color": "#6b7280"},
            {"name": "Standard", "color": "#2563eb"},
            {"name": "Prime", "color": "#b45309"},
        ],
        "zones": [{"name": "Floor", "position": {"x": PITCH, "y": 3 * PITCH}, "rows": rows}],
        "size": {"width": (across + 2) * PITCH, "height": (hall.rows + 5) * PITCH},
    })
}

fn row(hall: &HallPlan, row: u32) -> Value {
    let mut seats = Vec::new();
    let (mut number, mut x) = (0, 0);
    for block in hall.blocks {
        for _ in 0..*block {
            number += 1;
            seats.push(json!({
                "seat_guid": format!("{}{number}", letter(row)),
                "seat_number": number.to_string(),
                "position": {"x": x * PITCH, "y": 0},
                "category": category(hall, row),
            }));
            x += 1;
        }
        // The aisle.
        x += 1;
    }
    json!({"row_number": letter(row).to_string(), "position": {"x": 0, "y": row * PITCH}, "seats": seats})
}

/// Wheelchair places stand at the ends of the last row, each with a companion
/// seat beside it.
fn hall_details(hall: &HallPlan) -> Value {
    let back = letter(hall.rows - 1);
    let last: u32 = hall.blocks.iter().sum();
    let mut kinds = serde_json::Map::new();
    for place in 0..hall.wheelchairs {
        let pair = place / 2;
        let (wheelchair, companion) = if place % 2 == 0 {
            (1 + 2 * pair, 2 + 2 * pair)
        } else {
            (last - 2 * pair, last - 1 - 2 * pair)
        };
        kinds.insert(format!("{back}{wheelchair}"), json!("wheelchair"));
        kinds.insert(format!("{back}{companion}"), json!("companion"));
    }
    let won = |amount: u32| json!({"amount": amount, "currency": "KRW"});
    json!({
        "kinds": kinds,
        "category_prices": {"Front": won(18_000), "Standard": won(22_000), "Prime": won(27_000)},
    })
}

#[cfg(test)]
mod tests {
    use usher_events::ids::SeatId;
    use usher_events::plan::{Plan, SeatDetails, SeatKind, Seating};

    use super::*;

    fn plans() -> Vec<Plan> {
        let sample = sample_opening(Timestamp(0));
        let plan = |hall: &HallPlan| Plan {
            seating: serde_json::from_value::<Seating>(sample["plans"][hall.name].clone()).unwrap(),
            details: serde_json::from_value::<SeatDetails>(sample["details"][hall.name].clone()).unwrap(),
        };
        HALLS.iter().map(plan).collect()
    }

    #[test]
    fn every_hall_is_a_valid_plan_of_120_to_350_seats() {
        for plan in plans() {
            assert_eq!(plan.check(), Ok(()));
            let seats = plan.seating.seats().count();
            assert!((120..=350).contains(&seats), "{}: {seats}", plan.seating.name);
        }
    }

    #[test]
    fn every_hall_has_g7_and_g8_and_wheelchair_places_with_companions() {
        for plan in plans() {
            for seat in ["G7", "G8"] {
                assert!(plan.seating.seats().any(|known| known.seat_guid.as_str() == seat));
            }
            let of = |kind| plan.details.kinds.values().filter(|known| **known == kind).count();
            assert!(of(SeatKind::Wheelchair) >= 2);
            assert_eq!(of(SeatKind::Wheelchair), of(SeatKind::Companion));
            let back =
                SeatId::new(&format!("{}1", letter(plan.seating.zones[0].rows.len() as u32 - 1))).unwrap();
            assert_eq!(plan.details.kinds.get(&back), Some(&SeatKind::Wheelchair));
        }
    }
}

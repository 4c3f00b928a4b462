//! Plans as pretix's editor writes them load as they are; hundreds that were
//! broken on purpose are each refused with the path of what is wrong.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use usher_events::plan::Plan;

use crate::calls::{OPERATOR, put};
use crate::instance::Instance;
use crate::scenes::CONCERT;

const PLANS: usize = 400;

/// A row with all that the editor writes, also what usher has no use for.
fn row(zone: &str, number: u32) -> Value {
    let seat = |seat: u32| {
        json!({
            "seat_number": seat.to_string(), "seat_guid": format!("{zone}-{number}-{seat}"),
            "uuid": format!("00000000-0000-4000-8000-{number:06}{seat:06}"),
            "position": {"x": f64::from(seat) * 25.0, "y": 0}, "category": "Parkett", "radius": 10,
        })
    };
    json!({
        "row_number": number.to_string(), "row_number_position": "both",
        "position": {"x": 20.5, "y": f64::from(number) * 30.0},
        "uuid": format!("00000000-0000-4000-9000-{number:012}"),
        "seats": (1..=6).map(seat).collect::<Vec<_>>(),
    })
}

fn area(shape: &str) -> Value {
    json!({
        "shape": shape, "color": "#cccccc", "border_color": "#000000", "rotation": 0,
        "uuid": "00000000-0000-4000-a000-000000000001", "position": {"x": 0, "y": 0},
        "rectangle": {"width": 300, "height": 40}, "circle": {"radius": 4},
        "ellipse": {"radius": {"x": 1, "y": 2}}, "polygon": {"points": [{"x": 0, "y": 0}, {"x": 1, "y": 2}]},
        "text": {"position": {"x": 150, "y": 20}, "color": "#333333", "text": "Bühne / 무대"},
    })
}

/// As the editor writes it.
fn edited() -> Value {
    let zone = |zone: &str, y: u32| {
        json!({
            "name": zone, "zone_id": zone, "uuid": "00000000-0000-4000-b000-000000000001",
            "position": {"x": 0, "y": y}, "rows": [row(zone, 1), row(zone, 2)],
            "areas": [area("rectangle"), area("text")],
        })
    };
    json!({
        "name": "Großer Saal", "size": {"width": 600, "height": 400},
        "categories": [{"name": "Parkett", "color": "#33c"}, {"name": "Rang", "color": "#3c3"}],
        "zones": [zone("stalls", 0), zone("balcony", 200)],
    })
}

fn good() -> Value {
    json!({"seating": edited(), "details": {
        "kinds": {"stalls-1-1": "wheelchair", "stalls-1-2": "companion"},
        "blocked": {"balcony-2-6": "Säule"},
        "category_prices": {"Parkett": {"amount": 27_000, "currency": "KRW"}},
        "seat_prices": {"stalls-2-3": {"amount": 30_000, "currency": "KRW"}},
    }})
}

/// A plan with one thing wrong, and where the fault is to be found.
fn broken(random: &mut StdRng) -> (Value, String) {
    let mut plan = good();
    let (z, r, s) = (random.random_range(0..2), random.random_range(0..2), random.random_range(1..6));
    let zone = format!("seating.zones[{z}]");
    let row = format!("{zone}.rows[{r}]");
    let seat = format!("{row}.seats[{s}]");
    let wrong =
        [json!(null), json!(7), json!(true), json!([]), json!({"x": []})].choose(random).unwrap().clone();
    let text_for_number = json!("12px");
    let name = |random: &mut StdRng| "x".repeat(random.random_range(101..2_000));
    let (path, value): (String, Value) = match random.random_range(0..22) {
        0 => (format!("{seat}.seat_guid"), wrong),
        1 => (format!("{seat}.seat_guid"), json!("")),
        2 => (format!("{seat}.seat_guid"), json!(name(random))),
        3 => (
            format!("{seat}.seat_guid"),
            plan["seating"]["zones"][z]["rows"][r]["seats"][0]["seat_guid"].clone(),
        ),
        4 => (format!("{seat}.seat_guid"), json!("a\u{7}b")),
        5 => (format!("{seat}.seat_number"), wrong),
        6 => (format!("{seat}.category"), json!("Loge")),
        7 => (format!("{seat}.category"), wrong),
        8 => (format!("{seat}.position.x"), text_for_number),
        9 => (format!("{seat}.position"), json!("left")),
        10 => (seat, json!("A1")),
        11 => (format!("{row}.seats"), json!("many")),
        12 => (format!("{row}.row_number"), json!({"of": 3})),
        13 => (row, json!(null)),
        14 => (format!("{zone}.rows"), json!({})),
        15 => (format!("{zone}.position.y"), json!(null)),
        16 => (zone, json!(12)),
        17 => ("seating.categories[1].name".to_owned(), json!("Parkett")),
        18 => ("seating.categories".to_owned(), json!("Parkett")),
        19 => ("seating.size.width".to_owned(), text_for_number),
        20 => ("details.kinds.stalls-1-1".to_owned(), json!("throne")),
        _ => ("details.category_prices.Parkett.amount".to_owned(), json!(-1)),
    };
    *at(&mut plan, &path) = value;
    (plan, path)
}

/// What stands at a path like `zones[0].name`.
fn at<'a>(plan: &'a mut Value, path: &str) -> &'a mut Value {
    let pointer = path.replace('[', "/").replace(']', "").replace('.', "/");
    plan.pointer_mut(&format!("/{pointer}")).unwrap_or_else(|| panic!("there is no {path}"))
}

#[test]
fn a_plan_as_pretixs_editor_writes_it_loads_as_it_is() {
    let plan = Plan::read(&edited().to_string()).unwrap();
    assert_eq!(plan.seating.seats().count(), 24);
    assert_eq!(Plan::read(&good().to_string()).unwrap().seating, plan.seating);
}

#[test]
fn hundreds_of_broken_plans_are_each_told_with_the_path() {
    let mut random = StdRng::seed_from_u64(1);
    for i in 0..PLANS {
        let (plan, path) = broken(&mut random);
        let faults = Plan::read(&plan.to_string()).expect_err(&path);
        assert!(faults.iter().any(|fault| fault.path == path), "plan {i}, broken at {path}: {faults:?}");
        assert!(faults.iter().all(|fault| !fault.problem.is_empty()));
    }
}

#[test]
fn a_plan_of_which_anything_was_taken_away_is_read_or_refused_and_never_a_panic() {
    let text = good().to_string();
    let mut random = StdRng::seed_from_u64(2);
    for _ in 0..PLANS {
        let mut bytes = text.clone().into_bytes();
        let from = random.random_range(0..bytes.len());
        let to = (from + random.random_range(1..200)).min(bytes.len());
        bytes.drain(from..to);
        if let Err(faults) = Plan::read(&String::from_utf8_lossy(&bytes)) {
            assert!(faults.iter().all(|fault| !fault.path.is_empty()), "{faults:?}");
        }
    }
}

#[tokio::test]
async fn over_http_each_is_refused_by_its_field_and_nothing_is_appended() {
    let instance = Instance::new().await;
    instance.open().await;
    let mut random = StdRng::seed_from_u64(3);
    for _ in 0..PLANS / 2 {
        let (plan, path) = broken(&mut random);
        let call = put(format!("{CONCERT}/plans/hall-2")).by(OPERATOR).json(&plan);
        let problem = instance.refused(call).await.problem(422, "invalid");
        assert_eq!(problem["field"], path, "{problem}");
    }
    let call = put(format!("{CONCERT}/plans/hall-2")).by(OPERATOR).json(&good());
    assert_eq!(instance.send(&call).await.status, 201);
}

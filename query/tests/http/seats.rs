//! The seat map of a showing, its changes, and the halls.

use serde_json::{Value, json};

use crate::calls::get;
use crate::happenings::*;
use crate::world::{PREMIERE, World, partition};

const SEATS: &str = "/v1/openings/premiere/showings/evening/seats";

fn states(answer: &Value) -> Vec<(&str, &str)> {
    let seats = answer["seats"].as_array().unwrap();
    seats.iter().map(|seat| (seat["seat"].as_str().unwrap(), seat["state"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_map_has_every_seat_with_its_state() {
    let world = World::after(holds(ANN)).await;
    let map = world.send(&get(SEATS)).await.expect(200);
    assert_eq!((&map["showing"], &map["version"]), (&json!("evening"), &json!(1)));
    assert_eq!(map["as_of"], format!("{}.8", partition("premiere")));
    assert!(map.get("since").is_none());
    let expected = [
        ("A1", "held"),
        ("A2", "held"),
        ("A3", "free"),
        ("A4", "free"),
        ("B1", "free"),
        ("B2", "free"),
        ("B3", "free"),
        ("B4", "blocked"),
    ];
    assert_eq!(states(&map), expected);
    let other = world.send(&get(format!("{PREMIERE}/showings/matinee/seats"))).await.expect(200);
    assert_eq!((other["version"].as_u64(), states(&other)[0]), (Some(0), ("A1", "free")));
}

#[tokio::test]
async fn the_changes_since_a_version_lead_from_that_map_to_this() {
    let world = World::new();
    let mut as_of = world.happen("premiere", holds(ANN)).await;
    let first = world.get_after(SEATS, &as_of).await;
    for event in [
        released(ANN, hold_id(1), &["A1", "A2"]),
        held(ANN, hold_id(2), &["A2", "B1"]),
        booked(ANN, hold_id(2), &["A2", "B1"]),
    ] {
        as_of = world.happen("premiere", [event]).await;
    }
    let changes = world.get_after(&format!("{SEATS}?since=1"), &as_of).await;
    assert_eq!((&changes["since"], &changes["version"]), (&json!(1), &json!(4)));
    assert_eq!(states(&changes), [("A1", "free"), ("A2", "booked"), ("B1", "booked")]);
    let last = world.get_after(SEATS, &as_of).await;
    let mut patched: Vec<(&str, &str)> = states(&first);
    for (seat, state) in states(&changes) {
        patched.iter_mut().find(|(known, _)| *known == seat).unwrap().1 = state;
    }
    assert_eq!(patched, states(&last));
    let two = world.get_after(&format!("{SEATS}?since=3"), &as_of).await;
    assert_eq!(states(&two), [("A2", "booked"), ("B1", "booked")]);
    let none = world.get_after(&format!("{SEATS}?since=4"), &as_of).await;
    assert!(states(&none).is_empty());
    let all = world.get_after(&format!("{SEATS}?since=0"), &as_of).await;
    assert_eq!(states(&all), states(&changes), "the others never changed");
}

#[tokio::test]
async fn a_compact_map_has_a_letter_for_each_seat_in_the_order_of_their_ids() {
    let world = World::new();
    let mut as_of = world.happen("premiere", holds(ANN)).await;
    let map = world.get_after(&format!("{SEATS}?compact=true"), &as_of).await;
    assert_eq!((&map["version"], &map["states"]), (&json!(1), &json!("hhfffffx")));
    assert_eq!((&map["as_of"], map.get("seats")), (&json!(as_of), None));
    as_of = world.happen("premiere", [booked(ANN, hold_id(1), &["A1", "A2"])]).await;
    let map = world.get_after(&format!("{SEATS}?compact=true"), &as_of).await;
    assert_eq!((&map["version"], &map["states"]), (&json!(2), &json!("bbfffffx")));
    let changes = world.get_after(&format!("{SEATS}?since=1"), &as_of).await;
    assert_eq!(states(&changes), [("A1", "booked"), ("A2", "booked")], "its version leads on");
}

#[tokio::test]
async fn each_form_of_a_map_has_a_tag_of_its_own() {
    let world = World::after(holds(ANN)).await;
    let compact = format!("{SEATS}?compact=true");
    let (whole, short) = (world.send(&get(SEATS)).await, world.send(&get(&compact)).await);
    let again = |tag: &str| get(&compact).header("if-none-match", tag);
    assert_eq!(world.send(&again(short.header("etag"))).await.status, 304);
    assert_eq!(world.send(&again(whole.header("etag"))).await.status, 200);
}

#[tokio::test]
async fn changes_have_one_form() {
    let world = World::after(holds(ANN)).await;
    let problem = world.send(&get(format!("{SEATS}?since=0&compact=true"))).await.problem(422, "invalid");
    assert_eq!(problem["field"], "compact");
    world.send(&get(format!("{SEATS}?compact=perhaps"))).await.problem(400, "malformed");
}

#[tokio::test]
async fn a_version_that_never_was_and_a_showing_that_is_not_there_are_404() {
    let world = World::after(holds(ANN)).await;
    for path in [
        format!("{SEATS}?since=2"),
        format!("{PREMIERE}/showings/midnight/seats"),
        format!("{PREMIERE}/showings/midnight/seats?since=0"),
        "/v1/openings/encore/showings/evening/seats".to_owned(),
    ] {
        let problem = world.send(&get(path)).await.problem(404, "not-found");
        assert!(problem["as_of"].is_string());
    }
}

#[tokio::test]
async fn a_hall_is_answered_as_it_was_drawn() {
    let world = World::after([scheduled().into()]).await;
    let hall = world.send(&get(format!("{PREMIERE}/plans/hall-1"))).await.expect(200);
    assert_eq!(hall["plan"], "hall-1");
    assert_eq!(hall["seating"]["zones"][0]["rows"][1]["seats"][2]["seat_guid"], "B3");
    assert_eq!(hall["details"]["blocked"]["B4"], "pillar");
    world.send(&get(format!("{PREMIERE}/plans/hall-2"))).await.problem(404, "not-found");
}

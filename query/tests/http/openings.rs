//! The openings, and an opening's status.

use serde_json::json;
use usher_events::event::*;
use usher_events::time::Timestamp;

use crate::calls::get;
use crate::happenings::*;
use crate::world::{PREMIERE, World, partition};

#[tokio::test]
async fn a_status_tells_the_state_the_line_the_seats_and_what_it_is_true_of() {
    let world = World::new();
    let as_of = world.happen("premiere", holds(ANN)).await;
    let message = MessageChanged { at: at(91), message: Some("Ten minutes".to_owned()) };
    world.happen("premiere", [joined(BEN, Some(2)), message.into()]).await;
    let status = world.get_after(PREMIERE, &as_of).await;
    for (name, value) in [
        ("opening", json!("premiere")),
        ("state", json!("open")),
        ("title", json!("The premiere")),
        ("opens_at", json!(at(60).to_rfc3339())),
        ("drains_at", json!(null)),
        ("serving_number", json!(1)),
        ("waiting", json!(1)),
        ("inside", json!(1)),
        ("lobby", json!(0)),
        ("seats", json!({"free": 12, "held": 2, "booked": 0})),
        ("rules", json!({"payment": "merchant", "max_seats": 4, "max_extensions": 1})),
        ("message", json!("Ten minutes")),
        ("poll_after_ms", json!(2_000)),
        ("as_of", json!(format!("{}.{}", partition("premiere"), 10))),
    ] {
        assert_eq!(status[name], value, "{name}");
    }
    assert_eq!(status["rate"]["limit_per_minute"], 60);
    assert_eq!(status["showings"][0]["showing"], "evening");
    assert_eq!(status["showings"][1]["plan"], "hall-1");
    let told = Timestamp::parse_rfc3339(status["server_time"].as_str().unwrap()).unwrap();
    assert!(Timestamp::now().ms_since(told) < 60_000);
}

#[tokio::test]
async fn an_unknown_opening_is_404_as_of_what_is_known() {
    let world = World::after(holds(ANN)).await;
    let problem = world.send(&get("/v1/openings/encore")).await.problem(404, "not-found");
    assert!(
        problem["as_of"].as_str().unwrap().starts_with(&format!("{}.", partition("encore"))),
        "{problem}"
    );
}

#[tokio::test]
async fn an_opening_that_was_asked_for_before_it_was_there_is_found_afterwards() {
    let world = World::new();
    world.send(&get(PREMIERE)).await.problem(404, "not-found");
    let as_of = world.happen("premiere", [scheduled().into()]).await;
    assert_eq!(world.get_after(PREMIERE, &as_of).await["state"], "scheduled");
}

#[tokio::test]
async fn a_status_is_true_of_the_view_that_is_behind() {
    let world = World::after([scheduled().into()]).await;
    world.happen_in_queue("premiere", &[joined(ANN, None)]).await;
    let status = world.send(&get(PREMIERE)).await.expect(200);
    assert_eq!(status["as_of"], format!("{}.1", partition("premiere")));
}

#[tokio::test]
async fn the_deeper_the_line_the_later_one_asks_again() {
    let world = World::new();
    let many = (1..=3_000u32).map(|number| {
        let mut ticket = [9; 32];
        ticket[..4].copy_from_slice(&number.to_be_bytes());
        joined(usher_events::ids::Ticket(ticket), Some(number))
    });
    let as_of = world.happen("premiere", in_line(many)).await;
    let status = world.get_after(PREMIERE, &as_of).await;
    assert_eq!((status["waiting"].as_u64(), status["poll_after_ms"].as_u64()), (Some(3_000), Some(2_300)));
    assert_eq!(status["poll_jitter"], 0.25);
}

#[tokio::test]
async fn an_estimate_is_of_the_rules_until_admissions_are_measured_and_none_while_nobody_is_admitted() {
    let world = World::new();
    let as_of = world.happen("premiere", in_line([joined(ANN, Some(1))])).await;
    let estimate = world.get_after(PREMIERE, &as_of).await["estimate"].clone();
    assert_eq!((&estimate["basis"], &estimate["per_minute"]), (&json!("policy"), &json!(60.0)));

    let now = Timestamp::now();
    let minute_ago = |n: i64| admitted(ANN, 1, Timestamp(now.0 - 60_000 + n * 10_000));
    let as_of = world.happen("premiere", (0..5).map(minute_ago)).await;
    let estimate = world.get_after(PREMIERE, &as_of).await["estimate"].clone();
    assert_eq!(estimate["basis"], "measured");
    assert_eq!(estimate["admitted"].as_u64(), Some(4), "the first bucket only starts the measurement");

    let as_of = world.happen("premiere", [OpeningPaused { at: at(99) }.into()]).await;
    assert_eq!(world.get_after(PREMIERE, &as_of).await["estimate"], json!(null));
}

#[tokio::test]
async fn all_openings_are_listed_each_with_its_status() {
    let world = World::new();
    assert_eq!(world.send(&get("/v1/openings")).await.expect(200)["openings"], json!([]));
    let premiere = world.happen("premiere", holds(ANN)).await;
    let encore = world.happen("encore", [scheduled().into()]).await;
    assert_ne!(partition("premiere"), partition("encore"), "the test needs two partitions");
    let listed = world.get_after("/v1/openings", &format!("{premiere}_{encore}")).await;
    assert_eq!(listed["openings"][0]["opening"], "encore");
    assert_eq!(listed["openings"][1]["inside"], 1);
    let (first, second) = if encore < premiere { (&encore, &premiere) } else { (&premiere, &encore) };
    assert_eq!(listed["as_of"], format!("{first}_{second}"));
}

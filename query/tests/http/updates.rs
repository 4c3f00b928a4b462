//! What changes, told to many at once. The clock is paused: waiting costs
//! nothing, and how long it was is exact.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use usher_events::event::*;
use usher_query::QueryConfig;

use crate::calls::{Call, get};
use crate::happenings::*;
use crate::listener::Listener;
use crate::world::{PREMIERE, World, config, partition};

fn updates() -> Call {
    get(format!("{PREMIERE}/updates"))
}

fn of_evening() -> Call {
    get(format!("{PREMIERE}/updates?showing=evening"))
}

fn seat_changes(told: &Value) -> Vec<(&str, &str)> {
    let seats = told["seats"].as_array().unwrap();
    seats.iter().map(|seat| (seat["seat"].as_str().unwrap(), seat["state"].as_str().unwrap())).collect()
}

/// Ann gives her seats back, and takes them again, so many times.
async fn back_and_forth(world: &World, times: u128) {
    for n in 0..times {
        world.happen("premiere", [released(ANN, hold_id(n + 1), &["A1", "A2"])]).await;
        world.happen("premiere", [held(ANN, hold_id(n + 2), &["A1", "A2"])]).await;
    }
}

/// Lets `seconds` pass.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn who_comes_gets_the_status_at_once_and_again_when_it_changes() {
    let world = World::after(holds(ANN)).await;
    let mut listener = world.listen(&updates()).await;
    let first = listener.expect("status").await;
    assert!((1_000..5_000).contains(&listener.retry_ms.unwrap()));
    assert_eq!((&first.data["inside"], &*first.id), (&json!(1), "8"));
    world.happen("premiere", [joined(BEN, Some(2))]).await;
    let next = listener.expect("status").await;
    assert_eq!((&next.data["waiting"], &*next.id), (&json!(1), "9"));
    assert_eq!(next.data["as_of"], format!("{}.9", partition("premiere")));
}

#[tokio::test(start_paused = true)]
async fn everyone_is_told_the_same_bytes_as_the_status_query_tells() {
    let world = World::after(holds(ANN)).await;
    let (mut one, mut other) = (world.listen(&updates()).await, world.listen(&updates()).await);
    let first = one.expect("status").await;
    assert_eq!(first, other.expect("status").await);
    let mut asked = world.send(&get(PREMIERE)).await.expect(200);
    asked["server_time"] = first.data["server_time"].clone();
    assert_eq!(first.data, asked);
}

#[tokio::test(start_paused = true)]
async fn a_status_is_told_once_a_second_however_much_happens() {
    let world = World::after(holds(ANN)).await;
    let mut listener = world.listen(&updates()).await;
    listener.expect("status").await;
    let begun = Instant::now();
    let mut told = Vec::new();
    for number in 2..402u32 {
        let mut ticket = ANN;
        ticket.0[..4].copy_from_slice(&number.to_be_bytes());
        world.happen("premiere", [joined(ticket, Some(number))]).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        if number % 100 == 0 {
            told.push((listener.expect("status").await, begun.elapsed()));
        }
    }
    told.push((listener.expect("status").await, begun.elapsed()));
    assert_eq!(told.last().unwrap().0.data["waiting"], 400, "the last change is not lost");
    assert!(told.len() as u64 <= begun.elapsed().as_secs() + 1, "{} in {:?}", told.len(), begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_changes_nothing_is_not_told_and_the_connection_is_shown_to_be_well() {
    let world = World::after(holds(ANN)).await;
    let mut listener = world.listen(&updates()).await;
    listener.expect("status").await;
    let begun = Instant::now();
    world.happen("encore", [scheduled().into()]).await;
    pass(40).await;
    world.happen("premiere", [joined(BEN, Some(2))]).await;
    listener.expect("status").await;
    assert_eq!(listener.beats as u64, begun.elapsed().as_secs() / 15);
}

#[tokio::test(start_paused = true)]
async fn with_a_showing_the_changes_of_its_seats_are_told_from_the_version_on_that_it_begins_with() {
    let world = World::after(holds(ANN)).await;
    let mut listener = world.listen(&of_evening()).await;
    listener.expect("status").await;
    let begin = listener.expect("seats").await;
    assert_eq!(
        (&begin.data["version"], &begin.data["since"], &begin.data["seats"]),
        (&json!(1), &json!(1), &json!([]))
    );
    assert_eq!(begin.id, "8-1");
    world.happen("premiere", [released(ANN, hold_id(1), &["A1", "A2"])]).await;
    world.happen("premiere", [held(ANN, hold_id(2), &["B1"])]).await;
    let changes = listener.expect("seats").await;
    assert_eq!(
        (&changes.data["since"], &changes.data["version"], &*changes.id),
        (&json!(1), &json!(3), "8-3")
    );
    assert_eq!(seat_changes(&changes.data), [("A1", "free"), ("A2", "free"), ("B1", "held")]);
    assert_eq!(changes.data["showing"], "evening");
    // The status counts seats, too; the id of each tells both.
    assert_eq!(listener.expect("status").await.id, "10-3");
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_is_told_what_they_missed_and_no_more() {
    let world = World::after(holds(ANN)).await;
    let mut listener = world.listen(&of_evening()).await;
    listener.expect("status").await;
    let seen = listener.expect("seats").await.id;
    drop(listener);
    let mut other = world.listen(&of_evening()).await;
    back_and_forth(&world, 1).await;
    pass(2).await;
    world.happen("premiere", [booked(ANN, hold_id(2), &["A1", "A2"])]).await;
    pass(2).await;
    let mut back = world.listen(&of_evening().header("last-event-id", &seen)).await;
    let (first, second) = (back.expect("seats").await, back.expect("seats").await);
    assert_eq!((&first.data["since"], &first.data["version"]), (&json!(1), &json!(3)));
    assert_eq!((&second.data["since"], &second.data["version"]), (&json!(3), &json!(4)));
    assert_eq!(seat_changes(&second.data), [("A1", "booked"), ("A2", "booked")]);
    let status = back.expect("status").await;
    assert_eq!(status.data["seats"]["booked"], 2);
    // The same as who had stayed, and all there is.
    let stayed: Vec<_> =
        [other.next().await, other.next().await, other.next().await, other.next().await].into();
    assert_eq!(stayed[2].as_ref().unwrap(), &first);
    let mut again = world.listen(&of_evening().header("last-event-id", &status.id)).await;
    world.happen("premiere", [joined(BEN, Some(2))]).await;
    assert_eq!(again.expect("status").await.data["waiting"], 1);
}

#[tokio::test(start_paused = true)]
async fn who_missed_more_than_is_kept_is_told_to_ask_again() {
    let world = World::after(holds(ANN)).await;
    let mut listener = world.listen(&of_evening()).await;
    listener.expect("status").await;
    let seen = listener.expect("seats").await.id;
    for n in 0..150 {
        back_and_forth_at(&world, n).await;
    }
    let mut back = world.listen(&of_evening().header("last-event-id", &seen)).await;
    back.expect("reset").await;
    back.expect("status").await;
    let begin = back.expect("seats").await;
    assert_eq!((&begin.data["version"], &begin.data["since"]), (&json!(301), &json!(301)));
}

/// Two changes that are told apart.
async fn back_and_forth_at(world: &World, n: u128) {
    world.happen("premiere", [released(ANN, hold_id(n + 1), &["A1", "A2"])]).await;
    pass(1).await;
    world.happen("premiere", [held(ANN, hold_id(n + 2), &["A1", "A2"])]).await;
    pass(1).await;
}

#[tokio::test(start_paused = true)]
async fn an_id_that_says_nothing_here_is_a_reset() {
    let world = World::after(holds(ANN)).await;
    for (call, id) in [
        (updates(), "yesterday"),
        (updates(), "9"),
        (of_evening(), "8"),
        (of_evening(), "8-2"),
        (of_evening(), "18446744073709551616-1"),
    ] {
        let mut listener = world.listen(&call.header("last-event-id", id)).await;
        listener.expect("reset").await;
        listener.expect("status").await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_instance_goes_on_where_the_first_one_was() {
    let (one, other) = (World::after(holds(ANN)).await, World::after(holds(ANN)).await);
    let mut listener = one.listen(&of_evening()).await;
    listener.expect("status").await;
    let seen = listener.expect("seats").await.id;
    let mut moved = other.listen(&of_evening().header("last-event-id", &seen)).await;
    other.happen("premiere", [released(ANN, hold_id(1), &["A1", "A2"])]).await;
    assert_eq!(moved.expect("seats").await.data["since"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_dropped_and_the_others_are_told_everything() {
    let world = World::after(holds(ANN)).await;
    let (mut slow, mut quick) = (world.listen(&of_evening()).await, world.listen(&of_evening()).await);
    quick.expect("status").await;
    let mut version = quick.expect("seats").await.data["version"].as_u64().unwrap();
    for n in 0..60 {
        back_and_forth_at(&world, n).await;
        while version < 1 + 2 * (n as u64 + 1) {
            let told = quick.next().await.unwrap();
            if told.name == "seats" {
                assert_eq!(told.data["since"], version);
                version = told.data["version"].as_u64().unwrap();
            }
        }
    }
    slow.expect("status").await;
    slow.expect("seats").await;
    assert_eq!(slow.next().await, None, "it was too far behind");
}

#[tokio::test(start_paused = true)]
async fn one_more_than_may_listen_is_503_until_another_leaves() {
    let world = World::with(QueryConfig { updates_connections: 2, ..config() });
    world.happen("premiere", holds(ANN)).await;
    let (one, _other) = (world.listen(&updates()).await, world.listen(&of_evening()).await);
    let refused = world.send(&updates()).await;
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 10);
    refused.problem(503, "too-many-listeners");
    drop(one);
    world.listen(&updates()).await.expect("status").await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_404_and_takes_no_place() {
    let world = World::with(QueryConfig { updates_connections: 1, ..config() });
    world.happen("premiere", holds(ANN)).await;
    for path in ["/v1/openings/encore/updates", "/v1/openings/premiere/updates?showing=midnight"] {
        world.send(&get(path)).await.problem(404, "not-found");
    }
    world.listen(&updates()).await.expect("status").await;
}

#[tokio::test(start_paused = true)]
async fn hundreds_are_told_by_one_look_at_the_view() {
    let world = World::after(holds(ANN)).await;
    let mut listeners = Vec::new();
    for _ in 0..500 {
        listeners.push(world.listen(&of_evening()).await);
    }
    world.happen("premiere", [released(ANN, hold_id(1), &["A1", "A2"])]).await;
    for listener in &mut listeners {
        listener.expect("status").await;
        listener.expect("seats").await;
        assert_eq!(listener.expect("seats").await.data["version"], 2);
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_instance_ends_so_do_all_connections() {
    let world = World::after(holds(ANN)).await;
    let mut listeners: [Listener; 2] = [world.listen(&updates()).await, world.listen(&of_evening()).await];
    world.stop.cancel();
    for listener in &mut listeners {
        while listener.next().await.is_some() {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_listens_to_ends_and_begins_anew_for_who_comes_later() {
    let world = World::after(holds(ANN)).await;
    world.listen(&of_evening()).await.expect("status").await;
    pass(60).await;
    world.happen("premiere", [joined(BEN, Some(2)), OpeningPaused { at: at(99) }.into()]).await;
    let mut listener = world.listen(&of_evening().header("last-event-id", "8-1")).await;
    assert_eq!(listener.expect("status").await.data["state"], "paused");
}

//! `?after=`: answers that have what the caller saw, or say that they have not.

use std::sync::Arc;
use std::time::Duration;

use usher_query::QueryConfig;

use crate::calls::get;
use crate::happenings::*;
use crate::world::{PREMIERE, World, config, partition, until};

fn next(as_of: &str) -> String {
    let (partition, position) = as_of.split_once('.').unwrap();
    format!("{partition}.{}", position.parse::<u64>().unwrap() + 1)
}

#[tokio::test]
async fn who_saw_more_than_the_view_has_waits_for_it() {
    let world = Arc::new(World::new());
    let as_of = world.happen("premiere", [scheduled().into()]).await;
    let path = format!("{PREMIERE}/tickets/{ANN}?after={}", next(&as_of));
    let (asking, call) = (Arc::clone(&world), get(path.clone()));
    let asked = tokio::spawn(async move { asking.send(&call).await });
    // It listens: the announcement will be its own.
    until(async || world.announcer.listeners() > 1).await;
    assert!(!asked.is_finished());
    world.happen("premiere", [joined(ANN, None)]).await;
    assert_eq!(asked.await.unwrap().expect(200)["as_of"], next(&as_of));
}

#[tokio::test]
async fn a_view_that_is_behind_is_503_after_a_while() {
    let config = QueryConfig { after_timeout: Duration::from_millis(50), ..config() };
    let world = World::with(config);
    let as_of = world.happen("premiere", holds(ANN)).await;
    let later = next(&as_of);
    for path in [
        String::new(),
        format!("/tickets/{ANN}"),
        format!("/tickets/{ANN}/proof"),
        "/draw".to_owned(),
        "/draw/cohort".to_owned(),
        "/showings/evening/seats".to_owned(),
        "/showings/evening/seats?since=1".to_owned(),
        "/plans/hall-1".to_owned(),
        format!("/holds/{}", hold_id(1)),
        format!("/bookings/{}", booking_id(1)),
    ] {
        let separator = if path.contains('?') { '&' } else { '?' };
        let answer = world.send(&get(format!("{PREMIERE}{path}{separator}after={later}"))).await;
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1, "{path}");
        assert_eq!(answer.problem(503, "view-behind")["after"], later, "{path}");
    }
    let answer = world.send(&get(format!("/v1/openings?after={later}"))).await;
    answer.problem(503, "view-behind");
}

#[tokio::test]
async fn an_answer_from_both_views_waits_for_the_later_one() {
    let config = QueryConfig { after_timeout: Duration::from_millis(50), ..config() };
    let world = World::with(config);
    world.happen("premiere", [scheduled().into()]).await;
    let events = [joined(ANN, None)];
    let as_of = world.happen_in_queue("premiere", &events).await;
    let of_ticket = get(format!("{PREMIERE}/tickets/{ANN}?after={as_of}"));
    world.send(&of_ticket).await.expect(200);
    let of_both = get(format!("{PREMIERE}?after={as_of}"));
    world.send(&of_both).await.problem(503, "view-behind");
    let of_seats = get(format!("{PREMIERE}/showings/evening/seats?after={as_of}"));
    world.send(&of_seats).await.problem(503, "view-behind");
    world.happen_in_booking("premiere", &events).await;
    assert_eq!(world.send(&of_both).await.expect(200)["lobby"], 1);
    assert_eq!(world.send(&of_seats).await.expect(200)["as_of"], as_of);
}

#[tokio::test]
async fn what_was_seen_of_other_partitions_is_not_waited_for() {
    let world = World::after([scheduled().into()]).await;
    let other = (partition("premiere") + 1) % 4;
    let path = format!("{PREMIERE}?after={other}.99_{}.1", partition("premiere"));
    world.send(&get(path)).await.expect(200);
}

#[tokio::test]
async fn one_more_than_may_wait_is_503_at_once() {
    let world = Arc::new(World::with(QueryConfig { after_waiters: 2, ..config() }));
    let as_of = world.happen("premiere", [scheduled().into()]).await;
    let call = get(format!("{PREMIERE}/draw?after={}", next(&as_of)));
    let mut asked: Vec<_> = (0..3)
        .map(|_| {
            let (world, call) = (Arc::clone(&world), call.clone());
            tokio::spawn(async move { world.send(&call).await })
        })
        .collect();
    until(async || asked.iter().any(|asked| asked.is_finished())).await;
    let refused = asked.iter().position(|asked| asked.is_finished()).unwrap();
    asked.swap_remove(refused).await.unwrap().problem(503, "view-behind");
    assert!(asked.iter().all(|asked| !asked.is_finished()));
    world.happen("premiere", [joined(ANN, None)]).await;
    for asked in asked {
        asked.await.unwrap().expect(200);
    }
}

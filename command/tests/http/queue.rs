//! Joining, leaving, presence, entering.

use serde_json::json;

use crate::calls::{Call, delete, visitor};
use crate::instance::Instance;
use crate::scenes::{admit, enter, hold, join, leave, leave_window, opening, present};

#[tokio::test]
async fn who_joins_the_lobby_has_no_number_yet_and_joins_once() {
    let instance = Instance::new().await;
    instance.lobby().await;
    let a = visitor('a');
    let joined = instance.send(&join(&a)).await.expect(201);
    assert_eq!(joined["ticket"], a.ticket.as_str());
    assert_eq!((&joined["state"], &joined["number"]), (&json!("lobby"), &json!(null)));
    let again = instance.send(&join(&a)).await.expect(200);
    assert_eq!((&again["ticket"], &again["state"]), (&joined["ticket"], &joined["state"]));
}

#[tokio::test]
async fn who_joins_an_open_opening_is_numbered_at_once_in_order() {
    let instance = Instance::new().await;
    instance.open().await;
    for (number, letter) in [(1, 'a'), (2, 'b'), (3, 'c')] {
        let joined = instance.send(&join(&visitor(letter)).json(&json!({}))).await.expect(201);
        assert_eq!((&joined["state"], &joined["number"]), (&json!("waiting"), &json!(number)));
    }
}

#[tokio::test]
async fn a_full_opening_takes_no_more() {
    let instance = Instance::new().await;
    let mut body = opening(-1);
    body["policy"]["max_tickets"] = json!(1);
    instance.open_with(body).await;
    instance.send(&join(&visitor('a'))).await.expect(201);
    let full = instance.refused(join(&visitor('b'))).await.problem(409, "full");
    assert_eq!(full["max_tickets"], 1);
    instance.send(&join(&visitor('a'))).await.expect(200);
}

#[tokio::test]
async fn who_left_is_gone_for_good() {
    let instance = Instance::new().await;
    instance.open().await;
    let a = visitor('a');
    instance.send(&join(&a)).await.expect(201);
    assert_eq!(instance.send(&leave(&a)).await.expect(200)["state"], "left");
    assert_eq!(instance.send(&leave(&a)).await.expect(200)["state"], "left");
    assert_eq!(instance.refused(present(&a)).await.problem(410, "gone")["state"], "left");
    assert_eq!(instance.send(&join(&a)).await.expect(200)["state"], "left");
}

#[tokio::test]
async fn a_sign_of_life_is_no_event_and_says_when_to_come_again() {
    let instance = Instance::new().await;
    instance.open().await;
    let a = visitor('a');
    instance.send(&join(&a)).await.expect(201);
    let before = instance.records().await;
    let answer = instance.send(&present(&a)).await.expect(200);
    assert!(answer["next_in_s"].as_u64().is_some_and(|seconds| seconds > 0), "{answer}");
    assert_eq!(instance.records().await, before);
}

#[tokio::test]
async fn who_comes_too_early_is_told_where_they_stand() {
    let instance = Instance::new().await;
    instance.open().await;
    for letter in ['a', 'b', 'c'] {
        instance.send(&join(&visitor(letter))).await.expect(201);
    }
    instance.send(&admit(1, 1)).await.expect(201);
    let early = instance.refused(enter(&visitor('c'))).await;
    assert!(early.headers.contains_key("retry-after"));
    let early = early.problem(403, "not-your-turn");
    assert_eq!((&early["number"], &early["position"]), (&json!(3), &json!(2)));
    assert_eq!((&early["state"], &early["serving_number"]), (&json!("waiting"), &json!(1)));
}

#[tokio::test]
async fn who_is_admitted_enters_once_and_stays_inside_when_they_say_it_again() {
    let instance = Instance::new().await;
    let [a] = instance.inside(['a']).await;
    let again = instance.send(&enter(&a)).await.expect(200);
    assert_eq!((&again["ticket"], &again["state"]), (&json!(a.ticket), &json!("inside")));
    assert!(again["leave_by"].is_string());
}

#[tokio::test]
async fn who_leaves_the_seat_window_gives_the_seats_back_and_does_not_return() {
    let instance = Instance::new().await;
    let [a, b] = instance.inside(['a', 'b']).await;
    instance.send(&hold(1, &a, &["G7"])).await.expect(201);
    assert_eq!(instance.send(&leave_window(&a)).await.expect(200)["state"], "left");
    assert_eq!(instance.send(&leave_window(&a)).await.expect(200)["state"], "left");
    instance.send(&hold(2, &b, &["G7"])).await.expect(201);
    assert_eq!(instance.refused(enter(&a)).await.problem(410, "gone")["state"], "left");
}

#[tokio::test]
async fn who_only_waits_is_not_inside() {
    let instance = Instance::new().await;
    instance.open().await;
    let a = visitor('a');
    instance.send(&join(&a)).await.expect(201);
    let refused = instance.refused(leave_window(&a)).await.problem(403, "not-inside");
    assert_eq!(refused["state"], "waiting");
    instance.refused(hold(1, &a, &["G7"])).await.problem(403, "not-inside");
}

#[tokio::test]
async fn a_ticket_that_never_joined_is_unknown() {
    let instance = Instance::new().await;
    instance.open().await;
    let a = visitor('a');
    let calls: [Call; 5] = [leave(&a), present(&a), enter(&a), leave_window(&a), hold(1, &a, &["G7"])];
    for call in calls {
        let unknown = instance.refused(call).await.problem(404, "unknown-ticket");
        assert!(unknown["as_of"].is_string(), "{unknown}");
    }
}

#[tokio::test]
async fn what_is_told_is_told_as_of_a_position_that_only_grows() {
    let instance = Instance::new().await;
    instance.open().await;
    let position = |body: serde_json::Value| {
        let as_of = body["as_of"].as_str().unwrap().to_owned();
        let (partition, position) = as_of.split_once('.').unwrap();
        (partition.to_owned(), position.parse::<u64>().unwrap())
    };
    let a = position(instance.send(&join(&visitor('a'))).await.expect(201));
    let b = position(instance.send(&join(&visitor('b'))).await.expect(201));
    let unknown = delete(format!("{}/holds/{}", crate::scenes::CONCERT, crate::calls::id(1)));
    let unknown = unknown.by(&visitor('a').secret);
    let refused = position(instance.send(&unknown).await.problem(404, "unknown-hold"));
    assert_eq!(b, (a.0.clone(), a.1 + 1));
    assert_eq!(refused, b, "a refusal is true of all that was told before");
}

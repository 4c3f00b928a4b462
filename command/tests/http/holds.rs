//! Holding seats, extending and releasing.

use serde_json::{Value, json};

use crate::calls::{OPERATOR, OTHER_OPERATOR, id, put};
use crate::instance::Instance;
use crate::scenes::{CONCERT, confirm, extend, hold, hold_best, in_s, opening, release, swap};

#[tokio::test]
async fn seats_are_held_once_and_the_same_again_answers_as_it_is_now() {
    let instance = Instance::new().await;
    let [a] = instance.inside(['a']).await;
    let held = instance.send(&hold(1, &a, &["G7", "G8"])).await.expect(201);
    assert_eq!(held["hold"], id(1).to_string());
    assert_eq!((&held["state"], &held["seats"]), (&json!("live"), &json!(["G7", "G8"])));
    let before = instance.records().await;
    assert_eq!(instance.send(&hold(1, &a, &["G7", "G8"])).await.expect(200)["state"], "live");
    assert_eq!(instance.records().await, before);
    instance.send(&release(1, &a)).await.expect(200);
    let repeated = instance.send(&hold(1, &a, &["G7", "G8"])).await.expect(200);
    assert_eq!(repeated["state"], "released");
}

#[tokio::test]
async fn a_hold_of_taken_seats_names_each_and_why_and_takes_none() {
    let instance = Instance::new().await;
    let [a, b] = instance.inside(['a', 'b']).await;
    instance.send(&hold(1, &a, &["G7"])).await.expect(201);
    let taken = instance.refused(hold(2, &b, &["G1", "G2", "G7"])).await.problem(409, "seats-taken");
    let expected = json!([{"seat": "G1", "why": "blocked"}, {"seat": "G7", "why": "held"}]);
    assert_eq!((&taken["showing"], &taken["seats"]), (&json!("evening"), &expected));
    instance.send(&hold(2, &b, &["G2"])).await.expect(201);
}

#[tokio::test]
async fn an_operator_holds_and_books_for_the_house_what_no_visitor_may() {
    let instance = Instance::new().await;
    let mut kept = opening(-1);
    kept["details"]["hall-1"]["kinds"]["G2"] = json!("house");
    instance.open_with(kept).await;
    let [a] = instance.let_in(['a']).await;
    let refused = instance.refused(hold(1, &a, &["G2"])).await.problem(409, "place-rule");
    assert_eq!((&refused["rule"], &refused["seats"]), (&json!("house_kept"), &json!(["G2"])));

    let seats = json!({"showing": "evening", "seats": ["G2", "G3", "G4", "G5", "G6"]});
    let for_house = put(format!("{CONCERT}/holds/{}", id(1))).by(OPERATOR).json(&seats);
    let held = instance.send(&for_house).await.expect(201);
    assert_eq!((&held["state"], held["seats"].as_array().unwrap().len()), (&json!("live"), 5));
    instance.refused(release(1, &a)).await.problem(404, "unknown-hold");
    instance.refused(for_house.by(OTHER_OPERATOR)).await.problem(403, "forbidden");
    let booked = instance.send(&confirm(2, 1, "guests").by(OPERATOR)).await.expect(201);
    assert_eq!(booked["state"], "booked");

    instance.send(&hold(3, &a, &["G7"])).await.expect(201);
    instance.refused(confirm(4, 3, "p").by(OPERATOR)).await.problem(403, "merchant-confirms");
}

#[tokio::test]
async fn a_seat_that_is_sold_later_is_blocked_until_then() {
    let instance = Instance::new().await;
    let mut later = opening(-1);
    later["details"]["hall-1"]["opens_at"] = json!({"G2": in_s(3), "G3": in_s(3_600)});
    instance.open_with(later).await;
    let [a] = instance.let_in(['a']).await;
    instance.refused(hold(1, &a, &["G3"])).await.problem(409, "seats-taken");
    let begun = std::time::Instant::now();
    while instance.send(&hold(2, &a, &["G2"])).await.status != 201 {
        assert!(begun.elapsed().as_secs() < 30, "G2 is not sold");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn no_visitor_has_more_seats_than_the_policy_lets_them() {
    let instance = Instance::new().await;
    let [a] = instance.inside(['a']).await;
    instance.send(&hold(1, &a, &["G2", "G3", "G4"])).await.expect(201);
    let refused = instance.refused(hold(2, &a, &["G5", "G6"])).await.problem(409, "too-many-seats");
    assert_eq!(
        (&refused["max_seats"], &refused["held"], &refused["booked"]),
        (&json!(4), &json!(3), &json!(0))
    );
}

#[tokio::test]
async fn a_hold_is_extended_once_per_extension_and_as_often_as_the_policy_lets_it() {
    let instance = Instance::new().await;
    let [a] = instance.inside(['a']).await;
    let held = instance.send(&hold(1, &a, &["G7"])).await.expect(201);
    let extended = instance.send(&extend(1, 2, &a)).await.expect(201);
    assert!(extended["expires_at"].as_str() > held["expires_at"].as_str(), "{extended}");
    let repeated = instance.send(&extend(1, 2, &a)).await.expect(200);
    assert_eq!(repeated["expires_at"], extended["expires_at"]);
    let refused = instance.refused(extend(1, 3, &a)).await.problem(409, "no-more-extensions");
    assert_eq!(refused["max_extensions"], 1);
}

#[tokio::test]
async fn a_hold_that_was_released_is_over_and_its_seats_are_free() {
    let instance = Instance::new().await;
    let [a, b] = instance.inside(['a', 'b']).await;
    instance.send(&hold(1, &a, &["G7"])).await.expect(201);
    assert_eq!(instance.send(&release(1, &a)).await.expect(200)["state"], "released");
    assert_eq!(instance.send(&release(1, &a)).await.expect(200)["state"], "released");
    instance.refused(extend(1, 2, &a)).await.problem(409, "hold-over");
    instance.send(&hold(3, &b, &["G7"])).await.expect(201);
}

#[tokio::test]
async fn a_hold_is_nobody_elses_to_see_and_its_id_nobody_elses_to_use() {
    let instance = Instance::new().await;
    let [a, b] = instance.inside(['a', 'b']).await;
    instance.send(&hold(1, &a, &["G7"])).await.expect(201);
    instance.refused(hold(1, &b, &["G7"])).await.problem(409, "id-in-use");
    instance.refused(hold(1, &b, &["G5"])).await.problem(409, "id-in-use");
    instance.refused(release(1, &b)).await.problem(404, "unknown-hold");
    instance.refused(extend(1, 2, &b)).await.problem(404, "unknown-hold");
    instance.refused(hold(1, &a, &["G5"])).await.problem(422, "id-reused");
}

#[tokio::test]
async fn an_id_that_was_refused_may_be_used_again() {
    let instance = Instance::new().await;
    let [a, b] = instance.inside(['a', 'b']).await;
    instance.send(&hold(1, &a, &["G7"])).await.expect(201);
    instance.refused(hold(2, &b, &["G7"])).await.problem(409, "seats-taken");
    instance.send(&hold(2, &b, &["G6"])).await.expect(201);
}

#[tokio::test]
async fn a_closed_opening_lets_live_holds_finish_and_takes_no_new_ones() {
    let instance = Instance::new().await;
    let mut body = opening(-1);
    body["policy"]["payment"] = json!("none");
    instance.open_with(body).await;
    let [a] = instance.let_in(['a']).await;
    instance.send(&hold(1, &a, &["G7"])).await.expect(201);
    let close = crate::calls::post(format!("{}/close", crate::scenes::CONCERT));
    instance.send(&close.by(crate::calls::OPERATOR).key(5)).await.expect(200);
    instance.refused(hold(2, &a, &["G6"])).await.problem(409, "wrong-state");
    instance.refused(crate::scenes::join(&crate::calls::visitor('b'))).await.problem(409, "wrong-state");
    instance.send(&crate::scenes::confirm(3, 1, "p-1").by(&a.secret)).await.expect(201);
}

#[tokio::test]
async fn the_best_seats_are_chosen_for_who_asks_for_some() {
    let instance = Instance::new().await;
    let [a, b] = instance.inside(['a', 'b']).await;
    let held = instance.send(&hold_best(1, &a, json!({"count": 2}))).await.expect(201);
    assert_eq!(held["seats"], json!(["G4", "G5"]));
    let again = instance.send(&hold_best(1, &a, json!({"count": 2}))).await.expect(200);
    assert_eq!(again["seats"], held["seats"]);
    let three = |relax| hold_best(2, &b, json!({"count": 3, "category": "Prime", "relax": relax}));
    let refused = instance.refused(three("split")).await.problem(409, "no-such-choice");
    assert_eq!((&refused["free"], &refused["would_do"]), (&json!(4), &Value::Null));
    instance.send(&hold_best(2, &b, json!({"count": 1, "relax": "single"}))).await.expect(201);
}

#[tokio::test]
async fn a_rule_about_seats_is_named_with_what_it_is_about_and_what_to_take_instead() {
    let instance = Instance::new().await;
    let mut body = opening(-1);
    body["policy"]["no_single_seat"] = json!(true);
    body["policy"]["wheelchair_until_s"] = json!(3_600);
    body["details"]["hall-1"]["kinds"] = json!({"G8": "wheelchair"});
    instance.open_with(body).await;
    let [a] = instance.let_in(['a']).await;
    let single = instance.refused(hold(1, &a, &["G3", "G4"])).await.problem(409, "place-rule");
    assert_eq!((&single["rule"], &single["seats"]), (&json!("no_single_seat"), &json!(["G2"])));
    assert_eq!(single["alternative"], json!(["G2", "G3"]));
    let kept = instance.refused(hold(1, &a, &["G8"])).await.problem(409, "place-rule");
    assert_eq!((&kept["rule"], &kept["seats"]), (&json!("wheelchair_kept"), &json!(["G8"])));
    let wheelchair = json!({"showing": "evening", "seats": ["G8"], "wheelchair": true});
    instance.send(&hold(1, &a, &[]).json(&wheelchair)).await.expect(201);
}

#[tokio::test]
async fn a_holds_seats_are_swapped_in_one_step_or_kept() {
    let instance = Instance::new().await;
    let [a, b] = instance.inside(['a', 'b']).await;
    let held = instance.send(&hold(1, &a, &["G2", "G3"])).await.expect(201);
    instance.send(&hold(2, &b, &["G5"])).await.expect(201);
    instance.refused(swap(1, 7, &a, &["G4", "G5"])).await.problem(409, "seats-taken");
    instance.refused(hold(3, &b, &["G2"])).await.problem(409, "seats-taken");
    let swapped = instance.send(&swap(1, 7, &a, &["G3", "G4"])).await.expect(200);
    assert_eq!((&swapped["seats"], &swapped["expires_at"]), (&json!(["G3", "G4"]), &held["expires_at"]));
    instance.send(&swap(1, 7, &a, &["G3", "G4"])).await.expect(200);
    instance.refused(swap(1, 8, &b, &["G6"])).await.problem(404, "unknown-hold");
    instance.send(&hold(3, &b, &["G2"])).await.expect(201);
}

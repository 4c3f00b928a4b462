//! What cannot be is refused with the field or the reason, and changes nothing.

use serde_json::{Value, json};

use crate::calls::{Answer, Call, OPERATOR, id, patch, post, put, visitor};
use crate::instance::{Instance, MAX_BODY};
use crate::scenes::{CONCERT, admit, confirm, hold, in_s, join, opening, schedule, seating};

/// What a problem must name: its field, or else words of its detail.
enum Names {
    Field(&'static str),
    Detail(&'static str),
}
use Names::{Detail, Field};

#[track_caller]
fn check(answer: Answer, status: u16, kind: &str, names: &Names) {
    let problem = answer.problem(status, kind);
    match names {
        Field(field) => assert_eq!(problem["field"], *field, "{problem}"),
        Detail(words) => {
            let detail = problem["detail"].as_str().unwrap_or_default();
            assert!(detail.contains(words), "{problem}");
        }
    }
}

/// The opening's body with one thing changed.
fn with(pointer: &str, value: Value) -> Call {
    let mut body = opening(3_600);
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match body.pointer_mut(parent).unwrap() {
        Value::Object(fields) => drop(fields.insert(name.to_owned(), value)),
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        _ => unreachable!(),
    }
    schedule(&body)
}

fn without(field: &str) -> Call {
    let mut body = opening(3_600);
    body.as_object_mut().unwrap().remove(field);
    schedule(&body)
}

#[tokio::test]
async fn an_opening_that_cannot_be_is_refused_by_its_field() {
    let instance = Instance::new().await;
    let first_seat = "/plans/hall-1/zones/0/rows/0/seats/0";
    let twice = format!("{first_seat}/seat_guid");
    for (call, names) in [
        (without("title"), Detail("missing field `title`")),
        (with("/title", json!(7)), Field("title")),
        (with("/title", json!(" ")), Field("title")),
        (with("/opens_at", json!("tomorrow")), Field("opens_at")),
        (with("/opens_at", json!(1_790_000_000)), Field("opens_at")),
        (with("/closes_at", json!(in_s(3_000))), Field("closes_at")),
        (with("/drains_at", json!(in_s(100))), Field("drains_at")),
        (
            with("/beacon", json!({"source": "drand-quicknet", "round": 1, "round_at": 0})),
            Field("beacon.round_at"),
        ),
        (with("/policy/capacity", json!(0)), Field("policy.capacity")),
        (with("/policy/capacity", json!("many")), Field("policy.capacity")),
        (with("/policy/capacty", json!(5)), Detail("unknown field `capacty`")),
        (with("/policy/payment", json!("later")), Field("policy.payment")),
        (with("/colour", json!("red")), Detail("unknown field `colour`")),
        (with("/showings/0", json!({"showing": "evening"})), Field("showings[0]")),
        (with("/showings/0/plan", json!("hall-9")), Field("showings[0].plan")),
        (with("/showings/0/showing", json!("Evening!")), Field("showings[0].showing")),
        (with("/plans/hall-2", seating_with(json!([]))), Field("plans.hall-2.zones")),
        (with(&twice, json!("G2")), Field("plans.hall-1.zones[0].rows[0].seats[1].seat_guid")),
        (
            with(first_seat, json!({"seat_guid": ""})),
            Field("plans.hall-1.zones[0].rows[0].seats[0].seat_guid"),
        ),
        (with("/details/hall-1", json!({"blocked": {"Z9": "x"}})), Field("details.hall-1.blocked")),
        (with("/details/hall-1", json!({"blokked": {}})), Detail("unknown field `blokked`")),
        (with("/details/hall-9", json!({})), Field("details.hall-9")),
    ] {
        check(instance.refused(call).await, 422, "invalid", &names);
    }
}

fn seating_with(seats: Value) -> Value {
    let mut seating = seating();
    seating["zones"][0]["rows"][0]["seats"] = seats;
    seating
}

#[tokio::test]
async fn the_same_showing_twice_in_one_opening_is_named() {
    let instance = Instance::new().await;
    let mut body = opening(3_600);
    let showing = body["showings"][0].clone();
    body["showings"] = json!([showing, showing]);
    check(instance.refused(schedule(&body)).await, 422, "invalid", &Field("showings[1].showing"));
}

#[tokio::test]
async fn a_name_that_cannot_be_is_refused_by_its_parameter() {
    let instance = Instance::new().await;
    instance.open().await;
    let ticket = visitor('a').ticket;
    let upper = ticket.to_uppercase();
    for (call, field) in [
        (put("/v1/openings/Concert").by(OPERATOR).json(&opening(60)), "opening"),
        (put(format!("/v1/openings/{}/tickets/{ticket}", "x".repeat(65))), "opening"),
        (put(format!("{CONCERT}/tickets/{upper}")), "ticket"),
        (put(format!("{CONCERT}/tickets/{}", &ticket[1..])), "ticket"),
        (put(format!("{CONCERT}/tickets/%FF")), "ticket"),
        (put(format!("{CONCERT}/tickets/{upper}/entry")).by(&visitor('a').secret), "ticket"),
        (put(format!("{CONCERT}/holds/7")).by(&visitor('a').secret), "hold"),
        (put(format!("{CONCERT}/holds/{}/extensions/x", id(1))).by(&visitor('a').secret), "extension"),
        (put(format!("{CONCERT}/bookings/7")).by(OPERATOR), "booking"),
        (put(format!("{CONCERT}/admissions/7")).by(OPERATOR), "admission"),
        (put(format!("{CONCERT}/plans/Hall")).by(OPERATOR), "plan"),
        (put(format!("{CONCERT}/showings/-")).by(OPERATOR), "showing"),
    ] {
        check(instance.refused(call).await, 400, "malformed", &Field(field));
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_and_shows_the_place() {
    let instance = Instance::new().await;
    instance.open().await;
    let a = visitor('a');
    for (call, place) in [
        (join(&a).text("{"), "line 1 column 1"),
        (join(&a).text("{} {}"), "trailing characters"),
        (hold(1, &a, &[]).text("{\"showing\": nope}"), "line 1"),
        (hold(1, &a, &[]).text("{\"showing\":\n\"evening\","), "line 2"),
        (schedule(&json!({})).text("title=Northern"), "line 1 column 2"),
        (patch(format!("{CONCERT}/policy")).by(OPERATOR).key(1).text(&"[".repeat(1_000)), "recursion limit"),
    ] {
        check(instance.refused(call).await, 400, "malformed", &Detail(place));
    }
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let instance = Instance::new().await;
    instance.open().await;
    let form = join(&visitor('a')).text("a=b").header("content-type", "application/x-www-form-urlencoded");
    instance.refused(form).await.problem(415, "unsupported-media-type");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_visitors_have_a_lower_one() {
    let instance = Instance::new().await;
    let padded = |bytes: usize| {
        let body = opening(-1).to_string();
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    instance.refused(schedule(&json!({})).text(&padded(MAX_BODY + 1))).await.problem(413, "too-large");
    instance.send(&schedule(&json!({})).text(&padded(MAX_BODY))).await.expect(201);
    let a = visitor('a');
    let spaces = " ".repeat(64 * 1024);
    instance.refused(join(&a).text(&format!("{{}}{spaces}"))).await.problem(413, "too-large");
    let hold = hold(1, &a, &[]).text(&format!("{{}}{spaces}"));
    instance.refused(hold).await.problem(413, "too-large");
}

#[tokio::test]
async fn fields_that_nobody_knows_and_values_of_another_type_are_named() {
    let instance = Instance::new().await;
    let [a] = instance.inside(['a']).await;
    let held = |body| put(format!("{CONCERT}/holds/{}", id(1))).by(&a.secret).json(&body);
    let booked = |body| put(format!("{CONCERT}/bookings/{}", id(1))).by(crate::calls::MERCHANT).json(&body);
    let change = |body| patch(CONCERT).by(OPERATOR).key(1).json(&body);
    let policy = |body| patch(format!("{CONCERT}/policy")).by(OPERATOR).key(1).json(&body);
    let message = |body| put(format!("{CONCERT}/message")).by(OPERATOR).json(&body);
    for (call, names) in [
        (join(&visitor('b')).json(&json!({"name": "Kim"})), Detail("unknown field `name`")),
        (join(&visitor('b')).json(&json!("please")), Detail("invalid type: string")),
        (post(format!("{CONCERT}/drain")).by(OPERATOR).key(1).json(&json!({"now": 1})), Detail("`now`")),
        (held(json!({"showing": "evening"})), Field("seats")),
        (held(json!({"showing": "evening", "seats": "G7"})), Field("seats")),
        (held(json!({"showing": "evening", "seats": ["G7", 8]})), Field("seats[1]")),
        (held(json!({"showing": "evening", "seats": ["G7"], "best": {"count": 1}})), Field("seats")),
        (held(json!({"showing": "evening", "best": 2})), Field("best")),
        (held(json!({"showing": "evening", "best": {"count": 0}})), Field("best.count")),
        (held(json!({"showing": "evening", "best": {"count": -1}})), Field("best.count")),
        (
            held(json!({"showing": "evening", "best": {"count": 1, "category": "Gold"}})),
            Field("best.category"),
        ),
        (held(json!({"showing": "evening", "best": {"count": 1, "relax": "all"}})), Field("best.relax")),
        (held(json!({"showing": "evening", "best": {"number": 1}})), Detail("unknown field `number`")),
        (held(json!({"showing": "evening", "seats": []})), Field("seats")),
        (held(json!({"showing": "evening", "seats": ["G7", "G7"]})), Field("seats[1]")),
        (held(json!({"showing": "evening", "seats": ["G7", "a\u{7}"]})), Field("seats[1]")),
        (booked(json!({"hold": "7", "payment_reference": "p"})), Field("hold")),
        (booked(json!({"hold": id(1), "payment_reference": "p 1"})), Field("payment_reference")),
        (booked(json!({"hold": id(1), "payment_reference": "p".repeat(129)})), Field("payment_reference")),
        (admit(1, 0), Field("count")),
        (admit(1, 4_097), Field("count")),
        (admit(1, 1).json(&json!({"count": -1})), Field("count")),
        (admit(1, 1).json(&json!({})), Detail("missing field `count`")),
        (change(json!({"title": ""})), Field("title")),
        (change(json!({"title": null})), Field("title")),
        (change(json!({"opens_at": null})), Field("opens_at")),
        (change(json!({"closes_at": null})), Field("closes_at")),
        (change(json!({"closes_at": in_s(-5)})), Field("closes_at")),
        (change(json!({"drains_at": in_s(-3_600)})), Field("drains_at")),
        (change(json!({"policy": {}})), Detail("unknown field `policy`")),
        (policy(json!({"capacity": 0})), Field("policy.capacity")),
        (policy(json!({"capacity": "many"})), Field("policy.capacity")),
        (policy(json!({"capacty": 5})), Field("policy.capacty")),
        (policy(json!({"capacty": null})), Field("policy.capacty")),
        (policy(json!([])), Field("policy")),
        (message(json!({"message": "x".repeat(2_001)})), Field("message")),
        (message(json!({"message": 7})), Field("message")),
        (message(json!({})), Detail("missing field `message`")),
    ] {
        check(instance.refused(call).await, 422, "invalid", &names);
    }
}

#[tokio::test]
async fn a_plan_or_a_showing_that_cannot_be_is_refused_by_its_field() {
    let instance = Instance::new().await;
    instance.lobby().await;
    let plan = |body| put(format!("{CONCERT}/plans/hall-2")).by(OPERATOR).json(&body);
    let showing = |body| put(format!("{CONCERT}/showings/late")).by(OPERATOR).json(&body);
    let seats = json!([{"seat_guid": "A1"}, {"seat_guid": "A1"}]);
    let twice = json!({"seating": seating_with(seats)});
    let gold = json!({"seating": seating(), "details": {"category_prices": {"Gold": {"amount": 1, "currency": "KRW"}}}});
    let won =
        json!({"seating": seating(), "details": {"seat_prices": {"G7": {"amount": 1, "currency": "won"}}}});
    for (call, names) in [
        (plan(json!({})), Detail("missing field `seating`")),
        (plan(twice), Field("seating.zones[0].rows[0].seats[1].seat_guid")),
        (plan(gold), Field("details.category_prices")),
        (plan(won), Field("details.seat_prices.G7.currency")),
        (plan(json!({"seating": seating(), "seats": []})), Detail("unknown field `seats`")),
        (showing(json!({"title": "", "starts_at": in_s(9), "plan": "hall-1"})), Field("title")),
        (showing(json!({"title": "x", "starts_at": "20:00", "plan": "hall-1"})), Field("starts_at")),
    ] {
        check(instance.refused(call).await, 422, "invalid", &names);
    }
    let nowhere = json!({"title": "x", "starts_at": in_s(9), "plan": "hall-9"});
    instance.refused(showing(nowhere)).await.problem(404, "unknown-plan");
}

#[tokio::test]
async fn seats_and_showings_that_do_not_exist_are_named() {
    let instance = Instance::new().await;
    let [a] = instance.inside(['a']).await;
    let unknown = instance.refused(hold(1, &a, &["G7", "Z9"])).await.problem(422, "unknown-seats");
    assert_eq!((&unknown["showing"], &unknown["seats"]), (&json!("evening"), &json!(["Z9"])));
    let matinee = hold(1, &a, &[]).json(&json!({"showing": "matinee", "seats": ["G7"]}));
    assert_eq!(instance.refused(matinee).await.problem(404, "unknown-showing")["showing"], "matinee");
}

#[tokio::test]
async fn an_opening_that_does_not_exist_is_unknown_to_every_command() {
    let instance = Instance::new().await;
    let a = visitor('a');
    let showing = json!({"title": "x", "starts_at": in_s(9), "plan": "hall-1"});
    for call in [
        patch(CONCERT).by(OPERATOR).key(1).json(&json!({"title": "x"})),
        patch(format!("{CONCERT}/policy")).by(OPERATOR).key(1).json(&json!({"capacity": 1})),
        put(format!("{CONCERT}/plans/hall-2")).by(OPERATOR).json(&json!({"seating": seating()})),
        put(format!("{CONCERT}/showings/late")).by(OPERATOR).json(&showing),
        post(format!("{CONCERT}/pause")).by(OPERATOR).key(1),
        post(format!("{CONCERT}/resume")).by(OPERATOR).key(1),
        post(format!("{CONCERT}/drain")).by(OPERATOR).key(1),
        post(format!("{CONCERT}/close")).by(OPERATOR).key(1),
        put(format!("{CONCERT}/message")).by(OPERATOR).json(&json!({"message": "x"})),
        admit(1, 1),
        join(&a),
        crate::scenes::leave(&a),
        crate::scenes::present(&a),
        crate::scenes::enter(&a),
        crate::scenes::leave_window(&a),
        hold(1, &a, &["G7"]),
        crate::scenes::extend(1, 2, &a),
        crate::scenes::release(1, &a),
        confirm(1, 1, "p-1"),
        crate::scenes::cancel(1),
    ] {
        let unknown = instance.refused(call).await.problem(404, "unknown-opening");
        assert!(unknown["as_of"].is_string(), "{unknown}");
    }
}

#[tokio::test]
async fn a_change_without_a_key_of_its_own_is_refused() {
    let instance = Instance::new().await;
    instance.lobby().await;
    for call in [
        patch(CONCERT).json(&json!({"title": "x"})),
        patch(format!("{CONCERT}/policy")).json(&json!({"capacity": 1})),
        post(format!("{CONCERT}/pause")),
        post(format!("{CONCERT}/resume")),
        post(format!("{CONCERT}/drain")),
        post(format!("{CONCERT}/close")),
    ] {
        let call = call.by(OPERATOR);
        check(instance.refused(call.clone()).await, 400, "malformed", &Field("Idempotency-Key"));
        let seven = call.header("idempotency-key", "7");
        check(instance.refused(seven).await, 422, "invalid", &Field("Idempotency-Key"));
    }
}

//! Passes: what entering answers with, and what may be done with one.

use axum::http::header;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use usher_events::ids::{OpeningId, Ticket};
use usher_events::time::Timestamp;
use usher_http::pass::Visit;

use crate::calls::{Call, Visitor, delete, id, put};
use crate::instance::{Instance, passes};
use crate::scenes::{CONCERT, confirm, enter, extend, hold, leave_window, release};

fn by_pass(call: Call, pass: &str) -> Call {
    call.by(pass)
}

async fn pass_of(instance: &Instance, visitor: &Visitor) -> String {
    instance.send(&enter(visitor)).await.expect(200)["pass"].as_str().unwrap().to_owned()
}

/// A pass for `visitor`, of another opening, deployment, key or time.
fn other_pass(visitor: &Visitor, opening: &str, issuer: &str, letter: char, at_s: i64) -> String {
    let opening = OpeningId::new(opening).unwrap();
    let ticket: Ticket = visitor.ticket.parse().unwrap();
    let now = Timestamp(Timestamp::now().0 + at_s * 1_000);
    let visit = Visit { opening: &opening, ticket, leave_by: now.plus_s(600), max_seats: 4 };
    passes(issuer, letter).sign(visit, now).unwrap()
}

#[tokio::test]
async fn who_enters_gets_a_pass_that_tells_the_visit() {
    let instance = Instance::new().await;
    let [a] = instance.inside(['a']).await;
    let entered = instance.send(&enter(&a)).await;
    assert_eq!(entered.headers[header::CACHE_CONTROL], "no-store");
    let entered = entered.expect(200);
    let opening = OpeningId::new("concert").unwrap();
    let pass = entered["pass"].as_str().unwrap();
    let told = passes("usher", 'p').verify(pass, &opening, Timestamp::now()).unwrap();
    assert_eq!((told.sub.to_string(), told.max_seats), (a.ticket.clone(), 4));
    assert_eq!(told.exp - told.iat, 60);
    assert_eq!(entered["max_seats"], 4);
    assert_ne!(pass_of(&instance, &a).await, pass, "a fresh one each time");
}

#[tokio::test]
async fn the_keys_are_public_and_may_be_kept_for_a_while() {
    let instance = Instance::new().await;
    let call = Call { method: axum::http::Method::GET, ..put("/.well-known/jwks.json") };
    let response = instance.router.clone().oneshot(call.request()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[header::CACHE_CONTROL], "public, max-age=300");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let keys: Value = serde_json::from_slice(&body).unwrap();
    let key = &keys["keys"][0];
    assert_eq!((&key["kid"], &key["kty"], &key["crv"]), (&json!("test"), &json!("OKP"), &json!("Ed25519")));
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_pass_holds_extends_and_releases_seats_of_its_visitor() {
    let instance = Instance::new().await;
    let [a, b] = instance.inside(['a', 'b']).await;
    let (of_a, of_b) = (pass_of(&instance, &a).await, pass_of(&instance, &b).await);
    instance.send(&by_pass(hold(1, &a, &["G7"]), &of_a)).await.expect(201);
    // The same visitor, whichever way they show who they are.
    instance.send(&hold(1, &a, &["G7"])).await.expect(200);
    instance.send(&by_pass(extend(1, 2, &a), &of_a)).await.expect(201);
    instance.refused(by_pass(release(1, &b), &of_b)).await.problem(404, "unknown-hold");
    assert_eq!(instance.send(&by_pass(release(1, &a), &of_a)).await.expect(200)["state"], "released");
}

#[tokio::test]
async fn a_pass_is_good_for_nothing_else() {
    let instance = Instance::new().await;
    let mut body = crate::scenes::opening(-1);
    body["policy"]["payment"] = json!("none");
    instance.open_with(body).await;
    let [a] = instance.let_in(['a']).await;
    let pass = pass_of(&instance, &a).await;
    instance.send(&hold(1, &a, &["G7"])).await.expect(201);
    let ticket = format!("{CONCERT}/tickets/{}", a.ticket);
    for call in [
        enter(&a),
        leave_window(&a),
        delete(ticket),
        confirm(2, 1, "p-1"),
        delete(format!("{CONCERT}/bookings/{}", id(2))),
        crate::scenes::present(&a),
    ] {
        instance.refused(by_pass(call, &pass)).await.problem(401, "unauthorized");
    }
    let in_url = put(format!("{CONCERT}/holds/{}?pass={pass}", id(3)));
    instance.refused(in_url).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn a_pass_that_is_not_of_this_visit_is_refused_with_the_reason() {
    let instance = Instance::new().await;
    let [a] = instance.inside(['a']).await;
    let good = pass_of(&instance, &a).await;
    let (message, signature) = good.rsplit_once('.').unwrap();
    for (pass, reason) in [
        (other_pass(&a, "play-1", "usher", 'p', 0), "audience"),
        (other_pass(&a, "concert", "another", 'p', 0), "issuer"),
        (other_pass(&a, "concert", "usher", 'q', 0), "signature"),
        (other_pass(&a, "concert", "usher", 'p', -61), "expired"),
        (format!("{message}."), "signature"),
        (format!("{message}.{signature}A"), "signature"),
        (format!("{good}{}", "A".repeat(4_096)), "malformed"),
        ("a.b.c".to_owned(), "malformed"),
    ] {
        let answer = instance.refused(by_pass(hold(1, &a, &["G7"]), &pass)).await;
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        assert_eq!(answer.problem(401, "pass-refused")["reason"], reason, "{pass}");
    }
    instance.send(&by_pass(hold(1, &a, &["G7"]), &good)).await.expect(201);
}

#[tokio::test]
async fn after_the_visit_there_is_no_pass_and_the_old_one_holds_nothing() {
    let instance = Instance::new().await;
    let [a] = instance.inside(['a']).await;
    let pass = pass_of(&instance, &a).await;
    let left = instance.send(&leave_window(&a)).await.expect(200);
    assert!(left.get("pass").is_none(), "{left}");
    instance.refused(enter(&a)).await.problem(410, "gone");
    instance.refused(by_pass(hold(1, &a, &["G7"]), &pass)).await.problem(410, "gone");
}

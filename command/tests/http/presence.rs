//! Who is there, who fell silent and who is back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use usher_events::log::simulated::SimulatedLog;

use crate::calls::{Call, OPERATOR, Visitor, post, visitor};
use crate::forwarding::{TIMEOUT, at, owner_and_other};
use crate::instance::{Instance, PARTITIONS};
use crate::scenes::{CONCERT, admit, enter, join, leave, opening, present};

/// An instance in which a second of presence lasts a hundredth, with an
/// opening whose visitors are away after ten of them.
async fn fast() -> Instance {
    let instance = Instance::with(|config| config.presence_second = Duration::from_millis(10)).await;
    let mut body = opening(-1);
    body["policy"]["away_after_s"] = json!(10);
    instance.open_with(body).await;
    instance
}

impl Instance {
    /// Says that the visitor is there until the log says that they are `state`.
    async fn present_until(&self, visitor: &Visitor, state: &str) {
        let beating = async {
            while self.send(&present(visitor)).await.expect(200)["state"] != state {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), beating).await.expect("it never becomes so");
    }

    /// Waits until something more is in the log.
    async fn grows(&self) {
        let before = self.records().await;
        let growing = async {
            while self.records().await == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), growing).await.expect("nothing happens");
    }
}

#[tokio::test]
async fn who_falls_silent_is_skipped_and_is_back_first_when_they_are_heard_of() {
    let instance = fast().await;
    let [a, b] = ['a', 'b'].map(visitor);
    instance.send(&join(&a)).await.expect(201);
    instance.grows().await;
    // Somebody new waits behind who is away.
    instance.send(&join(&b)).await.expect(201);
    instance.send(&admit(1, 1)).await.expect(201);
    instance.send(&enter(&b)).await.expect(201);
    let early = instance.send(&enter(&a)).await.problem(403, "not-your-turn");
    assert_eq!((&early["state"], &early["number"]), (&json!("away"), &json!(1)));
    instance.present_until(&a, "waiting").await;
    instance.send(&admit(2, 1)).await.expect(201);
    instance.send(&enter(&a)).await.expect(201);
}

#[tokio::test]
async fn who_is_admitted_and_who_is_inside_may_be_silent() {
    let instance = fast().await;
    let [a] = instance.let_in(['a']).await;
    let b = visitor('b');
    instance.send(&join(&b)).await.expect(201);
    instance.send(&admit(1, 1)).await.expect(201);
    // Somebody who only waits falls silent, and nothing else happens.
    instance.send(&join(&visitor('c'))).await.expect(201);
    instance.grows().await;
    assert_eq!(instance.send(&present(&a)).await.expect(200)["state"], "inside");
    assert_eq!(instance.send(&present(&b)).await.expect(200)["state"], "admitted");
}

#[tokio::test]
async fn a_heartbeat_with_another_secret_is_refused() {
    let instance = fast().await;
    let [a, b] = ['a', 'b'].map(visitor);
    instance.send(&join(&a)).await.expect(201);
    let of_a = format!("{CONCERT}/tickets/{}/presence", a.ticket);
    instance.send(&post(of_a.clone()).by(&b.secret)).await.problem(403, "forbidden");
    instance.send(&post(of_a.clone()).by(OPERATOR)).await.problem(403, "forbidden");
    instance.send(&post(of_a)).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn a_heartbeat_in_an_opening_that_is_closed_is_answered_and_changes_nothing() {
    let instance = fast().await;
    let a = visitor('a');
    instance.send(&join(&a)).await.expect(201);
    instance.grows().await;
    instance.send(&post(format!("{CONCERT}/close")).by(OPERATOR).key(1)).await.expect(200);
    for _ in 0..10 {
        assert_eq!(instance.send(&present(&a)).await.expect(200)["state"], "away");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

// --- through other instances ------------------------------------------------------

#[tokio::test]
async fn a_heartbeat_gets_the_same_answer_through_any_instance() {
    let (owner, other) = owner_and_other().await;
    other.open().await;
    let [a, b, c] = ['a', 'b', 'c'].map(visitor);
    other.send(&join(&a)).await.expect(201);
    other.send(&join(&b)).await.expect(201);
    other.send(&leave(&b)).await.expect(200);
    let elsewhere = present(&a).path.replace("concert", "matinee");
    let calls = [
        present(&a),
        present(&b),
        present(&c),
        present(&a).by(&b.secret),
        post(elsewhere).by(&a.secret),
        present(&a).text("{"),
    ];
    for call in calls {
        let (mut direct, mut passed_on) = (owner.send(&call).await, other.send(&call).await);
        for answer in [&mut direct, &mut passed_on] {
            answer.headers.clear();
            answer.body.as_object_mut().unwrap().remove("instance");
        }
        assert_eq!(direct, passed_on, "{call:?}");
    }
}

/// An owner that counts the requests in which heartbeats come together, and
/// one that owns nothing.
async fn counting_owner_and_other() -> (Instance, Instance, Arc<AtomicUsize>) {
    let log = SimulatedLog::new(PARTITIONS);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let owner = at(&log, 0, &format!("http://{}", listener.local_addr().unwrap()), TIMEOUT);
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let counting = from_fn(move |request: Request, next: Next| {
        counted.fetch_add(usize::from(request.uri().path() == "/v1/heartbeats"), Ordering::SeqCst);
        next.run(request)
    });
    let router = owner.router.clone().layer(counting);
    tokio::spawn(usher_http::server::serve(listener, router, std::future::pending()));
    let other = at(&log, 1, "http://127.0.0.1:1", TIMEOUT);
    owner.own_everything().await;
    other.sees_another_owner().await;
    (owner, other, requests)
}

#[tokio::test]
async fn heartbeats_of_a_moment_go_to_their_owner_together() {
    let (_owner, other, requests) = counting_owner_and_other().await;
    other.open().await;
    let letters: Vec<char> = ('a'..='z').chain('A'..='Z').collect();
    let visitors: Vec<Visitor> = letters.into_iter().map(visitor).collect();
    for visitor in &visitors {
        other.send(&join(visitor)).await.expect(201);
    }
    let calls: Vec<Call> = visitors.iter().map(present).collect();
    // As many at a time as one instance has visitors.
    let answers = join_all(calls.iter().cycle().take(520).map(|call| other.send(call))).await;
    for (answer, visitor) in answers.into_iter().zip(visitors.iter().cycle()) {
        let told = answer.expect(200);
        assert_eq!((&told["ticket"], &told["state"]), (&json!(visitor.ticket), &json!("waiting")));
    }
    // Two that are full, and the rest.
    assert!((3..=6).contains(&requests.load(Ordering::SeqCst)), "{requests:?}");
}

#[tokio::test]
async fn a_heartbeat_whose_owner_cannot_be_reached_may_come_again() {
    let log = SimulatedLog::new(PARTITIONS);
    let gone: SocketAddr = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for address in [format!("http://{gone}"), "nowhere at all".to_owned()] {
        let owner = at(&log, 0, &address, TIMEOUT);
        let other = at(&log, 1, "http://127.0.0.1:1", TIMEOUT);
        owner.own_everything().await;
        other.sees_another_owner().await;
        let answer = other.send(&present(&visitor('a'))).await;
        assert!(answer.headers.contains_key("retry-after"), "{address}");
        answer.problem(503, "owner-unreachable");
    }
}

#[tokio::test]
async fn a_heartbeat_that_nobody_owns_yet_may_come_again() {
    let log = SimulatedLog::new(PARTITIONS);
    let nobody = at(&log, 0, "http://127.0.0.1:1", TIMEOUT);
    let answer = nobody.send(&present(&visitor('a'))).await;
    assert!(answer.headers.contains_key("retry-after"));
    answer.problem(503, "owner-changed");
}

#[tokio::test]
async fn a_new_owner_knows_who_is_present_and_who_is_away() {
    let (first, second) = owner_and_other().await;
    first.open().await;
    let [a, b] = ['a', 'b'].map(visitor);
    first.send(&join(&a)).await.expect(201);
    first.send(&join(&b)).await.expect(201);
    first.send(&leave(&b)).await.expect(200);
    first.hand_over();
    second.own_everything().await;
    first.sees_another_owner().await;
    for instance in [&first, &second] {
        assert_eq!(instance.send(&present(&a)).await.expect(200)["state"], "waiting");
        instance.send(&present(&b)).await.problem(410, "gone");
    }
}

// --- what instances tell each other -------------------------------------------------

fn together(secrets: &[&str]) -> Call {
    let heartbeat = |secret: &&str| json!({"opening": "concert", "secret": secret});
    let heartbeats: Vec<Value> = secrets.iter().map(heartbeat).collect();
    post("/v1/heartbeats").json(&json!({"heartbeats": heartbeats}))
}

#[tokio::test]
async fn heartbeats_that_come_together_are_each_judged_by_their_own_secret() {
    let instance = fast().await;
    let [a, b, c] = ['a', 'b', 'c'].map(visitor);
    instance.send(&join(&a)).await.expect(201);
    instance.send(&join(&b)).await.expect(201);
    instance.send(&leave(&b)).await.expect(200);
    let told = instance.send(&together(&[&a.secret, &b.secret, &c.secret, "no secret", &a.ticket])).await;
    let told = told.expect(200);
    let heard: Vec<&Value> =
        told["answers"].as_array().unwrap().iter().map(|answer| &answer["heard"]).collect();
    assert_eq!(heard, ["here", "gone", "unknown-ticket", "no-secret", "no-secret"]);
    assert_eq!(told["answers"][0]["state"], "waiting");
}

#[tokio::test]
async fn heartbeats_that_come_together_are_not_sent_on() {
    let (_owner, other) = owner_and_other().await;
    other.open().await;
    let a = visitor('a');
    other.send(&join(&a)).await.expect(201);
    let told = other.send(&together(&[&a.secret])).await.expect(200);
    assert_eq!(told["answers"], json!([{"heard": "elsewhere"}]));
}

#[tokio::test]
async fn at_most_256_heartbeats_come_together() {
    let instance = fast().await;
    let secret = visitor('a').secret;
    instance.send(&together(&vec![secret.as_str(); 256])).await.expect(200);
    instance.send(&together(&vec![secret.as_str(); 257])).await.problem(422, "invalid");
    instance.send(&post("/v1/heartbeats").json(&json!({}))).await.expect(422);
}

//! Bringing the beacon's round. The rounds are real ones of quicknet's, so
//! the openings are long open: their lobbies were empty.

use serde_json::{Value, json};

use crate::calls::{Call, OPERATOR, put, visitor};
use crate::instance::Instance;
use crate::scenes::{CONCERT, in_s, join, opening, schedule};

const SIGNATURE: &str =
    "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";
const NEXT_SIGNATURE: &str =
    "b33bf3667cbd5a82de3a24b4e0e9fe5513cc1a0e840368c6e31f5fcfa79bea03f73896b25883abf2853d10337fb8fa41";
const RANDOMNESS: &str = "fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd";

/// An opening whose draw takes round 1,000, a minute after it opened.
fn with_beacon() -> Value {
    let mut body = opening(-1);
    body["opens_at"] = json!("2023-08-23T15:58:24Z");
    body["closes_at"] = json!(in_s(3_600));
    body["beacon"] = json!({"source": "drand-quicknet", "round": 1_000, "round_at": "2023-08-23T15:59:24Z"});
    body
}

fn bring(body: &Value) -> Call {
    put(format!("{CONCERT}/beacon")).by(OPERATOR).json(body)
}

fn the_round() -> Value {
    json!({"round": 1_000, "signature": SIGNATURE, "randomness": RANDOMNESS})
}

#[tokio::test]
async fn the_named_round_is_taken_and_the_opening_opens() {
    let instance = Instance::new().await;
    instance.send(&schedule(&with_beacon())).await.expect(201);
    let before = instance.send(&join(&visitor('a'))).await.expect(201);
    assert_eq!((&before["state"], &before["number"]), (&json!("waiting"), &json!(1)), "while it is drawn");
    let brought = instance.send(&bring(&the_round())).await.expect(200);
    assert_eq!(brought["opening"], "concert");
    let again = instance.send(&bring(&json!({"round": 1_000, "signature": SIGNATURE}))).await.expect(200);
    assert_eq!(again["state"], "open");
    let before = instance.records().await;
    instance.send(&bring(&the_round())).await.expect(200);
    assert!(instance.records().await <= before + 1, "nothing but a sign of life");
}

#[tokio::test]
async fn what_is_not_the_named_round_is_refused_with_the_field() {
    let instance = Instance::new().await;
    instance.send(&schedule(&with_beacon())).await.expect(201);
    instance.send(&join(&visitor('a'))).await.expect(201);
    let flipped = format!("a{}", &SIGNATURE[1..]);
    for (body, field) in [
        (json!({"round": 1_001, "signature": NEXT_SIGNATURE}), "round"),
        (json!({"round": 1_000, "signature": NEXT_SIGNATURE}), "signature"),
        (json!({"round": 999, "signature": SIGNATURE}), "signature"),
        (json!({"round": 0, "signature": SIGNATURE}), "signature"),
        (json!({"round": 1_000, "signature": flipped}), "signature"),
        (json!({"round": 1_000, "signature": &SIGNATURE[2..]}), "signature"),
        (json!({"round": 1_000, "signature": "g".repeat(96)}), "signature"),
        (json!({"round": 1_000, "signature": ""}), "signature"),
        (json!({"round": 1_000, "signature": SIGNATURE, "randomness": "0".repeat(64)}), "randomness"),
        (json!({"round": 1_000, "signature": SIGNATURE, "randomness": "x"}), "randomness"),
        (json!({"round": -1, "signature": SIGNATURE}), "round"),
    ] {
        let problem = instance.refused(bring(&body)).await.problem(422, "invalid");
        assert_eq!(problem["field"], field, "{body}: {problem}");
    }
    instance.send(&bring(&the_round())).await.expect(200);
}

#[tokio::test]
async fn a_round_is_not_taken_before_the_lobby_is_closed_or_when_none_was_named() {
    let instance = Instance::new().await;
    instance.lobby().await;
    instance.refused(bring(&the_round())).await.problem(409, "no-beacon");
    let mut body = opening(30);
    let (round, round_at) = a_round_in(60);
    body["beacon"] = json!({"source": "drand-quicknet", "round": round, "round_at": round_at});
    instance.send(&put("/v1/openings/later").by(OPERATOR).json(&body)).await.expect(201);
    let other = put("/v1/openings/later/beacon").by(OPERATOR).json(&the_round());
    assert_eq!(instance.refused(other).await.problem(422, "invalid")["field"], "round");
    let nowhere = put("/v1/openings/nowhere/beacon").by(OPERATOR).json(&the_round());
    instance.refused(nowhere).await.problem(404, "unknown-opening");
}

/// The first round that comes out at least so many seconds from now.
fn a_round_in(seconds: i64) -> (i64, String) {
    let then = usher_events::time::Timestamp::now().0 / 1_000 + seconds;
    let round = (then - 1_692_803_367).div_euclid(3) + 2;
    let at = 1_692_803_367 + (round - 1) * 3;
    (round, usher_events::time::Timestamp(at * 1_000).to_rfc3339())
}

#[tokio::test]
async fn only_quicknets_rounds_at_their_own_times_can_be_named() {
    let instance = Instance::new().await;
    let refused = async |field: &str, beacon: Value| {
        let mut body = opening(30);
        body["beacon"] = beacon;
        let problem = instance.refused(schedule(&body)).await.problem(422, "invalid");
        assert_eq!(problem["field"], field, "{problem}");
    };
    let (round, round_at) = a_round_in(60);
    let named =
        |source: &str, round: i64, at: &str| json!({"source": source, "round": round, "round_at": at});
    refused("beacon.source", named("nist", round, &round_at)).await;
    refused("beacon.round_at", named("drand-quicknet", round + 1, &round_at)).await;
    refused("beacon.round_at", named("drand-quicknet", 1_000, "2023-08-23T15:59:24Z")).await;
    refused("beacon.round_at", named("drand-quicknet", round, "soon")).await;
    refused("beacon.round", named("drand-quicknet", 0, &round_at)).await;
    let mut body = opening(30);
    body["beacon"] = named("drand-quicknet", round, &round_at);
    instance.send(&schedule(&body)).await.expect(201);
    instance.send(&schedule(&body)).await.expect(200);
}

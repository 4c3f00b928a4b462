//! Joining with entry claims: one person, one place.

use std::sync::Arc;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tempfile::TempDir;
use usher_command::claims::{Claims, IssuerConfig, KeyFiles, SubjectKeyStore, destroy_due};
use usher_events::ids::OpeningId;
use usher_events::time::Timestamp;

use crate::calls::{Call, OPERATOR, Visitor, id, patch, put, visitor};
use crate::instance::Instance;
use crate::scenes::{CONCERT, admit, confirm, enter, hold, join, leave, leave_window, opening, schedule};

/// PKCS #8 of an Ed25519 seed, up to the seed.
const PKCS8: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

fn shop_key() -> EncodingKey {
    EncodingKey::from_ed_der(&[&PKCS8[..], &[1; 32]].concat())
}

/// An instance that takes the shop's claims, with its store of subject keys.
struct Shop {
    instance: Instance,
    store: Arc<dyn SubjectKeyStore>,
    _dir: TempDir,
}

impl Shop {
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("jwks.json");
        let mut key =
            serde_json::to_value(Jwk::from_encoding_key(&shop_key(), Algorithm::EdDSA).unwrap()).unwrap();
        key["kid"] = json!("a");
        std::fs::write(&file, json!({"keys": [key]}).to_string()).unwrap();
        let jwks = file.to_str().unwrap().to_owned();
        let issuer = IssuerConfig { issuer: "shop".to_owned(), audience: String::new(), jwks };
        let store: Arc<dyn SubjectKeyStore> = Arc::new(KeyFiles::new(dir.path().join("subjects")));
        let claims = Claims::start(vec![issuer], Arc::clone(&store)).await.unwrap();
        Self { instance: Instance::with_claims(claims).await, store, _dir: dir }
    }

    /// The concert is open, for claims.
    async fn open() -> Self {
        let shop = Self::new().await;
        shop.instance.open_with(for_claims(opening(-1))).await;
        shop
    }
}

fn for_claims(mut opening: Value) -> Value {
    opening["policy"]["join"] = json!("claim");
    opening
}

fn claim_of(person: &str) -> String {
    signed(&json!({"iss": "shop", "aud": "concert", "sub": person, "exp": in_seconds(60)}))
}

fn in_seconds(seconds: i64) -> i64 {
    Timestamp::now().0 / 1_000 + seconds
}

fn signed(claims: &Value) -> String {
    let header = Header { kid: Some("a".to_owned()), ..Header::new(Algorithm::EdDSA) };
    jsonwebtoken::encode(&header, claims, &shop_key()).unwrap()
}

fn with_claim(call: Call, claim: &str) -> Call {
    call.json(&json!({ "claim": claim }))
}

fn join_as(letter: char, person: &str) -> Call {
    with_claim(join(&visitor(letter)), &claim_of(person))
}

#[tokio::test]
async fn each_person_has_one_place_and_it_goes_where_they_go() {
    let shop = Shop::open().await;
    let instance = &shop.instance;
    let kim = instance.send(&join_as('a', "kim")).await.expect(201);
    assert_eq!((&kim["state"], &kim["number"]), (&json!("waiting"), &json!(1)));
    assert_eq!(instance.send(&join_as('b', "lee")).await.expect(201)["number"], 2);
    let moved = instance.send(&join_as('c', "kim")).await.expect(201);
    assert_eq!((&moved["ticket"], &moved["number"]), (&json!(visitor('c').ticket), &json!(1)));
    // A reload need not have the claim any more.
    assert_eq!(instance.send(&join(&visitor('c'))).await.expect(200)["number"], 1);
    assert_eq!(instance.send(&join(&visitor('a'))).await.expect(200)["state"], "left");
    instance.refused(enter(&visitor('a'))).await.problem(410, "gone");
    instance.send(&admit(1, 1)).await.expect(201);
    instance.send(&enter(&visitor('c'))).await.expect(201);
}

#[tokio::test]
async fn where_claims_are_asked_for_nobody_joins_without() {
    let shop = Shop::open().await;
    shop.instance.refused(join(&visitor('a'))).await.problem(403, "claim-needed");
    shop.instance
        .refused(join(&visitor('a')).json(&json!({"claim": null})))
        .await
        .problem(403, "claim-needed");
}

#[tokio::test]
async fn a_claim_that_is_not_taken_says_why_and_is_not_repeated() {
    let shop = Shop::open().await;
    let good = json!({"iss": "shop", "aud": "concert", "sub": "kim", "exp": in_seconds(60)});
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        signed(&claims)
    };
    let huge = with("name", json!("x".repeat(5_000)));
    let (_, signature) = claim_of("lee").rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let swapped = format!("{}.{signature}", claim_of("kim").rsplit_once('.').unwrap().0);
    for (claim, reason) in [
        (with("aud", json!("play-1")), "audience"),
        (with("iss", json!("another")), "issuer"),
        (with("exp", json!(in_seconds(-60))), "expired"),
        (with("nbf", json!(in_seconds(60))), "not-yet-valid"),
        (with("sub", json!("")), "subject"),
        (swapped, "signature"),
        (huge, "malformed"),
        ("a.b.c".to_owned(), "malformed"),
    ] {
        let refused = shop.instance.refused(with_claim(join(&visitor('a')), &claim)).await;
        let refused = refused.problem(403, "claim-refused");
        assert_eq!(refused["reason"], reason);
        assert!(!refused.to_string().contains(&claim));
    }
    for wrong in [json!({"claim": 7}), json!({"claim": ["kim"]}), json!({"claims": "x"})] {
        shop.instance.refused(join(&visitor('a')).json(&wrong)).await.problem(422, "invalid");
    }
    assert!(shop.store.openings().await.unwrap().is_empty(), "no key was made for them");
}

#[tokio::test]
async fn who_is_inside_or_was_served_does_not_join_again_and_who_left_may() {
    let shop = Shop::open().await;
    let instance = &shop.instance;
    for (n, letter, person) in [(1, 'a', "kim"), (2, 'b', "lee")] {
        instance.send(&join_as(letter, person)).await.expect(201);
        instance.send(&admit(n, 1)).await.expect(201);
        instance.send(&enter(&visitor(letter))).await.expect(201);
    }
    instance.refused(join_as('c', "kim")).await.problem(409, "inside-elsewhere");
    instance.send(&hold(3, &visitor('a'), &["G7"])).await.expect(201);
    instance.send(&confirm(4, 3, "p-1")).await.expect(201);
    let served = instance.refused(join_as('c', "kim")).await.problem(409, "already-served");
    assert_eq!(served["state"], "done");
    instance.send(&leave_window(&visitor('b'))).await.expect(200);
    assert_eq!(instance.send(&join_as('d', "lee")).await.expect(201)["number"], 3);
}

#[tokio::test]
async fn an_opening_for_anyone_checks_a_claim_and_keeps_nothing_of_it() {
    let shop = Shop::new().await;
    shop.instance.open().await;
    shop.instance.send(&join_as('a', "kim")).await.expect(201);
    shop.instance.send(&join_as('b', "kim")).await.expect(201);
    let wrong = with_claim(join(&visitor('c')), "a.b.c");
    shop.instance.refused(wrong).await.problem(403, "claim-refused");
    assert!(shop.store.openings().await.unwrap().is_empty());
}

#[tokio::test]
async fn no_key_is_made_for_an_opening_that_does_not_exist_or_is_closed() {
    let shop = Shop::new().await;
    shop.instance.refused(join_as('a', "kim")).await.problem(404, "unknown-opening");
    shop.instance.open_with(for_claims(opening(-1))).await;
    let close = crate::calls::post(format!("{CONCERT}/close")).by(OPERATOR).key(1);
    shop.instance.send(&close).await.expect(200);
    shop.instance.refused(join_as('a', "kim")).await.problem(409, "wrong-state");
    assert!(shop.store.openings().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_key_that_was_destroyed_is_not_made_again() {
    let shop = Shop::new().await;
    let concert = OpeningId::new("concert").unwrap();
    shop.store.key(&concert).await.unwrap();
    assert!(shop.store.destroy(&concert).await.unwrap());
    shop.instance.open_with(for_claims(opening(-1))).await;
    shop.instance.refused(join_as('a', "kim")).await.problem(410, "subjects-destroyed");
    shop.instance.refused(join_as('a', "kim")).await.problem(410, "subjects-destroyed");
}

#[tokio::test]
async fn keys_are_destroyed_some_days_after_the_last_showing_and_not_before() {
    let shop = Shop::open().await;
    shop.instance.send(&join_as('a', "kim")).await.expect(201);
    let concert = OpeningId::new("concert").unwrap();
    let writers = shop.instance.writers();
    // The showing is in 90,000 s.
    let days = |days: u32| Timestamp::now().plus_s(90_000 + days * 86_400);
    destroy_due(&*shop.store, &writers, 30, days(29)).await;
    assert_eq!(shop.store.openings().await.unwrap(), [concert]);
    destroy_due(&*shop.store, &writers, 30, days(31)).await;
    assert!(shop.store.openings().await.unwrap().is_empty());
}

#[tokio::test]
async fn claims_are_asked_for_only_where_some_are_taken() {
    let instance = Instance::new().await;
    let refused = instance.refused(schedule(&for_claims(opening(3_600)))).await.problem(422, "invalid");
    assert_eq!(refused["field"], "policy.join");
    instance.lobby().await;
    let change = patch(format!("{CONCERT}/policy")).by(OPERATOR).key(1).json(&json!({"join": "claim"}));
    assert_eq!(instance.refused(change).await.problem(422, "invalid")["field"], "policy.join");
    let refused = instance.refused(join_as('a', "kim")).await.problem(403, "claim-refused");
    assert_eq!(refused["reason"], "issuer");
}

#[tokio::test]
async fn who_may_join_changes_while_the_opening_is_open() {
    let shop = Shop::new().await;
    shop.instance.open().await;
    shop.instance.send(&join(&visitor('a'))).await.expect(201);
    let change = |n, join: Value| {
        patch(format!("{CONCERT}/policy")).by(OPERATOR).key(n).json(&json!({ "join": join }))
    };
    let changed = shop.instance.send(&change(1, json!("claim"))).await.expect(200);
    assert_eq!(changed["policy"]["join"], "claim");
    shop.instance.refused(join(&visitor('b'))).await.problem(403, "claim-needed");
    shop.instance.send(&join_as('b', "kim")).await.expect(201);
    let changed = shop.instance.send(&change(2, json!(null))).await.expect(200);
    assert!(changed["policy"].get("join").is_none(), "anyone, as before there was a choice");
    shop.instance.send(&join(&visitor('c'))).await.expect(201);
    shop.instance.refused(change(3, json!("friends"))).await.problem(422, "invalid");
}

#[tokio::test]
async fn a_place_that_moved_cannot_be_left_or_used_with_the_old_secret() {
    let shop = Shop::open().await;
    let (a, c): (Visitor, Visitor) = (visitor('a'), visitor('c'));
    shop.instance.send(&join_as('a', "kim")).await.expect(201);
    shop.instance.send(&join_as('c', "kim")).await.expect(201);
    assert_eq!(shop.instance.send(&leave(&a)).await.expect(200)["state"], "left");
    assert_eq!(shop.instance.send(&join(&c)).await.expect(200)["state"], "waiting");
    let by_old = put(format!("{CONCERT}/holds/{}", id(1))).by(&a.secret);
    let by_old = by_old.json(&json!({"showing": "evening", "seats": ["G7"]}));
    shop.instance.refused(by_old).await.problem(410, "gone");
}

use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const NOW: Timestamp = Timestamp(1_790_000_000_250);
const TICKET: Ticket = Ticket([7; 32]);

fn opening(id: &str) -> OpeningId {
    OpeningId::new(id).unwrap()
}

fn seed(byte: u8) -> SecretString {
    SecretString::from(URL_SAFE_NO_PAD.encode([byte; 32]))
}

fn ring(keys: &[(&str, u8)]) -> PassKeys {
    let keys = keys.iter().map(|(id, byte)| ((*id).to_owned(), seed(*byte)));
    PassKeys::new("usher", keys.collect()).unwrap()
}

fn sign(ring: &PassKeys, leave_in_ms: i64) -> String {
    let leave_by = Timestamp(NOW.0 + leave_in_ms);
    let visit = Visit { opening: &opening("concert"), ticket: TICKET, leave_by, max_seats: 4 };
    ring.sign(visit, NOW).unwrap()
}

fn after(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 + seconds * 1_000)
}

fn part(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// What a site that is not ours does: it knows the published keys and nothing
/// else, and checks with a library that is not the one that signed.
fn checked_elsewhere(published: &[u8], pass: &str) -> Option<(Value, Value)> {
    let published: Value = serde_json::from_slice(published).unwrap();
    let [header, claims, signature] = pass.split('.').collect::<Vec<_>>().try_into().unwrap();
    let said: Value = serde_json::from_slice(&part(header)).unwrap();
    let key = published["keys"].as_array().unwrap().iter().find(|key| key["kid"] == said["kid"])?;
    let known = (&key["kty"], &key["crv"], &key["alg"], &key["use"]);
    assert_eq!(known, (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA"), &json!("sig")));
    let key = part(key["x"].as_str().unwrap()).try_into().unwrap();
    let key = VerifyingKey::from_bytes(&key).unwrap();
    let signature = Signature::from_slice(&part(signature)).unwrap();
    key.verify(format!("{header}.{claims}").as_bytes(), &signature).ok()?;
    Some((said, serde_json::from_slice(&part(claims)).unwrap()))
}

#[test]
fn another_site_checks_a_pass_with_the_published_keys_alone() {
    let ring = ring(&[("b", 2), ("a", 1)]);
    let (header, claims) = checked_elsewhere(&ring.published(), &sign(&ring, 600_000)).unwrap();
    assert_eq!(header, json!({"typ": "JWT", "alg": "EdDSA", "kid": "b"}));
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("usher"), &json!("concert")));
    assert_eq!((&claims["sub"], &claims["max_seats"]), (&json!(TICKET.to_string()), &json!(4)));
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(1_790_000_000), &json!(1_790_000_060)));
    assert!(claims["jti"].as_str().unwrap().parse::<Uuid>().is_ok());
}

#[test]
fn another_site_refuses_what_was_changed() {
    let ring = ring(&[("a", 1)]);
    let pass = sign(&ring, 600_000);
    let [header, claims, signature] = pass.split('.').collect::<Vec<_>>().try_into().unwrap();
    let more = String::from_utf8(part(claims)).unwrap().replace("\"max_seats\":4", "\"max_seats\":9");
    let more = format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(more));
    assert!(checked_elsewhere(&ring.published(), &more).is_none());
    assert_eq!(ring.verify(&more, &opening("concert"), NOW), Err(PassRefused::Signature));
}

#[test]
fn only_the_public_part_of_a_key_is_published_or_printed() {
    let ring = ring(&[("a", 1)]);
    let seed = seed(1);
    let shown = format!("{ring:?} {}", String::from_utf8(ring.published().to_vec()).unwrap());
    assert!(!shown.contains(seed.expose_secret()), "{shown}");
    assert!(!shown.contains("\"d\""), "{shown}");
}

#[test]
fn a_pass_lasts_a_minute_and_never_beyond_the_visit() {
    let ring = ring(&[("a", 1)]);
    let verify = |pass: &str, at| ring.verify(pass, &opening("concert"), at);
    let long = sign(&ring, 600_000);
    assert_eq!(verify(&long, after(59)).unwrap().sub, TICKET);
    assert_eq!(verify(&long, after(60)), Err(PassRefused::Expired));
    let short = sign(&ring, 10_000);
    assert!(verify(&short, after(9)).is_ok());
    assert_eq!(verify(&short, after(10)), Err(PassRefused::Expired));
    let over = sign(&ring, -1);
    assert_eq!(verify(&over, NOW), Err(PassRefused::Expired));
}

#[test]
fn each_pass_is_another_one() {
    let ring = ring(&[("a", 1)]);
    assert_ne!(sign(&ring, 600_000), sign(&ring, 600_000));
}

#[test]
fn a_pass_is_for_its_opening_and_its_deployment_only() {
    let ring = ring(&[("a", 1)]);
    let pass = sign(&ring, 600_000);
    assert_eq!(ring.verify(&pass, &opening("play"), NOW), Err(PassRefused::Audience));
    let elsewhere = PassKeys::new("another", vec![("a".to_owned(), seed(1))]).unwrap();
    assert_eq!(elsewhere.verify(&pass, &opening("concert"), NOW), Err(PassRefused::Issuer));
}

#[test]
fn keys_are_replaced_one_step_at_a_time() {
    let [old, both, moved, new] =
        [&[("a", 1)][..], &[("a", 1), ("b", 2)], &[("b", 2), ("a", 1)], &[("b", 2)]].map(ring);
    let verify = |ring: &PassKeys, pass: &str| ring.verify(pass, &opening("concert"), NOW).map(|_| ());
    let (by_old, by_new) = (sign(&both, 600_000), sign(&moved, 600_000));
    for ring in [&old, &both, &moved] {
        assert_eq!(verify(ring, &by_old), Ok(()));
    }
    for ring in [&both, &moved, &new] {
        assert_eq!(verify(ring, &by_new), Ok(()));
    }
    assert_eq!(verify(&new, &by_old), Err(PassRefused::UnknownKey));
    // The name alone is not enough.
    assert_eq!(verify(&ring_of_impostor(), &by_old), Err(PassRefused::Signature));
}

fn ring_of_impostor() -> PassKeys {
    ring(&[("a", 9)])
}

/// A pass that says what ours say, signed in another way.
fn forged(header: &Value, signature: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let pass = sign(&ring(&[("a", 1)]), 600_000);
    let claims = pass.split('.').nth(1).unwrap();
    let message = format!("{}.{claims}", URL_SAFE_NO_PAD.encode(header.to_string()));
    let signature = URL_SAFE_NO_PAD.encode(signature(message.as_bytes()));
    format!("{message}.{signature}")
}

#[test]
fn no_other_way_of_signing_is_taken() {
    use hmac::{Hmac, Mac};

    let ring = ring(&[("a", 1)]);
    let verify = |pass: &str| ring.verify(pass, &opening("concert"), NOW).map(|_| ());
    let none = forged(&json!({"typ": "JWT", "alg": "none", "kid": "a"}), |_| Vec::new());
    assert_eq!(verify(&none), Err(PassRefused::Malformed));
    // The public key, used as if it were a shared secret.
    let published: Value = serde_json::from_slice(&ring.published()).unwrap();
    let public = part(published["keys"][0]["x"].as_str().unwrap());
    let hs256 = forged(&json!({"typ": "JWT", "alg": "HS256", "kid": "a"}), |message| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&public).unwrap();
        mac.update(message);
        mac.finalize().into_bytes().to_vec()
    });
    assert_eq!(verify(&hs256), Err(PassRefused::Algorithm));
    let unsigned = forged(&json!({"typ": "JWT", "alg": "EdDSA", "kid": "a"}), |_| Vec::new());
    assert_eq!(verify(&unsigned), Err(PassRefused::Signature));
    let nameless = forged(&json!({"typ": "JWT", "alg": "EdDSA"}), |_| vec![0; 64]);
    assert_eq!(verify(&nameless), Err(PassRefused::UnknownKey));
}

#[test]
fn what_is_no_pass_is_refused() {
    let ring = ring(&[("a", 1)]);
    let pass = sign(&ring, 600_000);
    let huge = format!("{pass}{}", "A".repeat(MAX_BYTES));
    for bad in ["", "..", "a.b.c", &pass[1..], &pass.replace('.', "_"), &format!("{pass}.x"), &huge] {
        let refused = ring.verify(bad, &opening("concert"), NOW);
        assert_eq!(refused, Err(PassRefused::Malformed), "{bad}");
    }
}

proptest! {
    #[test]
    fn a_pass_with_any_character_changed_is_refused(at: prop::sample::Index, to in "[A-Za-z0-9_.-]") {
        let ring = ring(&[("a", 1)]);
        let pass = sign(&ring, 600_000);
        let at = at.index(pass.len());
        let changed = format!("{}{to}{}", &pass[..at], &pass[at + 1..]);
        prop_assume!(changed != pass);
        prop_assert!(ring.verify(&changed, &opening("concert"), NOW).is_err());
    }
}

#[test]
fn a_ring_that_cannot_be_is_refused_without_showing_the_secret() {
    let made = |keys: Vec<(&str, SecretString)>| {
        let keys = keys.into_iter().map(|(id, secret)| (id.to_owned(), secret)).collect();
        PassKeys::new("usher", keys).map(drop)
    };
    assert_eq!(made(vec![]), Err(PassKeyError::Empty));
    assert_eq!(made(vec![("a", seed(1)), ("a", seed(2))]), Err(PassKeyError::Twice("a".to_owned())));
    assert_eq!(made(vec![("", seed(1))]), Err(PassKeyError::BadId));
    assert_eq!(made(vec![("a b", seed(1))]), Err(PassKeyError::BadId));
    let error = made(vec![("a", SecretString::from("hunter2"))]).unwrap_err();
    assert_eq!(error, PassKeyError::BadSecret("a".to_owned()));
    assert!(!error.to_string().contains("hunter2"));
}

#[test]
fn a_key_without_a_name_is_called_by_its_public_part() {
    assert_eq!(id_of(&seed(1)), id_of(&seed(1)));
    assert_ne!(id_of(&seed(1)), id_of(&seed(2)));
    assert!(PassKeys::new("usher", vec![(id_of(&seed(1)).unwrap(), seed(1))]).is_ok());
}

#[test]
fn a_secret_or_a_key_is_not_mistaken_for_a_pass() {
    assert!(is_meant(&sign(&ring(&[("a", 1)]), 600_000)));
    assert!(!is_meant(&auth::mint()));
}

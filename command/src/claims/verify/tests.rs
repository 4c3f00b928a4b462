use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::*;

const NOW: Timestamp = Timestamp(1_790_000_000_000);
const NOW_S: i64 = 1_790_000_000;
/// PKCS #8 of an Ed25519 seed, up to the seed.
const PKCS8: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

fn ed25519(seed: u8) -> EncodingKey {
    EncodingKey::from_ed_der(&[&PKCS8[..], &[seed; 32]].concat())
}

fn published(id: &str, key: &EncodingKey, algorithm: Algorithm) -> Value {
    let mut jwk =
        serde_json::to_value(jsonwebtoken::jwk::Jwk::from_encoding_key(key, algorithm).unwrap()).unwrap();
    jwk["kid"] = json!(id);
    jwk
}

/// An RSA key of 2,048 bits, the same one in all these tests.
fn rsa() -> EncodingKey {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};

    /// What the key itself follows in PKCS #8, in bytes.
    const PKCS8_HEAD: usize = 26;
    static KEY: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        der.as_ref()[PKCS8_HEAD..].to_vec()
    });
    EncodingKey::from_rsa_der(&KEY)
}

/// The issuer `shop` with the keys `e` (Ed25519) and `r` (RSA).
async fn issuers(audience: &str) -> (Issuers, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("jwks.json");
    let keys = [
        published("e", &ed25519(1), Algorithm::EdDSA),
        published("r", &rsa(), Algorithm::RS256),
        json!({"kty": "oct", "kid": "h", "k": "c2hhcmVk"}),
    ];
    std::fs::write(&file, json!({ "keys": keys }).to_string()).unwrap();
    let jwks = file.to_str().unwrap().to_owned();
    let config = IssuerConfig { issuer: "shop".to_owned(), audience: audience.to_owned(), jwks };
    (Issuers::start(vec![config]).await.unwrap(), dir)
}

fn claims() -> Value {
    json!({"iss": "shop", "aud": "concert", "sub": "kim@example.org", "exp": NOW_S + 60})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn signed(claims: &Value, algorithm: Algorithm, id: &str, key: &EncodingKey) -> String {
    let header = Header { kid: Some(id.to_owned()), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

fn by_ed25519(claims: &Value) -> String {
    signed(claims, Algorithm::EdDSA, "e", &ed25519(1))
}

async fn verify(issuers: &Issuers, claim: &str) -> Result<String, ClaimRefused> {
    let opening = OpeningId::new("concert").unwrap();
    issuers.verify(claim, &opening, NOW).await.map(|person| person.subject)
}

#[tokio::test]
async fn a_claim_signed_either_way_names_the_person() {
    let (issuers, _dir) = issuers("").await;
    assert_eq!(verify(&issuers, &by_ed25519(&claims())).await, Ok("kim@example.org".to_owned()));
    let by_rsa = signed(&claims(), Algorithm::RS256, "r", &rsa());
    assert_eq!(verify(&issuers, &by_rsa).await, Ok("kim@example.org".to_owned()));
    let several = with("aud", json!(["play", "concert"]));
    assert!(verify(&issuers, &by_ed25519(&several)).await.is_ok());
}

#[tokio::test]
async fn a_claim_says_for_whom_and_until_when() {
    let (issuers, _dir) = issuers("").await;
    let far = "x".repeat(257);
    for (claims, refused) in [
        (with("iss", json!("another")), ClaimRefused::Issuer),
        (with("iss", json!(["shop"])), ClaimRefused::Malformed),
        (without("iss"), ClaimRefused::Malformed),
        (with("aud", json!("play")), ClaimRefused::Audience),
        (with("aud", json!([])), ClaimRefused::Audience),
        (without("aud"), ClaimRefused::Audience),
        (with("exp", json!(NOW_S - 30)), ClaimRefused::Expired),
        (without("exp"), ClaimRefused::Malformed),
        (with("exp", json!("tomorrow")), ClaimRefused::Malformed),
        (with("nbf", json!(NOW_S + 31)), ClaimRefused::NotYetValid),
        (with("nbf", json!("yesterday")), ClaimRefused::Malformed),
        (with("sub", json!("")), ClaimRefused::Subject),
        (with("sub", json!(far)), ClaimRefused::Subject),
        (with("sub", json!(7)), ClaimRefused::Malformed),
        (without("sub"), ClaimRefused::Malformed),
    ] {
        assert_eq!(verify(&issuers, &by_ed25519(&claims)).await, Err(refused), "{claims}");
    }
    for claims in
        [with("exp", json!(NOW_S - 29)), with("exp", json!(1_790_000_000.5)), with("nbf", json!(NOW_S))]
    {
        assert!(verify(&issuers, &by_ed25519(&claims)).await.is_ok(), "{claims}");
    }
}

#[tokio::test]
async fn where_an_audience_is_configured_the_opening_is_not_one() {
    let (issuers, _dir) = issuers("tickets.example").await;
    assert_eq!(verify(&issuers, &by_ed25519(&claims())).await, Err(ClaimRefused::Audience));
    let claims = with("aud", json!("tickets.example"));
    assert!(verify(&issuers, &by_ed25519(&claims)).await.is_ok());
}

/// The claim with its header changed to `header`, signed by the right key.
fn headed(header: &Value, claims: &Value) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", text(header), text(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &ed25519(1), Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

#[tokio::test]
async fn no_other_way_of_signing_is_taken_and_a_key_signs_in_its_own_way_only() {
    let (issuers, _dir) = issuers("").await;
    let none = headed(&json!({"alg": "none", "kid": "e"}), &claims());
    let (unsigned, _) = none.rsplit_once('.').unwrap();
    // The public keys, or one that is published as a shared secret, used as one.
    let shared = EncodingKey::from_secret(b"shared");
    let public = published("e", &ed25519(1), Algorithm::EdDSA)["x"].as_str().unwrap().to_owned();
    let public = EncodingKey::from_secret(public.as_bytes());
    for (claim, refused) in [
        (none.clone(), ClaimRefused::Malformed),
        (format!("{unsigned}."), ClaimRefused::Malformed),
        (signed(&claims(), Algorithm::HS256, "h", &shared), ClaimRefused::Algorithm),
        (signed(&claims(), Algorithm::HS256, "e", &public), ClaimRefused::Algorithm),
        (signed(&claims(), Algorithm::RS512, "r", &rsa()), ClaimRefused::Algorithm),
        (signed(&claims(), Algorithm::RS256, "e", &rsa()), ClaimRefused::Algorithm),
        (signed(&claims(), Algorithm::EdDSA, "r", &ed25519(1)), ClaimRefused::Algorithm),
        (signed(&claims(), Algorithm::EdDSA, "h", &ed25519(1)), ClaimRefused::UnknownKey),
        (signed(&claims(), Algorithm::EdDSA, "z", &ed25519(1)), ClaimRefused::UnknownKey),
        (headed(&json!({"alg": "EdDSA"}), &claims()), ClaimRefused::UnknownKey),
        (signed(&claims(), Algorithm::EdDSA, "e", &ed25519(2)), ClaimRefused::Signature),
        (headed(&json!({"alg": "EdDSA", "kid": "e", "crit": ["b64"]}), &claims()), ClaimRefused::Malformed),
    ] {
        assert_eq!(verify(&issuers, &claim).await, Err(refused), "{claim}");
    }
    assert!(verify(&issuers, &headed(&json!({"alg": "EdDSA", "kid": "e"}), &claims())).await.is_ok());
}

#[tokio::test]
async fn what_is_no_claim_is_refused() {
    let (issuers, _dir) = issuers("").await;
    let good = by_ed25519(&claims());
    let huge = by_ed25519(&with("name", json!("x".repeat(4_096))));
    for bad in ["", ".", "..", "a.b.c", &good[1..], &good.replace('.', ""), &format!("{good}.x"), &huge] {
        assert_eq!(verify(&issuers, bad).await, Err(ClaimRefused::Malformed), "{bad}");
    }
}

#[tokio::test]
async fn a_person_is_never_printed() {
    let (issuers, _dir) = issuers("").await;
    let opening = OpeningId::new("concert").unwrap();
    let person = issuers.verify(&by_ed25519(&claims()), &opening, NOW).await.unwrap();
    assert!(!format!("{person:?}").contains("kim"));
}

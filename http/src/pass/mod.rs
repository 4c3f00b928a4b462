//! The pass: shows a booking site, ours or another, that its bearer is inside
//! the seat window of an opening.
//!
//! A JWT, signed with Ed25519 (RFC 8037). All instances of a deployment have
//! the same key ring, and the public keys are published, so that a site checks
//! a pass by itself. It is good for a minute at most: a visitor who is still
//! inside asks for a fresh one.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use usher_events::ids::{OpeningId, Ticket};
use usher_events::time::Timestamp;
use uuid::Uuid;

use crate::auth;
use crate::problem::Problem;

/// The longest that a pass is good for, in seconds.
pub const LASTS_S: i64 = 60;
/// The longest text that is looked at as a pass, in bytes; ours are a quarter
/// of it.
const MAX_BYTES: usize = 2_048;
/// What an Ed25519 seed of 32 bytes follows in PKCS #8 (RFC 8410).
const PKCS8_BEFORE_SEED: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Why there is no key ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PassKeyError {
    /// The ring is empty.
    #[error("no pass key is configured")]
    Empty,
    /// A key has no name that a token can say.
    #[error("a pass key's id is 1 to 64 characters of [A-Za-z0-9._-]")]
    BadId,
    /// A key is no seed.
    #[error("pass key `{0}`: expected 32 random bytes as 43 characters of base64url")]
    BadSecret(String),
    /// Two keys have the same id.
    #[error("pass key `{0}` is there twice")]
    Twice(String),
}

/// The key ring: the first key signs, all are published and verify.
pub struct PassKeys {
    issuer: Arc<str>,
    keys: Vec<PassKey>,
    published: Bytes,
}

struct PassKey {
    id: String,
    signing: EncodingKey,
    verifying: DecodingKey,
}

impl fmt::Debug for PassKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> = self.keys.iter().map(|key| key.id.as_str()).collect();
        f.debug_struct("PassKeys").field("issuer", &self.issuer).field("keys", &ids).finish_non_exhaustive()
    }
}

/// What a pass says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The deployment that let the visitor in.
    pub iss: String,
    /// The opening.
    pub aud: OpeningId,
    /// The visitor's ticket.
    pub sub: Ticket,
    /// The most seats that they may hold and have booked.
    pub max_seats: u32,
    /// When it was signed, in seconds since 1970.
    pub iat: i64,
    /// When it is over, in seconds since 1970.
    pub exp: i64,
    /// Names this pass and no other.
    pub jti: Uuid,
}

/// A visit, as a pass tells it.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// The opening whose seat window it is.
    pub opening: &'a OpeningId,
    /// Who is inside.
    pub ticket: Ticket,
    /// When the visit ends.
    pub leave_by: Timestamp,
    /// The most seats that the visitor may have.
    pub max_seats: u32,
}

impl PassKeys {
    /// A ring of `keys`, each with its id, for the deployment called `issuer`.
    pub fn new(issuer: &str, keys: Vec<(String, SecretString)>) -> Result<Self, PassKeyError> {
        if keys.is_empty() {
            return Err(PassKeyError::Empty);
        }
        let mut ring: Vec<PassKey> = Vec::with_capacity(keys.len());
        let mut published = Vec::with_capacity(keys.len());
        for (id, secret) in keys {
            if ring.iter().any(|earlier| earlier.id == id) {
                return Err(PassKeyError::Twice(id));
            }
            let (key, x) = PassKey::new(id, &secret)?;
            published.push(json!({
                "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key.id, "x": x,
            }));
            ring.push(key);
        }
        let published = json!({ "keys": published }).to_string().into();
        Ok(Self { issuer: issuer.into(), keys: ring, published })
    }

    /// The public keys, as a JSON Web Key Set (RFC 7517).
    pub fn published(&self) -> Bytes {
        self.published.clone()
    }

    /// A pass for `visit`, good for [`LASTS_S`] from `now` and never beyond
    /// the visit.
    pub fn sign(&self, visit: Visit<'_>, now: Timestamp) -> Result<String, Problem> {
        let key = self.keys.first().ok_or_else(|| Problem::internal("there is no pass key"))?;
        let iat = seconds(now);
        let claims = Claims {
            iss: self.issuer.as_ref().to_owned(),
            aud: visit.opening.clone(),
            sub: visit.ticket,
            max_seats: visit.max_seats,
            iat,
            exp: seconds(visit.leave_by).min(iat + LASTS_S),
            jti: Uuid::new_v4(),
        };
        let header = Header { kid: Some(key.id.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, &claims, &key.signing).map_err(Problem::internal)
    }

    /// What `pass` says, if it is one of ours for `opening` and not over.
    pub fn verify(&self, pass: &str, opening: &OpeningId, now: Timestamp) -> Result<Claims, PassRefused> {
        if pass.len() > MAX_BYTES {
            return Err(PassRefused::Malformed);
        }
        let header = jsonwebtoken::decode_header(pass).map_err(|_| PassRefused::Malformed)?;
        if header.alg != Algorithm::EdDSA {
            return Err(PassRefused::Algorithm);
        }
        let kid = header.kid.ok_or(PassRefused::UnknownKey)?;
        let key = self.keys.iter().find(|key| key.id == kid).ok_or(PassRefused::UnknownKey)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[opening]);
        // By the caller's clock, below.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(pass, &key.verifying, &validation)?.claims;
        if claims.exp <= seconds(now) {
            return Err(PassRefused::Expired);
        }
        Ok(claims)
    }
}

impl PassKey {
    /// The key, and the `x` of its public part.
    fn new(id: String, secret: &SecretString) -> Result<(Self, String), PassKeyError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if id.is_empty() || id.len() > 64 || !id.bytes().all(plain) {
            return Err(PassKeyError::BadId);
        }
        let Some(seed) = auth::secret(secret.expose_secret()) else {
            return Err(PassKeyError::BadSecret(id));
        };
        let signing = EncodingKey::from_ed_der(&[&PKCS8_BEFORE_SEED[..], &seed].concat());
        let public = public_x(&signing).and_then(|x| {
            let verifying = DecodingKey::from_ed_components(&x).ok()?;
            Some((x, verifying))
        });
        let Some((x, verifying)) = public else { return Err(PassKeyError::BadSecret(id)) };
        Ok((Self { id, signing, verifying }, x))
    }
}

fn public_x(signing: &EncodingKey) -> Option<String> {
    let jwk = Jwk::from_encoding_key(signing, Algorithm::EdDSA).ok()?;
    let jwk = serde_json::to_value(jwk).ok()?;
    Some(jwk["x"].as_str()?.to_owned())
}

/// A name for a key that has none: what its public part hashes to, so that a
/// new key never goes by an old one's name.
pub fn id_of(secret: &SecretString) -> Result<String, PassKeyError> {
    let (_, x) = PassKey::new("unnamed".to_owned(), secret)?;
    Ok(URL_SAFE_NO_PAD.encode(&Sha256::digest(x)[..12]))
}

fn seconds(at: Timestamp) -> i64 {
    at.0.div_euclid(1_000)
}

/// Whether a credential is meant as a pass: three parts, which no secret has.
pub fn is_meant(credential: &str) -> bool {
    credential.bytes().filter(|b| *b == b'.').count() == 2
}

/// Why a pass is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PassRefused {
    /// It is no pass at all.
    #[error("malformed")]
    Malformed,
    /// It is signed in another way than ours are.
    #[error("algorithm")]
    Algorithm,
    /// No key of ours is called so.
    #[error("unknown-key")]
    UnknownKey,
    /// Its signature is not its key's.
    #[error("signature")]
    Signature,
    /// Another deployment signed it.
    #[error("issuer")]
    Issuer,
    /// It is for another opening.
    #[error("audience")]
    Audience,
    /// It is over.
    #[error("expired")]
    Expired,
}

impl From<jsonwebtoken::errors::Error> for PassRefused {
    fn from(error: jsonwebtoken::errors::Error) -> Self {
        use jsonwebtoken::errors::ErrorKind;
        match error.kind() {
            ErrorKind::InvalidSignature => Self::Signature,
            ErrorKind::InvalidIssuer => Self::Issuer,
            ErrorKind::InvalidAudience => Self::Audience,
            ErrorKind::InvalidAlgorithm => Self::Algorithm,
            _ => Self::Malformed,
        }
    }
}

impl From<PassRefused> for Problem {
    fn from(refused: PassRefused) -> Self {
        Problem::new(StatusCode::UNAUTHORIZED, "pass-refused", "The pass is not taken")
            .detail("a visitor who is inside gets a fresh pass by `PUT .../entry`")
            .with("reason", refused.to_string())
    }
}

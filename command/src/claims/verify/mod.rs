//! Checking an entry claim: who signed it, for whom, until when.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use usher_events::ids::OpeningId;
use usher_events::time::Timestamp;

use super::key_set::{KeySet, KeySetError, NoKey};

/// The longest claim that is looked at, in bytes.
const MAX_BYTES: usize = 4_096;
/// The longest subject, in bytes.
const MAX_SUBJECT_BYTES: usize = 256;
/// How much the issuer's clock may differ, in seconds.
const LEEWAY_S: f64 = 30.0;

/// Who signs entry claims.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// Their name, as claims have it in `iss`.
    pub issuer: String,
    /// What claims have in `aud`; empty: the opening's id.
    #[serde(default)]
    pub audience: String,
    /// Where their public keys are: a file's path or a URL.
    pub jwks: String,
}

/// A person, as their issuer knows them. Never logged, and never kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    pub(super) issuer: Arc<str>,
    pub(super) subject: String,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Why a claim is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimRefused {
    /// It is no claim at all.
    #[error("malformed")]
    Malformed,
    /// It is signed in a way that is not taken.
    #[error("algorithm")]
    Algorithm,
    /// Nobody whom we know signed it.
    #[error("issuer")]
    Issuer,
    /// The issuer has no such key.
    #[error("unknown-key")]
    UnknownKey,
    /// Its signature is not its key's.
    #[error("signature")]
    Signature,
    /// It is for somebody else.
    #[error("audience")]
    Audience,
    /// It is over.
    #[error("expired")]
    Expired,
    /// It is not good yet.
    #[error("not-yet-valid")]
    NotYetValid,
    /// It names nobody, or at too great a length.
    #[error("subject")]
    Subject,
    /// The issuer's keys cannot be read now; it may be a good one.
    #[error("keys-unreadable")]
    KeysUnreadable,
}

impl From<NoKey> for ClaimRefused {
    fn from(missing: NoKey) -> Self {
        match missing {
            NoKey::Unknown => Self::UnknownKey,
            NoKey::Unreadable => Self::KeysUnreadable,
        }
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: f64,
    nbf: Option<f64>,
}

/// An issuer with their keys.
#[derive(Debug)]
struct Issuer {
    name: Arc<str>,
    audience: Option<String>,
    keys: Arc<KeySet>,
}

/// All who sign entry claims.
#[derive(Debug, Default)]
pub(super) struct Issuers {
    issuers: Vec<Issuer>,
}

impl Issuers {
    /// The configured ones, with their keys read.
    pub(super) async fn start(configs: Vec<IssuerConfig>) -> Result<Self, (String, KeySetError)> {
        let mut issuers = Vec::with_capacity(configs.len());
        for config in configs {
            let failed = |error| (config.issuer.clone(), error);
            let keys = Arc::new(KeySet::new(&config.issuer, &config.jwks).map_err(failed)?);
            keys.start().await.map_err(failed)?;
            let audience = Some(config.audience).filter(|audience| !audience.is_empty());
            issuers.push(Issuer { name: config.issuer.into(), audience, keys });
        }
        Ok(Self { issuers })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.issuers.is_empty()
    }

    /// Who `claim` says that they are, if it is good for `opening` at `now`.
    pub(super) async fn verify(
        &self,
        claim: &str,
        opening: &OpeningId,
        now: Timestamp,
    ) -> Result<Person, ClaimRefused> {
        #[derive(Deserialize)]
        struct Signer {
            iss: String,
        }

        if claim.len() > MAX_BYTES {
            return Err(ClaimRefused::Malformed);
        }
        let header = jsonwebtoken::decode_header(claim).map_err(|_| ClaimRefused::Malformed)?;
        if !matches!(header.alg, Algorithm::EdDSA | Algorithm::RS256) {
            return Err(ClaimRefused::Algorithm);
        }
        if header.crit.is_some() {
            return Err(ClaimRefused::Malformed);
        }
        // Only to know whose keys to check with; nothing of it is believed yet.
        let signer = jsonwebtoken::dangerous::insecure_decode_claims::<Signer>(claim);
        let signer = signer.map_err(|_| ClaimRefused::Malformed)?.iss;
        let issuer = self.issuers.iter().find(|known| *known.name == *signer).ok_or(ClaimRefused::Issuer)?;
        let key = issuer.keys.key(header.kid.as_deref()).await?;
        // The key says how it signs, and not whoever made the claim.
        if key.algorithm != header.alg {
            return Err(ClaimRefused::Algorithm);
        }
        let mut validation = Validation::new(key.algorithm);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[&issuer.name]);
        validation.set_audience(&[issuer.audience.as_deref().unwrap_or(opening.as_str())]);
        // By the caller's clock, below.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(claim, &key.key, &validation);
        let claims = claims.map_err(|error| refused(&error))?.claims;
        check_times(&claims, now)?;
        if claims.sub.is_empty() || claims.sub.len() > MAX_SUBJECT_BYTES {
            return Err(ClaimRefused::Subject);
        }
        Ok(Person { issuer: Arc::clone(&issuer.name), subject: claims.sub })
    }
}

fn check_times(claims: &Claims, now: Timestamp) -> Result<(), ClaimRefused> {
    #[allow(clippy::cast_precision_loss, reason = "times are far below 2^53 ms")]
    let now = now.0 as f64 / 1_000.0;
    if claims.exp + LEEWAY_S <= now {
        return Err(ClaimRefused::Expired);
    }
    if claims.nbf.is_some_and(|nbf| nbf - LEEWAY_S > now) {
        return Err(ClaimRefused::NotYetValid);
    }
    Ok(())
}

fn refused(error: &jsonwebtoken::errors::Error) -> ClaimRefused {
    match error.kind() {
        ErrorKind::InvalidSignature => ClaimRefused::Signature,
        ErrorKind::InvalidAlgorithm => ClaimRefused::Algorithm,
        ErrorKind::InvalidIssuer => ClaimRefused::Issuer,
        ErrorKind::InvalidAudience => ClaimRefused::Audience,
        ErrorKind::MissingRequiredClaim(name) if name == "aud" => ClaimRefused::Audience,
        ErrorKind::MissingRequiredClaim(name) if name == "sub" => ClaimRefused::Subject,
        _ => ClaimRefused::Malformed,
    }
}

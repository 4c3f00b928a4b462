//! Entry claims: who may join where the policy asks for one, and as whom.
//!
//! A claim is signed by the booking frontend and says who the person is. Only
//! a keyed hash of that enters the log; the key is kept outside of it, and can
//! be destroyed.

mod expiry;
mod files;
mod key_set;
mod postgres;
mod subject_keys;
mod verify;

use std::sync::Arc;

use usher_events::ids::{Hash, OpeningId};
use usher_events::time::Timestamp;

pub use expiry::{destroy_due, destroy_when_over};
pub use files::KeyFiles;
pub use key_set::KeySetError;
pub use postgres::PostgresKeys;
pub use subject_keys::{Kept, NoSubject, StoreFault, SubjectKey, SubjectKeyStore};
pub use verify::{ClaimRefused, IssuerConfig, Person};

use subject_keys::SubjectKeys;
use verify::Issuers;

/// An issuer cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("issuer `{issuer}`: {error}")]
pub struct IssuerError {
    /// Which one.
    pub issuer: String,
    /// Why.
    pub error: KeySetError,
}

/// What checks claims and makes subjects of them.
#[derive(Debug)]
pub struct Claims {
    issuers: Issuers,
    /// None where no claim is ever taken.
    keys: Option<SubjectKeys>,
}

impl Claims {
    /// Where no claim is taken.
    pub fn none() -> Self {
        Self { issuers: Issuers::default(), keys: None }
    }

    /// Claims by these issuers, with subject keys in `store`.
    pub async fn start(
        issuers: Vec<IssuerConfig>,
        store: Arc<dyn SubjectKeyStore>,
    ) -> Result<Self, IssuerError> {
        let issuers = Issuers::start(issuers).await;
        let issuers = issuers.map_err(|(issuer, error)| IssuerError { issuer, error })?;
        Ok(Self { issuers, keys: Some(SubjectKeys::new(store)) })
    }

    /// Whether any claim may be taken: only then may a policy ask for one.
    pub fn are_taken(&self) -> bool {
        !self.issuers.is_empty()
    }

    /// Who `claim` says that they are, if it is good for `opening` at `now`.
    pub async fn verify(
        &self,
        claim: &str,
        opening: &OpeningId,
        now: Timestamp,
    ) -> Result<Person, ClaimRefused> {
        self.issuers.verify(claim, opening, now).await
    }

    /// Who `person` is in `opening`, if that can be said without asking anyone.
    pub fn known_subject(&self, opening: &OpeningId, person: &Person) -> Option<Hash> {
        self.keys.as_ref()?.known_subject(opening, person)
    }

    /// Who `person` is in `opening`. Only for openings that ask for claims: it
    /// makes the opening's key.
    pub async fn subject(&self, opening: &OpeningId, person: &Person) -> Result<Hash, NoSubject> {
        match &self.keys {
            Some(keys) => keys.subject(opening, person).await,
            None => Err(StoreFault("there is none".to_owned()).into()),
        }
    }
}

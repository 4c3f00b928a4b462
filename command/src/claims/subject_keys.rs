//! The keys that make a subject of a person: one for each opening, outside the
//! log, so that destroying it makes the log's subjects nobody's.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretBox};
use sha2::Sha256;
use tracing::warn;
use usher_events::ids::{Hash, OpeningId};

use super::verify::Person;

/// How old a key in memory gets before the store is asked whether it is still
/// there. A key destroyed elsewhere is forgotten here within that time.
const FRESH_FOR: Duration = Duration::from_secs(60);
/// How long a key in memory is used while the store cannot be asked.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// From so many keys in memory on, those that are old are let go.
const MANY: usize = 1_024;

/// The key of one opening.
#[derive(Clone)]
pub struct SubjectKey(Arc<SecretBox<[u8; 32]>>);

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectKey")
    }
}

impl SubjectKey {
    /// The key made of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Arc::new(SecretBox::new(Box::new(bytes))))
    }

    /// A new key.
    pub(super) fn random() -> Self {
        Self::new(rand::random())
    }

    /// The secret itself, for stores.
    pub fn bytes(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }

    /// Who `person` is in the log: HMAC-SHA-256 over issuer and subject, each
    /// preceded by its length as 8 bytes little-endian.
    fn subject(&self, person: &Person) -> Option<Hash> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.bytes()).ok()?;
        for part in [person.issuer.as_bytes(), person.subject.as_bytes()] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        Some(Hash(mac.finalize().into_bytes().into()))
    }
}

/// What a store knows of an opening's key.
#[derive(Debug, Clone)]
pub enum Kept {
    /// It is there.
    Key(SubjectKey),
    /// It was destroyed, for good.
    Destroyed,
}

/// The store cannot be used now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store of subject keys: {0}")]
pub struct StoreFault(pub String);

/// Where subject keys are kept. All instances of a deployment use one store.
#[async_trait]
pub trait SubjectKeyStore: fmt::Debug + Send + Sync {
    /// The key of `opening`, made now if there never was one. Whoever asks at
    /// the same time gets the same key.
    async fn key(&self, opening: &OpeningId) -> Result<Kept, StoreFault>;

    /// Destroys the key of `opening`, for good; false when there is none.
    async fn destroy(&self, opening: &OpeningId) -> Result<bool, StoreFault>;

    /// The openings that have a key.
    async fn openings(&self) -> Result<Vec<OpeningId>, StoreFault>;
}

/// Why a person has no subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSubject {
    /// The opening's key was destroyed.
    #[error("the opening's subject key was destroyed")]
    Destroyed,
    /// The store cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreFault),
}

/// The store, with what was read of it lately.
#[derive(Debug)]
pub(super) struct SubjectKeys {
    store: Arc<dyn SubjectKeyStore>,
    read: RwLock<HashMap<OpeningId, (Kept, Instant)>>,
}

impl SubjectKeys {
    pub(super) fn new(store: Arc<dyn SubjectKeyStore>) -> Self {
        Self { store, read: RwLock::default() }
    }

    /// Who `person` is in `opening`, if its key is in memory.
    pub(super) fn known_subject(&self, opening: &OpeningId, person: &Person) -> Option<Hash> {
        match self.recent(opening, FRESH_FOR)? {
            Kept::Key(key) => key.subject(person),
            Kept::Destroyed => None,
        }
    }

    /// Who `person` is in `opening`, which makes its key if there never was one.
    pub(super) async fn subject(&self, opening: &OpeningId, person: &Person) -> Result<Hash, NoSubject> {
        let kept = match self.recent(opening, FRESH_FOR) {
            Some(kept) => kept,
            None => self.ask(opening).await?,
        };
        match kept {
            Kept::Key(key) => {
                key.subject(person).ok_or_else(|| StoreFault("a key of no length".to_owned()).into())
            }
            Kept::Destroyed => Err(NoSubject::Destroyed),
        }
    }

    async fn ask(&self, opening: &OpeningId) -> Result<Kept, StoreFault> {
        match self.store.key(opening).await {
            Ok(kept) => {
                self.note(opening, kept.clone());
                Ok(kept)
            }
            Err(fault) => {
                let old = self.recent(opening, KEPT_FOR).ok_or_else(|| fault.clone())?;
                warn!(%opening, %fault, "a subject key is used that could not be read again");
                Ok(old)
            }
        }
    }

    fn recent(&self, opening: &OpeningId, within: Duration) -> Option<Kept> {
        let read = self.read.read().unwrap_or_else(PoisonError::into_inner);
        read.get(opening).filter(|(_, at)| at.elapsed() < within).map(|(kept, _)| kept.clone())
    }

    fn note(&self, opening: &OpeningId, kept: Kept) {
        let mut read = self.read.write().unwrap_or_else(PoisonError::into_inner);
        if read.len() >= MANY {
            read.retain(|_, (_, at)| at.elapsed() < FRESH_FOR);
        }
        read.insert(opening.clone(), (kept, Instant::now()));
    }
}

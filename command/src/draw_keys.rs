//! The key ring that draws' seeds derive from.

use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use usher_events::draw::commitment;
use usher_events::ids::{CommandId, Hash, OpeningId};

/// The least length of a draw key, in bytes.
pub const MIN_KEY_BYTES: usize = 32;

/// Why there is no key ring, or no seed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DrawKeyError {
    /// The ring is empty.
    #[error("no draw key is configured")]
    Empty,
    /// A key is too short to be a secret.
    #[error("draw key `{0}` is shorter than {MIN_KEY_BYTES} characters")]
    TooShort(String),
    /// Two keys have the same id.
    #[error("draw key `{0}` is there twice")]
    Twice(String),
    /// A key that an opening was scheduled with is not there.
    #[error("no draw key is called `{0}`")]
    Unknown(String),
}

/// Draw keys by id; the first one is for new openings.
#[derive(Debug)]
pub struct DrawKeys {
    keys: Vec<(String, SecretString)>,
}

impl DrawKeys {
    /// A ring of `keys`, each with its id.
    pub fn new(keys: Vec<(String, SecretString)>) -> Result<Self, DrawKeyError> {
        if keys.is_empty() {
            return Err(DrawKeyError::Empty);
        }
        for (i, (id, key)) in keys.iter().enumerate() {
            if key.expose_secret().len() < MIN_KEY_BYTES {
                return Err(DrawKeyError::TooShort(id.clone()));
            }
            if keys[..i].iter().any(|(earlier, _)| earlier == id) {
                return Err(DrawKeyError::Twice(id.clone()));
            }
        }
        Ok(Self { keys })
    }

    /// The seed of an opening's draw: HMAC-SHA-256 by the key over the
    /// opening and the scheduling command's id, each preceded by its length
    /// as 8 bytes little-endian.
    pub fn seed(
        &self,
        key_id: &str,
        opening: &OpeningId,
        scheduled_by: CommandId,
    ) -> Result<Hash, DrawKeyError> {
        let unknown = || DrawKeyError::Unknown(key_id.to_owned());
        let (_, key) = self.keys.iter().find(|(id, _)| id == key_id).ok_or_else(unknown)?;
        let mut mac =
            Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()).map_err(|_| unknown())?;
        for part in [opening.as_str().as_bytes(), scheduled_by.0.as_bytes()] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        Ok(Hash(mac.finalize().into_bytes().into()))
    }

    /// What a new opening commits to: the key's id and SHA-256 of the seed.
    pub fn commit(
        &self,
        opening: &OpeningId,
        scheduled_by: CommandId,
    ) -> Result<(String, Hash), DrawKeyError> {
        let (id, _) = self.keys.first().ok_or(DrawKeyError::Empty)?;
        let seed = self.seed(id, opening, scheduled_by)?;
        Ok((id.clone(), commitment(&seed)))
    }
}

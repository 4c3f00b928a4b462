//! Who calls: visitors by their secret, operators and merchants by API keys.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use usher_events::ids::{Actor, Hash, OpeningId, Ticket};

use crate::problem::Problem;

/// The least length of an API key, in characters.
pub const MIN_KEY_CHARS: usize = 32;

/// What an API key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// Manages openings.
    Operator,
    /// Confirms and cancels bookings.
    Merchant,
}

/// An API key as it is configured: only its hash is known.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// Who it belongs to, as the log names them.
    pub name: String,
    /// What it is for.
    pub kind: KeyKind,
    /// SHA-256 of the key, in lower-case hexadecimal.
    pub sha256: Hash,
    /// Only openings whose ids begin with one of these; empty: all.
    #[serde(default)]
    pub prefixes: Vec<String>,
}

/// Why a configured key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It could be guessed.
    #[error("the {0} key is shorter than {MIN_KEY_CHARS} characters")]
    TooShort(&'static str),
    /// A name is not one that the log can hold.
    #[error("key name `{0}`: expected 1 to 40 characters of [a-z0-9-]")]
    BadName(String),
}

/// All API keys.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    keys: Arc<Vec<(KeyConfig, Arc<str>)>>,
}

impl Keys {
    /// The configured keys.
    pub fn new(keys: Vec<KeyConfig>) -> Result<Self, KeyError> {
        for key in &keys {
            let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if key.name.is_empty() || key.name.len() > 40 || !key.name.bytes().all(good) {
                return Err(KeyError::BadName(key.name.clone()));
            }
        }
        let named = |key: KeyConfig| {
            let name = key.name.as_str().into();
            (key, name)
        };
        Ok(Self { keys: Arc::new(keys.into_iter().map(named).collect()) })
    }

    /// A key that is given in clear, of which only the hash is kept.
    pub fn hashed(name: &'static str, kind: KeyKind, key: &SecretString) -> Result<KeyConfig, KeyError> {
        if key.expose_secret().chars().count() < MIN_KEY_CHARS {
            return Err(KeyError::TooShort(name));
        }
        let sha256 = Hash(Sha256::digest(key.expose_secret()).into());
        Ok(KeyConfig { name: name.to_owned(), kind, sha256, prefixes: Vec::new() })
    }

    /// Whether there is an operator's key.
    pub fn has_operator(&self) -> bool {
        self.keys.iter().any(|(key, _)| key.kind == KeyKind::Operator)
    }

    fn find(&self, credential: &str) -> Option<&(KeyConfig, Arc<str>)> {
        let hash: [u8; 32] = Sha256::digest(credential).into();
        // Every key is compared, in constant time: how long it takes tells nothing.
        let mut found = None;
        for key in self.keys.iter() {
            if bool::from(key.0.sha256.0.ct_eq(&hash)) {
                found = Some(key);
            }
        }
        found
    }

    /// Who calls, by the `Authorization` header.
    pub fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(Caller::Anonymous) };
        let credential = value.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
        let Some(credential) = credential else {
            return Err(Problem::unauthorized("expected `Authorization: Bearer ...`"));
        };
        if let Some((key, name)) = self.find(credential) {
            let prefixes = key.prefixes.clone();
            let name = Arc::clone(name);
            return Ok(match key.kind {
                KeyKind::Operator => Caller::Operator { name, prefixes },
                KeyKind::Merchant => Caller::Merchant { name, prefixes },
            });
        }
        match secret(credential) {
            Some(secret) => Ok(Caller::Visitor(Ticket::of_secret(&secret))),
            None => Err(Problem::unauthorized("no such key, and no visitor's secret")),
        }
    }
}

/// A visitor's secret: 32 bytes as 43 characters of base64url.
pub fn secret(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    // One spare byte: the decoder asks for room for whole groups of three.
    let mut room = [0; 33];
    if text.len() != 43 || URL_SAFE_NO_PAD.decode_slice(text, &mut room).ok()? != 32 {
        return None;
    }
    bytes.copy_from_slice(&room[..32]);
    Some(bytes)
}

/// Makes a random key or secret: 32 bytes as base64url.
pub fn mint() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Nobody says who they are.
    Anonymous,
    /// Who holds the secret of this ticket.
    Visitor(Ticket),
    /// An operator, by the key's name.
    Operator {
        /// The key's name.
        name: Arc<str>,
        /// Which openings; empty: all.
        prefixes: Vec<String>,
    },
    /// A merchant, by the key's name.
    Merchant {
        /// The key's name.
        name: Arc<str>,
        /// Which openings; empty: all.
        prefixes: Vec<String>,
    },
}

fn covers(prefixes: &[String], opening: &OpeningId) -> bool {
    prefixes.is_empty() || prefixes.iter().any(|prefix| opening.as_str().starts_with(prefix.as_str()))
}

impl Caller {
    /// The operator who may manage `opening`, or why not.
    pub fn operator(&self, opening: &OpeningId) -> Result<Actor, Problem> {
        match self {
            Self::Operator { name, prefixes } if covers(prefixes, opening) => {
                Ok(Actor::Operator(Arc::clone(name)))
            }
            Self::Operator { .. } => Err(Problem::forbidden("this key is for other openings")),
            Self::Anonymous => Err(Problem::unauthorized("an operator's key is needed")),
            _ => Err(Problem::forbidden("an operator's key is needed")),
        }
    }

    /// The merchant or operator who may act on bookings of `opening`, or why not.
    pub fn merchant(&self, opening: &OpeningId) -> Result<Actor, Problem> {
        match self {
            Self::Merchant { name, prefixes } if covers(prefixes, opening) => {
                Ok(Actor::Merchant(Arc::clone(name)))
            }
            Self::Merchant { .. } => Err(Problem::forbidden("this key is for other openings")),
            Self::Anonymous => Err(Problem::unauthorized("a merchant's key is needed")),
            _ => Err(Problem::forbidden("a merchant's key is needed")),
        }
    }

    /// The visitor whose ticket this is, or why not.
    pub fn visitor_of(&self, ticket: &Ticket) -> Result<Actor, Problem> {
        match self.visitor()? {
            (own, actor) if own == *ticket => Ok(actor),
            _ => Err(Problem::forbidden("this secret belongs to another ticket")),
        }
    }

    /// The visitor who calls, or why there is none.
    pub fn visitor(&self) -> Result<(Ticket, Actor), Problem> {
        match self {
            Self::Visitor(ticket) => Ok((*ticket, Actor::Visitor(*ticket))),
            Self::Anonymous => Err(Problem::unauthorized("the visitor's secret is needed")),
            _ => Err(Problem::forbidden("the visitor's secret is needed, not a key")),
        }
    }

    /// Whether this caller may read what belongs to `ticket` in `opening`.
    pub fn may_read(&self, opening: &OpeningId, ticket: &Ticket) -> bool {
        match self {
            Self::Anonymous => false,
            Self::Visitor(own) => own == ticket,
            Self::Operator { prefixes, .. } | Self::Merchant { prefixes, .. } => covers(prefixes, opening),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(credential: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, format!("Bearer {credential}").parse().unwrap());
        headers
    }

    fn keys() -> Keys {
        let key = SecretString::from("an-operator-key-of-at-least-32-characters");
        let mut key = Keys::hashed("box-office", KeyKind::Operator, &key).unwrap();
        key.prefixes = vec!["concert-".to_owned()];
        Keys::new(vec![key]).unwrap()
    }

    #[test]
    fn a_secret_is_43_characters_of_base64url() {
        assert!(secret(&mint()).is_some());
        for bad in ["", "short", &"=".repeat(43), &"a".repeat(42), &"a".repeat(44), &"+".repeat(43)] {
            assert!(secret(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_visitor_is_known_by_the_hash_of_their_secret() {
        let text = mint();
        let ticket = Ticket::of_secret(&secret(&text).unwrap());
        let caller = keys().caller(&headers(&text)).unwrap();
        assert_eq!(caller, Caller::Visitor(ticket));
        assert!(caller.visitor_of(&ticket).is_ok());
        assert_eq!(caller.visitor_of(&Ticket([0; 32])).unwrap_err().status(), 403);
    }

    #[test]
    fn an_operators_key_covers_its_openings_only() {
        let caller = keys().caller(&headers("an-operator-key-of-at-least-32-characters")).unwrap();
        let opening = |id| OpeningId::new(id).unwrap();
        assert!(caller.operator(&opening("concert-1")).is_ok());
        assert_eq!(caller.operator(&opening("play-1")).unwrap_err().status(), 403);
        assert_eq!(caller.merchant(&opening("concert-1")).unwrap_err().status(), 403);
    }

    #[test]
    fn an_unknown_key_is_401_and_nobody_is_anonymous() {
        assert_eq!(keys().caller(&headers("wrong")).unwrap_err().status(), 401);
        assert_eq!(keys().caller(&HeaderMap::new()).unwrap(), Caller::Anonymous);
        assert_eq!(Caller::Anonymous.operator(&OpeningId::new("a").unwrap()).unwrap_err().status(), 401);
    }

    #[test]
    fn a_short_key_is_refused() {
        assert!(Keys::hashed("x", KeyKind::Operator, &SecretString::from("short")).is_err());
    }
}

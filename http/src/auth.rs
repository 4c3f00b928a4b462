//! Who calls: visitors by their secret, operators and merchants by API keys.
//!
//! All come as `Authorization: Bearer`, and never in a URL. Of an API key only
//! its SHA-256 is known, and keys are random, so a fast hash is enough.

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

/// A part of what a key's kind may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Reads what is not public.
    Read,
    /// Gives commands.
    Write,
}

/// An API key as it is configured: only its hash is known.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// Who it belongs to, as the log names them: 1 to 40 of `[a-z0-9-]`.
    pub name: String,
    /// What it is for.
    pub kind: KeyKind,
    /// SHA-256 of the key, in lower-case hexadecimal.
    pub sha256: Hash,
    /// Only this part of it; empty: all.
    #[serde(default)]
    pub scopes: Vec<Scope>,
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
    /// Nobody could say whose it is.
    #[error("keys `{0}` and `{1}` have the same hash")]
    Twice(String, String),
}

/// An API key, as far as it is known here.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    config: KeyConfig,
    name: Arc<str>,
}

impl Key {
    /// The key's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn allows(&self, scope: Scope, opening: &OpeningId) -> Result<(), Problem> {
        let KeyConfig { scopes, prefixes, .. } = &self.config;
        if !prefixes.is_empty()
            && !prefixes.iter().any(|prefix| opening.as_str().starts_with(prefix.as_str()))
        {
            return Err(Problem::forbidden("this key is for other openings"));
        }
        if !scopes.is_empty() && !scopes.contains(&scope) {
            return Err(Problem::forbidden("this key has not the scope for this"));
        }
        Ok(())
    }
}

/// All API keys.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    keys: Arc<Vec<Arc<Key>>>,
}

impl Keys {
    /// The configured keys.
    pub fn new(configs: Vec<KeyConfig>) -> Result<Self, KeyError> {
        let mut keys: Vec<Arc<Key>> = Vec::with_capacity(configs.len());
        for config in configs {
            let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if config.name.is_empty() || config.name.len() > 40 || !config.name.bytes().all(good) {
                return Err(KeyError::BadName(config.name));
            }
            if let Some(same) = keys.iter().find(|key| key.config.sha256 == config.sha256) {
                return Err(KeyError::Twice(same.config.name.clone(), config.name));
            }
            let name = config.name.as_str().into();
            keys.push(Arc::new(Key { config, name }));
        }
        Ok(Self { keys: Arc::new(keys) })
    }

    /// A key that is given in clear, of which only the hash is kept.
    pub fn hashed(name: &'static str, kind: KeyKind, key: &SecretString) -> Result<KeyConfig, KeyError> {
        if key.expose_secret().chars().count() < MIN_KEY_CHARS {
            return Err(KeyError::TooShort(name));
        }
        let sha256 = hash_of(key.expose_secret());
        Ok(KeyConfig { name: name.to_owned(), kind, sha256, scopes: Vec::new(), prefixes: Vec::new() })
    }

    /// Whether there is an operator's key that may give commands.
    pub fn has_operator(&self) -> bool {
        let manages = |scopes: &[Scope]| scopes.is_empty() || scopes.contains(&Scope::Write);
        self.keys.iter().any(|key| key.config.kind == KeyKind::Operator && manages(&key.config.scopes))
    }

    fn find(&self, credential: &str) -> Option<&Arc<Key>> {
        let hash = hash_of(credential);
        // Every key is compared, in constant time: how long it takes tells nothing.
        let mut found = None;
        for key in self.keys.iter() {
            if bool::from(key.config.sha256.0.ct_eq(&hash.0)) {
                found = Some(key);
            }
        }
        found
    }

    /// Who calls, by the `Authorization` header. Nobody is anonymous; who
    /// cannot be told is a 401.
    pub fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let Some(credential) = credential(headers)? else { return Ok(Caller::Anonymous) };
        if let Some(key) = self.find(credential) {
            return Ok(match key.config.kind {
                KeyKind::Operator => Caller::Operator(Arc::clone(key)),
                KeyKind::Merchant => Caller::Merchant(Arc::clone(key)),
            });
        }
        match secret(credential) {
            Some(secret) => Ok(Caller::Visitor(Ticket::of_secret(&secret))),
            None => Err(Problem::unauthorized("no such key, and no visitor's secret")),
        }
    }
}

fn hash_of(key: &str) -> Hash {
    Hash(Sha256::digest(key).into())
}

/// What the caller shows, if anything.
pub fn credential(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    match value.to_str().ok().and_then(bearer) {
        Some(credential) => Ok(Some(credential)),
        None => Err(Problem::unauthorized("expected `Authorization: Bearer ...`")),
    }
}

/// What follows the scheme, whose name may be in any case.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, credential) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim_start_matches(' '))
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

/// Makes a random secret: 32 bytes as base64url.
pub fn mint() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// Makes an API key with what to configure for it. Keys that are made here
/// begin with `usher_op_` or `usher_mr_`, so that one that leaked can be found.
pub fn mint_key(name: &str, kind: KeyKind) -> (SecretString, KeyConfig) {
    let prefix = match kind {
        KeyKind::Operator => "usher_op_",
        KeyKind::Merchant => "usher_mr_",
    };
    let key = format!("{prefix}{}", mint());
    let sha256 = hash_of(&key);
    let config = KeyConfig { name: name.to_owned(), kind, sha256, scopes: Vec::new(), prefixes: Vec::new() };
    (SecretString::from(key), config)
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Nobody says who they are.
    Anonymous,
    /// Who holds the secret of this ticket.
    Visitor(Ticket),
    /// Who holds an operator's key.
    Operator(Arc<Key>),
    /// Who holds a merchant's key.
    Merchant(Arc<Key>),
}

impl Caller {
    /// The operator who may manage `opening`, or why not.
    pub fn operator(&self, opening: &OpeningId) -> Result<Actor, Problem> {
        match self {
            Self::Operator(key) => {
                key.allows(Scope::Write, opening)?;
                Ok(Actor::Operator(Arc::clone(&key.name)))
            }
            Self::Anonymous => Err(Problem::unauthorized("an operator's key is needed")),
            _ => Err(Problem::forbidden("an operator's key is needed")),
        }
    }

    /// The name of the operator who may read what operators see of `opening`,
    /// or of the deployment as a whole; or why not.
    pub fn reading_operator(&self, opening: Option<&OpeningId>) -> Result<&Arc<str>, Problem> {
        match self {
            Self::Operator(key) => {
                opening.map_or(Ok(()), |opening| key.allows(Scope::Read, opening))?;
                Ok(key.name())
            }
            Self::Anonymous => Err(Problem::unauthorized("an operator's key is needed")),
            _ => Err(Problem::forbidden("an operator's key is needed")),
        }
    }

    /// The merchant who may act on bookings of `opening`, or why not.
    pub fn merchant(&self, opening: &OpeningId) -> Result<Actor, Problem> {
        match self {
            Self::Merchant(key) => {
                key.allows(Scope::Write, opening)?;
                Ok(Actor::Merchant(Arc::clone(&key.name)))
            }
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
            Self::Operator(key) | Self::Merchant(key) => key.allows(Scope::Read, opening).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OPERATOR: &str = "an-operator-key-of-at-least-32-characters";
    const MERCHANT: &str = "a-merchant-key-of-at-least-32-characters";
    const READER: &str = "a-reading-key-of-at-least-32-characters";

    fn headers(authorization: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
        headers
    }

    fn keys() -> Keys {
        let hashed = |name, kind, key: &str| Keys::hashed(name, kind, &SecretString::from(key)).unwrap();
        let operator = KeyConfig {
            prefixes: vec!["concert-".to_owned()],
            ..hashed("box-office", KeyKind::Operator, OPERATOR)
        };
        let reader = KeyConfig { scopes: vec![Scope::Read], ..hashed("screen", KeyKind::Operator, READER) };
        Keys::new(vec![operator, hashed("till", KeyKind::Merchant, MERCHANT), reader]).unwrap()
    }

    fn caller(credential: &str) -> Caller {
        keys().caller(&headers(&format!("Bearer {credential}"))).unwrap()
    }

    fn opening(id: &str) -> OpeningId {
        OpeningId::new(id).unwrap()
    }

    fn status(result: Result<Actor, Problem>) -> u16 {
        result.map_or_else(|problem| problem.status().as_u16(), |_| 200)
    }

    #[test]
    fn a_secret_is_43_characters_of_base64url() {
        assert!(secret(&mint()).is_some());
        for bad in ["", "short", &"=".repeat(43), &"a".repeat(42), &"a".repeat(44), &"+".repeat(43)] {
            assert!(secret(bad).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_secret_has_one_way_to_be_written(text in "[A-Za-z0-9_-]{43}") {
            if let Some(bytes) = secret(&text) {
                prop_assert_eq!(URL_SAFE_NO_PAD.encode(bytes), text);
            }
        }

        #[test]
        fn any_32_bytes_are_a_secret(bytes: [u8; 32]) {
            prop_assert_eq!(secret(&URL_SAFE_NO_PAD.encode(bytes)), Some(bytes));
        }

        #[test]
        fn a_strangers_header_is_a_visitor_or_a_401_and_never_a_key(value in "\\PC{0,80}") {
            let mut headers = HeaderMap::new();
            let Ok(value) = value.parse() else { return Ok(()) };
            headers.insert(header::AUTHORIZATION, value);
            match keys().caller(&headers) {
                Ok(caller) => prop_assert!(matches!(caller, Caller::Visitor(_))),
                Err(problem) => prop_assert_eq!(problem.status().as_u16(), 401),
            }
        }
    }

    #[test]
    fn a_visitor_is_known_by_the_hash_of_their_secret() {
        let text = mint();
        let ticket = Ticket::of_secret(&secret(&text).unwrap());
        let caller = caller(&text);
        assert_eq!(caller, Caller::Visitor(ticket));
        assert_eq!(status(caller.visitor_of(&ticket)), 200);
        assert_eq!(status(caller.visitor_of(&Ticket([0; 32]))), 403);
        assert!(caller.may_read(&opening("a"), &ticket));
        assert!(!caller.may_read(&opening("a"), &Ticket([0; 32])));
    }

    #[test]
    fn an_operators_key_covers_its_openings_only() {
        let caller = caller(OPERATOR);
        assert_eq!(caller.operator(&opening("concert-1")), Ok(Actor::Operator("box-office".into())));
        assert_eq!(status(caller.operator(&opening("play-1"))), 403);
        assert_eq!(status(caller.merchant(&opening("concert-1"))), 403);
        assert!(caller.may_read(&opening("concert-1"), &Ticket([0; 32])));
        assert!(!caller.may_read(&opening("play-1"), &Ticket([0; 32])));
    }

    #[test]
    fn a_merchants_key_settles_and_manages_nothing() {
        let caller = caller(MERCHANT);
        assert_eq!(caller.merchant(&opening("a")), Ok(Actor::Merchant("till".into())));
        assert_eq!(status(caller.operator(&opening("a"))), 403);
        assert_eq!(status(caller.visitor_of(&Ticket([0; 32]))), 403);
    }

    #[test]
    fn a_key_that_only_reads_gives_no_commands() {
        let caller = caller(READER);
        assert!(caller.may_read(&opening("a"), &Ticket([0; 32])));
        assert_eq!(status(caller.operator(&opening("a"))), 403);
    }

    #[test]
    fn who_is_not_known_is_401_and_nobody_is_anonymous() {
        for wrong in ["Bearer wrong", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", OPERATOR] {
            assert_eq!(keys().caller(&headers(wrong)).unwrap_err().status().as_u16(), 401, "{wrong}");
        }
        assert_eq!(keys().caller(&HeaderMap::new()).unwrap(), Caller::Anonymous);
        assert_eq!(status(Caller::Anonymous.operator(&opening("a"))), 401);
        assert_eq!(status(Caller::Anonymous.merchant(&opening("a"))), 401);
        assert_eq!(status(Caller::Anonymous.visitor_of(&Ticket([0; 32]))), 401);
        assert!(!Caller::Anonymous.may_read(&opening("a"), &Ticket([0; 32])));
    }

    #[test]
    fn the_scheme_may_be_in_any_case() {
        let caller = keys().caller(&headers(&format!("bearer  {MERCHANT}"))).unwrap();
        assert!(matches!(caller, Caller::Merchant(_)));
    }

    #[test]
    fn a_key_that_was_made_works_and_is_no_visitors_secret() {
        let (key, config) = mint_key("till", KeyKind::Merchant);
        let made = Keys::new(vec![config]).unwrap();
        let headers = headers(&format!("Bearer {}", key.expose_secret()));
        assert!(matches!(made.caller(&headers), Ok(Caller::Merchant(_))));
        assert_eq!(keys().caller(&headers).unwrap_err().status().as_u16(), 401);
    }

    #[test]
    fn keys_that_cannot_be_used_are_refused() {
        assert!(Keys::hashed("x", KeyKind::Operator, &SecretString::from("short")).is_err());
        let key = |name: &str| KeyConfig { name: name.to_owned(), ..mint_key("x", KeyKind::Operator).1 };
        assert_eq!(Keys::new(vec![key("Box")]).unwrap_err(), KeyError::BadName("Box".to_owned()));
        let same = vec![key("a"), KeyConfig { name: "b".to_owned(), ..key("a") }];
        assert!(Keys::new(same.clone()).is_ok());
        let same = same.into_iter().map(|key| KeyConfig { sha256: Hash([1; 32]), ..key }).collect();
        assert_eq!(Keys::new(same).unwrap_err(), KeyError::Twice("a".to_owned(), "b".to_owned()));
    }
}

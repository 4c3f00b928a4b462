//! An issuer's public keys, read from a file or a URL and read again.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::Uri;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use tracing::{info, warn};

/// The largest set that is read, in bytes, and the most keys of it.
const MAX_BYTES: usize = 256 * 1024;
const MAX_KEYS: usize = 100;
/// How long a URL has to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How old a file's or a URL's keys get before they are read again.
const FILE_FRESH_FOR: Duration = Duration::from_secs(30);
const URL_FRESH_FOR: Duration = Duration::from_secs(300);
/// Keys that could not be read again for so long are not trusted any more.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// The least time between two readings, however many unknown keys are asked
/// for; doubled with each failure, up to the longest.
const BETWEEN: Duration = Duration::from_secs(5);
const LONGEST_BETWEEN: Duration = Duration::from_secs(300);

/// Why there are no keys to check with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoKey {
    /// The issuer has no such key.
    #[error("the issuer has no such key")]
    Unknown,
    /// The issuer's keys were never read, or too long ago.
    #[error("the issuer's keys cannot be read")]
    Unreadable,
}

/// Why a set of keys was not taken.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// The file cannot be read.
    #[error("{0}")]
    File(#[from] std::io::Error),
    /// The URL did not answer with a set.
    #[error("{0}")]
    Fetch(String),
    /// It is no JSON Web Key Set.
    #[error("no JSON Web Key Set: {0}")]
    Form(#[from] serde_json::Error),
    /// It is larger than this takes.
    #[error("more than {MAX_BYTES} bytes or {MAX_KEYS} keys")]
    TooLarge,
    /// No key of it is of use.
    #[error("no key for EdDSA (Ed25519) or RS256 signatures")]
    Empty,
}

/// A key with what it is for.
#[derive(Debug)]
pub(super) struct IssuerKey {
    id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// A key as issuers publish them (RFC 7517, 7518, 8037). What is not known of
/// it is ignored, and so are keys for anything else.
#[derive(Deserialize)]
struct Published {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl Published {
    fn usable(self) -> Option<IssuerKey> {
        let (algorithm, name, key) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => {
                (Algorithm::EdDSA, "EdDSA", DecodingKey::from_ed_components(&self.x?).ok()?)
            }
            ("RSA", _) => {
                (Algorithm::RS256, "RS256", DecodingKey::from_rsa_components(&self.n?, &self.e?).ok()?)
            }
            _ => return None,
        };
        let fits = self.usage.is_none_or(|usage| usage == "sig") && self.alg.is_none_or(|alg| alg == name);
        fits.then_some(IssuerKey { id: self.kid, algorithm, key })
    }
}

fn parse(bytes: &[u8]) -> Result<Vec<Arc<IssuerKey>>, KeySetError> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }

    if bytes.len() > MAX_BYTES {
        return Err(KeySetError::TooLarge);
    }
    let Set { keys } = serde_json::from_slice(bytes)?;
    if keys.len() > MAX_KEYS {
        return Err(KeySetError::TooLarge);
    }
    let usable = |key| serde_json::from_value::<Published>(key).ok()?.usable();
    let keys: Vec<_> = keys.into_iter().filter_map(usable).map(Arc::new).collect();
    if keys.is_empty() { Err(KeySetError::Empty) } else { Ok(keys) }
}

/// Where a set is read from.
#[derive(Debug)]
enum Source {
    File(PathBuf),
    Url(Uri, Box<Client<HttpsConnector<HttpConnector>, Empty<Bytes>>>),
}

impl Source {
    async fn read(&self) -> Result<Vec<Arc<IssuerKey>>, KeySetError> {
        match self {
            Self::File(path) => parse(&tokio::fs::read(path).await?),
            Self::Url(url, client) => {
                let fetched = tokio::time::timeout(ANSWER_WITHIN, fetch(client, url)).await;
                parse(&fetched.map_err(|_| KeySetError::Fetch("no answer in time".to_owned()))??)
            }
        }
    }
}

async fn fetch(
    client: &Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    url: &Uri,
) -> Result<Bytes, KeySetError> {
    let failed = |fault: String| KeySetError::Fetch(fault);
    let answer = client.get(url.clone()).await.map_err(|fault| failed(format!("{fault:?}")))?;
    if !answer.status().is_success() {
        return Err(failed(format!("the answer is {}", answer.status())));
    }
    let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await;
    Ok(body.map_err(|fault| failed(fault.to_string()))?.to_bytes())
}

/// An issuer's keys, with when they were read and when they may be again.
#[derive(Debug)]
pub(super) struct KeySet {
    name: String,
    from: Source,
    fresh_for: Duration,
    state: Mutex<State>,
    /// Held by whoever reads: one at a time.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    keys: Vec<Arc<IssuerKey>>,
    read_at: Option<Instant>,
    attempts: u64,
    failures: u32,
    not_before: Option<Instant>,
}

impl State {
    fn find(&self, id: Option<&str>) -> Option<Arc<IssuerKey>> {
        match (id, self.keys.as_slice()) {
            // A set of one needs no names.
            (None, [only]) => Some(Arc::clone(only)),
            (None, _) => None,
            (Some(id), keys) => keys.iter().find(|key| key.id.as_deref() == Some(id)).cloned(),
        }
    }
}

impl KeySet {
    /// The set at `place`, a path or a URL, of the issuer called `name`.
    pub(super) fn new(name: &str, place: &str) -> Result<Self, KeySetError> {
        let is_url = place.starts_with("https://") || place.starts_with("http://");
        let (from, fresh_for) = if is_url {
            let url = place.parse().map_err(|fault| KeySetError::Fetch(format!("{place}: {fault}")))?;
            (Source::Url(url, Box::new(client()?)), URL_FRESH_FOR)
        } else {
            (Source::File(PathBuf::from(place)), FILE_FRESH_FOR)
        };
        let (state, reading) = (Mutex::default(), tokio::sync::Mutex::default());
        Ok(Self { name: name.to_owned(), from, fresh_for, state, reading })
    }

    /// Reads the set for the first time. A file that is not there is an error;
    /// a URL may come later.
    pub(super) async fn start(&self) -> Result<(), KeySetError> {
        match (self.read().await, &self.from) {
            (Err(error), Source::File(_)) => Err(error),
            _ => Ok(()),
        }
    }

    /// The key called `id`. Reads the set again when it has become old, in the
    /// background, or when it has no such key, at most every few seconds.
    pub(super) async fn key(self: &Arc<Self>, id: Option<&str>) -> Result<Arc<IssuerKey>, NoKey> {
        let (found, age) = {
            let state = self.state();
            (state.find(id), state.read_at.map(|at| at.elapsed()))
        };
        if let (Some(key), Some(age)) = (found, age)
            && age < KEPT_FOR
        {
            if age >= self.fresh_for && self.may_read() {
                let set = Arc::clone(self);
                tokio::spawn(async move { set.read_again().await });
            }
            return Ok(key);
        }
        self.read_again().await;
        let state = self.state();
        match state.read_at {
            Some(at) if at.elapsed() < KEPT_FOR => state.find(id).ok_or(NoKey::Unknown),
            _ => Err(NoKey::Unreadable),
        }
    }

    /// Reads the set, unless it was just read; several who ask at once read once.
    async fn read_again(&self) {
        let before = self.state().attempts;
        if !self.may_read() {
            return;
        }
        let _reading = self.reading.lock().await;
        if self.state().attempts == before {
            drop(self.read().await);
        }
    }

    fn may_read(&self) -> bool {
        self.state().not_before.is_none_or(|at| Instant::now() >= at)
    }

    async fn read(&self) -> Result<(), KeySetError> {
        let read = self.from.read().await;
        let mut state = self.state();
        state.attempts += 1;
        state.failures = if read.is_ok() { 0 } else { state.failures.saturating_add(1) };
        let pause = BETWEEN.saturating_mul(1 << state.failures.min(16)).min(LONGEST_BETWEEN);
        // So that many instances do not ask together.
        let pause = pause.mul_f64(1.0 - 0.2 * rand::random::<f64>());
        state.not_before = Some(Instant::now() + pause);
        match read {
            Ok(keys) => {
                if state.read_at.is_none() {
                    info!(issuer = self.name, keys = keys.len(), "read the issuer's keys");
                }
                state.keys = keys;
                state.read_at = Some(Instant::now());
                Ok(())
            }
            Err(error) => {
                warn!(issuer = self.name, %error, "the issuer's keys cannot be read; the old ones stay");
                Err(error)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn client() -> Result<Client<HttpsConnector<HttpConnector>, Empty<Bytes>>, KeySetError> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(provider)?
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn ed25519(id: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": X})
    }

    fn set(keys: &[Value]) -> String {
        json!({ "keys": keys }).to_string()
    }

    /// Allows the next reading at once, as if time had passed.
    fn later(keys: &KeySet) {
        keys.state().not_before = None;
    }

    #[test]
    fn only_keys_that_sign_and_are_of_a_known_kind_are_taken() {
        let rsa = json!({"kty": "RSA", "kid": "r", "n": X, "e": "AQAB", "alg": "RS256", "use": "sig"});
        let others = [
            json!({"kty": "oct", "kid": "h", "k": X, "alg": "HS256"}),
            json!({"kty": "EC", "crv": "P-256", "kid": "c", "x": X, "y": X}),
            json!({"kty": "OKP", "crv": "X25519", "kid": "x", "x": X}),
            json!({"kty": "RSA", "kid": "e", "n": X, "e": "AQAB", "use": "enc"}),
            json!({"kty": "RSA", "kid": "p", "n": X, "e": "AQAB", "alg": "PS256"}),
            json!({"kty": "RSA", "kid": "m"}),
            json!("a key"),
        ];
        let mut all = vec![rsa, ed25519("a")];
        all.extend(others.clone());
        let keys = parse(set(&all).as_bytes()).unwrap();
        let known: Vec<_> = keys.iter().map(|key| (key.id.as_deref().unwrap(), key.algorithm)).collect();
        assert_eq!(known, [("r", Algorithm::RS256), ("a", Algorithm::EdDSA)]);
        assert!(matches!(parse(set(&others).as_bytes()), Err(KeySetError::Empty)));
    }

    #[test]
    fn a_set_that_cannot_be_is_refused() {
        for bad in ["", "[]", "{}", "{\"keys\": 7}"] {
            assert!(matches!(parse(bad.as_bytes()), Err(KeySetError::Form(_))), "{bad}");
        }
        let many: Vec<_> = (0..=MAX_KEYS).map(|n| ed25519(&n.to_string())).collect();
        assert!(matches!(parse(set(&many).as_bytes()), Err(KeySetError::TooLarge)));
        let large = format!("{}{}", set(&[ed25519("a")]), " ".repeat(MAX_BYTES));
        assert!(matches!(parse(large.as_bytes()), Err(KeySetError::TooLarge)));
    }

    #[tokio::test]
    async fn a_file_is_read_again_for_a_key_that_is_not_known_but_not_for_each() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("jwks.json");
        std::fs::write(&file, set(&[ed25519("a")])).unwrap();
        let keys = Arc::new(KeySet::new("shop", file.to_str().unwrap()).unwrap());
        keys.start().await.unwrap();
        assert!(keys.key(Some("a")).await.is_ok());
        assert!(keys.key(None).await.is_ok(), "a set of one needs no names");
        std::fs::write(&file, set(&[ed25519("a"), ed25519("b")])).unwrap();
        assert_eq!(keys.key(Some("b")).await.unwrap_err(), NoKey::Unknown, "it was just read");
        later(&keys);
        assert!(keys.key(Some("b")).await.is_ok());
        assert_eq!(keys.key(None).await.unwrap_err(), NoKey::Unknown);
        let attempts = keys.state().attempts;
        for _ in 0..10 {
            assert_eq!(keys.key(Some("c")).await.unwrap_err(), NoKey::Unknown);
        }
        assert_eq!(keys.state().attempts, attempts);
    }

    #[tokio::test]
    async fn a_file_that_becomes_unreadable_leaves_the_old_keys() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("jwks.json");
        assert!(KeySet::new("shop", file.to_str().unwrap()).unwrap().start().await.is_err());
        std::fs::write(&file, set(&[ed25519("a")])).unwrap();
        let keys = Arc::new(KeySet::new("shop", file.to_str().unwrap()).unwrap());
        keys.start().await.unwrap();
        std::fs::write(&file, "{").unwrap();
        later(&keys);
        assert_eq!(keys.key(Some("b")).await.unwrap_err(), NoKey::Unknown);
        assert!(keys.key(Some("a")).await.is_ok());
        assert_eq!(keys.state().failures, 1);
    }

    /// A site that answers each request with the next of `answers`, the last
    /// one again and again; and how often it was asked.
    async fn site(answers: Vec<String>) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let n = counted.fetch_add(1, Ordering::SeqCst);
                let mut request = [0; 4_096];
                drop(stream.read(&mut request).await);
                let answer = &answers[n.min(answers.len() - 1)];
                drop(stream.write_all(answer.as_bytes()).await);
            }
        });
        (url, asked)
    }

    fn answer(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn a_site_that_was_away_is_asked_again_and_many_who_wait_ask_once() {
        let good = answer("200 OK", &set(&[ed25519("a")]));
        let (url, asked) = site(vec![answer("503 Service Unavailable", ""), good]).await;
        let keys = Arc::new(KeySet::new("shop", &url).unwrap());
        keys.start().await.unwrap();
        assert_eq!(keys.key(Some("a")).await.unwrap_err(), NoKey::Unreadable, "not so soon");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        later(&keys);
        let many = (0..20).map(|_| {
            let keys = Arc::clone(&keys);
            tokio::spawn(async move { keys.key(Some("a")).await.map(drop) })
        });
        for one in many.collect::<Vec<_>>() {
            assert_eq!(one.await.unwrap(), Ok(()));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_site_is_not_followed_elsewhere_and_not_read_without_end() {
        let moved = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        let endless = answer("200 OK", &" ".repeat(MAX_BYTES + 1));
        for bad in [moved.to_owned(), endless] {
            let (url, _) = site(vec![bad]).await;
            let keys = Arc::new(KeySet::new("shop", &url).unwrap());
            keys.start().await.unwrap();
            assert_eq!(keys.key(Some("a")).await.unwrap_err(), NoKey::Unreadable);
        }
    }
}

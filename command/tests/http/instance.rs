//! One instance: routes, writers and a log.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header;
use http_body_util::BodyExt;
use secrecy::SecretString;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;
use usher_command::claims::Claims;
use usher_command::draw_keys::DrawKeys;
use usher_command::http::{CommandState, Forwarder, JoinRates, router};
use usher_command::writer::{WriterConfig, WriterThreads, Writers};
use usher_events::log::Log;
use usher_events::log::embedded::EmbeddedLog;
use usher_http::auth::{KeyConfig, KeyKind, Keys};
use usher_http::description::check::Description;
use usher_http::pass::PassKeys;
use usher_http::server::{Limits, layered};

use crate::calls::{Answer, Call, MERCHANT, OPERATOR, OTHER_OPERATOR};
use crate::description::check;

pub(crate) const PARTITIONS: u32 = 4;
/// The largest body in these tests, in bytes.
pub(crate) const MAX_BODY: usize = 256 * 1024;

/// Routes, writers and a log; all end when it is dropped.
pub(crate) struct Instance {
    pub(crate) router: Router,
    pub(crate) description: Description,
    log: Arc<dyn Log>,
    writers: Option<WriterThreads>,
    _directory: Option<TempDir>,
}

impl Instance {
    /// One that owns every partition of an embedded log of its own.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// The same with other settings of the writer.
    pub(crate) async fn with(set: impl FnOnce(&mut WriterConfig)) -> Self {
        let directory = TempDir::new().unwrap();
        let log = embedded(directory.path());
        let mut config = writer_config("http://127.0.0.1:1");
        set(&mut config);
        let mut instance = Self::over(log, config, None);
        instance._directory = Some(directory);
        instance.own_everything().await;
        instance
    }

    /// One that takes entry claims.
    pub(crate) async fn with_claims(claims: Claims) -> Self {
        Self::with_guards(claims, JoinRates::unlimited()).await
    }

    /// One that takes so many joins.
    pub(crate) async fn with_rates(rates: JoinRates) -> Self {
        Self::with_guards(Claims::none(), rates).await
    }

    async fn with_guards(claims: Claims, rates: JoinRates) -> Self {
        let directory = TempDir::new().unwrap();
        let log = embedded(directory.path());
        let mut instance = Self::made_of(log, writer_config("http://127.0.0.1:1"), None, claims, rates);
        instance._directory = Some(directory);
        instance.own_everything().await;
        instance
    }

    /// One over `log`, which owns nothing yet.
    pub(crate) fn over(log: Arc<dyn Log>, config: WriterConfig, forwarder: Option<Forwarder>) -> Self {
        Self::over_with_rates(log, config, forwarder, JoinRates::unlimited())
    }

    /// The same, taking so many joins.
    pub(crate) fn over_with_rates(
        log: Arc<dyn Log>,
        config: WriterConfig,
        forwarder: Option<Forwarder>,
        rates: JoinRates,
    ) -> Self {
        Self::made_of(log, config, forwarder, Claims::none(), rates)
    }

    fn made_of(
        log: Arc<dyn Log>,
        config: WriterConfig,
        forwarder: Option<Forwarder>,
        claims: Claims,
        rates: JoinRates,
    ) -> Self {
        let draw_keys = Arc::clone(&config.draw_keys);
        let writers = WriterThreads::start(config, Arc::clone(&log)).unwrap();
        let passes = Arc::new(passes("usher", 'p'));
        let (claims, join_rates) = (Arc::new(claims), Arc::new(rates));
        let writers_of = writers.writers();
        let state = CommandState { writers: writers_of, keys: keys(), draw_keys, passes, claims, join_rates };
        let (routes, openapi) = router(state, forwarder);
        let limits = Limits { body_bytes: MAX_BODY, timeout: Duration::from_secs(30) };
        Self {
            router: layered(routes, limits),
            description: Description::new(&openapi),
            log,
            writers: Some(writers),
            _directory: None,
        }
    }

    pub(crate) fn writers(&self) -> Writers {
        self.threads().writers()
    }

    fn threads(&self) -> &WriterThreads {
        self.writers.as_ref().unwrap()
    }

    /// Owns every partition from now on.
    pub(crate) async fn own_everything(&self) {
        self.threads().want(&(0..PARTITIONS).collect::<Vec<_>>());
        let writers = self.writers();
        until(|| writers.owned() == PARTITIONS as usize).await;
    }

    /// Owns nothing any more.
    pub(crate) fn hand_over(&self) {
        self.threads().want(&[]);
    }

    /// Sends a request, and compares the answer with the description.
    pub(crate) async fn send(&self, call: &Call) -> Answer {
        let response = self.router.clone().oneshot(call.request()).await.unwrap();
        let answer = read(response).await;
        check(&self.description, call, &answer);
        answer
    }

    /// How many records all partitions hold.
    pub(crate) async fn records(&self) -> u64 {
        let mut records = 0;
        for partition in 0..PARTITIONS {
            records += self.log.end(partition).await.unwrap();
        }
        records
    }

    /// Sends a request that must change nothing.
    #[track_caller]
    pub(crate) fn refused(&self, call: Call) -> impl Future<Output = Answer> {
        let from = std::panic::Location::caller();
        async move {
            let before = self.records().await;
            let answer = self.send(&call).await;
            assert!(answer.status >= 400, "{from}: {}", answer.body);
            assert_eq!(self.records().await, before, "{from}: something was appended");
            answer
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(writers) = self.writers.take() {
            writers.stop();
        }
    }
}

/// The answer as a whole.
pub(crate) async fn read(response: axum::response::Response) -> Answer {
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let expected = if head.status.is_success() { "application/json" } else { "application/problem+json" };
    assert_eq!(kind, Some(expected), "{} {body}", head.status);
    Answer { status: head.status.as_u16(), headers: head.headers, body }
}

/// Waits until something is so.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("this is never so");
}

fn embedded(directory: &Path) -> Arc<dyn Log> {
    Arc::new(EmbeddedLog::open(&directory.join("log.redb"), PARTITIONS).unwrap())
}

/// The settings of an instance that answers at `address`.
pub(crate) fn writer_config(address: &str) -> WriterConfig {
    let key = SecretString::from("a-draw-key-of-at-least-32-characters");
    let draw_keys = Arc::new(DrawKeys::new(vec![("test".to_owned(), key)]).unwrap());
    WriterConfig::new(PARTITIONS, address.to_owned(), draw_keys)
}

/// The key ring of the deployment called `issuer`, made of `letter`.
pub(crate) fn passes(issuer: &str, letter: char) -> PassKeys {
    let seed = SecretString::from(format!("{}A", letter.to_string().repeat(42)));
    PassKeys::new(issuer, vec![("test".to_owned(), seed)]).unwrap()
}

fn keys() -> Keys {
    let key = |name, kind, text: &str| Keys::hashed(name, kind, &SecretString::from(text)).unwrap();
    Keys::new(vec![
        key("box-office", KeyKind::Operator, OPERATOR),
        key("till", KeyKind::Merchant, MERCHANT),
        KeyConfig { prefixes: vec!["play-".to_owned()], ..key("theatre", KeyKind::Operator, OTHER_OPERATOR) },
    ])
    .unwrap()
}

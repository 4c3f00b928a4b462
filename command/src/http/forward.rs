//! Passing a command on to the instance that owns its partition.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::RequestExt;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header, uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tracing::warn;
use usher_events::ids::OpeningId;
use usher_http::auth::{Caller, Keys};
use usher_http::problem::Problem;

use super::{SMALL_BODY, problems};
use crate::writer::{Owner, Writers};

/// Marks a request that was passed on once; it is never passed on again.
pub(super) const HOP: HeaderName = HeaderName::from_static("usher-hop");
/// How long an answer may still come from who owned the partition until now:
/// enough for one that lives.
const LAST_WORD: Duration = Duration::from_secs(1);
/// The largest answer that an owner gives, in bytes; far above any of ours.
const MAX_ANSWER: usize = 1024 * 1024;
/// What belongs to the caller's connection and not to the request.
const OF_THE_CONNECTION: [HeaderName; 8] = [
    header::HOST,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
    HeaderName::from_static("keep-alive"),
];

/// Passes requests on over HTTP/2, unchanged, at most once. It never resends:
/// whether a command that got no answer was done is for its caller to ask.
#[derive(Debug, Clone)]
pub struct Forwarder {
    client: Client<HttpConnector, Full<Bytes>>,
    timeout: Duration,
    said: Arc<Said>,
}

/// What goes wrong is said once a second: an owner that is away is not a line
/// for each who asks.
#[derive(Debug)]
struct Said {
    begun: Instant,
    /// The second of the last line, counted from 1.
    last: AtomicU64,
    held_back: AtomicU64,
}

impl Said {
    fn new() -> Self {
        Self { begun: Instant::now(), last: AtomicU64::new(0), held_back: AtomicU64::new(0) }
    }

    fn warn(&self, address: &str, fault: &str, message: &str) {
        let second = self.begun.elapsed().as_secs() + 1;
        if self.last.swap(second, Ordering::Relaxed) == second {
            self.held_back.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let held_back = self.held_back.swap(0, Ordering::Relaxed);
        warn!(address, fault, held_back, "{message}");
    }
}

impl Forwarder {
    /// One that waits at most `timeout` for a whole answer.
    pub fn new(timeout: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(Duration::from_secs(1)));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .http2_only(true)
            .http2_keep_alive_interval(Some(Duration::from_secs(2)))
            .http2_keep_alive_timeout(Duration::from_secs(3))
            .timer(TokioTimer::new())
            .build(connector);
        Self { client, timeout, said: Arc::new(Said::new()) }
    }

    async fn pass_on(&self, address: &str, kept: Kept) -> Result<Response, Problem> {
        let Some(request) = kept.for_owner(address) else {
            self.said.warn(address, "", "the owner's address in its claim is no address");
            return Err(problems::owner_unreachable());
        };
        match tokio::time::timeout(self.timeout, self.exchange(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(Lost::BeforeSending(fault))) => {
                self.said.warn(address, &fault, "the owner cannot be reached");
                Err(problems::owner_unreachable())
            }
            Ok(Err(Lost::Underway(fault))) => {
                self.said.warn(address, &fault, "a command that was passed on got no whole answer");
                Err(problems::outcome_unknown())
            }
            Err(_) => {
                self.said.warn(address, "no answer in time", "a command that was passed on got no answer");
                Err(problems::outcome_unknown())
            }
        }
    }

    /// Says what went wrong with the instance at `address`, at most once a second.
    pub(super) fn warn(&self, address: &str, fault: &str, message: &str) {
        self.said.warn(address, fault, message);
    }

    /// Sends what this instance itself asks of the one at `address`, once.
    pub(super) async fn post(&self, address: &str, path: &'static str, body: Bytes) -> Result<Bytes, String> {
        let mut request = Request::new(Full::new(body));
        *request.uri_mut() =
            at(address, &Uri::from_static(path)).ok_or("the owner's address is no address")?;
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        let response = self
            .exchange(request)
            .await
            .map_err(|(Lost::BeforeSending(fault) | Lost::Underway(fault))| fault)?;
        if response.status() != StatusCode::OK {
            return Err(format!("answered with {}", response.status()));
        }
        let body = response.into_body().collect().await.map_err(|fault| fault.to_string())?;
        Ok(body.to_bytes())
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response, Lost> {
        let response = self.client.request(request).await.map_err(|fault| {
            let lost = if fault.is_connect() { Lost::BeforeSending } else { Lost::Underway };
            lost(format!("{fault:?}"))
        })?;
        let (head, body) = response.into_parts();
        // Whole, or not at all: half an answer is none.
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_err(|fault| Lost::Underway(fault.to_string()))?.to_bytes();
        Ok(Response::from_parts(head, Body::from(body)))
    }
}

/// Where an exchange with the owner ended.
enum Lost {
    BeforeSending(String),
    Underway(String),
}

/// A request as it came, kept until it is known who answers it.
#[derive(Debug)]
struct Kept {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Kept {
    fn for_owner(mut self, address: &str) -> Option<Request<Full<Bytes>>> {
        for name in OF_THE_CONNECTION {
            self.headers.remove(name);
        }
        self.headers.insert(HOP, HeaderValue::from_static("1"));
        let mut request = Request::new(Full::new(self.body));
        *request.uri_mut() = at(address, &self.uri)?;
        *request.method_mut() = self.method;
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = self.headers;
        Some(request)
    }
}

fn at(address: &str, path: &Uri) -> Option<Uri> {
    let base: Uri = address.parse().ok()?;
    let mut parts = uri::Parts::default();
    parts.scheme = base.scheme().cloned();
    parts.authority = base.authority().cloned();
    parts.path_and_query = path.path_and_query().cloned();
    Uri::from_parts(parts).ok()
}

/// What [`to_owner`] needs.
#[derive(Debug)]
pub(super) struct Forwarding {
    pub(super) writers: Writers,
    pub(super) keys: Keys,
    pub(super) forwarder: Forwarder,
}

/// On a response: the command was not decided here, its owner is there.
#[derive(Debug, Clone)]
pub(super) struct Elsewhere(pub(super) Arc<str>);

/// Passes the request on when another instance owns its opening's partition,
/// or takes it over while the command waits here.
pub(super) async fn to_owner(
    State(forwarding): State<Arc<Forwarding>>,
    request: Request,
    next: Next,
) -> Response {
    forwarding.answer(request, next).await.unwrap_or_else(IntoResponse::into_response)
}

impl Forwarding {
    async fn answer(&self, request: Request, next: Next) -> Result<Response, Problem> {
        // What names no opening is a problem here as it is everywhere.
        let Some(opening) = opening_of(request.uri()) else { return Ok(next.run(request).await) };
        if is_heartbeat(&request) {
            return Ok(next.run(request).await);
        }
        let owner = self.writers.owner(&opening);
        if request.headers().contains_key(HOP) {
            return match owner {
                Owner::Other(_) => Err(problems::owner_changed()),
                Owner::Me | Owner::Nobody => Ok(next.run(request).await),
            };
        }
        let (kept, request) = self.keep(request).await?;
        if let Owner::Other(address) = owner {
            return self.pass_on(&opening, address, kept).await;
        }
        let mut response = next.run(request).await;
        match response.extensions_mut().remove() {
            Some(Elsewhere(address)) => self.pass_on(&opening, address, kept).await,
            None => Ok(response),
        }
    }

    /// Waits for the owner's answer, but not for one that owns nothing any more.
    async fn pass_on(&self, opening: &OpeningId, address: Arc<str>, kept: Kept) -> Result<Response, Problem> {
        let owner = Owner::Other(Arc::clone(&address));
        let replaced = async {
            self.writers.owner_changed(opening, &owner).await;
            tokio::time::sleep(LAST_WORD).await;
        };
        tokio::select! {
            answer = self.forwarder.pass_on(&address, kept) => answer,
            () = replaced => {
                let said = &self.forwarder.said;
                said.warn(&address, "the owner was replaced", "a command that was passed on got no answer");
                Err(problems::outcome_unknown())
            }
        }
    }

    /// Reads the body, once, for both ways that the request may go.
    async fn keep(&self, mut request: Request) -> Result<(Kept, Request), Problem> {
        // Only what operators send may be large.
        if !matches!(self.keys.caller(request.headers()), Ok(Caller::Operator { .. })) {
            DefaultBodyLimit::max(SMALL_BODY).apply(&mut request);
        }
        let (parts, body) = request.with_limited_body().into_parts();
        let body = body.collect().await.map_err(unread)?.to_bytes();
        let kept = Kept {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
            body: body.clone(),
        };
        Ok((kept, Request::from_parts(parts, Body::from(body))))
    }
}

fn unread(fault: axum::Error) -> Problem {
    if fault.into_inner().is::<LengthLimitError>() {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is larger than this takes")
    } else {
        Problem::malformed("the body ended early")
    }
}

/// Heartbeats go on in their own way: many together.
fn is_heartbeat(request: &Request) -> bool {
    request.method() == Method::POST && request.uri().path().ends_with("/presence")
}

/// The opening that a path names.
pub(super) fn opening_of(uri: &Uri) -> Option<OpeningId> {
    let rest = uri.path().strip_prefix("/v1/openings/")?;
    OpeningId::new(rest.split('/').next()?).ok()
}

//! What is around every request: its limits, its id, its measure, and a
//! problem instead of a panic. One layer for all, since each one that axum
//! puts around a route costs an allocation or two per request.

use std::any::Any;
use std::borrow::Cow;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use futures::future::BoxFuture;
use tower::{Layer, Service};
use tracing::{debug, error};

use crate::problem::{Fault, Problem};
use crate::server::Limits;
use crate::times::Times;

/// Which request it is, in the log of every instance that it passes.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest request id that is taken from a caller, in bytes.
const MAX_REQUEST_ID: usize = 64;

/// Puts [`Bounded`] around a route.
#[derive(Clone)]
pub(crate) struct Around(Arc<(Limits, Times)>);

impl Around {
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Arc::new((limits, Times::default())))
    }
}

impl<S> Layer<S> for Around {
    type Service = Bounded<S>;

    fn layer(&self, inner: S) -> Bounded<S> {
        Bounded { inner, around: Arc::clone(&self.0) }
    }
}

/// Bounds, counts and times each request by its route, and logs each fault of
/// ours once.
#[derive(Clone)]
pub(crate) struct Bounded<S> {
    inner: S,
    around: Arc<(Limits, Times)>,
}

impl<S> Service<Request<Body>> for Bounded<S>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let start = Instant::now();
        let around = Arc::clone(&self.around);
        let id = request_id(request.headers_mut());
        let route = request.extensions().get::<MatchedPath>().cloned();
        let method = method_name(request.method());
        DefaultBodyLimit::max(around.0.body_bytes).apply(&mut request);
        let answering = catch_unwind(AssertUnwindSafe(|| self.inner.call(request)));
        Box::pin(async move {
            let (limits, times) = &*around;
            let answer = async {
                match answering {
                    Ok(answering) => AssertUnwindSafe(answering).catch_unwind().await,
                    Err(panic) => Err(panic),
                }
            };
            let mut response = match tokio::time::timeout(limits.timeout, answer).await {
                Ok(Ok(Ok(response))) => response,
                Ok(Err(panic)) => panicked(&*panic).into_response(),
                Err(_) => timed_out(limits.timeout).into_response(),
            };
            let took = start.elapsed();
            let route = route.as_ref().map_or("none", MatchedPath::as_str);
            let status = response.status();
            times.record(method, route, status, took);
            let id_text = id.to_str().unwrap_or_default();
            if let Some(Fault(detail)) = response.extensions_mut().remove() {
                error!(request = id_text, method, route, detail, "a request failed for a fault of ours");
            }
            let (status, took_us) = (status.as_u16(), took.as_micros());
            debug!(request = id_text, method, route, status, took_us, "answered");
            response.headers_mut().insert(REQUEST_ID, id);
            Ok(response)
        })
    }
}

fn panicked(payload: &(dyn Any + Send)) -> Problem {
    let text = payload.downcast_ref::<&str>().map(|text| Cow::Borrowed(*text));
    let text = text.or_else(|| payload.downcast_ref::<String>().map(|text| Cow::Borrowed(text.as_str())));
    let text = text.unwrap_or(Cow::Borrowed("something that is no text"));
    Problem::internal(format_args!("a handler panicked: {text}"))
}

/// The outcome is not known: what was asked may still happen.
fn timed_out(after: Duration) -> Problem {
    Problem::unavailable("timed-out", "no answer in time; ask again, and repeat a command with its id")
        .with("timeout_s", after.as_secs())
}

/// The caller's request id, if it is a plain short one, or a new one; noted in
/// the request, so that it goes along when the request is forwarded.
fn request_id(headers: &mut HeaderMap) -> HeaderValue {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let given = headers
        .get(REQUEST_ID)
        .filter(|id| !id.is_empty() && id.len() <= MAX_REQUEST_ID && id.as_bytes().iter().all(plain));
    if let Some(id) = given {
        return id.clone();
    }
    let id = HeaderValue::from_str(&format!("{:016x}", rand::random::<u64>()))
        .unwrap_or(HeaderValue::from_static("none"));
    headers.insert(REQUEST_ID, id.clone());
    id
}

/// A stranger chooses the method: what is counted stays bounded.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

//! The routes for operators, the layers around all routes, and serving.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use tracing::debug;

use crate::problem::Problem;

/// The parts of this process that must be well before it is ready.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    parts: Arc<RwLock<BTreeMap<&'static str, Result<(), String>>>>,
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    /// Each part, with what is wrong with it, or null.
    parts: BTreeMap<&'static str, Option<String>>,
}

impl Readiness {
    /// Says how `part` is.
    pub fn set(&self, part: &'static str, state: Result<(), String>) {
        self.parts.write().unwrap_or_else(PoisonError::into_inner).insert(part, state);
    }

    fn look(&self) -> Ready {
        let parts = self.parts.read().unwrap_or_else(PoisonError::into_inner);
        let parts: BTreeMap<_, _> = parts.iter().map(|(part, state)| (*part, state.clone().err())).collect();
        Ready { ready: parts.values().all(Option::is_none), parts }
    }
}

/// What the routes for operators need.
#[derive(Clone)]
pub struct Operations {
    /// The parts that must be well.
    pub readiness: Readiness,
    /// The metrics.
    pub metrics: PrometheusHandle,
    /// The OpenAPI document, as JSON.
    pub openapi: Arc<str>,
}

/// `/health/live`, `/health/ready`, `/metrics`, `/openapi.json`, `/docs`.
pub fn operations(state: Operations) -> Router {
    Router::new()
        .route("/health/live", get(|| async { Json(serde_json::json!({"live": true})) }))
        .route("/health/ready", get(ready))
        .route("/metrics", get(|State(state): State<Operations>| async move { state.metrics.render() }))
        .route("/openapi.json", get(openapi))
        .route("/docs", get(|| async { Html(include_str!("docs.html")) }))
        .route("/docs.js", get(docs_script))
        .with_state(state)
}

async fn ready(State(state): State<Operations>) -> Response {
    let ready = state.readiness.look();
    let status = if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ready)).into_response()
}

async fn openapi(State(state): State<Operations>) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], state.openapi.to_string()).into_response()
}

async fn docs_script() -> Response {
    let script = HeaderValue::from_static("text/javascript; charset=utf-8");
    ([(header::CONTENT_TYPE, script)], include_str!("docs.js")).into_response()
}

/// Limits on every request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The largest body, in bytes.
    pub body_bytes: usize,
    /// The longest that an answer may take.
    pub timeout: Duration,
}

/// Puts the layers around all routes: body limit, timeout, measurements, and
/// problems instead of bare errors.
pub fn layered(router: Router, limits: Limits) -> Router {
    router
        .fallback(|| async { Problem::not_found("there is no such route") })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "This route has no such method",
            )
        })
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            Problem::internal("a handler panicked").into_response()
        }))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, limits.timeout))
        .layer(axum::middleware::from_fn(measure))
}

/// Counts and times each request by its route.
async fn measure(request: Request<Body>, next: Next) -> Response {
    let start = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let response = next.run(request).await;
    let took = start.elapsed();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let labels = [("route", route.to_owned()), ("status", response.status().as_str().to_owned())];
    metrics::histogram!("usher_http_request_seconds", &labels).record(took.as_secs_f64());
    debug!(%method, route, status = response.status().as_u16(), took_us = took.as_micros(), "answered");
    response
}

/// Serves `router` until `stop` is done, then finishes what is under way.
pub async fn serve(
    listener: tokio::net::TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    use axum::serve::ListenerExt;

    // Small answers go out at once.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

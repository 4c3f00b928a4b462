//! The routes for operators: health, metrics, the interface's description.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;

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
        .route("/metrics", get(metrics))
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

async fn metrics(State(state): State<Operations>) -> Response {
    let exposition = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, exposition)], state.metrics.render()).into_response()
}

async fn openapi(State(state): State<Operations>) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], state.openapi.to_string()).into_response()
}

async fn docs_script() -> Response {
    let script = HeaderValue::from_static("text/javascript; charset=utf-8");
    ([(header::CONTENT_TYPE, script)], include_str!("docs.js")).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tower::ServiceExt;

    use super::*;

    async fn ask(readiness: &Readiness, uri: &str) -> (StatusCode, HeaderValue, String) {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || metrics::counter!("usher_test_total").increment(3));
        let metrics = recorder.handle();
        let state = Operations { readiness: readiness.clone(), metrics, openapi: "{}".into() };
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let response = operations(state).oneshot(request).await.unwrap();
        let (status, kind) = (response.status(), response.headers()[header::CONTENT_TYPE].clone());
        let body = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
        (status, kind, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn it_is_ready_when_every_part_is_and_else_says_which_is_not_and_why() {
        let readiness = Readiness::default();
        readiness.set("redis", Ok(()));
        readiness.set("postgres", Err("connection refused".to_owned()));
        let (status, _, body) = ask(&readiness, "/health/ready").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body, r#"{"ready":false,"parts":{"postgres":"connection refused","redis":null}}"#);
        readiness.set("postgres", Ok(()));
        assert_eq!(ask(&readiness, "/health/ready").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn it_lives_even_when_it_is_not_ready() {
        let readiness = Readiness::default();
        readiness.set("redis", Err("away".to_owned()));
        assert_eq!(ask(&readiness, "/health/live").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn metrics_and_the_description_are_there() {
        let readiness = Readiness::default();
        let (_, kind, body) = ask(&readiness, "/metrics").await;
        assert!(kind.to_str().unwrap().starts_with("text/plain; version=0.0.4"));
        assert!(body.contains("usher_test_total 3"), "{body}");
        assert_eq!(ask(&readiness, "/openapi.json").await.1, "application/json");
    }

    #[tokio::test]
    async fn the_reader_page_needs_nothing_from_elsewhere() {
        let readiness = Readiness::default();
        for uri in ["/docs", "/docs.js"] {
            let (status, _, body) = ask(&readiness, uri).await;
            assert_eq!(status, StatusCode::OK);
            assert!(!body.contains("http://") && !body.contains("https://"), "{uri}");
        }
    }
}

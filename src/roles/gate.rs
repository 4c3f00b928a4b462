//! Keeps routes closed until a start is finished.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures::future::{Either, Ready, ready};
use tower::{Layer, Service};
use usher_http::problem::Problem;

/// A gate before routes, closed at first: views that are half read would
/// answer wrongly. A layer of our own, since each request passes it.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<AtomicBool>);

impl Gate {
    pub(super) fn open(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { inner, gate: self.clone() }
    }
}

/// What is behind a gate.
#[derive(Clone)]
pub(super) struct Gated<S> {
    inner: S,
    gate: Gate,
}

impl<S> Service<Request> for Gated<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response, Infallible>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if self.gate.0.load(Ordering::Acquire) {
            return Either::Left(self.inner.call(request));
        }
        let closed = Problem::unavailable("starting", "the log is being read; come again");
        Either::Right(ready(Ok(closed.into_response())))
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_gate_is_closed_until_it_is_opened() {
        let gate = Gate::default();
        let routes = Router::new().route("/", get(|| async { "inside" })).layer(gate.clone());
        let asked = || routes.clone().oneshot(Request::get("/").body(Body::empty()).unwrap());
        let closed = asked().await.unwrap();
        assert_eq!(closed.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(closed.headers().contains_key("retry-after"));
        gate.open();
        assert_eq!(asked().await.unwrap().status(), StatusCode::OK);
    }
}

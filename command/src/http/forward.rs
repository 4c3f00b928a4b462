//! Passing a command on to the instance that owns its partition.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Uri, uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tracing::warn;
use usher_events::ids::OpeningId;

use super::problems;
use crate::writer::{Owner, Writers};

/// Marks a request that was passed on once; it is never passed on again.
const HOP: HeaderName = HeaderName::from_static("usher-hop");

/// Passes requests on over HTTP/2, unchanged, at most once. It never resends:
/// whether a command that got no answer was done is for its caller to ask.
#[derive(Debug, Clone)]
pub struct Forwarder {
    client: Client<HttpConnector, Body>,
    timeout: Duration,
}

impl Forwarder {
    /// One that waits at most `timeout` for an answer.
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
        Self { client, timeout }
    }

    async fn pass_on(&self, address: &str, mut request: Request) -> Response {
        let Some(uri) = at(address, request.uri()) else {
            warn!(address, "the owner's address in its claim is no address");
            return problems::owner_unreachable().into_response();
        };
        *request.uri_mut() = uri;
        *request.version_mut() = axum::http::Version::HTTP_2;
        request.headers_mut().remove(axum::http::header::HOST);
        request.headers_mut().remove(axum::http::header::CONNECTION);
        request.headers_mut().insert(HOP, HeaderValue::from_static("1"));
        match tokio::time::timeout(self.timeout, self.client.request(request)).await {
            Ok(Ok(response)) => response.map(Body::new),
            Ok(Err(fault)) => {
                warn!(address, %fault, "a command could not be passed on");
                problems::owner_unreachable().into_response()
            }
            Err(_) => {
                warn!(address, "a command that was passed on got no answer in time");
                problems::outcome_unknown().into_response()
            }
        }
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

/// Passes the request on when another instance owns its opening's partition.
pub(super) async fn to_owner(
    State((writers, forwarder)): State<(Writers, Forwarder)>,
    request: Request,
    next: Next,
) -> Response {
    let opening = request.uri().path().strip_prefix("/v1/openings/");
    let opening = opening.and_then(|rest| rest.split('/').next()).and_then(|id| OpeningId::new(id).ok());
    let owner = opening.map_or(Owner::Nobody, |opening| writers.owner(&opening));
    match owner {
        Owner::Other(_) if request.headers().contains_key(HOP) => problems::owner_changed().into_response(),
        Owner::Other(address) => forwarder.pass_on(&address, request).await,
        Owner::Me | Owner::Nobody => next.run(request).await,
    }
}

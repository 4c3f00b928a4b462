//! How answers are sent: as JSON, for caches or for one caller only.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;
use usher_http::etag;
use usher_http::problem::Problem;

/// What everyone may keep for a second. A content network that shows it some
/// seconds longer while it asks again lets nobody wait.
pub(crate) const BRIEFLY: HeaderValue =
    HeaderValue::from_static("public, max-age=1, stale-while-revalidate=4");

/// A document ready to send: the same bytes for everyone.
#[derive(Debug)]
pub(crate) struct Ready {
    /// None: there is no such thing.
    pub(crate) body: Option<Bytes>,
    pub(crate) etag: HeaderValue,
}

impl Ready {
    /// There is no such thing.
    pub(crate) fn missing() -> Self {
        Self { body: None, etag: HeaderValue::from_static("\"\"") }
    }

    /// A document with the strong tag of its bytes.
    pub(crate) fn of(document: &impl Serialize) -> Result<Self, Problem> {
        let body = bytes(document)?;
        Ok(Self { etag: etag::of(&body), body: Some(body) })
    }

    /// A document with the weak tag of `content`: what is new in the rest of
    /// it is worth no second answer.
    pub(crate) fn weakly(document: &impl Serialize, content: &impl Serialize) -> Result<Self, Problem> {
        Ok(Self { body: Some(bytes(document)?), etag: etag::weak(&bytes(content)?) })
    }

    /// The answer, if there is such a thing; 304 when the caller has it.
    pub(crate) fn answer(&self, headers: &HeaderMap) -> Option<Response> {
        let body = self.body.as_ref()?;
        let known = etag::matches(headers, &self.etag);
        let mut response = Response::new(if known { Body::empty() } else { Body::from(body.clone()) });
        let answer = response.headers_mut();
        answer.insert(header::CACHE_CONTROL, BRIEFLY);
        answer.insert(header::ETAG, self.etag.clone());
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Some(response)
    }
}

fn bytes(document: &impl Serialize) -> Result<Bytes, Problem> {
    let mut body = Vec::with_capacity(512);
    serde_json::to_writer(&mut body, document).map_err(Problem::internal)?;
    Ok(body.into())
}

/// A JSON answer for its caller only.
pub(crate) fn json(document: &impl Serialize) -> Result<Response, Problem> {
    let mut response = Response::new(Body::from(bytes(document)?));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

//! Requests as a client makes them, and what comes back.

use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use bytes::Bytes;
use serde_json::Value;
use usher_events::ids::Ticket;
use usher_http::auth::secret;

pub(crate) const OPERATOR: &str = "an-operator-key-of-at-least-32-characters";
pub(crate) const MERCHANT: &str = "a-merchant-key-of-at-least-32-characters";
/// Manages openings whose ids begin with `play-` only.
pub(crate) const OTHER_OPERATOR: &str = "an-operator-key-that-is-for-plays-only";
/// Gives commands, and reads nothing that is not public.
pub(crate) const WRITER: &str = "an-operator-key-that-only-gives-commands";

/// The secret that is made of `letter`, and its ticket.
pub(crate) fn visitor(letter: char) -> (String, Ticket) {
    let text = format!("{}A", letter.to_string().repeat(42));
    let ticket = Ticket::of_secret(&secret(&text).unwrap());
    (text, ticket)
}

/// A request to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) path: String,
    headers: HeaderMap,
}

pub(crate) fn get(path: impl Into<String>) -> Call {
    Call { path: path.into(), headers: HeaderMap::new() }
}

impl Call {
    pub(crate) fn by(self, credential: &str) -> Self {
        self.header(header::AUTHORIZATION.as_str(), &format!("Bearer {credential}"))
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    pub(crate) fn request(&self) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = self.path.parse().unwrap();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
    /// Null when it is not JSON.
    pub(crate) body: Value,
}

impl Answer {
    /// The body, if the status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The problem document, if it is of this kind.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, kind: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(body["type"], format!("urn:usher:problem:{kind}"), "{body}");
        body
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

//! Requests as a client makes them, and what comes back.

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, header};
use serde_json::Value;
use usher_events::ids::Ticket;
use usher_http::auth::secret;
use uuid::Uuid;

pub(crate) const OPERATOR: &str = "an-operator-key-of-at-least-32-characters";
pub(crate) const MERCHANT: &str = "a-merchant-key-of-at-least-32-characters";
/// Manages openings whose ids begin with `play-` only.
pub(crate) const OTHER_OPERATOR: &str = "an-operator-key-that-is-for-plays-only";

/// One who wants in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Visitor {
    pub(crate) secret: String,
    pub(crate) ticket: String,
}

/// The visitor whose secret is made of `letter`.
pub(crate) fn visitor(letter: char) -> Visitor {
    let text = format!("{}A", letter.to_string().repeat(42));
    let ticket = Ticket::of_secret(&secret(&text).unwrap()).to_string();
    Visitor { secret: text, ticket }
}

/// A client's id: the same number, the same id.
pub(crate) fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x0190_163d_8694_7000_8000_0000_0000_0000 + n)
}

/// A request to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

fn call(method: Method, path: impl Into<String>) -> Call {
    Call { method, path: path.into(), headers: HeaderMap::new(), body: Vec::new() }
}

pub(crate) fn put(path: impl Into<String>) -> Call {
    call(Method::PUT, path)
}

pub(crate) fn post(path: impl Into<String>) -> Call {
    call(Method::POST, path)
}

pub(crate) fn patch(path: impl Into<String>) -> Call {
    call(Method::PATCH, path)
}

pub(crate) fn delete(path: impl Into<String>) -> Call {
    call(Method::DELETE, path)
}

impl Call {
    pub(crate) fn by(self, credential: &str) -> Self {
        self.header(header::AUTHORIZATION.as_str(), &format!("Bearer {credential}"))
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    pub(crate) fn key(self, n: u128) -> Self {
        self.header("idempotency-key", &id(n).to_string())
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.text(&body.to_string())
    }

    pub(crate) fn text(mut self, body: &str) -> Self {
        self.body = body.as_bytes().to_vec();
        self.header("content-type", "application/json")
    }

    pub(crate) fn request(&self) -> Request<Body> {
        let mut request = Request::new(Body::from(self.body.clone()));
        *request.method_mut() = self.method.clone();
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
}

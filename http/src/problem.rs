//! Errors as RFC 9457 problem documents.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::{Map, Value};

/// What every problem's `type` begins with; its stable kind follows.
pub const TYPE_PREFIX: &str = "urn:usher:problem:";

/// A problem document: a stable `type`, and the facts that a program needs.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "type": "urn:usher:problem:not-found",
    "title": "There is no such resource",
    "status": 404,
    "detail": "there is no such ticket, as of this answer",
    "as_of": "3.1042"
}))]
pub struct Problem {
    /// `urn:usher:problem:` and the stable kind.
    #[serde(rename = "type", serialize_with = "as_urn")]
    #[schema(value_type = String)]
    kind: &'static str,
    /// What the kind means.
    title: &'static str,
    /// The HTTP status.
    #[serde(serialize_with = "as_number")]
    #[schema(value_type = u16)]
    status: StatusCode,
    /// What happened this time.
    #[serde(skip_serializing_if = "str::is_empty")]
    #[schema(required = false)]
    detail: Box<str>,
    /// When to try again, in seconds; the same as the `Retry-After` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
    /// What a program needs to know, by kind.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    facts: Map<String, Value>,
    #[serde(skip)]
    fault: Option<Fault>,
}

/// A fault of ours, on its way to the log: never part of what is sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault(pub(crate) Box<str>);

fn as_urn<S: serde::Serializer>(kind: &&'static str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{TYPE_PREFIX}{kind}"))
}

fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    /// A problem of a stable `kind`, e.g. `seats-taken`.
    pub fn new(status: StatusCode, kind: &'static str, title: &'static str) -> Self {
        Self {
            kind,
            title,
            status,
            detail: Box::default(),
            retry_after_s: None,
            facts: Map::new(),
            fault: None,
        }
    }

    /// Says more about this occurrence.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into().into();
        self
    }

    /// Adds a fact that a program may need.
    #[must_use]
    pub fn with(mut self, name: &str, fact: impl Serialize) -> Self {
        self.facts.insert(name.to_owned(), serde_json::to_value(fact).unwrap_or(Value::Null));
        self
    }

    /// Says when to try again: about `after`, spread so that not all come at
    /// once, and never at once.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        let least = after.as_secs().max(1);
        self.retry_after_s = Some(least + u64::from(rand::random::<u32>()) % (least / 2 + 1));
        self
    }

    /// The stable kind.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// 400: the request cannot be understood.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", "The request cannot be understood").detail(detail)
    }

    /// 422: `field` has a value that cannot be.
    pub fn invalid(field: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "A field has a value that cannot be")
            .detail(detail)
            .with("field", field)
    }

    /// 401: who calls is not known.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A key or a visitor's secret is needed")
            .detail(detail)
    }

    /// 403: who calls may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "This is not yours to do").detail(detail)
    }

    /// 404: there is no such resource.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such resource").detail(detail)
    }

    /// 503: something this needs is away; `kind` says what.
    pub fn unavailable(kind: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, "This cannot be answered now")
            .detail(detail)
            .retry_after(Duration::from_secs(2))
    }

    /// 500: a fault of ours; `detail` goes to the log, not to the caller.
    pub fn internal(detail: impl std::fmt::Display) -> Self {
        let problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "A fault of ours");
        Self { fault: Some(Fault(detail.to_string().into())), ..problem }
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response<Body> {
        let fault = self.fault.take();
        metrics::counter!("usher_problems_total", "type" => self.kind).increment(1);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // Logged once, at the boundary, where the request is known.
        if let Some(fault) = fault {
            response.extensions_mut().insert(fault);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_shows_its_type_status_and_facts() {
        let problem = Problem::new(StatusCode::CONFLICT, "seats-taken", "Not every seat is free")
            .with("seats", [serde_json::json!({"seat": "G7", "why": "held"})]);
        insta::assert_json_snapshot!(problem, @r#"
        {
          "type": "urn:usher:problem:seats-taken",
          "title": "Not every seat is free",
          "status": 409,
          "seats": [
            {
              "seat": "G7",
              "why": "held"
            }
          ]
        }
        "#);
    }

    #[test]
    fn a_fault_of_ours_is_kept_for_the_log_and_leaks_nothing() {
        let response = Problem::internal("the password is 1234").into_response();
        assert_eq!(response.extensions().get(), Some(&Fault("the password is 1234".into())));
        let sent = serde_json::to_string(&Problem::internal("the password is 1234")).unwrap();
        assert!(!sent.contains("1234"), "{sent}");
    }

    #[test]
    fn who_is_not_known_is_told_how_to_say_it_and_who_comes_too_early_when_to_come() {
        let unauthorized = Problem::unauthorized("").into_response();
        assert_eq!(unauthorized.headers()[header::WWW_AUTHENTICATE], "Bearer");
        let unavailable = Problem::unavailable("x", "").retry_after(Duration::ZERO).into_response();
        assert_eq!(unavailable.headers()[header::RETRY_AFTER], "1");
        assert_eq!(unavailable.headers()[header::CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn retry_after_is_spread_and_never_at_once() {
        let wait = |after| Problem::unavailable("x", "").retry_after(after).retry_after_s.unwrap();
        assert_eq!(wait(Duration::ZERO), 1);
        assert!((10..=15).contains(&wait(Duration::from_secs(10))));
    }
}

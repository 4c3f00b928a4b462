//! Bodies and parameters; what is wrong with one is a problem that names it.

use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, StatusCode, header, request::Parts};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use usher_events::ids::CommandId;
use uuid::Uuid;

use crate::problem::Problem;

/// A JSON body of type `T`. An empty body is read as `{}`.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let body = Bytes::from_request(request, state).await.map_err(unread)?;
        if !is_json && !body.is_empty() {
            let title = "The body is not JSON";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", title)
                .detail("expected `Content-Type: application/json`"));
        }
        parse(if body.is_empty() { b"{}" } else { &body }).map(Self)
    }
}

/// Reads a JSON text; the problem names the field and the place.
pub fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let field = error.path().to_string();
        let error = error.into_inner();
        if error.is_data() {
            let field = if field == "." { String::new() } else { field };
            Problem::invalid(&field, error.to_string())
        } else {
            Problem::malformed(format!("the body is not JSON: {error}"))
        }
    })?;
    deserializer.end().map_err(|error| Problem::malformed(format!("the body is not JSON: {error}")))?;
    Ok(value)
}

fn is_json(headers: &HeaderMap) -> bool {
    let essence = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = essence.and_then(|value| value.split(';').next()).unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/json")
        || essence.eq_ignore_ascii_case("application/merge-patch+json")
}

fn unread(rejection: BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is larger than this takes")
    } else {
        Problem::malformed(rejection.body_text())
    }
}

/// Path parameters of type `T`.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::malformed(rejection.body_text())),
        }
    }
}

/// Query parameters of type `T`.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::malformed(rejection.body_text())),
        }
    }
}

/// The `Idempotency-Key` header: the command's id.
#[derive(Debug, Clone, Copy)]
pub struct IdempotencyKey(pub CommandId);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let value = parts.headers.get("idempotency-key").ok_or_else(|| {
            Problem::malformed("an `Idempotency-Key` header with a new UUID is needed")
                .with("field", "Idempotency-Key")
        })?;
        let id = value.to_str().ok().and_then(|text| text.parse::<Uuid>().ok());
        id.map(|id| Self(CommandId(id))).ok_or_else(|| Problem::invalid("Idempotency-Key", "expected a UUID"))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[allow(dead_code, reason = "only its reading is tested")]
        seats: Vec<u32>,
    }

    fn problem(json: &str) -> serde_json::Value {
        serde_json::to_value(parse::<Body>(json.as_bytes()).unwrap_err()).unwrap()
    }

    #[test]
    fn a_wrong_type_names_its_field() {
        let problem = problem(r#"{"seats": [1, "two"]}"#);
        assert_eq!(problem["field"], "seats[1]");
        assert_eq!(problem["status"], 422);
    }

    #[test]
    fn an_unknown_field_is_named() {
        assert!(problem(r#"{"seats": [], "sets": 1}"#)["detail"].as_str().unwrap().contains("sets"));
    }

    #[test]
    fn malformed_json_and_trailing_text_are_400() {
        assert_eq!(problem("{\"seats\": [")["status"], 400);
        assert_eq!(problem("{\"seats\": []} x")["status"], 400);
    }
}

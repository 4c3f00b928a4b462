//! Bodies and parameters; what is wrong with one is a problem that names it.

use axum::extract::path::ErrorKind;
use axum::extract::rejection::{BytesRejection, PathRejection};
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
            Err(rejection) => Err(misnamed(rejection)),
        }
    }
}

fn misnamed(rejection: PathRejection) -> Problem {
    let PathRejection::FailedToDeserializePathParams(rejection) = rejection else {
        return Problem::internal(rejection);
    };
    match rejection.into_kind() {
        ErrorKind::DeserializeError { key, message, .. } => Problem::malformed(message).with("field", key),
        ErrorKind::InvalidUtf8InPathParam { key } => Problem::malformed("expected UTF-8").with("field", key),
        // A route and its handler disagree about the parameters.
        kind @ (ErrorKind::WrongNumberOfParameters { .. } | ErrorKind::UnsupportedType { .. }) => {
            Problem::internal(kind)
        }
        kind => Problem::malformed(kind.to_string()),
    }
}

/// Query parameters of type `T`; one that `T` does not know should be an error
/// of `T`.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let deserializer = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(deserializer).map(Self).map_err(|error| {
            let problem = Problem::malformed(format!("query parameters: {}", error.inner()));
            match error.path().to_string() {
                whole if whole == "." => problem,
                field => problem.with("field", field),
            }
        })
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
    use tower::ServiceExt;
    use usher_events::ids::OpeningId;

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

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Parameters {
        since: Option<u64>,
    }

    async fn asked(uri: &str) -> Result<(OpeningId, Option<u64>), Problem> {
        let answer = std::sync::Arc::new(std::sync::Mutex::new(None));
        let noted = std::sync::Arc::clone(&answer);
        let handler = move |path: Result<Path<OpeningId>, Problem>, query| async move {
            let query: Result<Query<Parameters>, Problem> = query;
            let both = path.and_then(|path| query.map(|query| (path.0, query.0.since)));
            *noted.lock().unwrap() = Some(both);
        };
        let router = axum::Router::new().route("/v1/openings/{opening}", axum::routing::get(handler));
        let request = Request::get(uri).body(axum::body::Body::empty()).unwrap();
        router.oneshot(request).await.unwrap();
        let answer = answer.lock().unwrap().take();
        answer.unwrap()
    }

    #[tokio::test]
    async fn a_parameter_that_cannot_be_is_400_and_named() {
        assert_eq!(asked("/v1/openings/concert?since=3").await.unwrap().1, Some(3));
        for (uri, field, said) in [
            ("/v1/openings/Concert", Some("opening"), "[a-z0-9]"),
            ("/v1/openings/%FF", Some("opening"), "UTF-8"),
            ("/v1/openings/concert?since=x", Some("since"), "invalid digit"),
            ("/v1/openings/concert?sinse=3", Some("sinse"), "unknown field"),
            ("/v1/openings/concert?since=1&since=2", None, "duplicate field `since`"),
        ] {
            let problem = asked(uri).await.unwrap_err();
            let document = serde_json::to_value(&problem).unwrap();
            let named = document.get("field").and_then(|field| field.as_str());
            assert_eq!((problem.status().as_u16(), named), (400, field), "{uri}");
            assert!(document["detail"].as_str().unwrap().contains(said), "{document}");
        }
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_or_no_json_is_refused_and_none_is_an_empty_object() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}

        let send = |content_type: &'static str, body: &'static str| async move {
            let route = axum::routing::post(|_: Json<Nothing>| async {});
            let router = axum::Router::new().route("/", route).layer(axum::extract::DefaultBodyLimit::max(8));
            let request = Request::post("/").header(header::CONTENT_TYPE, content_type);
            router
                .oneshot(request.body(axum::body::Body::from(body)).unwrap())
                .await
                .unwrap()
                .status()
                .as_u16()
        };
        assert_eq!(send("text/plain", "").await, 200);
        assert_eq!(send("application/json", "{}").await, 200);
        assert_eq!(send("application/json; charset=utf-8", "{}").await, 200);
        assert_eq!(send("text/plain", "{}").await, 415);
        assert_eq!(send("application/json", "{        }").await, 413);
    }

    #[tokio::test]
    async fn an_idempotency_key_is_a_uuid() {
        for (key, status) in [
            (Some("0190163d-8694-739b-aea5-966c26f8ad91"), Ok(())),
            (Some("4711"), Err(422)),
            (None, Err(400)),
        ] {
            let mut request = Request::post("/");
            if let Some(key) = key {
                request = request.header("idempotency-key", key);
            }
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            let read = IdempotencyKey::from_request_parts(&mut parts, &()).await;
            assert_eq!(read.map(drop).map_err(|problem| problem.status().as_u16()), status);
        }
    }

    #[test]
    fn malformed_json_and_trailing_text_are_400() {
        assert_eq!(problem("{\"seats\": [")["status"], 400);
        assert_eq!(problem("{\"seats\": []} x")["status"], 400);
    }
}

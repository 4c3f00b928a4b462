//! The keys that passes are checked with.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use bytes::Bytes;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::CommandState;
use super::description::KeySetAnswer;

/// How long a site may keep the keys. Whoever replaces a key waits longer
/// than this between its steps.
const CACHED_FOR: HeaderValue = HeaderValue::from_static("public, max-age=300");

pub(super) fn routes() -> OpenApiRouter<CommandState> {
    OpenApiRouter::new().routes(routes!(key_set))
}

/// The public keys of passes, as a JSON Web Key Set.
///
/// A key is published long before it signs, and for a while after.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "queue",
    responses((status = 200, description = "The keys", body = KeySetAnswer))
)]
async fn key_set(State(state): State<CommandState>) -> ([(HeaderName, HeaderValue); 2], Bytes) {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json), (header::CACHE_CONTROL, CACHED_FOR)], state.passes.published())
}

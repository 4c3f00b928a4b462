//! What operators see beside what everybody sees: who did what, and how far
//! the views are.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use usher_events::ids::OpeningId;
use usher_events::record::Offset;
use usher_events::time::{Timestamp, rfc3339};
use usher_http::as_of::AsOf;
use usher_http::body::{Path, Query};
use usher_http::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::after::{After, Views};
use crate::answer::json;
use crate::state::{QueryState, away};

pub(crate) fn routes() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new().routes(routes!(console)).routes(routes!(acts)).routes(routes!(views))
}

/// Query parameters where there are none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Whose key this is.
#[derive(Serialize, utoipa::ToSchema)]
struct ConsoleDocument {
    /// The name of the operator's key, as acts name it.
    #[schema(example = "box-office")]
    name: String,
}

/// Whether a key is an operator's.
#[utoipa::path(
    get, path = "/v1/console", tag = "console",
    security(("operator" = [])),
    responses(
        (status = 200, description = "It is", body = ConsoleDocument),
        (status = 403, description = "Problem `forbidden`")
    )
)]
async fn console(
    State(state): State<QueryState>,
    Query(Nothing {}): Query<Nothing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = state.keys.caller(&headers)?;
    json(&ConsoleDocument { name: caller.reading_operator(None)?.to_string() })
}

/// One act of an operator.
#[derive(Serialize, utoipa::ToSchema)]
struct ActDocument {
    /// When.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2026-03-01T11:02:00Z")]
    at: Timestamp,
    /// The name of the operator's key.
    #[schema(example = "box-office")]
    who: String,
    /// The event's type.
    #[schema(example = "PolicyChanged")]
    what: String,
    /// What a person would ask next; may be empty.
    #[schema(example = "capacity 300, no rate")]
    detail: String,
}

/// What operators did, newest first.
#[derive(Serialize, utoipa::ToSchema)]
struct ActsDocument {
    acts: Vec<ActDocument>,
    #[schema(value_type = String, example = "3.1042")]
    as_of: AsOf,
}

/// Who did what when: the newest 200 acts of operators.
#[utoipa::path(
    get, path = "/v1/openings/{opening}/acts", tag = "console",
    security(("operator" = [])),
    params(("opening" = String, Path), ("after" = Option<String>, Query)),
    responses(
        (status = 200, description = "Newest first; none where there is no such opening", body = ActsDocument),
        (status = 403, description = "Problem `forbidden`")
    )
)]
async fn acts(
    State(state): State<QueryState>,
    Path(opening): Path<OpeningId>,
    Query(after): Query<After>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    state.keys.caller(&headers)?.reading_operator(Some(&opening))?;
    let (partition, _) = after.wait(&state, &opening, Views::Booking).await?;
    let found = state.bookings.operated(&opening, partition).await.map_err(away)?;
    let acts = found.value.into_iter().map(|act| ActDocument {
        at: act.at,
        who: act.by,
        what: act.what,
        detail: act.detail,
    });
    json(&ActsDocument { acts: acts.collect(), as_of: AsOf::one(partition, found.position) })
}

/// How far a view is.
#[derive(Serialize, utoipa::ToSchema)]
struct ViewDocument {
    /// The next offset of the opening's partition.
    #[schema(value_type = u64, example = 1042)]
    position: Offset,
    /// How many records the view that is ahead has more.
    #[schema(example = 0)]
    behind: u64,
}

/// How far the views of the opening's partition are.
#[derive(Serialize, utoipa::ToSchema)]
struct ViewsDocument {
    #[schema(value_type = HashMap<String, ViewDocument>)]
    views: BTreeMap<&'static str, ViewDocument>,
    #[schema(value_type = String, example = "3.1042")]
    as_of: AsOf,
}

/// How far each view of an opening is. How far they are behind the log itself
/// is in the projector's metrics: queries do not know the log.
#[utoipa::path(
    get, path = "/v1/openings/{opening}/views", tag = "console",
    security(("operator" = [])),
    params(("opening" = String, Path)),
    responses(
        (status = 200, description = "By view", body = ViewsDocument),
        (status = 403, description = "Problem `forbidden`")
    )
)]
async fn views(
    State(state): State<QueryState>,
    Path(opening): Path<OpeningId>,
    Query(Nothing {}): Query<Nothing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    state.keys.caller(&headers)?.reading_operator(Some(&opening))?;
    let partition = state.partition_of(&opening);
    let queue = state.queues.reached(partition).await.map_err(away)?.position;
    let booking = state.bookings.reached(partition).await.map_err(away)?.position;
    let (first, last) = (queue.max(booking), queue.min(booking));
    let view = |position| ViewDocument { position, behind: first - position };
    let views = BTreeMap::from([("queue", view(queue)), ("booking", view(booking))]);
    json(&ViewsDocument { views, as_of: AsOf::one(partition, last) })
}

//! The seat map of a showing, and the halls.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use usher_events::ids::{OpeningId, PlanName, ShowingId};
use usher_events::plan::Plan;
use usher_events::record::Offset;
use usher_http::as_of::AsOf;
use usher_http::body::{Path, Query};
use usher_http::problem::Problem;
use usher_projector::booking::SeatView;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::after::{After, Views};
use crate::state::{Document, QueryState, Ready, away, document, json, missing};

pub(crate) fn routes() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new().routes(routes!(seats)).routes(routes!(plan))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeatsQuery {
    since: Option<u64>,
    after: Option<AsOf>,
}

#[derive(Serialize)]
struct SeatsDocument<'a> {
    showing: &'a ShowingId,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
    as_of: AsOf,
    seats: &'a [SeatView],
}

/// The seats of a showing; with `since`, those that changed after that version.
#[utoipa::path(
    get, path = "/v1/openings/{opening}/showings/{showing}/seats", tag = "seats",
    params(
        ("opening" = String, Path), ("showing" = String, Path),
        ("since" = Option<u64>, Query, description = "A `version` of an earlier answer"),
        ("after" = Option<String>, Query)
    ),
    responses(
        (status = 200, description = "`{showing, version, as_of, seats: [{seat, state}]}`, with an ETag"),
        (status = 304, description = "Not modified"),
        (status = 404, description = "No such showing, or it never had version `since`, by `as_of`")
    )
)]
async fn seats(
    State(state): State<QueryState>,
    Path((opening, showing)): Path<(OpeningId, ShowingId)>,
    Query(SeatsQuery { since, after }): Query<SeatsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (partition, at_least) = After::new(after).wait(&state, &opening, Views::Booking).await?;
    if let Some(since) = since {
        let found = state.bookings.changes(&opening, partition, &showing, since).await.map_err(away)?;
        let Some(changes) = found.value else {
            return Err(missing("showing or version", partition, found.position));
        };
        return json(&SeatsDocument {
            showing: &showing,
            version: changes.version,
            since: Some(since),
            as_of: AsOf::one(partition, found.position),
            seats: &changes.seats,
        });
    }
    let read = || async {
        let found = state.bookings.seats(&opening, partition, &showing).await.map_err(away)?;
        let as_of = AsOf::one(partition, found.position);
        let Some(map) = found.value else { return Ok((Ready::of(None), found.position)) };
        let answer =
            SeatsDocument { showing: &showing, version: map.version, since: None, as_of, seats: &map.seats };
        let body = serde_json::to_vec(&answer).map_err(Problem::internal)?;
        Ok::<(Ready, Offset), Problem>((Ready::of(Some(Bytes::from(body))), found.position))
    };
    let kept = state.documents.get(&opening, Document::Seats(showing.clone()), at_least, read).await?;
    match &kept.value.body {
        Some(body) => Ok(document(&kept.value, body, &headers, "public, max-age=1")),
        None => Err(missing("showing", partition, kept.position)),
    }
}

#[derive(Serialize)]
struct PlanDocument {
    plan: PlanName,
    #[serde(flatten)]
    body: Plan,
    as_of: AsOf,
}

/// A hall: its seating plan, kinds of seats and prices.
#[utoipa::path(
    get, path = "/v1/openings/{opening}/plans/{plan}", tag = "seats",
    params(("opening" = String, Path), ("plan" = String, Path), ("after" = Option<String>, Query)),
    responses((status = 200, description = "`{plan, seating, details, as_of}`"), (status = 404, description = "No such plan by `as_of`"))
)]
async fn plan(
    State(state): State<QueryState>,
    Path((opening, plan)): Path<(OpeningId, PlanName)>,
    Query(after): Query<After>,
) -> Result<Response, Problem> {
    let (partition, _) = after.wait(&state, &opening, Views::Booking).await?;
    let found = state.bookings.plan(&opening, partition, &plan).await.map_err(away)?;
    let Some(body) = found.value else { return Err(missing("plan", partition, found.position)) };
    json(&PlanDocument { plan, body, as_of: AsOf::one(partition, found.position) })
}

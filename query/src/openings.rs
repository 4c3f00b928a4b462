//! The openings, and the one document that a million pollers share.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;
use usher_events::event::TicketState;
use usher_events::ids::OpeningId;
use usher_events::log::Partition;
use usher_events::record::Offset;
use usher_events::time::{Timestamp, rfc3339};
use usher_http::as_of::AsOf;
use usher_http::body::{Path, Query};
use usher_http::problem::Problem;
use usher_projector::booking::{SeatCounts, SeatState};
use usher_projector::queue::{OpeningState, OpeningStatus};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::after::{After, Views};
use crate::cache::Kept;
use crate::state::{Document, QueryState, Ready, away, document, json, missing};

pub(crate) fn routes() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new().routes(routes!(openings)).routes(routes!(status))
}

#[derive(Serialize)]
struct ShowingDocument {
    showing: String,
    title: String,
    #[serde(with = "rfc3339")]
    starts_at: Timestamp,
    plan: String,
}

#[derive(Serialize)]
struct Seats {
    free: u64,
    held: u64,
    booked: u64,
}

#[derive(Serialize)]
struct StatusDocument<'a> {
    opening: &'a OpeningId,
    state: OpeningState,
    title: &'a str,
    #[serde(with = "rfc3339")]
    opens_at: Timestamp,
    #[serde(with = "rfc3339::option")]
    drains_at: Option<Timestamp>,
    #[serde(with = "rfc3339")]
    closes_at: Timestamp,
    serving_number: u32,
    lobby: u32,
    waiting: u32,
    away: u32,
    admitted: u32,
    inside: u32,
    done: u32,
    left: u32,
    spent: u32,
    seats: Seats,
    rate: Rate,
    message: Option<&'a str>,
    showings: Vec<ShowingDocument>,
    poll_after_ms: u32,
    as_of: AsOf,
}

/// How fast visitors are admitted.
#[derive(Serialize)]
struct Rate {
    /// The policy's limit; none: only the capacity limits.
    limit_per_minute: Option<u32>,
    capacity: u32,
    /// Admissions of the last five minutes in which there were some.
    admitted_in_last_5_min: u32,
}

/// How long a poller waits: two seconds, longer the more people wait, at most 30.
fn poll_after_ms(status: &OpeningStatus) -> u32 {
    let depth = status.count(TicketState::Waiting) + status.count(TicketState::Lobby);
    2_000 + (depth / 10).min(28_000)
}

fn render(
    opening: &OpeningId,
    status: &OpeningStatus,
    counts: &SeatCounts,
    showings: Vec<usher_events::plan::Showing>,
    as_of: AsOf,
) -> Result<Bytes, Problem> {
    let seats = |state| counts.get(&state).copied().unwrap_or(0);
    let showing = |showing: usher_events::plan::Showing| ShowingDocument {
        showing: showing.showing.to_string(),
        title: showing.title,
        starts_at: showing.starts_at,
        plan: showing.plan.to_string(),
    };
    let document = StatusDocument {
        opening,
        state: status.state,
        title: &status.title,
        opens_at: status.opens_at,
        drains_at: status.drains_at,
        closes_at: status.closes_at,
        serving_number: status.serving_number,
        lobby: status.count(TicketState::Lobby),
        waiting: status.count(TicketState::Waiting),
        away: status.count(TicketState::Away),
        admitted: status.count(TicketState::Admitted),
        inside: status.count(TicketState::Inside),
        done: status.count(TicketState::Done),
        left: status.count(TicketState::Left),
        spent: status.count(TicketState::Spent),
        seats: Seats {
            free: seats(SeatState::Free),
            held: seats(SeatState::Held),
            booked: seats(SeatState::Booked),
        },
        rate: Rate {
            limit_per_minute: status.policy.admissions_per_minute,
            capacity: status.policy.capacity,
            admitted_in_last_5_min: status.outflow.values().sum(),
        },
        message: status.message.as_deref(),
        showings: showings.into_iter().map(showing).collect(),
        poll_after_ms: poll_after_ms(status),
        as_of,
    };
    serde_json::to_vec(&document).map(Bytes::from).map_err(Problem::internal)
}

impl QueryState {
    async fn read_status(
        &self,
        opening: &OpeningId,
        partition: Partition,
    ) -> Result<(Ready, Offset), Problem> {
        let status = self.queues.status(opening, partition).await.map_err(away)?;
        let counts = self.bookings.counts(opening, partition).await.map_err(away)?;
        let showings = self.bookings.showings(opening, partition).await.map_err(away)?;
        let position = status.position.min(counts.position).min(showings.position);
        let Some(status) = status.value else { return Ok((Ready::of(None), position)) };
        let as_of = AsOf::one(partition, position);
        let body = render(opening, &status, &counts.value, showings.value, as_of)?;
        Ok((Ready::of(Some(body)), position))
    }

    async fn status_document(
        &self,
        opening: &OpeningId,
        partition: Partition,
        at_least: Offset,
    ) -> Result<Arc<Kept<Ready>>, Problem> {
        let read = || self.read_status(opening, partition);
        self.documents.get(opening, Document::Status, at_least, read).await
    }
}

/// All openings.
#[utoipa::path(
    get, path = "/v1/openings", tag = "openings",
    responses((status = 200, description = "`{openings: [...], as_of}`, each as its own status"))
)]
async fn openings(State(state): State<QueryState>) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct Openings {
        openings: Vec<Box<serde_json::value::RawValue>>,
        as_of: AsOf,
    }
    let mut openings = Vec::new();
    let mut positions = std::collections::BTreeMap::new();
    for opening in state.queues.openings().await.map_err(away)? {
        let partition = state.partition_of(&opening);
        let kept = state.status_document(&opening, partition, 0).await?;
        let position = positions.entry(partition).or_insert(kept.position);
        *position = kept.position.min(*position);
        if let Some(body) = &kept.value.body {
            openings.push(serde_json::from_slice(body).map_err(Problem::internal)?);
        }
    }
    json(&Openings { openings, as_of: AsOf::several(positions.into_iter().collect()) })
}

/// An opening's status.
///
/// The same bytes for everyone, so that a content network can answer for us.
#[utoipa::path(
    get, path = "/v1/openings/{opening}", tag = "openings",
    params(("opening" = String, Path), ("after" = Option<String>, Query, description = "An `as_of`: wait until the answer has it")),
    responses(
        (status = 200, description = "State, times, serving number, counts, seats, rate, message, showings, `poll_after_ms`, `as_of`"),
        (status = 304, description = "Not modified"),
        (status = 404, description = "No such opening by `as_of`"),
        (status = 503, description = "Problem `view-behind` or `view-unavailable`")
    )
)]
async fn status(
    State(state): State<QueryState>,
    Path(opening): Path<OpeningId>,
    Query(after): Query<After>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (partition, at_least) = after.wait(&state, &opening, Views::Both).await?;
    let kept = state.status_document(&opening, partition, at_least).await?;
    match &kept.value.body {
        Some(body) => Ok(document(&kept.value, body, &headers, "public, max-age=1")),
        None => Err(missing("opening", partition, kept.position)),
    }
}

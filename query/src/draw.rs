//! The draw as it is published: the data, the cohort, and proofs.

mod cohorts;
mod tree;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;
use usher_events::event::{Beacon, BeaconValue};
use usher_events::ids::{Hash, OpeningId, Ticket};
use usher_events::log::Partition;
use usher_events::time::{Timestamp, rfc3339};
use usher_http::as_of::AsOf;
use usher_http::body::{Path, Query};
use usher_http::etag;
use usher_http::problem::Problem;
use usher_projector::queue::DrawView;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::after::{After, Views};
use crate::answer::{Ready, json};
use crate::cache::Wanted;
use crate::state::{Document, QueryState, away, missing};

pub(crate) use cohorts::Cohorts;
use cohorts::{Cohort, Inclusion};

/// The most takeovers of a place that a proof follows back.
const MOST_MOVES: usize = 1_000;
/// Tickets of the cohort that are sent at once.
const CHUNK: usize = 2_048;

pub(crate) fn routes() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new().routes(routes!(draw)).routes(routes!(cohort)).routes(routes!(proof))
}

/// The draw's data; hashes are lower-case hex, and null before they exist.
#[derive(Serialize, ToSchema)]
struct DrawDocument<'a> {
    /// SHA-256 of the seed.
    #[schema(value_type = String, example = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925")]
    seed_commitment: &'a Hash,
    /// Which of the operator's keys the seed derives from.
    #[schema(example = "2026-a")]
    draw_key_id: &'a str,
    #[schema(value_type = Option<String>, required = true, example = json!(null))]
    seed: Option<&'a Hash>,
    /// Null: none was named, and the draw proves nothing against who knows
    /// the operator's key.
    #[schema(required = true)]
    beacon: Option<BeaconDocument<'a>>,
    /// Over the cohort in ascending order, by RFC 6962.
    #[schema(value_type = Option<String>, required = true, example = json!(null))]
    cohort_root: Option<&'a Hash>,
    /// Over the cohort in drawn order.
    #[schema(value_type = Option<String>, required = true, example = json!(null))]
    order_root: Option<&'a Hash>,
    /// How many are in the cohort.
    #[schema(required = true, example = json!(null))]
    count: Option<u32>,
    #[schema(value_type = String, example = "3.1042")]
    as_of: AsOf,
}

/// The public randomness that the draw waits for.
#[derive(Serialize, ToSchema)]
struct BeaconDocument<'a> {
    #[schema(example = "drand-quicknet")]
    source: &'a str,
    /// The round whose value is taken, and no other.
    #[schema(example = 15_750_000)]
    round: u64,
    /// When that round comes out.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2026-03-01T11:00:09Z")]
    round_at: Timestamp,
    /// What the round came out as, verified; in hexadecimal.
    #[schema(required = true, example = json!(null))]
    signature: Option<&'a str>,
    /// SHA-256 of the signature: what the draw takes.
    #[schema(value_type = Option<String>, required = true, example = json!(null))]
    randomness: Option<&'a Hash>,
}

impl<'a> BeaconDocument<'a> {
    fn of(named: &'a Beacon, value: Option<&'a BeaconValue>) -> Self {
        let Beacon { source, round, round_at } = named;
        Self {
            source,
            round: *round,
            round_at: *round_at,
            signature: value.map(|value| &*value.signature),
            randomness: value.map(|value| &value.randomness),
        }
    }
}

fn render(view: &DrawView, as_of: AsOf) -> Result<Ready, Problem> {
    let document = DrawDocument {
        seed_commitment: &view.seed_commitment,
        draw_key_id: &view.draw_key_id,
        seed: view.seed.as_ref(),
        beacon: view.beacon.as_ref().map(|named| BeaconDocument::of(named, view.beacon_value.as_ref())),
        cohort_root: view.cohort_root.as_ref(),
        order_root: view.order_root.as_ref(),
        count: view.count,
        as_of,
    };
    Ready::weakly(&document, view)
}

/// The draw's data.
#[utoipa::path(
    get, path = "/v1/openings/{opening}/draw", tag = "draw",
    params(
        ("opening" = String, Path),
        ("after" = Option<String>, Query, description = "An `as_of`: wait until the answer has it")
    ),
    responses(
        (status = 200, description = "What is known by now", body = DrawDocument<'static>),
        (status = 304, description = "Not modified"),
        (status = 404, description = "Problem `not-found`: no such opening by `as_of`")
    )
)]
async fn draw(
    State(state): State<QueryState>,
    Path(opening): Path<OpeningId>,
    Query(after): Query<After>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (partition, at_least) = after.wait(&state, &opening, Views::Queue).await?;
    let read = |_| async {
        let line = state.line(&opening, partition, Wanted::newest(at_least)).await?;
        let as_of = AsOf::one(partition, line.position);
        let ready = line.value.status.as_ref().map(|status| render(&status.draw, as_of));
        Ok::<_, Problem>((ready.unwrap_or_else(|| Ok(Ready::missing()))?, line.position))
    };
    let kept = state.documents.get(&opening, Document::Draw, Wanted::at(at_least), read).await?;
    kept.value.answer(&headers).ok_or_else(|| missing("opening", partition, kept.position))
}

/// All tickets of the cohort in ascending order, 32 raw bytes each.
///
/// It never changes any more: who has it need not ask again.
#[utoipa::path(
    get, path = "/v1/openings/{opening}/draw/cohort", tag = "draw",
    params(
        ("opening" = String, Path),
        ("after" = Option<String>, Query, description = "An `as_of`: wait until the answer has it")
    ),
    responses(
        (status = 200, description = "32 bytes for each ticket", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 304, description = "Not modified"),
        (status = 404, description = "Problem `not-found`: no such opening, or its lobby is not closed, by `as_of`")
    )
)]
async fn cohort(
    State(state): State<QueryState>,
    Path(opening): Path<OpeningId>,
    Query(after): Query<After>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (partition, at_least) = after.wait(&state, &opening, Views::Queue).await?;
    let line = state.line(&opening, partition, Wanted::at(at_least)).await?;
    let root = line.value.status.as_ref().and_then(|status| status.draw.cohort_root);
    let Some(root) = root else { return Err(missing("cohort", partition, line.position)) };
    let tag = etag::of(&root.0);
    let mut response = if etag::matches(&headers, &tag) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        raw(state.queues.cohort(&opening).await.map_err(away)?)
    };
    let forever = HeaderValue::from_static("public, max-age=86400, immutable");
    response.headers_mut().insert(header::CACHE_CONTROL, forever);
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}

/// Tickets as they are, some at a time: a million of them are 32 MB.
fn raw(tickets: Arc<[Ticket]>) -> Response {
    let bytes = tickets.len() * 32;
    let chunks = (0..tickets.len()).step_by(CHUNK).map(move |first| {
        let chunk = &tickets[first..tickets.len().min(first + CHUNK)];
        Ok::<_, std::convert::Infallible>(Bytes::from_iter(chunk.iter().flat_map(|ticket| ticket.0)))
    });
    let mut response = Response::new(Body::from_stream(futures::stream::iter(chunks)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    response
}

/// A leaf's place and the way up from it.
#[derive(Serialize, ToSchema)]
struct InclusionDocument {
    /// The leaf's place, from 0; in the drawn order the number minus one.
    #[schema(example = 2099)]
    index: usize,
    /// Sibling hashes from the leaf up: the audit path of RFC 6962.
    #[schema(
        value_type = Vec<String>,
        example = json!(["66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"])
    )]
    path: Vec<Hash>,
}

/// Both proofs of a ticket.
#[derive(Serialize, ToSchema)]
struct ProofDocument {
    /// The ticket in the cohort: another than was asked for, when that one
    /// took its place over.
    #[schema(value_type = String, example = "02d449a31fbb267c8f352e9968a79e3e5fc95c1bbeaa502fd6454ebde5a4bedc")]
    ticket: Ticket,
    /// How many are in the cohort.
    #[schema(example = 8912)]
    count: usize,
    /// That it was in the cohort.
    cohort: InclusionDocument,
    /// Where it was drawn; null before the draw.
    #[schema(required = true)]
    order: Option<InclusionDocument>,
    #[schema(value_type = String, example = "3.1042")]
    as_of: AsOf,
}

impl From<Inclusion> for InclusionDocument {
    fn from(Inclusion { index, path }: Inclusion) -> Self {
        Self { index, path }
    }
}

/// Proofs that a ticket was in the cohort, and where it was drawn.
#[utoipa::path(
    get, path = "/v1/openings/{opening}/tickets/{ticket}/proof", tag = "draw",
    params(
        ("opening" = String, Path), ("ticket" = String, Path),
        ("after" = Option<String>, Query, description = "An `as_of`: wait until the answer has it")
    ),
    responses(
        (status = 200, description = "Audit paths to the two roots of the draw", body = ProofDocument),
        (status = 404, description = "Problem `not-found`: the ticket is not in the cohort, by `as_of`")
    )
)]
async fn proof(
    State(state): State<QueryState>,
    Path((opening, ticket)): Path<(OpeningId, Ticket)>,
    Query(after): Query<After>,
) -> Result<Response, Problem> {
    let (partition, at_least) = after.wait(&state, &opening, Views::Queue).await?;
    let line = state.line(&opening, partition, Wanted::at(at_least)).await?;
    let not_there = || missing("ticket in the cohort", partition, line.position);
    let view = line.value.status.as_ref().map(|status| &status.draw);
    let roots = view.and_then(|view| view.cohort_root.map(|root| (root, view.order_root)));
    let lists = || async {
        let cohort = state.queues.cohort(&opening).await.map_err(away)?;
        let order = state.queues.order(&opening).await.map_err(away)?;
        // Drawn in between: as of this answer it is not.
        let drawn = roots.is_some_and(|(_, order_root)| order_root.is_some());
        Ok((cohort, if drawn { order } else { Arc::default() }))
    };
    let cohort = state.cohorts.get(&opening, roots.ok_or_else(not_there)?, lists).await?;
    let asked = state.in_cohort(&opening, partition, ticket, &cohort).await?.ok_or_else(not_there)?;
    let (in_cohort, order) = cohort.prove(&asked).ok_or_else(not_there)?;
    json(&ProofDocument {
        ticket: asked,
        count: cohort.len(),
        cohort: in_cohort.into(),
        order: order.map(InclusionDocument::from),
        as_of: AsOf::one(partition, line.position),
    })
}

impl QueryState {
    /// The ticket of the cohort whose place `ticket` has: itself, or one
    /// whose place it took over.
    async fn in_cohort(
        &self,
        opening: &OpeningId,
        partition: Partition,
        ticket: Ticket,
        cohort: &Cohort,
    ) -> Result<Option<Ticket>, Problem> {
        let mut at = ticket;
        for _ in 0..MOST_MOVES {
            if cohort.has(&at) {
                return Ok(Some(at));
            }
            let view = self.queues.ticket(opening, partition, &at).await.map_err(away)?;
            match view.value.and_then(|view| view.moved_from) {
                Some(from) => at = from,
                None => return Ok(None),
            }
        }
        Ok(None)
    }
}

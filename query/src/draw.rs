//! The draw as it is published: the data, the cohort, and proofs.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use serde::Serialize;
use usher_events::draw::inclusion_proof;
use usher_events::event::{Beacon, BeaconValue};
use usher_events::ids::{Hash, OpeningId, Ticket};
use usher_events::time::{Timestamp, rfc3339};
use usher_http::as_of::AsOf;
use usher_http::body::{Path, Query};
use usher_http::problem::Problem;
use usher_projector::queue::DrawView;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::after::{After, Views};
use crate::state::{QueryState, away, json, missing};

pub(crate) fn routes() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new().routes(routes!(draw)).routes(routes!(cohort)).routes(routes!(proof))
}

/// The cohort in both orders, kept because a million may ask for their proof.
#[derive(Debug)]
pub(crate) struct Trees {
    cohort: Vec<Ticket>,
    order: Vec<Ticket>,
}

#[derive(Serialize)]
struct DrawDocument {
    seed_commitment: Hash,
    draw_key_id: String,
    seed: Option<Hash>,
    beacon: Option<BeaconDocument>,
    cohort_root: Option<Hash>,
    order_root: Option<Hash>,
    count: Option<u32>,
    as_of: AsOf,
}

#[derive(Serialize)]
struct BeaconDocument {
    source: String,
    round: u64,
    #[serde(with = "rfc3339")]
    round_at: Timestamp,
    signature: Option<String>,
    randomness: Option<Hash>,
}

impl BeaconDocument {
    fn new(named: Beacon, value: Option<BeaconValue>) -> Self {
        let Beacon { source, round, round_at } = named;
        let (signature, randomness) = value.map(|value| (value.signature, value.randomness)).unzip();
        Self { source, round, round_at, signature, randomness }
    }
}

/// The draw's data; null before they exist.
#[utoipa::path(
    get, path = "/v1/openings/{opening}/draw", tag = "draw",
    params(("opening" = String, Path), ("after" = Option<String>, Query)),
    responses((status = 200, description = "`{seed_commitment, seed, beacon, cohort_root, order_root, count, as_of}` in lower-case hex"), (status = 404, description = "No such opening"))
)]
async fn draw(
    State(state): State<QueryState>,
    Path(opening): Path<OpeningId>,
    Query(after): Query<After>,
) -> Result<Response, Problem> {
    let (partition, _) = after.wait(&state, &opening, Views::Queue).await?;
    let found = state.queues.status(&opening, partition).await.map_err(away)?;
    let Some(status) = found.value else { return Err(missing("opening", partition, found.position)) };
    let DrawView { seed_commitment, draw_key_id, beacon, cohort_root, count, seed, beacon_value, order_root } =
        status.draw;
    let beacon = beacon.map(|named| BeaconDocument::new(named, beacon_value));
    let as_of = AsOf::one(partition, found.position);
    json(&DrawDocument { seed_commitment, draw_key_id, seed, beacon, cohort_root, order_root, count, as_of })
}

/// All tickets of the cohort in ascending order, 32 raw bytes each.
#[utoipa::path(
    get, path = "/v1/openings/{opening}/draw/cohort", tag = "draw",
    params(("opening" = String, Path), ("after" = Option<String>, Query)),
    responses((status = 200, description = "32 bytes for each ticket", content_type = "application/octet-stream"), (status = 404, description = "The lobby is not closed yet"))
)]
async fn cohort(
    State(state): State<QueryState>,
    Path(opening): Path<OpeningId>,
    Query(after): Query<After>,
) -> Result<Response, Problem> {
    let (partition, _) = after.wait(&state, &opening, Views::Queue).await?;
    let found = state.queues.status(&opening, partition).await.map_err(away)?;
    if found.value.is_none_or(|status| status.draw.cohort_root.is_none()) {
        return Err(missing("cohort", partition, found.position));
    }
    let cohort = state.queues.cohort(&opening).await.map_err(away)?;
    let bytes: Vec<u8> = cohort.iter().flat_map(|ticket| ticket.0).collect();
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Ok(response)
}

#[derive(Serialize)]
struct Inclusion {
    /// The leaf's place, from 0.
    index: usize,
    /// Sibling hashes from the leaf up.
    path: Vec<Hash>,
}

#[derive(Serialize)]
struct ProofDocument {
    ticket: Ticket,
    count: usize,
    cohort: Inclusion,
    order: Option<Inclusion>,
    as_of: AsOf,
}

impl QueryState {
    async fn trees(&self, opening: &OpeningId) -> Result<Arc<crate::cache::Kept<Trees>>, Problem> {
        let read = || async {
            let cohort = self.queues.cohort(opening).await.map_err(away)?;
            let order = self.queues.order(opening).await.map_err(away)?;
            Ok((Trees { cohort, order }, 0))
        };
        self.trees.get(opening, (), 0, read).await
    }
}

/// Proofs that a ticket was in the cohort, and where it was drawn.
#[utoipa::path(
    get, path = "/v1/openings/{opening}/tickets/{ticket}/proof", tag = "draw",
    params(("opening" = String, Path), ("ticket" = String, Path), ("after" = Option<String>, Query)),
    responses((status = 200, description = "`{ticket, count, cohort: {index, path}, order: {index, path} or null}`; paths are RFC 6962 audit paths"), (status = 404, description = "The ticket is not in the cohort"))
)]
async fn proof(
    State(state): State<QueryState>,
    Path((opening, ticket)): Path<(OpeningId, Ticket)>,
    Query(after): Query<After>,
) -> Result<Response, Problem> {
    let (partition, _) = after.wait(&state, &opening, Views::Queue).await?;
    let place = state.queues.reached(partition).await.map_err(away)?;
    let kept = state.trees(&opening).await?;
    let asked = moved_from(&state, &opening, partition, &ticket, &kept.value).await?.unwrap_or(ticket);
    let Ok(index) = kept.value.cohort.binary_search(&asked) else {
        return Err(missing("ticket in the cohort", partition, place.position));
    };
    // Hashing a big tree takes a while: not on the threads that answer.
    let proofs = tokio::task::spawn_blocking(move || {
        let trees = &kept.value;
        let path = inclusion_proof(&trees.cohort, index).unwrap_or_default();
        let order = trees.order.iter().position(|drawn| *drawn == asked);
        let order = order
            .and_then(|index| inclusion_proof(&trees.order, index).map(|path| Inclusion { index, path }));
        (trees.cohort.len(), Inclusion { index, path }, order)
    });
    let (count, cohort, order) = proofs.await.map_err(Problem::internal)?;
    json(&ProofDocument { ticket: asked, count, cohort, order, as_of: AsOf::one(partition, place.position) })
}

/// The ticket of the cohort whose place `ticket` took over, if it did.
async fn moved_from(
    state: &QueryState,
    opening: &OpeningId,
    partition: usher_events::log::Partition,
    ticket: &Ticket,
    trees: &Trees,
) -> Result<Option<Ticket>, Problem> {
    let mut at = *ticket;
    while trees.cohort.binary_search(&at).is_err() {
        let view = state.queues.ticket(opening, partition, &at).await.map_err(away)?;
        match view.value.and_then(|view| view.moved_from) {
            Some(from) => at = from,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

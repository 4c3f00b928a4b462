//! The openings and their status.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;
use usher_events::ids::OpeningId;
use usher_events::log::Partition;
use usher_events::record::Offset;
use usher_http::as_of::AsOf;
use usher_http::body::{Path, Query};
use usher_http::problem::Problem;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::after::{After, Views};
use crate::answer::Ready;
use crate::cache::Wanted;
use crate::state::{QueryState, away, missing};
use crate::status::StatusDocument;

pub(crate) fn routes() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new().routes(routes!(openings)).routes(routes!(status))
}

/// All openings.
#[derive(Serialize, ToSchema)]
struct OpeningsDocument {
    /// Each with its status.
    #[schema(value_type = Vec<StatusDocument<'static>>)]
    openings: Vec<Box<RawValue>>,
    #[schema(value_type = String, example = "3.1042_7.12")]
    as_of: AsOf,
}

/// The list of all openings, with what it is true of.
#[derive(Debug)]
pub(crate) struct Listed {
    ready: Ready,
    as_of: AsOf,
}

impl Listed {
    fn has(&self, (partition, position): (Partition, Offset)) -> bool {
        self.as_of.covers(partition, position)
    }
}

impl QueryState {
    async fn list(&self, after: &After) -> Result<Listed, Problem> {
        let mut openings = Vec::new();
        let mut positions = BTreeMap::new();
        for opening in self.queues.openings().await.map_err(away)? {
            let partition = self.partition_of(&opening);
            let wanted = Wanted::newest(after.position(partition));
            let kept = self.status(&opening, partition, wanted).await?;
            let position = positions.entry(partition).or_insert(kept.position);
            *position = kept.position.min(*position);
            if let Some(body) = &kept.value.ready.body {
                openings.push(serde_json::from_slice(body).map_err(Problem::internal)?);
            }
        }
        let as_of = AsOf::several(positions.into_iter().collect());
        let ready = Ready::of(&OpeningsDocument { openings, as_of: as_of.clone() })?;
        Ok(Listed { ready, as_of })
    }
}

/// All openings.
#[utoipa::path(
    get, path = "/v1/openings", tag = "openings",
    params(("after" = Option<String>, Query, description = "An `as_of`: wait until the answer has it")),
    responses(
        (status = 200, description = "All openings, each as its own status", body = OpeningsDocument),
        (status = 304, description = "Not modified")
    )
)]
async fn openings(
    State(state): State<QueryState>,
    Query(after): Query<After>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let read = |_| async { Ok::<_, Problem>((state.list(&after).await?, 0)) };
    let mut listed = state.list.get(Wanted::at(0), read).await?;
    let there = |(partition, _): &(Partition, Offset)| *partition < state.config.partitions;
    let seen = || after.positions().iter().copied().filter(there);
    if !seen().all(|position| listed.value.has(position)) {
        for (partition, position) in seen() {
            state.wait_for(partition, position, Views::Both).await?;
        }
        state.list.changed();
        listed = state.list.get(Wanted::newest(0), read).await?;
    }
    let nothing = || Problem::internal("there is no list of openings");
    listed.value.ready.answer(&headers).ok_or_else(nothing)
}

/// An opening's status.
///
/// The same bytes for everyone, so that a content network can answer for us.
#[utoipa::path(
    get, path = "/v1/openings/{opening}", tag = "openings",
    params(
        ("opening" = String, Path),
        ("after" = Option<String>, Query, description = "An `as_of`: wait until the answer has it")
    ),
    responses(
        (status = 200, description = "As it is now", body = StatusDocument<'static>),
        (status = 304, description = "Not modified"),
        (status = 404, description = "Problem `not-found`: no such opening by `as_of`")
    )
)]
async fn status(
    State(state): State<QueryState>,
    Path(opening): Path<OpeningId>,
    Query(after): Query<After>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (partition, at_least) = after.wait(&state, &opening, Views::Both).await?;
    let kept = state.status(&opening, partition, Wanted::at(at_least)).await?;
    kept.value.ready.answer(&headers).ok_or_else(|| missing("opening", partition, kept.position))
}

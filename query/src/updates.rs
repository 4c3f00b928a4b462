//! Server-sent events: what changes, told to many thousands at once.
//!
//! An event is made once and the same bytes are shared by all connections. A
//! reader that is too far behind is dropped, and comes back with the id of
//! what it has seen.

mod event;
mod hub;
mod stream;
mod teller;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use rand::Rng;
use serde::Deserialize;
use tokio::sync::broadcast;
use usher_events::ids::{OpeningId, ShowingId};
use usher_http::body::{Path, Query};
use usher_http::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::QueryState;

pub(crate) use hub::Hub;
use hub::{Place, Topic};
use stream::{Beginning, Seen};
use teller::Teller;

pub(crate) fn routes() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new().routes(routes!(updates))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdatesQuery {
    showing: Option<ShowingId>,
}

/// What changes, as server-sent events.
///
/// `status`: the opening's status as `GET /v1/openings/{opening}` shows it, at
/// once and then when it changes, at most once a second. With `showing`,
/// `seats`: what `.../seats?since=` shows; the first one has no changes and
/// tells the version that all others follow. Take one whose `since` is at or
/// before your version, ignore one whose `version` is not after it, and ask
/// with `?since=` when one is missing. `reset`: what was missed is not kept;
/// ask for the seats again. Every event has an id, and `Last-Event-ID` resumes
/// on any instance. A comment comes when there was nothing else for 15 seconds.
#[utoipa::path(
    get, path = "/v1/openings/{opening}/updates", tag = "openings",
    params(
        ("opening" = String, Path),
        ("showing" = Option<String>, Query, description = "Also tell what changes in its seats"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen")
    ),
    responses(
        (
            status = 200, description = "Events, until the connection ends", body = String,
            content_type = "text/event-stream",
            example = json!("id: 1042-417\nevent: status\ndata: {\"opening\": \"concert-2026\", ...}\n\n")
        ),
        (status = 404, description = "Problem `not-found`: no such opening or showing by `as_of`"),
        (status = 503, description = "Problem `too-many-listeners`: poll meanwhile")
    )
)]
async fn updates(
    State(state): State<QueryState>,
    Path(opening): Path<OpeningId>,
    Query(UpdatesQuery { showing }): Query<UpdatesQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let place = state.updates.place()?;
    let Beginning { first, events } = state.listen(Topic { opening, showing }, seen(&headers)).await?;
    let connection = Connection { waiting: first.into(), events, _place: place };
    let frames = futures::stream::unfold(connection, async |mut connection| {
        Some((Ok::<_, Infallible>(connection.next().await?), connection))
    });
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather answers before they pass them on do not gather this.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// What the client saw before, by its `Last-Event-ID`.
fn seen(headers: &HeaderMap) -> Seen {
    match headers.get("last-event-id") {
        None => Seen::Nothing,
        Some(id) if id.is_empty() => Seen::Nothing,
        Some(id) => id.to_str().ok().and_then(|id| id.parse().ok()).map_or(Seen::Unknown, Seen::UpTo),
    }
}

impl QueryState {
    /// Listens to the stream of `topic`, which begins with who comes first.
    async fn listen(&self, topic: Topic, seen: Seen) -> Result<Beginning, Problem> {
        if let Some(beginning) = self.updates.listen(&topic, seen) {
            return Ok(after_a_pause(beginning));
        }
        let _beginning = self.updates.beginning.lock().await;
        if let Some(beginning) = self.updates.listen(&topic, seen) {
            return Ok(after_a_pause(beginning));
        }
        let teller = Teller::new(self, topic.clone()).await?;
        let beginning = teller.stream().listen(seen);
        self.updates.add(&topic, Arc::clone(teller.stream()));
        tokio::spawn(teller.run(Arc::downgrade(&self.0)));
        Ok(after_a_pause(beginning))
    }
}

/// Says first when to come back after a lost connection: each client at
/// another time, as many lose theirs together.
fn after_a_pause(mut beginning: Beginning) -> Beginning {
    let wait_ms = rand::rng().random_range(1_000..5_000);
    beginning.first.insert(0, format!("retry: {wait_ms}\n\n").into());
    beginning
}

/// One who listens.
struct Connection {
    waiting: VecDeque<Bytes>,
    events: broadcast::Receiver<Bytes>,
    _place: Place,
}

impl Connection {
    /// What to send next; none ends the connection.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(frame) = self.waiting.pop_front() {
            return Some(frame);
        }
        match self.events.recv().await {
            Ok(frame) => Some(frame),
            Err(broadcast::error::RecvError::Closed) => None,
            Err(broadcast::error::RecvError::Lagged(_)) => {
                metrics::counter!("usher_updates_dropped_total").increment(1);
                None
            }
        }
    }
}

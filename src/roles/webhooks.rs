//! Webhooks: how they are wired, and what operators see and do about them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use usher_events::ids::OpeningId;
use usher_events::time::{Timestamp, rfc3339};
use usher_http::auth::Keys;
use usher_http::body;
use usher_http::problem::Problem;
use usher_projector::store::Store;
use usher_projector::webhooks::{
    Courier, EmbeddedOutbox, Kind, LineState, Manner, Message, Outbox, OutboxError, PostgresOutbox, Receiver,
};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{RoleError, servers};
use crate::config::Config;

/// How long to wait before an outbox that is away is asked again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The outbox with whom it is for; there is none where nobody is told.
#[derive(Clone)]
pub(crate) struct Webhooks {
    outbox: Arc<dyn Outbox>,
    receivers: Arc<Vec<Receiver>>,
    manner: Manner,
}

fn receivers(config: &Config) -> Result<Option<Arc<Vec<Receiver>>>, RoleError> {
    let receivers = Receiver::all(config.webhooks.receivers.clone())
        .map_err(|error| RoleError::Setting(format!("webhooks.receivers: {error}")))?;
    Ok((!receivers.is_empty()).then(|| Arc::new(receivers)))
}

fn manner(config: &Config) -> Manner {
    let webhooks = &config.webhooks;
    Manner {
        timeout: Duration::from_secs(webhooks.timeout_s),
        refusals: webhooks.refusals,
        give_up_after: Duration::from_hours(webhooks.give_up_after_h),
        ..Manner::default()
    }
}

impl Webhooks {
    /// Over the database.
    pub(crate) fn in_database(config: &Config) -> Result<Option<Self>, RoleError> {
        let Some(receivers) = receivers(config)? else { return Ok(None) };
        let outbox = Arc::new(PostgresOutbox::new(servers::postgres(config)?, Arc::clone(&receivers)));
        Ok(Some(Self { outbox, receivers, manner: manner(config) }))
    }

    /// Over a file in the data directory.
    pub(crate) fn in_directory(config: &Config, dir: &Path) -> Result<Option<Self>, RoleError> {
        let Some(receivers) = receivers(config)? else { return Ok(None) };
        let file = dir.join("webhooks.redb");
        let outbox = EmbeddedOutbox::open(&file, Arc::clone(&receivers));
        let outbox = outbox.map_err(|error| RoleError::Other(format!("{}: {error}", file.display())))?;
        Ok(Some(Self { outbox: Arc::new(outbox), receivers, manner: manner(config) }))
    }

    /// The projection that fills the outbox.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.outbox) as Arc<dyn Store>
    }

    /// Makes the receivers known, before anything is projected; an outbox
    /// that is away is waited for. False: told to stop.
    pub(crate) async fn know(&self, stop: &CancellationToken) -> bool {
        let names: Vec<String> = self.receivers.iter().map(|receiver| receiver.name().to_owned()).collect();
        let mut told = false;
        while let Err(error) = self.outbox.know(&names).await {
            if !std::mem::replace(&mut told, true) {
                warn!(%error, "waiting for the outbox of webhooks (`usher migrate` makes its tables)");
            }
            if stop.run_until_cancelled(tokio::time::sleep(LOOK_AGAIN)).await.is_none() {
                return false;
            }
        }
        info!(receivers = names.join(", "), "webhooks are sent");
        true
    }

    /// Sends what waits until told to stop; the tracker ends when the last
    /// attempt has.
    pub(crate) fn send(&self, stop: &CancellationToken) -> Result<TaskTracker, RoleError> {
        let couriers = Courier::for_all(&self.outbox, &self.receivers, self.manner)
            .map_err(|error| RoleError::Other(error.to_string()))?;
        let tasks = TaskTracker::new();
        for courier in couriers {
            tasks.spawn(courier.run(stop.clone()));
        }
        tasks.close();
        Ok(tasks)
    }

    /// The routes for operators.
    pub(crate) fn routes(&self, keys: Keys) -> (Router, OpenApi) {
        let state = WebhooksState { outbox: Arc::clone(&self.outbox), keys };
        OpenApiRouter::new()
            .routes(routes!(webhooks))
            .routes(routes!(redrive))
            .with_state(state)
            .split_for_parts()
    }
}

#[derive(Clone)]
struct WebhooksState {
    outbox: Arc<dyn Outbox>,
    keys: Keys,
}

fn away(error: OutboxError) -> Problem {
    tracing::debug!(%error, "the outbox could not be asked");
    Problem::unavailable("outbox-unavailable", "the outbox of webhooks cannot be reached now")
}

/// A webhook that waits, or that is not sent again by itself.
#[derive(Serialize, utoipa::ToSchema)]
struct WebhookDocument {
    /// The CloudEvent's id.
    #[schema(example = "concert-1042-0")]
    id: String,
    #[schema(value_type = String, example = "booking.confirmed")]
    r#type: Kind,
    /// Since when it waits: when it happened, or when it was redriven.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2026-03-01T11:02:00Z")]
    since: Timestamp,
    /// How often it was sent in vain.
    #[schema(example = 3)]
    attempts: u32,
    /// Why the last attempt failed.
    #[schema(example = "answered 500 Internal Server Error")]
    fault: Option<String>,
}

impl From<Message> for WebhookDocument {
    fn from(message: Message) -> Self {
        let Message { id, kind, since, attempts, fault, .. } = message;
        Self { id, r#type: kind, since, attempts, fault }
    }
}

/// What one receiver is to be told of an opening.
#[derive(Serialize, utoipa::ToSchema)]
struct ReceiverDocument {
    /// The receiver's name in the settings.
    #[schema(example = "shop")]
    receiver: String,
    /// How many webhooks wait.
    waiting: u64,
    /// The one that is sent next.
    next: Option<WebhookDocument>,
    /// How many are dead letters.
    dead_count: u64,
    /// The first 100 of them, in order.
    dead: Vec<WebhookDocument>,
}

impl From<LineState> for ReceiverDocument {
    fn from(line: LineState) -> Self {
        let LineState { receiver, waiting, next, dead, dead_count } = line;
        let dead = dead.into_iter().map(WebhookDocument::from).collect();
        Self { receiver, waiting, next: next.map(WebhookDocument::from), dead_count, dead }
    }
}

/// The webhooks of an opening.
#[derive(Serialize, utoipa::ToSchema)]
struct WebhooksDocument {
    receivers: Vec<ReceiverDocument>,
}

/// What waits to be told of an opening, and what is not told any more. At `projector`, and at `serve`.
#[utoipa::path(
    get, path = "/v1/openings/{opening}/webhooks", tag = "webhooks",
    security(("operator" = [])),
    params(("opening" = String, Path)),
    responses(
        (status = 200, description = "Each receiver of the settings", body = WebhooksDocument),
        (status = 401, description = "Problem `unauthorized`"),
        (status = 403, description = "Problem `forbidden`"),
        (status = 503, description = "Problem `outbox-unavailable`")
    )
)]
async fn webhooks(
    State(state): State<WebhooksState>,
    body::Path(opening): body::Path<OpeningId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    state.keys.caller(&headers)?.reading_operator(Some(&opening))?;
    let lines = state.outbox.lines(&opening).await.map_err(away)?;
    let receivers = lines.into_iter().map(ReceiverDocument::from).collect();
    Ok(axum::Json(WebhooksDocument { receivers }).into_response())
}

/// How many dead letters wait again.
#[derive(Serialize, utoipa::ToSchema)]
struct RedrivenDocument {
    #[schema(example = 3)]
    redriven: u64,
}

/// Sends a receiver's dead letters of an opening again, in their order, before what waits. Safe to repeat; a body
/// is not needed, nor an `Idempotency-Key`.
#[utoipa::path(
    post, path = "/v1/openings/{opening}/webhooks/{receiver}/redrive", tag = "webhooks",
    security(("operator" = [])),
    params(("opening" = String, Path), ("receiver" = String, Path, description = "Its name in the settings")),
    responses(
        (status = 200, description = "They wait again", body = RedrivenDocument),
        (status = 401, description = "Problem `unauthorized`"),
        (status = 403, description = "Problem `forbidden`"),
        (status = 404, description = "Problem `not-found`: there is no such receiver"),
        (status = 503, description = "Problem `outbox-unavailable`")
    )
)]
async fn redrive(
    State(state): State<WebhooksState>,
    body::Path((opening, receiver)): body::Path<(OpeningId, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let actor = state.keys.caller(&headers)?.operator(&opening)?;
    let lines = state.outbox.lines(&opening).await.map_err(away)?;
    if !lines.iter().any(|line| line.receiver == receiver) {
        return Err(Problem::not_found("there is no such receiver"));
    }
    let redriven = state.outbox.redrive(&receiver, &opening).await.map_err(away)?;
    info!(%opening, receiver, redriven, by = %actor, "webhooks are sent again");
    Ok(axum::Json(RedrivenDocument { redriven }).into_response())
}

//! Joining, leaving, presence, entering.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use usher_events::ids::{Actor, OpeningId, Ticket};
use usher_http::body::{Json, Path};
use usher_http::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::callers::Owner;
use super::description::{EntryAnswer, PresenceAnswer, TicketAnswer};
use super::heartbeats::{self, Heard};
use super::relay::Relay;
use super::{CommandState, answer};
use crate::opening::Command;

pub(super) fn routes() -> OpenApiRouter<CommandState> {
    OpenApiRouter::new()
        .routes(routes!(join, leave))
        .routes(routes!(presence))
        .routes(routes!(enter, leave_window))
}

/// A body with nothing in it: `{}` and none are both fine.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({}))]
pub(super) struct Nothing {}

/// Join the queue.
///
/// The ticket is the lower-case hexadecimal SHA-256 of the visitor's secret
/// of 32 random bytes. The same ticket again answers with what it is now.
#[utoipa::path(
    put, path = "/v1/openings/{opening}/tickets/{ticket}", tag = "queue",
    params(("opening" = String, Path), ("ticket" = String, Path)),
    request_body = Nothing,
    responses(
        (status = 201, description = "Joined; no number yet in the lobby", body = TicketAnswer),
        (status = 200, description = "Had joined before; the ticket as it is now"),
        (status = 404, description = "Problem `unknown-opening`"),
        (status = 409, description = "Problem `full` or `wrong-state`")
    )
)]
async fn join(
    State(state): State<CommandState>,
    Path((opening, ticket)): Path<(OpeningId, Ticket)>,
    Json(Nothing {}): Json<Nothing>,
) -> Result<Response, Problem> {
    state.decide(opening, None, Actor::Visitor(ticket), Command::Join { ticket }).await
}

/// Leave for good.
#[utoipa::path(
    delete, path = "/v1/openings/{opening}/tickets/{ticket}", tag = "queue",
    security(("visitor" = [])),
    params(("opening" = String, Path), ("ticket" = String, Path)),
    responses(
        (status = 200, description = "Left; the ticket as it is now", body = TicketAnswer),
        (status = 404, description = "Problem `unknown-opening` or `unknown-ticket`")
    )
)]
async fn leave(
    State(state): State<CommandState>,
    Path((opening, ticket)): Path<(OpeningId, Ticket)>,
    Owner(actor): Owner,
) -> Result<Response, Problem> {
    answer::as_change(state.decide(opening, None, actor, Command::Leave { ticket }).await)
}

/// Say that the visitor is there.
///
/// To be said again after `next_in_s` seconds, which grow with the distance
/// to the front. Who is silent three times as long, and at most the policy's
/// `away_after_s`, is away: skipped at admissions, with the place kept. Who
/// was away is back in their old place a moment after they are heard of; the
/// answer says `away` once more, and to come again soon. Joining and every
/// command with the visitor's secret count, too. It is no command: it needs no
/// key and may be repeated.
#[utoipa::path(
    post, path = "/v1/openings/{opening}/tickets/{ticket}/presence", tag = "queue",
    security(("visitor" = [])),
    params(("opening" = String, Path), ("ticket" = String, Path)),
    request_body = Nothing,
    responses(
        (status = 200, description = "Noted; the ticket's state by the log", body = PresenceAnswer),
        (status = 404, description = "Problem `unknown-opening` or `unknown-ticket`"),
        (status = 410, description = "Problem `gone`: the ticket is done, left or spent")
    )
)]
async fn presence(
    State(state): State<CommandState>,
    Path((opening, ticket)): Path<(OpeningId, Ticket)>,
    Extension(relay): Extension<Option<Relay>>,
    Owner(_actor): Owner,
    headers: HeaderMap,
    Json(Nothing {}): Json<Nothing>,
) -> Result<Response, Problem> {
    let heard = match (heartbeats::heard(&state.writers, &opening, &ticket), relay) {
        (Heard::Elsewhere, Some(relay)) => relay.tell(&state.writers, opening, &headers).await?,
        (heard, _) => heard,
    };
    heartbeats::respond(&ticket, heard)
}

/// Enter the seat window.
///
/// The pass shows a booking site that the visitor is inside; it is good for a
/// minute at most and never beyond the visit, and asking again while inside
/// gives a fresh one. Sites check it by the keys at `/.well-known/jwks.json`.
#[utoipa::path(
    put, path = "/v1/openings/{opening}/tickets/{ticket}/entry", tag = "queue",
    security(("visitor" = [])),
    params(("opening" = String, Path), ("ticket" = String, Path)),
    request_body = Nothing,
    responses(
        (status = 201, description = "Entered", body = EntryAnswer),
        (status = 200, description = "Is inside already; with a fresh pass"),
        (status = 403, description = "Problem `not-your-turn` with state, number, position and serving number"),
        (status = 404, description = "Problem `unknown-opening` or `unknown-ticket`"),
        (status = 409, description = "Problem `wrong-state`: the opening is closed"),
        (status = 410, description = "Problem `gone`: the visit is over")
    )
)]
async fn enter(
    State(state): State<CommandState>,
    Path((opening, ticket)): Path<(OpeningId, Ticket)>,
    Owner(actor): Owner,
    Json(Nothing {}): Json<Nothing>,
) -> Result<Response, Problem> {
    let partition = state.writers.partition_of(&opening);
    let reply = state.ask(&opening, None, actor, Command::Enter { ticket }).await?;
    answer::admit(&state.passes, &opening, partition, reply)
}

/// Leave the seat window; live holds are released.
#[utoipa::path(
    delete, path = "/v1/openings/{opening}/tickets/{ticket}/entry", tag = "queue",
    security(("visitor" = [])),
    params(("opening" = String, Path), ("ticket" = String, Path)),
    responses(
        (status = 200, description = "Left the seat window, now or before", body = EntryAnswer),
        (status = 403, description = "Problem `not-inside`"),
        (status = 404, description = "Problem `unknown-opening` or `unknown-ticket`")
    )
)]
async fn leave_window(
    State(state): State<CommandState>,
    Path((opening, ticket)): Path<(OpeningId, Ticket)>,
    Owner(actor): Owner,
) -> Result<Response, Problem> {
    answer::as_change(state.decide(opening, None, actor, Command::LeaveWindow { ticket }).await)
}

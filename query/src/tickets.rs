//! Where a ticket stands. Public; never names holds or bookings.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use usher_events::event::TicketState;
use usher_events::ids::{OpeningId, Ticket};
use usher_events::time::{Timestamp, rfc3339};
use usher_http::as_of::AsOf;
use usher_http::body::{Path, Query};
use usher_http::problem::Problem;
use usher_projector::queue::TicketView;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::after::{After, Views};
use crate::answer::json;
use crate::cache::Wanted;
use crate::pace::Eta;
use crate::state::{QueryState, away, missing};
use crate::status::poll_after_ms;

pub(crate) fn routes() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new().routes(routes!(ticket))
}

/// Where a ticket stands.
#[derive(Serialize, ToSchema)]
struct TicketDocument<'a> {
    #[schema(value_type = String, example = "02d449a31fbb267c8f352e9968a79e3e5fc95c1bbeaa502fd6454ebde5a4bedc")]
    ticket: &'a Ticket,
    /// lobby, waiting, away, admitted, inside, done, left or spent.
    #[schema(value_type = String, example = "waiting")]
    state: TicketState,
    /// The rank in line; null in the lobby.
    #[schema(required = true, example = 2100)]
    number: Option<u32>,
    /// How many present visitors are ahead, plus one; only in line.
    #[schema(required = true, example = 843)]
    position: Option<u32>,
    /// How many present visitors are ahead; only in line.
    #[schema(required = true, example = 842)]
    ahead: Option<u32>,
    /// When the turn may come; only while waiting, and while visitors are
    /// admitted.
    #[schema(required = true)]
    eta: Option<Eta>,
    /// Until when to enter; only once admitted.
    #[serde(with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, required = false)]
    enter_by: Option<Timestamp>,
    /// Until when to leave; only inside.
    #[serde(with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, required = false)]
    leave_by: Option<Timestamp>,
    /// When to ask again, in milliseconds, and `poll_jitter` of the opening's
    /// status more; sooner near the front of the line.
    #[schema(example = 2_084)]
    poll_after_ms: u32,
    #[schema(value_type = String, example = "3.1042")]
    as_of: AsOf,
}

/// When the owner of a ticket asks again.
fn asks_again_ms(view: &TicketView) -> u32 {
    match view.state {
        TicketState::Waiting => poll_after_ms(view.ahead.unwrap_or(0)),
        TicketState::Admitted => 2_000,
        TicketState::Lobby | TicketState::Away | TicketState::Inside => 10_000,
        TicketState::Done | TicketState::Left | TicketState::Spent => 30_000,
    }
}

/// Where a ticket stands.
///
/// The position is exact: how many present visitors are ahead, plus one. It
/// may rise when someone ahead comes back.
#[utoipa::path(
    get, path = "/v1/openings/{opening}/tickets/{ticket}", tag = "queue",
    params(
        ("opening" = String, Path), ("ticket" = String, Path),
        ("after" = Option<String>, Query, description = "An `as_of`: wait until the answer has it")
    ),
    responses(
        (status = 200, description = "As it is now", body = TicketDocument<'static>),
        (status = 404, description = "Problem `not-found`: no such ticket by `as_of`")
    )
)]
async fn ticket(
    State(state): State<QueryState>,
    Path((opening, ticket)): Path<(OpeningId, Ticket)>,
    Query(after): Query<After>,
) -> Result<Response, Problem> {
    let (partition, _) = after.wait(&state, &opening, Views::Queue).await?;
    let found = state.queues.ticket(&opening, partition, &ticket).await.map_err(away)?;
    let Some(view) = found.value else { return Err(missing("ticket", partition, found.position)) };
    let eta = match view.ahead {
        Some(ahead) if view.state == TicketState::Waiting => {
            let line = state.line(&opening, partition, Wanted::at(0)).await?;
            line.value.pace.as_ref().map(|pace| pace.eta(ahead, Timestamp::now()))
        }
        _ => None,
    };
    let deadline =
        |in_state| view.deadline.filter(|_| view.state == in_state).map(|at| at.falls(found.claim));
    json(&TicketDocument {
        ticket: &ticket,
        state: view.state,
        number: view.number,
        position: view.ahead.map(|ahead| ahead + 1),
        ahead: view.ahead,
        eta,
        enter_by: deadline(TicketState::Admitted),
        leave_by: deadline(TicketState::Inside),
        poll_after_ms: asks_again_ms(&view),
        as_of: AsOf::one(partition, found.position),
    })
}

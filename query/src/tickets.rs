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
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::after::{After, Views};
use crate::eta::{Eta, eta};
use crate::state::{QueryState, away, json, missing};

pub(crate) fn routes() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new().routes(routes!(ticket))
}

#[derive(Serialize)]
struct TicketDocument<'a> {
    ticket: &'a Ticket,
    state: TicketState,
    number: Option<u32>,
    position: Option<u32>,
    ahead: Option<u32>,
    eta: Option<Eta>,
    #[serde(with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    enter_by: Option<Timestamp>,
    #[serde(with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    leave_by: Option<Timestamp>,
    as_of: AsOf,
}

/// Where a ticket stands.
///
/// The position is exact: how many present visitors are ahead, plus one. It
/// may rise when someone ahead comes back.
#[utoipa::path(
    get, path = "/v1/openings/{opening}/tickets/{ticket}", tag = "queue",
    params(("opening" = String, Path), ("ticket" = String, Path), ("after" = Option<String>, Query)),
    responses(
        (status = 200, description = "`{ticket, state, number, position, ahead, eta: {expected, early, late}, as_of}`"),
        (status = 404, description = "No such ticket by `as_of`")
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
            let status = state.queues.status(&opening, partition).await.map_err(away)?;
            status.value.and_then(|status| eta(&status, ahead, Timestamp::now()))
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
        as_of: AsOf::one(partition, found.position),
    })
}
